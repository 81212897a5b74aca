"""What an ensemble is fitted on: what its members said, beside what a person said.

What must hold: only answers of one part are here, those of the estimation part only when that is
asked for in so many words; a skip is no label; an answer at which a member has no ``ok`` is left
out and counted; the digest names exactly the labels used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lam3db import hashing
from lam3db.errors import ConfigError
from lam3db.records import ScoreStatus
from lam3db.store import members as rows
from lam3db.store import reviews
from lam3db.store.labels import labels_of
from lam3db.store.values import chunks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from lam3db.judges.ensemble_rules import Plan
    from lam3db.records import MemberFinding
    from lam3db.store.labels import LabelRow
    from lam3db.store.pending import ScoreScope
    from lam3db.store.reviews import JudgeCard

TRAINING, ESTIMATION = "training", "estimation"
_PAGE = 2048
_FEWEST_VOTES = 2


@dataclass(frozen=True, slots=True)
class FitRow:
    """One labelled answer: the members' findings by digest, the label, the behavior."""

    answers: Mapping[str, MemberFinding]
    unsafe: bool
    behavior_id: int


@dataclass(frozen=True, slots=True)
class FitTable:
    """The rows, the digest of their labels, and what was left out."""

    rows: tuple[FitRow, ...]
    labels: str
    skipped: int
    incomplete: int


def labelled_table(conn: Connection, plan: Plan, labels: JudgeCard, part: str) -> FitTable:
    """Return the labelled answers that every member has judged.

    Raises:
        ConfigError: the labels say neither safe nor unsafe.
        UnusableError: a member's finding cannot be counted.

    """
    said = labels_of(conn, labels.id, part)
    given = [row for row in said if row.status == ScoreStatus.OK]
    marks = {row.generation_id: _unsafe(labels, row) for row in given}
    answers = _answers(conn, plan, list(marks))
    whole = [row for row in given if len(answers[row.generation_id]) == len(plan.members)]
    table = tuple(
        FitRow(answers[row.generation_id], marks[row.generation_id], row.behavior_id)
        for row in whole
    )
    pairs = sorted([row.subject_digest.hex(), marks[row.generation_id]] for row in whole)
    value = {"judge": labels.digest, "part": part, "labels": pairs}
    digest = hashing.digest("labels", value).hex()
    return FitTable(table, digest, len(said) - len(given), len(given) - len(whole))


def all_votes(
    conn: Connection, plan: Plan, scope: ScoreScope
) -> tuple[list[tuple[int | None, ...]], str]:
    """Return every member's vote (1 unsafe, 0 safe, None) on each answer, and their digest.

    Answers that show the same count once; so do only those on which two members voted.

    Raises:
        UnusableError: a member's finding cannot be counted.

    """
    first = {one.same: one.generation_id for one in reversed(reviews.candidates(conn, scope))}
    found: list[tuple[int | None, ...]] = []
    for part in chunks(sorted(first.values()), _PAGE):
        for said in _answers(conn, plan, part).values():
            votes = tuple(
                int(member.votes(said[member.judge])) if member.judge in said else None
                for member in plan.members
            )
            if sum(vote is not None for vote in votes) >= _FEWEST_VOTES:
                found.append(votes)
    value = {
        "members": [member.judge for member in plan.members],
        "votes": sorted([-1 if vote is None else vote for vote in votes] for votes in found),
    }
    return found, hashing.digest("labels", value).hex()


def _answers(
    conn: Connection, plan: Plan, generations: Sequence[int]
) -> dict[int, dict[str, MemberFinding]]:
    """Return what the members said with ``ok``; all of it can be counted."""
    ids = rows.judge_ids(conn, [member.judge for member in plan.members])
    found = rows.member_findings(conn, ids, generations)
    usable = {
        one: {judge: said for judge, said in of_one.items() if said.status is ScoreStatus.OK}
        for one, of_one in found.items()
    }
    for member in plan.members:
        for of_one in usable.values():
            if member.judge in of_one:
                member.scores(of_one[member.judge])
    return usable


def _unsafe(labels: JudgeCard, row: LabelRow) -> bool:
    if row.verdict is not None and labels.unsafe_verdicts:
        return row.verdict in labels.unsafe_verdicts
    if row.value is not None and labels.policy is not None:
        above = row.value > labels.policy.threshold
        return above or (labels.policy.operator == ">=" and row.value == labels.policy.threshold)
    raise ConfigError(
        f"{labels.label} grades and has no threshold: fit on labels of safe and unsafe"
    )
