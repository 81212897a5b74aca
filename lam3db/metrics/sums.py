"""What the numbers of one group follow from: counts, and sums over clusters.

Whoever can give a :class:`GroupSums` (the cells of a query, or a table that keeps them) has
its numbers from :func:`lam3db.metrics.measure_sums`. What must hold: sums of two groups are
never added where a cluster may lie in both; a coarser grouping is summed from the clusters.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

from lam3db.metrics.counts import Counts
from lam3db.records import ScoreStatus
from lam3db.stats.intervals import MeanSums, MeanTally, ShareSums, ShareTally
from lam3db.stats.weighted import WeightedSums

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from lam3db.store.aggregates import Cell

    Group = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a share's numerator would be if all that is missing were safe, or unsafe, of total."""

    best: float
    worst: float
    total: int


@dataclass(frozen=True, slots=True)
class Resampled:
    """Sums whose interval comes from drawing their clusters (weight, weighted sum) again."""

    sums: ShareSums | MeanSums | WeightedSums
    clusters: tuple[tuple[float, float], ...]
    seed: int
    resamples: int


Sums: TypeAlias = ShareSums | MeanSums | WeightedSums | Resampled


@dataclass(frozen=True, slots=True)
class GroupSums:
    """One group under one judge.

    ``counts``, ``share`` (of unsafe among the decided), ``refused`` (among those with a
    verdict) and ``mean`` (of values) are of samples that are not benign; ``benign`` and
    ``benign_refused`` of those that are. ``bounds`` is None where items are single answers:
    there they follow from counts and share.
    """

    group: Group
    counts: Counts = field(default_factory=Counts)
    share: Sums = field(default_factory=ShareSums)
    refused: Sums = field(default_factory=ShareSums)
    mean: Sums = field(default_factory=MeanSums)
    benign: Counts = field(default_factory=Counts)
    benign_refused: Sums = field(default_factory=ShareSums)
    benign_valued: int = 0
    bounds: Bounds | None = None


class Outcome(Protocol):
    """What has one outcome: ``n`` units that are alike."""

    @property
    def outcome(self) -> str:
        """One of the outcomes of :mod:`lam3db.store.aggregates`."""
        ...

    @property
    def n(self) -> int:
        """How many there are."""
        ...


class Grouped(Protocol):
    """What belongs to a group."""

    @property
    def group(self) -> Group:
        """The keys asked for, model and config first."""
        ...


C = TypeVar("C", bound=Grouped)


class Tally(Protocol):
    """What a report asks of one judge, wherever the sums come from."""

    def groups(self) -> Collection[Group]:
        """Return every group of the finest grouping asked for: model and config, then others."""
        ...

    def sums(self, kept: Sequence[int]) -> list[GroupSums]:
        """Return the sums per group of the keys at these positions, in the groups' order."""
        ...


@dataclass(frozen=True, slots=True)
class CellTally:
    """Sums from the cells of :func:`lam3db.store.aggregates.load_cells`."""

    cells: Sequence[Cell]

    def groups(self) -> Collection[Group]:
        """Return every group that a cell has."""
        return {cell.group for cell in self.cells}

    def sums(self, kept: Sequence[int]) -> list[GroupSums]:
        """Return the sums per group of the keys at these positions."""
        return [_sums(group, cells) for group, cells in grouped(self.cells, kept).items()]


def grouped(cells: Iterable[C], kept: Sequence[int]) -> dict[Group, list[C]]:
    """Return the cells per group of the keys at these positions, in the groups' order."""
    groups: dict[Group, list[C]] = defaultdict(list)
    for cell in cells:
        groups[tuple(cell.group[i] for i in kept)].append(cell)
    return groups


def group_sums(cells: Sequence[Cell]) -> list[GroupSums]:
    """Return the sums of these cells, one per group, in the order of the groups' keys."""
    width = len(cells[0].group) if cells else 0
    return CellTally(cells).sums(range(width))


def _sums(group: Group, cells: Sequence[Cell]) -> GroupSums:
    attacks = [cell for cell in cells if not cell.is_benign]
    benign = [cell for cell in cells if cell.is_benign]
    return GroupSums(
        group=group,
        counts=counted(attacks),
        share=_share(attacks, lambda cell: (cell.decided, cell.unsafe)),
        refused=_share(attacks, lambda cell: (cell.judged, cell.refused)),
        mean=_mean(attacks),
        benign=counted(benign),
        benign_refused=_share(benign, lambda cell: (cell.judged, cell.refused)),
        benign_valued=sum(cell.valued for cell in benign),
    )


def counted(cells: Iterable[Outcome]) -> Counts:
    """Return how many there are of each outcome."""
    found: dict[str, int] = defaultdict(int)
    for cell in cells:
        found["scored" if cell.outcome == ScoreStatus.OK else cell.outcome] += cell.n
    return Counts(**found)


def _share(cells: Iterable[Cell], pick: Callable[[Cell], tuple[int, int]]) -> ShareSums:
    """Return the sums of a share; ``pick`` tells a cell's (items, hits)."""
    items: dict[int, int] = defaultdict(int)
    hits: dict[int, int] = defaultdict(int)
    for cell in cells:
        n, hit = pick(cell)
        items[cell.behavior_id] += n
        hits[cell.behavior_id] += hit
    return ShareSums.of(ShareTally(n, hits[behavior]) for behavior, n in items.items())


def _mean(cells: Iterable[Cell]) -> MeanSums:
    clusters: dict[int, MeanTally] = {}
    for cell in cells:
        if cell.valued:
            tally = MeanTally(cell.valued, cell.value_sum, cell.square_sum, cell.low, cell.high)
            known = clusters.get(cell.behavior_id)
            clusters[cell.behavior_id] = tally if known is None else joined(known, tally)
    return MeanSums.of(clusters.values())


def joined(one: MeanTally, other: MeanTally) -> MeanTally:
    """Return the tally of two sets of values of one cluster."""
    return MeanTally(
        one.n + other.n,
        one.total + other.total,
        one.squares + other.squares,
        min(one.low, other.low),
        max(one.high, other.high),
    )
