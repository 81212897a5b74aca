"""Questions to the database: plain functions from ids or names to small named results.

What must hold: nothing here writes; texts come back as they came in; what is withheld is
left out of the answer, never replaced by something.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, text

from lam3db.errors import ConfigError, NotFoundError, did_you_mean
from lam3db.hashing import canonical_json, escape, unescape
from lam3db.records import JudgePolicy, Message, Sees
from lam3db.store import tables as t
from lam3db.store.bulk import select_in
from lam3db.store.put_samples import DatasetRow
from lam3db.store.tables_watch import BUNDLE
from lam3db.store.values import as_datetime, from_json, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

_DIGITS = 9
"""Of a version that a name can give."""
_HEX = re.compile(r"[0-9a-f-]{4,64}")


@dataclass(frozen=True, slots=True)
class JudgedText:
    """What there is to judge of a generation; ``images`` are hex SHA-256 in order.

    ``prompt`` and ``behavior`` are None where a bundle left them out.
    """

    generation_id: int
    text: str
    prompt: str | None
    behavior: str | None
    images: tuple[str, ...]
    reasoning: str | None = None


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """A dataset version in figures; ``categories`` and ``attacks`` are counted, not listed."""

    name: str
    version: int
    samples: int
    behaviors: int
    categories: int
    attacks: int
    benign: int
    images: int
    created_at: datetime
    source: str
    licence: str


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run as it stands."""

    id: int
    uid: str
    kind: str
    status: str
    model_version_id: int | None
    config_id: int | None
    selection_id: int | None
    dataset_id: int | None
    judge_id: int | None
    replicates: int
    command: str
    started_at: datetime
    heartbeat_at: datetime
    finished_at: datetime | None
    planned: int
    new: int
    cached: int
    failed: int


@dataclass(frozen=True, slots=True)
class JudgeInfo:
    """A judge in figures; ``failures`` counts generations it failed at and has not scored."""

    id: int
    name: str
    kind: str
    version: str
    digest: str
    sees: tuple[str, ...]
    heading: str
    policy: JudgePolicy | None
    scores: int
    failures: int
    verdicts: tuple[str, ...] = field(default=())


def load_messages(conn: Connection, sample_ids: Sequence[int]) -> dict[int, tuple[Message, ...]]:
    """Return the messages of samples by id, without those that are withheld."""
    asked = "SELECT id, messages FROM sample WHERE messages IS NOT NULL AND id"
    rows = select_in(conn, asked, (), list(sample_ids), "bigint")
    return {
        one: tuple(Message.from_json(message) for message in from_json(messages))
        for one, messages in rows
    }


def load_judged(
    conn: Connection, generation_ids: Sequence[int], sees: Collection[Sees] = tuple(Sees)
) -> dict[int, JudgedText]:
    """Return what there is to judge, by generation id, without what is withheld.

    What the judge does not see is not read; what a bundle left out is no reason to leave a
    generation out, unless the judge sees it.
    """
    left_out = f"IN (SELECT id FROM withholding WHERE author = '{BUNDLE}')"
    unseen = "" if {Sees.PROMPT, Sees.IMAGE} & set(sees) else f" OR s.withheld_id {left_out}"
    thinks = Sees.REASONING in sees
    whole = " AND (g.reasoning IS NOT NULL OR g.reasoning_digest IS NULL)" if thinks else ""
    unmeant = "" if Sees.BEHAVIOR in sees else f" OR b.withheld_id {left_out}"
    asked = f"""SELECT g.id, g.text, s.prompt, b.text AS behavior, s.id AS sample_id,
                      {"g.reasoning" if thinks else "NULL"} AS reasoning
                 FROM generation g JOIN sample s ON s.id = g.sample_id
                 JOIN behavior b ON b.id = s.behavior_id
                WHERE g.withheld_id IS NULL AND (s.withheld_id IS NULL{unseen})
                  AND (b.withheld_id IS NULL{unmeant}){whole} AND g.id"""
    rows = select_in(conn, asked, (), list(generation_ids), "bigint")
    looks = Sees.IMAGE in sees
    images = _images(conn, sorted({row.sample_id for row in rows})) if looks else {}
    asks, aims = Sees.PROMPT in sees, Sees.BEHAVIOR in sees
    return {
        one: JudgedText(
            one,
            unescape(words),
            plain(prompt) if asks else None,
            plain(behavior) if aims else None,
            images.get(sample_id, ()),
            plain(reasoning),
        )
        for one, words, prompt, behavior, sample_id, reasoning in rows
    }


def find_dataset(conn: Connection, name: str, version: int | None = None) -> DatasetRow:
    """Return a dataset version by ``name`` (its latest) or ``name@version``.

    Raises:
        NotFoundError: no such name or version.

    """
    wanted, _, number = name.rpartition("@")
    if version is None and wanted and number.isdecimal() and len(number) <= _DIGITS:
        name, version = wanted, int(number)
    d = t.dataset.c
    query = (
        select(d.id, d.version, d.selection_id, t.selection.c.sample_count)
        .join(t.selection)
        .where(d.name == escape(name))
        .order_by(d.version.desc())
    )
    rows = conn.execute(query).all()
    found = next((row for row in rows if version in (None, row.version)), None)
    if found is None and rows:
        there = ", ".join(str(row.version) for row in reversed(rows))
        raise NotFoundError(f"dataset {name!r} has no version {version} (it has {there})")
    if found is None:
        known = [unescape(one) for one in conn.scalars(select(d.name).distinct())]
        hint = did_you_mean(name, known) or " (there is none yet: `lam3db dataset add`)"
        raise NotFoundError(f"no dataset is called {name!r}{hint}")
    return DatasetRow(
        found.id,
        name,
        found.version,
        found.selection_id,
        is_new=False,
        sample_count=found.sample_count,
    )


def list_datasets(conn: Connection) -> list[DatasetInfo]:
    """Return every dataset version, by name and version."""
    asked = text(
        """SELECT d.name, d.version, d.created_at, d.source, d.licence, count(*) AS samples,
                  count(DISTINCT s.behavior_id) AS behaviors,
                  count(DISTINCT b.category) AS categories,
                  count(DISTINCT s.attack) AS attacks, sum(b.is_benign) AS benign,
                  (SELECT count(DISTINCT sm.media_id) FROM selection_sample si
                     JOIN sample_media sm ON sm.sample_id = si.sample_id
                    WHERE si.selection_id = d.selection_id) AS images
             FROM dataset d
             JOIN selection_sample ss ON ss.selection_id = d.selection_id
             JOIN sample s ON s.id = ss.sample_id
             JOIN behavior b ON b.id = s.behavior_id
            GROUP BY d.id, d.name, d.version, d.created_at, d.source, d.licence, d.selection_id
            ORDER BY d.name, d.version"""
    )
    return [
        DatasetInfo(
            name=unescape(row.name),
            version=row.version,
            samples=row.samples,
            behaviors=row.behaviors,
            categories=row.categories,
            attacks=row.attacks,
            benign=int(row.benign),
            images=row.images,
            created_at=as_datetime(row.created_at),
            source=unescape(row.source),
            licence=unescape(row.licence),
        )
        for row in conn.execute(asked)
    ]


def select_members(
    conn: Connection, selection_id: int, where: Mapping[str, str], limit: int | None
) -> list[tuple[str, int]]:
    """Return the (key, sample id) pairs that fit every condition, in the selection's order.

    Conditions are on category, attack, behavior, key, target, benign or ``metadata.NAME``.

    Raises:
        ConfigError: an unknown field, or a ``benign`` that is neither yes nor no.

    """
    asked = text(
        """SELECT ss.key, ss.sample_id, s.attack, s.target, s.metadata, b.category, b.is_benign,
                  b.text AS behavior
             FROM selection_sample ss JOIN sample s ON s.id = ss.sample_id
             JOIN behavior b ON b.id = s.behavior_id
            WHERE ss.selection_id = :selection ORDER BY ss.position"""
    )
    if not where and limit is not None:
        asked = text(f"{asked.text} LIMIT {int(limit)}")
    rows: Sequence[Any] = conn.execute(asked, {"selection": selection_id}).all()
    for name, value in where.items():
        rows = list(filter(_condition(name, value, rows), rows))
    members = [(unescape(row.key), row.sample_id) for row in rows]
    return members if limit is None else members[:limit]


def find_run(conn: Connection, uid_prefix: str) -> RunInfo:
    """Return the run whose uid starts so.

    Raises:
        NotFoundError: no run, or more than one.

    """
    r = t.run.c
    rows: Sequence[Any] = ()
    if _HEX.fullmatch(uid_prefix):
        query = select(t.run).where(r.uid.startswith(uid_prefix)).order_by(r.id.desc())
        rows = conn.execute(query.limit(2)).all()
    if len(rows) != 1:
        many = "several runs start" if rows else "no run starts"
        raise NotFoundError(
            f"{many} with {uid_prefix!r}: give four or more of the characters that"
            " `lam3db status` or SELECT uid FROM run shows"
        )
    row = rows[0]
    return RunInfo(
        **{name: getattr(row, name) for name in _RUN_COLUMNS},
        command=unescape(row.command),
        started_at=as_datetime(row.started_at),
        heartbeat_at=as_datetime(row.heartbeat_at),
        finished_at=None if row.finished_at is None else as_datetime(row.finished_at),
        planned=row.planned_count,
        new=row.new_count,
        cached=row.cached_count,
        failed=row.failed_count,
    )


_RUN_COLUMNS = (
    *("id", "uid", "kind", "status", "model_version_id", "config_id", "selection_id"),
    *("dataset_id", "judge_id", "replicates"),
)


def model_ids(conn: Connection, name: str) -> list[int]:
    """Return the model versions of this name, or whose digest starts so.

    Raises:
        NotFoundError: none.

    """
    m = t.model_version.c
    rows = conn.execute(select(m.id, m.name, m.digest).order_by(m.id)).all()
    named = [row.id for row in rows if unescape(row.name) == name]
    if not named and _HEX.fullmatch(name):
        named = [row.id for row in rows if bytes(row.digest).hex().startswith(name)]
    if not named:
        hint = did_you_mean(name, sorted({unescape(row.name) for row in rows}))
        raise NotFoundError(f"no model in this database is called {name!r}{hint}")
    return named


def list_judges(conn: Connection) -> list[JudgeInfo]:
    """Return every judge with its current policy and counts, by name and age."""
    policies, verdicts = current_policies(conn), unsafe_verdicts(conn)
    j, s = t.judge.c, t.score.c
    counted = select(s.judge_id, func.count()).where(s.revision == 0, s.replicate == 0)
    scores: dict[int, int] = dict(map(tuple, conn.execute(counted.group_by(s.judge_id))))
    failures: dict[int, int] = dict(map(tuple, conn.execute(text(_FAILED_JUDGING))))
    return [
        JudgeInfo(
            id=row.id,
            name=unescape(row.name),
            kind=row.kind,
            version=unescape(row.version),
            digest=bytes(row.digest).hex(),
            sees=tuple(from_json(row.sees)),
            heading=unescape(row.heading),
            policy=policies.get(row.id),
            scores=scores.get(row.id, 0),
            failures=failures.get(row.id, 0),
            verdicts=verdicts.get(row.id, ()),
        )
        for row in conn.execute(select(t.judge).order_by(j.name, j.id))
    ]


def current_policies(conn: Connection) -> dict[int, JudgePolicy]:
    """Return the latest policy of each judge that has one."""
    p = t.judge_policy.c
    return {
        row.judge_id: JudgePolicy(row.threshold, row.operator)
        for row in conn.execute(select(t.judge_policy).order_by(p.judge_id, p.version))
    }


def unsafe_verdicts(conn: Connection) -> dict[int, tuple[str, ...]]:
    """Return the verdicts that mean unsafe, of each judge that has any."""
    v = t.judge_verdict.c
    found: dict[int, tuple[str, ...]] = {}
    for judge_id, verdict in conn.execute(select(v.judge_id, v.verdict).order_by(v.verdict)):
        found[judge_id] = (*found.get(judge_id, ()), verdict)
    return found


_FAILED_JUDGING = """
SELECT f.judge_id, count(DISTINCT f.generation_id) FROM failure f
 WHERE f.stage = 'judge' AND f.generation_id IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM score s WHERE s.judge_id = f.judge_id
                      AND s.generation_id = f.generation_id)
 GROUP BY f.judge_id
"""


def _images(conn: Connection, samples: Sequence[int]) -> dict[int, tuple[str, ...]]:
    asked = """SELECT sm.sample_id, sm.position, m.sha256 FROM sample_media sm
                 JOIN media m ON m.id = sm.media_id WHERE sm.sample_id"""
    found: dict[int, tuple[str, ...]] = {}
    for one, _, sha256 in sorted(select_in(conn, asked, (), samples, "bigint")):
        found[one] = (*found.get(one, ()), bytes(sha256).hex())
    return found


_YES_NO = {"true": 1, "1": 1, "yes": 1, "false": 0, "0": 0, "no": 0}
_FIELDS = ("attack", "behavior", "benign", "category", "key", "metadata.NAME", "target")


def _condition(name: str, value: str, rows: Sequence[Any]) -> Callable[[Any], bool]:
    """Return the test of one condition on a row of :func:`select_members`."""
    if name == "benign":
        if value.lower() not in _YES_NO:
            raise ConfigError(f"benign={value}: write benign=yes or benign=no")
        return lambda row: row.is_benign == _YES_NO[value.lower()]
    if name in ("category", "attack", "behavior", "key", "target"):
        return lambda row: plain(getattr(row, name)) == value
    if name.startswith("metadata."):
        return _metadata_condition(name.removeprefix("metadata."), value, rows)
    raise ConfigError(f"samples have no field {name!r}{did_you_mean(name, _FIELDS)}")


def _metadata_condition(name: str, value: str, rows: Sequence[Any]) -> Callable[[Any], bool]:
    known = {field for row in rows for field in from_json(row.metadata)}
    if rows and name not in known:
        hint = did_you_mean(name, sorted(known)) or " (they have no metadata)"
        raise ConfigError(f"samples have no metadata {name!r}{hint}")

    def fits(row: Any) -> bool:
        there = from_json(row.metadata).get(name)
        if there is None or isinstance(there, str):
            return bool(there == value)
        return canonical_json(there) == value

    return fits
