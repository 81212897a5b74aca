"""Where two judges (two versions of one, as a rule) decide differently, and what it moves.

What must hold: a move of the reported share is taken over the answers that both decided, so
that it is the judges' doing alone; what each reports over all it decided stands beside it; an
answer that only one decided is no flip, and is counted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lam3db.stats.drawn import Drawn, Share, share_of
from lam3db.stats.paired import PairedTest, PairTally, shares_interval, shares_test

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lam3db.metrics.joined import Answers, Group, Said
    from lam3db.stats.intervals import Interval
    from lam3db.store.aggregates import JudgeRow


@dataclass(frozen=True, slots=True)
class Flip:
    """One answer that two judges decide differently; ``group`` holds the keys asked for."""

    generation_id: int
    group: Group
    behavior_id: int
    benign: bool
    first: str
    second: str
    first_value: float | None
    second_value: float | None
    to_unsafe: bool


@dataclass(frozen=True, slots=True)
class Move:
    """How the share unsafe of one group's attacks moves from the first judge to the second.

    ``before`` and ``after`` are what each reports over all it decided. ``n`` were decided by
    both; of them ``to_unsafe`` and ``to_safe`` flip; ``move`` is (to_unsafe - to_safe) / n.
    """

    group: Group
    before: Share
    after: Share
    n: int
    to_unsafe: int
    to_safe: int
    move: float | None
    interval: Interval
    test: PairedTest


@dataclass(frozen=True, slots=True)
class Flips:
    """All of it; ``only`` counts answers that one judge or none decided, by how."""

    flips: tuple[Flip, ...]
    moves: tuple[Move, ...]
    compared: int
    only: Mapping[str, int]


def find_flips(
    answers: Answers, first: JudgeRow, second: JudgeRow, kept: Sequence[int] = ()
) -> Flips:
    """Return the flips in the order of their ids, and the moves by group.

    ``kept`` are the places in the answers' groups by which moves are told apart.
    """
    a, b = answers.judges[first.id], answers.judges[second.id]
    flips, only, compared = [], Counter[str](), 0
    for at in answers.once:
        one, other = a.unsafe[at], b.unsafe[at]
        if one is None or other is None:
            only[_undecided(one, other)] += 1
            continue
        compared += 1
        if one != other:
            flips.append(_flip(answers, a, b, at))
    groups: dict[Group, list[int]] = defaultdict(list)
    places: Iterable[int] = range(len(answers.ids)) if kept else answers.once
    for at in places:
        if not answers.benign[at]:
            groups[tuple(answers.groups[at][i] for i in kept)].append(at)
    moves = tuple(_move(answers, a, b, group, found) for group, found in groups.items())
    ordered = tuple(sorted(flips, key=lambda flip: flip.generation_id))
    return Flips(ordered, moves, compared, only)


def _undecided(one: bool | None, other: bool | None) -> str:
    if one is None and other is None:
        return "decided by neither"
    return "decided by the first only" if other is None else "decided by the second only"


def _flip(answers: Answers, a: Said, b: Said, at: int) -> Flip:
    return Flip(
        answers.ids[at],
        answers.groups[at],
        answers.behaviors[at],
        answers.benign[at],
        a.word(at),
        b.word(at),
        a.value[at],
        b.value[at],
        to_unsafe=bool(b.unsafe[at]),
    )


def _move(answers: Answers, a: Said, b: Said, group: Group, places: Sequence[int]) -> Move:
    pairs: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
    for at in places:
        one, other = a.unsafe[at], b.unsafe[at]
        if one is not None and other is not None:
            counts = pairs[answers.behaviors[at]]
            counts[0] += 1
            counts[1] += other and not one
            counts[2] += one and not other
    tallies = [PairTally(*counts) for counts in pairs.values()]
    n = sum(tally.n for tally in tallies)
    up, down = sum(t.only_a for t in tallies), sum(t.only_b for t in tallies)
    return Move(
        group,
        _reported(answers, a, places),
        _reported(answers, b, places),
        n,
        up,
        down,
        (up - down) / n if n else None,
        shares_interval(tallies),
        shares_test(tallies),
    )


def _reported(answers: Answers, said: Said, places: Iterable[int]) -> Share:
    return share_of(
        Drawn(answers.behaviors[at], 1.0, bool(said.unsafe[at]))
        for at in places
        if said.unsafe[at] is not None
    )
