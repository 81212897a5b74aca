"""What several judges said of the same answers, side by side.

One pass per judge over the units of a scope (see :mod:`lam3db.store.units`), joined by answer;
a column per judge, so a million answers fit. What must hold: an answer is there once in each
group, and :attr:`Answers.once` names each answer once in all; nothing that a judge did not
decide reads as safe.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lam3db.store.units import load_units

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from lam3db.store.aggregates import Frame, JudgeRow

    Group = tuple[int | str, ...]

MISSING = "pending"
UNDECIDED = "undecided"


@dataclass(slots=True)
class Said:
    """One judge's column: outcome, whether unsafe (None where undecided), value, verdict."""

    outcome: list[str] = field(default_factory=list)
    unsafe: list[bool | None] = field(default_factory=list)
    value: list[float | None] = field(default_factory=list)
    verdict: list[str | None] = field(default_factory=list)

    def why(self, at: int) -> str:
        """Return why an answer is not decided: its outcome, or that nothing decides it."""
        return UNDECIDED if self.outcome[at] == "ok" else self.outcome[at]

    def word(self, at: int) -> str:
        """Return what was said in the judge's own word: its verdict, else what it decided."""
        verdict = self.verdict[at]
        return verdict if verdict is not None else decided_word(self.unsafe[at])


def decided_word(unsafe: bool | None) -> str:
    """Return ``unsafe``, ``safe`` or ``undecided``."""
    return UNDECIDED if unsafe is None else "unsafe" if unsafe else "safe"


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers by position; ``judges`` by the judge's id. ``unanswered`` were asked for in vain.

    ``once`` are the positions at which each answer stands first: an answer that lies in
    several groups (datasets, runs) has several positions.
    """

    ids: list[int]
    groups: list[Group]
    behaviors: list[int]
    benign: list[bool]
    once: list[int]
    unanswered: int
    judges: Mapping[int, Said]

    def attacks(self) -> Iterator[int]:
        """Yield the positions of what is not benign, each answer once."""
        return (at for at in self.once if not self.benign[at])


def load_answers(
    conn: Connection, frame: Frame, by: Sequence[str], judges: Sequence[JudgeRow]
) -> Answers:
    """Return the answers in scope with what each of ``judges`` said of them."""
    places: dict[tuple[Group, int], int] = {}
    ids: list[int] = []
    groups: list[Group] = []
    behaviors: list[int] = []
    benign: list[bool] = []
    unanswered = 0
    columns: dict[int, Said] = {}
    for number, judge in enumerate(judges):
        said = columns[judge.id] = _blank(len(ids))
        for unit in load_units(conn, frame, by, judge):
            if unit.generation_id is None:
                unanswered += number == 0
                continue
            at = places.get((unit.group, unit.generation_id))
            if at is None and number:
                continue  # came in between two passes
            if at is None:
                places[unit.group, unit.generation_id] = at = len(ids)
                ids.append(unit.generation_id)
                groups.append(unit.group)
                behaviors.append(unit.behavior_id)
                benign.append(unit.is_benign)
                _grow(said)
            said.outcome[at], said.unsafe[at] = unit.outcome, unit.unsafe
            said.value[at], said.verdict[at] = unit.value, unit.verdict
    return Answers(ids, groups, behaviors, benign, _first(ids), unanswered, columns)


def _first(ids: Sequence[int]) -> list[int]:
    found: dict[int, int] = {}
    for at, one in enumerate(ids):
        found.setdefault(one, at)
    return list(found.values())


def _blank(count: int) -> Said:
    return Said([MISSING] * count, [None] * count, [None] * count, [None] * count)


def _grow(said: Said) -> None:
    said.outcome.append(MISSING)
    said.unsafe.append(None)
    said.value.append(None)
    said.verdict.append(None)
