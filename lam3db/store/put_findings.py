"""Writing what judges say: findings, their attributes, and the scores that link them.

What must hold: one subject has one finding under a judge, linked to every generation that
shows it; a score always agrees with its finding, because it is copied from the stored row; a
revision is a further row with an author and a reason; a number that is not finite is refused,
because SQLite would store it as "nothing".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from lam3db.hashing import escape
from lam3db.store import tables as t
from lam3db.store.bulk import insert_new, select_in
from lam3db.store.insert import lock_versions
from lam3db.store.values import CHUNK, chunks, now, stored, stored_or_none
from lam3db.store.withheld import withheld_answers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from lam3db.records import Finding

FINDING = (
    "judge_id",
    "subject_digest",
    "replicate",
    "revision",
    "status",
    "value",
    "verdict",
    "explanation",
    "raw_output",
    "author",
    "reason",
    "run_id",
    "created_at",
    "withheld_id",
)
SCORE = (
    "judge_id",
    "generation_id",
    "finding_id",
    "replicate",
    "revision",
    "status",
    "value",
    "verdict",
    "author",
    "reason",
    "run_id",
    "created_at",
)
_STORED = (
    "SELECT id, subject_digest, revision, status, value, verdict, run_id, created_at"
    " FROM finding WHERE judge_id = ? AND replicate = 0 AND subject_digest"
)
_UNSIGNED = (None, None)


@dataclass(frozen=True, slots=True)
class FindingIn:
    """What a judge said of a subject, and the generations that show exactly this subject."""

    subject_digest: bytes
    finding: Finding
    generation_ids: tuple[int, ...]


def put_findings(conn: Connection, run_id: int, judge_id: int, rows: Sequence[FindingIn]) -> int:
    """Write findings with a score for each generation; return how many got their score now.

    What is there stays as it is: another process may have judged the same meanwhile.
    """
    gone = _withheld(conn, rows)
    at = now()
    fresh = {row.subject_digest: row.finding for row in reversed(rows)}
    insert_new(
        conn,
        t.finding,
        FINDING,
        [
            _finding_row(
                judge_id, subject, 0, fresh[subject], _UNSIGNED, run_id, at, gone.get(subject)
            )
            for subject in sorted(fresh)
        ],
    )
    latest = _latest(conn, judge_id, list(fresh))
    ours = {subject: row[0] for subject, row in latest.items() if row[6:] == (run_id, at)}
    put_attributes(conn, [(one, fresh[subject]) for subject, one in ours.items()])
    pairs = [(row.subject_digest, one) for row in rows for one in row.generation_ids]
    return _put_scores(conn, run_id, judge_id, pairs, latest, at)


def link_findings(
    conn: Connection, run_id: int, judge_id: int, pairs: Sequence[tuple[bytes, int]]
) -> int:
    """Score generations whose subject is already judged; return how many were new."""
    latest = _latest(conn, judge_id, list({subject for subject, _ in pairs}))
    known = [pair for pair in pairs if pair[0] in latest]
    return _put_scores(conn, run_id, judge_id, known, latest, now())


def put_revisions(
    conn: Connection,
    run_id: int,
    judge_id: int,
    rows: Sequence[FindingIn],
    author: str,
    reason: str,
) -> None:
    """Write what a judge says now beside what it said before, which stays.

    A subject or generation that has nothing yet gets its first row, without an author.

    Raises:
        ValueError: author or reason is empty.

    """
    if not author or not reason:
        raise ValueError("a revision needs an author and a reason")
    gone = _withheld(conn, rows)
    lock_versions(conn)
    at, signature = now(), (stored(author), stored(reason))
    fresh = {row.subject_digest: row for row in rows}
    before = _latest(conn, judge_id, list(fresh))
    written = []
    for subject in sorted(fresh):
        revision = before[subject][2] + 1 if subject in before else 0
        signed = signature if revision else _UNSIGNED
        finding = fresh[subject].finding
        by = gone.get(subject)
        written.append(_finding_row(judge_id, subject, revision, finding, signed, run_id, at, by))
    insert_new(conn, t.finding, FINDING, written)
    latest = _latest(conn, judge_id, list(fresh))
    put_attributes(conn, [(latest[subject][0], fresh[subject].finding) for subject in fresh])
    pairs = {one: latest[row.subject_digest] for row in rows for one in row.generation_ids}
    _revise_scores(conn, run_id, judge_id, pairs, signature, at)


def revise_links(
    conn: Connection,
    run_id: int,
    judge_id: int,
    pairs: Sequence[tuple[bytes, int]],
    author: str,
    reason: str,
) -> int:
    """Link generations to the findings stored on what they show *now*; return how many were.

    For judges whose subject can change: an ensemble, when a member revises its score. The score
    before stays; a generation that is linked so already, or whose subject has no finding, is
    left alone.

    Raises:
        ValueError: author or reason is empty.

    """
    if not author or not reason:
        raise ValueError("a revision needs an author and a reason")
    lock_versions(conn)
    latest = _latest(conn, judge_id, list({subject for subject, _ in pairs}))
    linked = _latest_scores(conn, judge_id, [one for _, one in pairs])
    changed = {
        one: latest[subject]
        for subject, one in pairs
        if subject in latest and linked.get(one, (0, None))[1] != latest[subject][0]
    }
    _revise_scores(conn, run_id, judge_id, changed, (stored(author), stored(reason)), now())
    return len(changed)


def _revise_scores(
    conn: Connection,
    run_id: int,
    judge_id: int,
    findings: Mapping[int, tuple[Any, ...]],
    signature: tuple[str, str],
    at: int,
) -> None:
    """Write a further score for each generation; the first one it gets has no author."""
    reached = _latest_scores(conn, judge_id, sorted(findings))
    scores = []
    for one in sorted(findings):
        revision = reached[one][0] + 1 if one in reached else 0
        signed = signature if revision else _UNSIGNED
        scores.append(_score_row(judge_id, one, findings[one], revision, signed, run_id, at))
    insert_new(conn, t.score, SCORE, scores)


def _withheld(conn: Connection, rows: Sequence[FindingIn]) -> dict[bytes, int]:
    """Return the subjects that are shown by withheld answers only, and what withheld them."""
    shown: dict[bytes, set[int]] = {}
    for row in rows:
        shown.setdefault(row.subject_digest, set()).update(row.generation_ids)
    gone = withheld_answers(conn, set().union(*shown.values()))
    return {
        subject: min(gone[one] for one in answers)
        for subject, answers in shown.items()
        if answers and answers <= gone.keys()
    }


def _finding_row(
    judge_id: int,
    subject: bytes,
    revision: int,
    finding: Finding,
    signature: tuple[str, str] | tuple[None, None],
    run_id: int,
    at: int,
    withheld: int | None,
) -> tuple[Any, ...]:
    return (
        judge_id,
        subject,
        0,
        revision,
        str(finding.status),
        None if finding.value is None else _finite(finding.value, "value"),
        None if finding.verdict is None else str(finding.verdict),
        stored_or_none(finding.explanation) if withheld is None else None,
        stored_or_none(finding.raw_output) if withheld is None else None,
        *signature,
        run_id,
        at,
        withheld,
    )


def _score_row(
    judge_id: int,
    generation_id: int,
    finding: tuple[Any, ...],
    revision: int,
    signature: tuple[str, str] | tuple[None, None],
    run_id: int,
    at: int,
) -> tuple[Any, ...]:
    return (
        judge_id,
        generation_id,
        finding[0],
        0,
        revision,
        *finding[3:6],
        *signature,
        run_id,
        at,
    )


def _put_scores(
    conn: Connection,
    run_id: int,
    judge_id: int,
    pairs: Iterable[tuple[bytes, int]],
    findings: Mapping[bytes, tuple[Any, ...]],
    at: int,
) -> int:
    rows = [
        _score_row(judge_id, one, findings[subject], 0, _UNSIGNED, run_id, at)
        for subject, one in sorted(pairs, key=lambda pair: pair[1])
    ]
    return insert_new(conn, t.score, SCORE, rows)


def put_attributes(conn: Connection, findings: Sequence[tuple[int, Finding]]) -> None:
    """Write the further numbers of findings given by their id."""
    rows = [
        (one, escape(name), _finite(value, name))
        for one, finding in sorted(findings, key=lambda pair: pair[0])
        for name, value in finding.attributes.items()
    ]
    insert_new(conn, t.finding_attribute, ("finding_id", "attribute", "value"), rows)


def _latest(
    conn: Connection, judge_id: int, subjects: Sequence[bytes]
) -> dict[bytes, tuple[Any, ...]]:
    """Return the latest stored finding on each subject that has one: the columns of _STORED."""
    latest: dict[bytes, tuple[Any, ...]] = {}
    for row in map(tuple, select_in(conn, _STORED, (judge_id,), subjects, "bytea")):
        subject = bytes(row[1])
        if subject not in latest or latest[subject][2] < row[2]:
            latest[subject] = row
    return latest


def _latest_scores(
    conn: Connection, judge_id: int, generations: Sequence[int]
) -> dict[int, tuple[int, int]]:
    """Return the latest (revision, finding) of each generation that has a score."""
    s = t.score.c
    reached: dict[int, tuple[int, int]] = {}
    for chunk in chunks(generations, CHUNK):
        asked = select(s.generation_id, s.revision, s.finding_id).where(
            s.judge_id == judge_id, s.replicate == 0, s.generation_id.in_(chunk)
        )
        for one, revision, finding in conn.execute(asked):
            reached[one] = max(reached.get(one, (revision, finding)), (revision, finding))
    return reached


def _finite(value: float, name: str) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"a judge gave {name} = {number}: a missing number is None")
    return number
