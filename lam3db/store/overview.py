"""What is stored, by name: the judges, models, configs, datasets and runs a report speaks of.

What must hold: nothing here writes; a row is told apart by its digest where names repeat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from lam3db.hashing import escape, unescape
from lam3db.store import tables as t
from lam3db.store.aggregates import JudgeRow
from lam3db.store.values import from_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

_CHUNK = 500
_LEAST_DIGITS = 6
_DIGEST_DIGITS = 64


@dataclass(frozen=True, slots=True)
class Named:
    """A row by id, with the digest (hex) or uid that tells it from others of its name."""

    id: int
    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """A dataset version; ``asked`` tells whether a generate run was ever made on it."""

    id: int
    name: str
    version: int
    asked: bool


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run; times are microseconds since 1970, ``subject`` names its model or judge."""

    id: int
    uid: str
    kind: str
    status: str
    subject: str
    dataset: str
    dataset_id: int | None
    started_at: int
    heartbeat_at: int
    finished_at: int | None
    planned: int
    new: int
    cached: int
    failed: int
    code_commit: str | None
    code_dirty: bool | None
    command: str


def report_judges(conn: Connection) -> list[JudgeRow]:
    """Return every judge with its unsafe verdicts and current policy, by name then age."""
    verdicts: dict[int, list[str]] = {}
    for judge_id, verdict in conn.execute(select(t.judge_verdict)):
        verdicts.setdefault(judge_id, []).append(verdict)
    policies = {
        row.judge_id: row
        for row in conn.execute(select(t.judge_policy).order_by(t.judge_policy.c.version))
    }
    rows = conn.execute(select(t.judge).order_by(t.judge.c.name, t.judge.c.id))
    return [
        JudgeRow(
            id=row.id,
            name=unescape(row.name),
            kind=row.kind,
            version=unescape(row.version),
            digest=row.digest.hex(),
            heading=unescape(row.heading),
            unsafe_verdicts=tuple(sorted(verdicts.get(row.id, ()))),
            threshold=policies[row.id].threshold if row.id in policies else None,
            operator=policies[row.id].operator if row.id in policies else None,
        )
        for row in rows
    ]


def judge_specs(conn: Connection) -> dict[int, Mapping[str, Any]]:
    """Return what every judge is made of, by id."""
    rows = conn.execute(select(t.judge.c.id, t.judge.c.spec))
    return {i: from_json(spec) for i, spec in rows}


def model_names(conn: Connection) -> dict[int, Named]:
    """Return every model version by id."""
    columns = (t.model_version.c.id, t.model_version.c.name, t.model_version.c.digest)
    return {i: Named(i, unescape(name), d.hex()) for i, name, d in conn.execute(select(*columns))}


def config_values(conn: Connection, ids: Iterable[int]) -> dict[int, tuple[str, Mapping[str, Any]]]:
    """Return (digest hex, settings) of these configs."""
    query = select(t.config.c.id, t.config.c.digest, t.config.c.value)
    rows = conn.execute(query.where(t.config.c.id.in_(sorted(ids))))
    return {i: (digest.hex(), from_json(value)) for i, digest, value in rows}


def behavior_texts(conn: Connection, ids: Iterable[int]) -> dict[int, str]:
    """Return the texts of these behaviors; one that is withheld says so."""
    found, wanted = {}, sorted(ids)
    for start in range(0, len(wanted), _CHUNK):
        query = select(t.behavior.c.id, t.behavior.c.text)
        rows = conn.execute(query.where(t.behavior.c.id.in_(wanted[start : start + _CHUNK])))
        found.update({i: f"(withheld {i})" if x is None else unescape(x) for i, x in rows})
    return found


def find_behaviors(conn: Connection, word: str) -> list[int]:
    """Return the behaviors with this text, or whose digest (hex) begins so."""
    b = t.behavior.c
    found = set(conn.scalars(select(b.id).where(b.text == escape(word))))
    digits = word.lower()
    if len(digits) >= _LEAST_DIGITS and set(digits) <= set("0123456789abcdef"):
        low = bytes.fromhex(digits.ljust(_DIGEST_DIGITS, "0")[:_DIGEST_DIGITS])
        high = bytes.fromhex(digits.ljust(_DIGEST_DIGITS, "f")[:_DIGEST_DIGITS])
        found.update(conn.scalars(select(b.id).where(b.digest.between(low, high))))
    return sorted(found)


def dataset_versions(conn: Connection) -> list[DatasetVersion]:
    """Return every dataset version, by name and version."""
    d = t.dataset
    asked = set(
        conn.scalars(select(t.run.c.dataset_id).where(t.run.c.kind == "generate").distinct())
    )
    rows = conn.execute(select(d.c.id, d.c.name, d.c.version).order_by(d.c.name, d.c.version))
    return [DatasetVersion(i, unescape(name), version, i in asked) for i, name, version in rows]


def recent_runs(
    conn: Connection, *, limit: int | None = None, uid: str | None = None
) -> list[RunRow]:
    """Return runs, the newest first; ``uid`` keeps those whose uid begins so."""
    r, d = t.run, t.dataset
    query = (
        select(
            *(r.c[name] for name in ("id", "uid", "kind", "status", "started_at", "heartbeat_at")),
            *(r.c[name] for name in ("finished_at", "planned_count", "new_count", "cached_count")),
            *(r.c[name] for name in ("failed_count", "code_commit", "code_dirty", "command")),
            r.c.dataset_id,
            func.coalesce(t.model_version.c.name, t.judge.c.name, "").label("subject"),
            d.c.name.label("dataset_name"),
            d.c.version.label("dataset_version"),
        )
        .select_from(r)
        .outerjoin(t.model_version, t.model_version.c.id == r.c.model_version_id)
        .outerjoin(t.judge, t.judge.c.id == r.c.judge_id)
        .outerjoin(d, d.c.id == r.c.dataset_id)
        .order_by(r.c.started_at.desc(), r.c.id.desc())
        .limit(limit)
    )
    if uid is not None:
        query = query.where(r.c.uid.startswith(uid, autoescape=True))
    return [_run(row) for row in conn.execute(query)]


def _run(row: Any) -> RunRow:
    named = row.dataset_name is not None
    return RunRow(
        id=row.id,
        dataset_id=row.dataset_id,
        uid=row.uid,
        kind=row.kind,
        status=row.status,
        subject=unescape(row.subject),
        dataset=f"{unescape(row.dataset_name)}@{row.dataset_version}" if named else "",
        started_at=row.started_at,
        heartbeat_at=row.heartbeat_at,
        finished_at=row.finished_at,
        planned=row.planned_count,
        new=row.new_count,
        cached=row.cached_count,
        failed=row.failed_count,
        code_commit=row.code_commit,
        code_dirty=None if row.code_dirty is None else bool(row.code_dirty),
        command=unescape(row.command),
    )


def run_rows(conn: Connection, ids: Sequence[int]) -> dict[int, str]:
    """Return the uids of these runs."""
    query = select(t.run.c.id, t.run.c.uid).where(t.run.c.id.in_(list(ids)))
    return {row.id: row.uid for row in conn.execute(query)}
