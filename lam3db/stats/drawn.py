"""Shares over items that were drawn with unequal chances, and come in clusters.

An item drawn with probability p stands for 1/p items; the share is the ratio of sums of weights
(Hajek 1971). What must hold: with equal weights value and interval are those of
:func:`lam3db.stats.intervals.share_interval`; unequal weights never make an interval narrower
than the items' number alone would.

The formula for unequal weights and its sources are in :mod:`lam3db.stats.weighted`, so that a
share of people's labels has one interval, wherever it is shown.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lam3db.stats.intervals import (
    LEVEL,
    Interval,
    ShareSums,
    ShareTally,
    effective_size,
    share_interval_of,
)
from lam3db.stats.weighted import (
    Weighed,
    WeightedSums,
    weighted_share_interval,
    weighted_size,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable


@dataclass(frozen=True, slots=True)
class Drawn:
    """An item: its cluster, its weight (any scale, > 0) and whether it counts."""

    cluster: Hashable
    weight: float
    hit: bool


@dataclass(frozen=True, slots=True)
class Share:
    """A share of ``n`` items in ``clusters``; ``hits`` are items, not weights.

    ``effective`` is the number of independent items that would tell as much, None where no
    interval can be given.
    """

    value: float | None
    n: int
    hits: int
    clusters: int
    interval: Interval
    effective: float | None


def share_of(items: Iterable[Drawn], level: float = LEVEL) -> Share:
    """Return the weighted share of hits.

    Methods as in :class:`Interval`; ``wilson-weighted`` where the weights differ.
    """
    items = list(items)
    even = all(math.isclose(item.weight, items[0].weight, rel_tol=1e-9) for item in items)
    if even:
        return even_share(_tallies(items), level)
    n, hits, clusters = len(items), sum(i.hit for i in items), len({i.cluster for i in items})
    sums = WeightedSums.of(map(_weighed, items))
    value = sums.total / sums.weights
    if clusters == 1:
        return Share(value, n, hits, 1, Interval(None, None, "none: one behavior"), None)
    interval = weighted_share_interval(sums, level)
    return Share(value, n, hits, clusters, interval, weighted_size(sums, level))


def even_share(tallies: Iterable[ShareTally], level: float = LEVEL) -> Share:
    """Return what :func:`share_of` does for items of equal weight, from one tally per cluster."""
    sums = ShareSums.of(tallies)
    interval = share_interval_of(sums, level)
    if interval.low is None:
        value = sums.hits / sums.n if sums.n else None
        return Share(value, sums.n, sums.hits, sums.clusters, interval, None)
    independent = sums.clusters == sums.n
    size = float(sums.n) if independent else effective_size(sums, level)
    return Share(sums.hits / sums.n, sums.n, sums.hits, sums.clusters, interval, size)


def _tallies(items: Iterable[Drawn]) -> list[ShareTally]:
    n: dict[Hashable, int] = defaultdict(int)
    hits: dict[Hashable, int] = defaultdict(int)
    for item in items:
        n[item.cluster] += 1
        hits[item.cluster] += item.hit
    return [ShareTally(count, hits[cluster]) for cluster, count in n.items()]


def _weighed(item: Drawn) -> Weighed:
    value = float(item.hit)
    return Weighed(item.cluster, item.weight, 1, value, value, value, value)
