"""Withholding: texts and images that must not be kept lose their bodies, and nothing else.

A dataset or sample takes with it whatever poses the same (samples of one input), the answers
to it, what judges quoted of them, images that no other sample shows, aims that no other
sample has, and the messages of failures. An answer takes its copies and what was said of it.

What must hold: digests, scores, verdicts and counts stay as they are; who, why and when is
recorded first; what is withheld already stays under its first reason; nothing outside the
target loses a body.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from lam3db.errors import ConfigError, NotFoundError, did_you_mean
from lam3db.hashing import escape, unescape
from lam3db.redaction import redact
from lam3db.store.bulk import select_in
from lam3db.store.tables_watch import BUNDLE
from lam3db.store.values import chunks, new_uid, now, stored
from lam3db.store.withheld import GONE, hush

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

_SHORTEST = 8
"""Digits of an image's digest below which a slip of the finger names another image."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is to go. ``samples`` are keys, of ``dataset`` where one is given.

    ``dataset`` is ``name`` (every version) or ``name@version``; ``media`` are (starts of)
    hexadecimal digests, ``generations`` the numbers of answers.
    """

    dataset: str | None = None
    samples: tuple[str, ...] = ()
    media: tuple[str, ...] = ()
    generations: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The rows that lose their bodies, by id, without what is withheld already.

    ``images`` are digests of all images in the target, withheld before or not, whose files
    are to go. ``kept_images`` counts images that other samples show, which stay;
    ``elsewhere`` names other datasets that hold some of the samples.
    """

    samples: tuple[int, ...]
    behaviors: tuple[int, ...]
    media: tuple[int, ...]
    generations: tuple[int, ...]
    findings: tuple[int, ...]
    failures: tuple[int, ...]
    images: tuple[str, ...]
    kept_images: int
    elsewhere: tuple[str, ...]

    @property
    def rows(self) -> int:
        """How many bodies are to go."""
        parts = (self.samples, self.behaviors, self.media, self.generations, self.findings)
        return sum(map(len, parts)) + len(self.failures)


def find_target(conn: Connection, target: Target) -> Plan:
    """Return what a purge of ``target`` takes away.

    Raises:
        ConfigError: nothing is named, or an image by too few digits or ambiguously.
        NotFoundError: something named is not there.

    """
    if target == Target():
        raise ConfigError("name what is to go: --dataset, --sample, --media or --generation")
    named = _samples(conn, target)
    samples = named | _posing_the_same(conn, named)
    answers = _answers(conn, samples) | _copies(conn, _generations(conn, target.generations))
    shown = _images_of(conn, samples)
    alone = shown - _shown_by_others(conn, shown, samples)
    media = alone | _media(conn, target.media)
    return Plan(
        samples=_bare(conn, "sample", samples),
        behaviors=_bare(conn, "behavior", _aims(conn, samples)),
        media=_bare(conn, "media", media),
        generations=_bare(conn, "generation", answers),
        findings=_bare(conn, "finding", _said_of(conn, answers)),
        failures=_failures(conn, samples, answers),
        images=_digests(conn, media),
        kept_images=len(shown - alone),
        elsewhere=_elsewhere(conn, samples, target.dataset),
    )


def withhold(conn: Connection, plan: Plan, author: str, reason: str) -> None:
    """Take the bodies away; the caller commits."""
    said = {"author": stored(redact(author)), "reason": stored(redact(reason))}
    row = {"uid": new_uid(), **said, "at": now()}
    made = text(
        "INSERT INTO withholding (uid, author, reason, created_at)"
        " VALUES (:uid, :author, :reason, :at) RETURNING id"
    )
    by = int(conn.execute(made, row).scalar_one())
    for table, ids in (
        ("sample", plan.samples),
        ("behavior", plan.behaviors),
        ("media", plan.media),
        ("generation", plan.generations),
        ("finding", plan.findings),
    ):
        _update(conn, f"UPDATE {table} SET {_EMPTY[table]}withheld_id = :by", ids, {"by": by})
    _update(conn, "UPDATE failure SET message = :gone", plan.failures, {"gone": GONE})
    hush(conn)


def withhold_again(conn: Connection) -> int:
    """Withhold samples that pose what is withheld, as when it is added anew; return how many.

    Their reason is that of the sample withheld before. What a bundle left out is no reason.
    """
    if conn.execute(text("SELECT 1 FROM withholding LIMIT 1")).first() is None:
        return 0
    rows = conn.execute(
        text(f"""SELECT s.id, MIN(o.withheld_id) FROM sample o
                 JOIN withholding w ON w.id = o.withheld_id AND w.author <> '{BUNDLE}'
                 JOIN sample s ON s.input_digest = o.input_digest AND s.withheld_id IS NULL
                GROUP BY s.id""")
    ).all()
    change = text(f"UPDATE sample SET {_EMPTY['sample']}withheld_id = :by WHERE id = :id")
    if rows:
        conn.execute(change, [{"id": one, "by": by} for one, by in rows])
    return len(rows)


def withheld_images(conn: Connection, *, left_out: bool = False) -> frozenset[str]:
    """Return the digests of the images whose bytes must not be kept.

    ``left_out``: also those that were only left out of this bundle.
    """
    rows = conn.execute(
        text("""SELECT m.sha256, w.author FROM media m
                 JOIN withholding w ON w.id = m.withheld_id""")
    )
    return frozenset(bytes(one).hex() for one, by in rows if left_out or by != BUNDLE)


_EMPTY = {
    "sample": "messages = NULL, prompt = NULL, target = NULL, metadata = '{}',"
    " attack_parameters = '{}', ",
    "behavior": "text = NULL, ",
    "media": "",
    "generation": "text = NULL, raw_text = NULL, reasoning = NULL, ",
    "finding": "explanation = NULL, raw_output = NULL, ",
}


def _update(conn: Connection, change: str, ids: Sequence[int], known: dict[str, Any]) -> None:
    if ids:
        conn.execute(text(f"{change} WHERE id = :id"), [{"id": one, **known} for one in ids])


def _samples(conn: Connection, target: Target) -> set[int]:
    if target.dataset is None and not target.samples:
        return set()
    selections = _selections(conn, target.dataset) if target.dataset is not None else None
    asked = 'SELECT selection_id, sample_id, "key" FROM selection_sample'
    if not target.samples:
        rows = select_in(conn, f"{asked} WHERE selection_id", (), selections or [], "bigint")
        return {row.sample_id for row in rows}
    keys = [escape(key) for key in target.samples]
    rows = select_in(conn, f'{asked} WHERE "key"', (), keys, "text")
    found = [row for row in rows if selections is None or row.selection_id in selections]
    there = {unescape(row.key) for row in found}
    for key in target.samples:
        if key not in there:
            where = f"dataset {target.dataset}" if target.dataset else "any dataset"
            raise NotFoundError(f"--sample {key}: there is no sample of that key in {where}")
    return {row.sample_id for row in found}


def _selections(conn: Connection, asked: str) -> list[int]:
    name, _, version = asked.partition("@")
    rows = conn.execute(text("SELECT name, version, selection_id FROM dataset")).all()
    found = [
        row.selection_id
        for row in rows
        if unescape(row.name) == name and version in ("", str(row.version))
    ]
    if not found:
        shown = "{0}@{1}" if version else "{0}"
        known = [shown.format(unescape(row.name), row.version) for row in rows]
        raise NotFoundError(f"--dataset {asked}: no such dataset{did_you_mean(asked, known)}")
    return found


def _generations(conn: Connection, asked: Sequence[int]) -> set[int]:
    rows = select_in(conn, "SELECT id FROM generation WHERE id", (), list(asked), "bigint")
    found = {row.id for row in rows}
    for one in asked:
        if one not in found:
            raise NotFoundError(f"--generation {one}: there is no such answer")
    return found


def _media(conn: Connection, asked: Sequence[str]) -> set[int]:
    if not asked:
        return set()
    rows = conn.execute(text("SELECT id, sha256 FROM media")).all()
    known = {bytes(row.sha256).hex(): row.id for row in rows}
    found = set()
    for start in asked:
        matches = [one for digest, one in known.items() if digest.startswith(start.lower())]
        if len(start) < _SHORTEST or len(matches) > 1:
            raise ConfigError(f"--media {start}: write more digits of its SHA-256, {_SHORTEST} or"
                              " more, so that they mean one image")  # fmt: skip
        if not matches:
            raise NotFoundError(f"--media {start}: no image here has a SHA-256 that begins so")
        found.add(matches[0])
    return found


def _posing_the_same(conn: Connection, samples: Iterable[int]) -> set[int]:
    inputs = _column(conn, "SELECT input_digest FROM sample WHERE id", samples)
    wanted = [bytes(one) for one in inputs]
    return set(_column(conn, "SELECT id FROM sample WHERE input_digest", wanted, "bytea"))


def _answers(conn: Connection, samples: Iterable[int]) -> set[int]:
    """Return every answer to these samples; a sample without one costs one look."""
    found: set[int] = set()
    pairs = "SELECT DISTINCT model_version_id, config_id FROM generation"
    for model, config in conn.execute(text(pairs)).all():
        asked = "SELECT id FROM generation WHERE model_version_id = ? AND config_id = ?"
        for part in chunks(sorted(samples), 5000):
            rows = select_in(conn, f"{asked} AND sample_id", (model, config), part, "bigint")
            found.update(row.id for row in rows)
    return found


def _copies(conn: Connection, answers: set[int]) -> set[int]:
    """Return answers with their originals and all copies of these."""
    origins = _column(conn, "SELECT COALESCE(origin_id, id) FROM generation WHERE id", answers)
    roots = sorted(set(origins))
    return set(roots) | set(_column(conn, "SELECT id FROM generation WHERE origin_id", roots))


def _said_of(conn: Connection, answers: set[int]) -> set[int]:
    """Return the findings on these answers that no answer which stays is linked to."""
    asked = "SELECT finding_id FROM score WHERE generation_id"
    found = set(_column(conn, asked, answers))
    links = "SELECT finding_id, generation_id FROM score WHERE finding_id"
    by_finding = (
        select_in(conn, links, (), part, "bigint") for part in chunks(sorted(found), 5000)
    )
    others = {
        row.finding_id for rows in by_finding for row in rows if row.generation_id not in answers
    }
    return found - others


def _images_of(conn: Connection, samples: Iterable[int]) -> set[int]:
    return set(_column(conn, "SELECT media_id FROM sample_media WHERE sample_id", samples))


def _shown_by_others(conn: Connection, media: set[int], samples: set[int]) -> set[int]:
    """Return those of ``media`` that a sample outside shows which is not itself withheld."""
    asked = """SELECT sm.media_id, sm.sample_id FROM sample_media sm
                 JOIN sample s ON s.id = sm.sample_id
                WHERE s.withheld_id IS NULL AND sm.media_id"""
    rows = select_in(conn, asked, (), sorted(media), "bigint")
    return {row.media_id for row in rows if row.sample_id not in samples}


def _aims(conn: Connection, samples: set[int]) -> set[int]:
    """Return the behaviors of these samples that no sample which stays has."""
    found = set(_column(conn, "SELECT behavior_id FROM sample WHERE id", samples))
    asked = "SELECT behavior_id, id FROM sample WHERE withheld_id IS NULL AND behavior_id"
    rows = select_in(conn, asked, (), sorted(found), "bigint")
    return found - {row.behavior_id for row in rows if row.id not in samples}


def _failures(conn: Connection, samples: set[int], answers: set[int]) -> tuple[int, ...]:
    asked = "SELECT id, message FROM failure WHERE"
    rows = select_in(conn, f"{asked} sample_id", (), sorted(samples), "bigint")
    rows += select_in(conn, f"{asked} generation_id", (), sorted(answers), "bigint")
    return tuple(sorted({row.id for row in rows if row.message != GONE}))


def _digests(conn: Connection, media: Iterable[int]) -> tuple[str, ...]:
    found = _column(conn, "SELECT sha256 FROM media WHERE id", media)
    return tuple(sorted(bytes(one).hex() for one in found))


def _elsewhere(conn: Connection, samples: set[int], named: str | None) -> tuple[str, ...]:
    selections = set(
        _column(conn, "SELECT selection_id FROM selection_sample WHERE sample_id", samples)
    )
    rows = conn.execute(text("SELECT name, version, selection_id FROM dataset ORDER BY 1, 2"))
    found = [
        f"{unescape(row.name)}@{row.version}" for row in rows if row.selection_id in selections
    ]
    return tuple(one for one in found if named not in (one, one.rpartition("@")[0]))


def _bare(conn: Connection, table: str, ids: Iterable[int]) -> tuple[int, ...]:
    """Return those that are not withheld yet."""
    asked = f"SELECT id FROM {table} WHERE withheld_id IS NULL AND id"
    return tuple(sorted(_column(conn, asked, ids)))


def _column(
    conn: Connection, select: str, wanted: Iterable[Any], kind: str = "bigint"
) -> list[Any]:
    return [row[0] for row in select_in(conn, select, (), sorted(wanted), kind)]
