"""Sums under any question from columns of units: what :mod:`lam3db.metrics.items` gives, quicker.

What must hold: the same sums as :class:`ItemTally` (tests compare reports of both), because the
same :func:`lam3db.metrics.items.kind_of` says what each kind of item is under the question; what
is left is counting.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from math import comb
from typing import TYPE_CHECKING, Any

from lam3db.metrics.counts import Counts
from lam3db.metrics.items import kind_of
from lam3db.metrics.sums import Bounds, GroupSums, Resampled
from lam3db.stats.intervals import MeanSums, ShareSums
from lam3db.stats.many import mean_sums
from lam3db.store.aggregates import OUTCOMES
from lam3db.store.dense import dense
from lam3db.store.sample_cells import SampleCell

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy as np
    import numpy.typing as npt

    from lam3db.metrics.items import Kind
    from lam3db.metrics.question import Question
    from lam3db.metrics.sums import Group, Sums
    from lam3db.store.aggregates import JudgeRow
    from lam3db.store.unit_columns import Columns

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]

_OUTCOMES = [one.name for one in fields(Counts)]
_LARGE = 1 << 62


@dataclass(frozen=True, slots=True)
class Items:
    """The items of a question, the same under every judge.

    ``of`` is the item of each unit, None where every unit is one; ``placed`` keeps the clusters
    of each grouping that was asked for.
    """

    columns: Columns
    of: Ints | None
    group: Ints
    cluster: Ints
    is_benign: Flags
    units: Ints
    _placed: dict[tuple[int, ...], Placed] = field(default_factory=dict)

    @classmethod
    def find(cls, columns: Columns, question: Question) -> Items:
        """Return each unit as an item, or under a rule over replicates each sample."""
        import numpy as np

        if question.rule.name == "each":
            ones = np.ones(len(columns.group), dtype=np.int64)
            return cls(columns, None, columns.group, columns.cluster, columns.is_benign, ones)
        new = np.ones(len(columns.group), dtype=np.bool_)
        new[1:] = (np.diff(columns.place) != 0) | (np.diff(columns.sample) != 0)
        first, of = np.flatnonzero(new), np.cumsum(new) - 1
        picked = (columns.group[first], columns.cluster[first], columns.is_benign[first])
        return cls(columns, of, *picked, np.bincount(of, minlength=len(first)))

    def total(self, column: Any) -> Ints:
        """Return the sum of a column of whole numbers over the units of each item."""
        import numpy as np

        if self.of is None:
            return np.asarray(column, dtype=np.int64)
        found: Ints = np.bincount(self.of, column, len(self.group)).astype(np.int64)
        return found

    def placed(self, kept: tuple[int, ...]) -> Placed:
        """Return the groups of the keys at these positions, sorted, with their clusters."""
        import numpy as np

        if kept not in self._placed:
            coarse = [tuple([group[i] for i in kept]) for group in self.columns.groups]
            groups = sorted(set(coarse))
            at = {group: place for place, group in enumerate(groups)}
            group = np.array([at[one] for one in coarse], dtype=np.int64)[self.group]
            size = int(self.cluster.max(initial=0)) + 1
            found, cluster = dense(group * size + self.cluster)
            self._placed[kept] = Placed(groups, group, cluster, found // size)
        return self._placed[kept]


@dataclass(frozen=True, slots=True)
class Placed:
    """Items by group: the group and the cluster of each; ``group_of`` each cluster's group.

    A cluster lies in one group; those of one group stand together.
    """

    groups: Sequence[Group]
    group: Ints
    cluster: Ints
    group_of: Ints

    def over(self, column: Any) -> Any:
        """Return the sum over each group's clusters."""
        import numpy as np

        return np.bincount(self.group_of, column, len(self.groups))


@dataclass(frozen=True, slots=True)
class UnitTally:
    """Sums of one judge under a question."""

    items: Items
    judge: JudgeRow
    question: Question

    def groups(self) -> Collection[Group]:
        """Return every group that has an item."""
        return set(self.items.columns.groups)

    def sums(self, kept: Sequence[int]) -> list[GroupSums]:
        """Return the sums per group of the keys at these positions."""
        import numpy as np

        placed = self.items.placed(tuple(kept))
        found = _judged(self.items, self.judge, self.question)
        benign, attacks = self.items.is_benign, ~self.items.is_benign
        size, width = len(placed.groups), len(_OUTCOMES)
        places = (placed.group * 2 + benign) * width + found.outcome
        table = np.bincount(places, minlength=2 * size * width).reshape(size, 2, width)
        counts, scored = table.tolist(), table[:, 0, _OUTCOMES.index("scored")] > 0
        bounds = [
            np.bincount(placed.group[attacks], column[attacks], size).tolist()
            for column in (found.best, found.worst)
        ]
        made = _Making(placed, self.question)
        share = made.shares(attacks & scored[placed.group], found.taken)  # else fills alone
        refused = made.shares(attacks, found.refused)
        over_refused = made.shares(benign, found.refused)
        mean = made.means(attacks, found.value)
        valued = np.bincount(placed.group[benign & ~np.isnan(found.value)], minlength=size).tolist()
        return [
            GroupSums(
                group=group,
                counts=Counts(*counts[i][0]),
                share=share[i],
                refused=refused[i],
                mean=mean[i],
                benign=Counts(*counts[i][1]),
                benign_refused=over_refused[i],
                benign_valued=valued[i],
                bounds=Bounds(bounds[0][i], bounds[1][i], sum(counts[i][0])),
            )
            for i, group in enumerate(placed.groups)
        ]


@dataclass(frozen=True, slots=True)
class _Judged:
    """Each item under a judge and a question; NaN where it is not in a share or a mean."""

    outcome: Ints
    best: Floats
    worst: Floats
    taken: Floats
    refused: Floats
    value: Floats


def _judged(items: Items, judge: JudgeRow, question: Question) -> _Judged:
    import numpy as np

    said = items.columns.said(judge)
    valued = ~np.isnan(said.value)
    code = said.code if items.of is None else _worst(items, said.code)
    flags = (said.code == 0, said.decided, said.unsafe, said.judged, said.refused, valued)
    columns = [code, items.units, *map(items.total, flags)]
    at, kind = _kinds(columns)
    kinds = [_kind([int(column[i]) for column in columns], question) for i in at.tolist()]
    value = np.where(
        np.array([one.valued for one in kinds], dtype=np.bool_)[kind],
        _values(items, said.value, columns[-1], question),
        np.nan,
    )

    def each(name: str) -> Floats:
        # None becomes NaN
        return np.array([getattr(one, name) for one in kinds], dtype=np.float64)[kind]

    outcome = np.array([_OUTCOMES.index(one.outcome) for one in kinds], dtype=np.int64)[kind]
    return _Judged(outcome, each("best"), each("worst"), each("taken"), each("refused"), value)


def _worst(items: Items, code: Ints) -> Ints:
    """Return the largest code of each item's units."""
    import numpy as np

    found: Ints = np.maximum.reduceat(code, np.cumsum(items.units) - items.units)
    return found


def _kinds(columns: Sequence[Ints]) -> tuple[Ints, Ints]:
    """Return one item of each kind, and the kind of each item: those alike in every column."""
    import numpy as np

    sizes = [int(column.max(initial=0)) + 1 for column in columns]
    key = np.zeros(len(columns[0]), dtype=np.int64)
    room = 1
    for column, size in zip(columns, sizes, strict=True):
        if room * size >= _LARGE:
            key = dense(key)[1]
            room = len(key)
        key, room = key * size + column, room * size
    kind = dense(key)[1]
    at = np.zeros(int(kind.max(initial=-1)) + 1, dtype=np.int64)
    at[kind] = np.arange(len(kind))
    return at, kind


def _kind(numbers: Sequence[int], question: Question) -> Kind:
    code, units, ok, decided, unsafe, judged, refused, valued = numbers
    cell = SampleCell(
        group=(),
        cluster=0,
        is_benign=False,
        outcome=OUTCOMES[code],
        units=units,
        ok=ok,
        decided=decided,
        unsafe=unsafe,
        judged=judged,
        refused=refused,
        valued=valued,
        n=1,
        value_sum=None,
        square_sum=None,
        low=None,
        high=None,
    )
    return kind_of(cell, question)


def _values(items: Items, value: Floats, valued: Ints, question: Question) -> Floats:
    """Return the value of each item, as :mod:`lam3db.store.sample_cells` has it."""
    import numpy as np

    if items.of is None:
        return value
    some = ~np.isnan(value)
    of, given = items.of[some], value[some]
    size = len(items.group)
    found = np.full(size, np.nan)
    there = valued > 0
    if question.rule.k is not None:
        return _expected(of, given, valued, question.rule.k)
    if question.rule.name == "any":
        largest = np.full(size, -np.inf)
        np.maximum.at(largest, of, given)
        found[there] = largest[there]
        return found
    found[there] = np.bincount(of, given, size)[there] / valued[there]
    return found


def _expected(of: Ints, given: Floats, valued: Ints, k: int) -> Floats:
    """Return the largest value expected among k of an item's, NaN where it has fewer."""
    import numpy as np

    order = np.lexsort((given, of))
    of, given = of[order], given[order]
    place = np.arange(len(of)) - (np.cumsum(valued) - valued)[of]
    most = int(valued.max(initial=0))
    weights = np.zeros((most + 1, max(most, 1)))
    for n in range(k, most + 1):
        weights[n, :n] = [comb(i, k - 1) / comb(n, k) for i in range(n)]
    sums = np.bincount(of, given * weights[valued[of], place], len(valued))
    return np.where(valued >= k, sums, np.nan)


@dataclass(frozen=True, slots=True)
class _Making:
    """Sums over clusters, of the items of every group."""

    placed: Placed
    question: Question

    def shares(self, side: Flags, counted: Floats) -> list[Sums]:
        """Return the sums of a share: whole hits unless some item of the group counts in part."""
        import numpy as np

        n, total, some = self._clusters(side, counted)
        hits = np.rint(total).astype(np.int64)
        columns = (n > 0, n, hits, hits > 0, hits < n, n * n, n * hits, hits * hits)
        rows = np.stack([self.placed.over(one) for one in columns], axis=1).astype(np.int64)
        whole = self._resampled([ShareSums(*row) for row in rows.tolist()], n, total)
        value = counted[some]
        parts = np.bincount(self.placed.group[some], value * value != value, len(whole)) > 0
        if not parts.any():
            return whole
        rest = zip(whole, self.means(side, counted), parts.tolist(), strict=True)
        return [mean if in_part else share for share, mean, in_part in rest]

    def means(self, side: Flags, value: Floats) -> list[Sums]:
        """Return the sums of a mean."""
        import numpy as np

        n, total, some = self._clusters(side, value)
        values, size = value[some], len(self.placed.groups)
        squares = np.bincount(self.placed.cluster[some], values * values, len(n))
        low, high = np.full(size, np.inf), np.full(size, -np.inf)
        groups = self.placed.group[some]
        np.minimum.at(low, groups, values)
        np.maximum.at(high, groups, values)
        over = self.placed.over
        whole = np.stack([over(one) for one in (n > 0, n, n * n)], axis=1).astype(np.int64)
        columns = [over(one) for one in (total, squares, n * total, total * total)]
        real = np.stack([*columns, low, high], axis=1).tolist()
        made = [mean_sums(*row) for row in zip(whole.tolist(), real, strict=True)]
        return self._resampled(made, n, total)

    def _clusters(self, side: Flags, value: Floats) -> tuple[Ints, Floats, Flags]:
        """Return count and sum of each cluster, and which items are in them."""
        import numpy as np

        some: Flags = side & ~np.isnan(value)
        cluster, size = self.placed.cluster[some], len(self.placed.group_of)
        n: Ints = np.bincount(cluster, minlength=size).astype(np.int64)
        total: Floats = np.asarray(np.bincount(cluster, value[some], size), dtype=np.float64)
        return n, total, some

    def _resampled(self, sums: Sequence[ShareSums | MeanSums], n: Ints, total: Any) -> list[Sums]:
        if self.question.interval != "bootstrap":
            return list(sums)
        import numpy as np

        some = n > 0
        pairs = np.stack([n[some], total[some]], axis=1).tolist()
        ends = np.cumsum(self.placed.over(some)).astype(np.int64).tolist()
        found: list[Sums] = []
        for one, start, end in zip(sums, [0, *ends], ends, strict=False):
            clusters = tuple((int(items), value) for items, value in pairs[start:end])
            found.append(Resampled(one, clusters, self.question.seed, self.question.resamples))
        return found
