"""Writing results that come from elsewhere: answers and findings against what is stored.

What must hold: what is stored stays. The same result again changes nothing; another one under
the same key is told to the caller and never written over the first or beside it. Where a judge
from elsewhere said different things of equal subjects, each answer keeps its own: the finding is
a further replicate of the subject, the answer's score leads to it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lam3db.hashing import unescape
from lam3db.store import tables as t
from lam3db.store.bulk import insert_new, select_in
from lam3db.store.put_findings import FINDING, SCORE, put_attributes
from lam3db.store.values import now, stored_or_none

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Connection

    from lam3db.records import Finding

_ANSWERS = (
    "SELECT sample_id, replicate, id, text_digest FROM generation"
    " WHERE model_version_id = ? AND config_id = ? AND variant = 0 AND sample_id"
)
_FINDINGS = (
    "SELECT id, subject_digest, replicate, revision, status, value, verdict, explanation,"
    " raw_output FROM finding WHERE judge_id = ? AND subject_digest"
)
_SCORES = (
    "SELECT generation_id, revision, finding_id FROM score"
    " WHERE judge_id = ? AND replicate = 0 AND generation_id"
)
_ATTRIBUTES = "SELECT finding_id, attribute, value FROM finding_attribute WHERE finding_id"

Content = tuple[Any, ...]
"""What a finding says: status, value, verdict, explanation, raw output, and its attributes."""


@dataclass(frozen=True, slots=True)
class SaidIn:
    """What a judge said of one stored answer; ``place`` is the caller's own handle."""

    place: int
    generation_id: int
    subject_digest: bytes
    finding: Finding


@dataclass(slots=True)
class Written:
    """How many scores were written, how many were there, and where the file contradicts them."""

    new: int = 0
    known: int = 0
    differ: list[int] = field(default_factory=list)


def stored_answers(
    conn: Connection, model_version_id: int, config_id: int, samples: Iterable[int]
) -> dict[tuple[int, int], tuple[int, bytes]]:
    """Return (generation id, text digest) by (sample, replicate)."""
    fixed = (model_version_id, config_id)
    rows = select_in(conn, _ANSWERS, fixed, sorted(set(samples)), "bigint")
    return {(sample, replicate): (one, bytes(digest)) for sample, replicate, one, digest in rows}


def put_said(
    conn: Connection, run: Callable[[], int], judge_id: int, rows: Sequence[SaidIn]
) -> Written:
    """Write findings with their scores, each answer keeping what was said of it.

    ``run`` gives the run that they belong to; it is asked only where something is new.
    """
    written = Written()
    known = _Known(conn, judge_id, rows)
    fresh: list[tuple[SaidIn, Content]] = []
    said: dict[int, Content] = {}
    for row in rows:
        stored, content = known.scored.get(row.generation_id), _content(row.finding)
        before = said.get(row.generation_id) if stored is None else known.contents[stored]
        if before is None:
            said[row.generation_id] = content
            fresh.append((row, content))
        elif before == content:
            written.known += 1
        else:
            written.differ.append(row.place)
    if fresh and not written.differ:
        _write(conn, run(), judge_id, fresh, known)
        written.new = len(fresh)
    return written


class _Known:
    """What this judge has said of these answers and subjects before."""

    def __init__(self, conn: Connection, judge_id: int, rows: Sequence[SaidIn]) -> None:
        latest: dict[int, tuple[int, int]] = {}
        generations = sorted({row.generation_id for row in rows})
        for one, revision, finding in select_in(conn, _SCORES, (judge_id,), generations, "bigint"):
            latest[one] = max(latest.get(one, (-1, 0)), (revision, finding))
        self.scored = {one: finding for one, (_, finding) in latest.items()}
        self.contents: dict[int, Content] = {}
        self.replicates: dict[bytes, dict[int, tuple[int, int]]] = defaultdict(dict)
        subjects = sorted({row.subject_digest for row in rows})
        stored = select_in(conn, _FINDINGS, (judge_id,), subjects, "bytea")
        numbers = _attributes(conn, [row[0] for row in stored])
        for one, subject, replicate, revision, *said in stored:
            self.contents[one] = (*said, numbers.get(one, ()))
            before = self.replicates[bytes(subject)].get(replicate, (-1, 0))
            self.replicates[bytes(subject)][replicate] = max(before, (revision, one))


def _attributes(conn: Connection, findings: Sequence[int]) -> dict[int, tuple[Any, ...]]:
    found: dict[int, list[tuple[str, float]]] = defaultdict(list)
    for one, name, value in select_in(conn, _ATTRIBUTES, (), sorted(findings), "bigint"):
        found[one].append((unescape(name), value))
    return {one: tuple(sorted(pairs)) for one, pairs in found.items()}


def _content(finding: Finding) -> Content:
    said = finding.attributes
    numbers = tuple(sorted((name, float(said[name])) for name in said)) if said else ()
    return (
        str(finding.status),
        None if finding.value is None else float(finding.value),
        None if finding.verdict is None else str(finding.verdict),
        stored_or_none(finding.explanation),
        stored_or_none(finding.raw_output),
        numbers,
    )


def _write(
    conn: Connection,
    run_id: int,
    judge_id: int,
    rows: Sequence[tuple[SaidIn, Content]],
    known: _Known,
) -> None:
    at = now()
    places: dict[bytes, dict[Content, int]] = {
        subject: {known.contents[one]: replicate for replicate, (_, one) in by.items()}
        for subject, by in known.replicates.items()
    }
    new: dict[tuple[bytes, int], tuple[Content, Finding]] = {}
    linked: list[tuple[int, bytes, int, Content]] = []
    for row, content in rows:
        there = places.setdefault(row.subject_digest, {})
        if content not in there:
            there[content] = max(known.replicates.get(row.subject_digest, ()), default=-1) + 1
            while (row.subject_digest, there[content]) in new:
                there[content] += 1
            new[row.subject_digest, there[content]] = content, row.finding
        linked.append((row.generation_id, row.subject_digest, there[content], content))
    findings = [
        (judge_id, subject, replicate, 0, *said[:5], None, None, run_id, at, None)
        for (subject, replicate), (said, _) in sorted(new.items())
    ]
    insert_new(conn, t.finding, FINDING, findings)
    ids = _ids(conn, judge_id, sorted({subject for _, subject, _, _ in linked}))
    put_attributes(conn, [(ids[key], finding) for key, (_, finding) in new.items()])
    scores = [
        (judge_id, one, ids[subject, replicate], 0, 0, *said[:3], None, None, run_id, at)
        for one, subject, replicate, said in sorted(linked, key=lambda item: item[0])
    ]
    insert_new(conn, t.score, SCORE, scores)


def _ids(
    conn: Connection, judge_id: int, subjects: Sequence[bytes]
) -> dict[tuple[bytes, int], int]:
    """Return the latest revision's id of every finding, by subject and replicate."""
    latest: dict[tuple[bytes, int], tuple[int, int]] = {}
    asked = "SELECT id, subject_digest, replicate, revision FROM finding"
    asked += " WHERE judge_id = ? AND subject_digest"
    for one, subject, replicate, revision in select_in(conn, asked, (judge_id,), subjects, "bytea"):
        key = (bytes(subject), replicate)
        latest[key] = max(latest.get(key, (-1, 0)), (revision, one))
    return {key: one for key, (_, one) in latest.items()}
