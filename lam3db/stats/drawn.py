"""Shares over items that were drawn with unequal chances, and come in clusters.

An item drawn with probability p stands for 1/p items; the share is the ratio of sums of weights
(Hajek 1971). What must hold: with equal weights value and interval are those of
:func:`lam3db.stats.intervals.share_interval`; unequal weights never make an interval narrower
than the items' number alone would.

Sources: n_eff = (sum w)^2 / sum w^2 over a design effect from clusters, Wilson's formula on it:
Kish (1965), Survey Sampling, and Franco et al. (2019), J. Surv. Stat. Methodol. 7; the
cluster-robust variance of a ratio by linearization: Binder (1983), Int. Stat. Rev. 51.
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
    wilson,
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
    value = _ratio(items)
    if clusters == 1:
        return Share(value, n, hits, 1, Interval(None, None, "none: one behavior"), None)
    size = _effective(items, value, clusters, level)
    interval = Interval(*wilson(value, size, level), "wilson-weighted")
    return Share(value, n, hits, clusters, interval, size)


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


def _ratio(items: list[Drawn]) -> float:
    total = math.fsum(item.weight for item in items)
    return math.fsum(item.weight for item in items if item.hit) / total


def _effective(items: list[Drawn], value: float, clusters: int, level: float) -> float:
    """Return Kish's size over the design effect of clusters, averaged as for equal weights."""
    from scipy.special import ndtri, stdtrit

    total = math.fsum(item.weight for item in items)
    kish = total**2 / math.fsum(item.weight**2 for item in items)
    sums = ShareSums.of(_tallies(items))
    telling = min(sums.with_hits, sums.with_misses)
    if telling == 0:
        return min(kish, float(clusters))
    residuals: dict[Hashable, float] = defaultdict(float)
    for item in items:
        residuals[item.cluster] += item.weight * (item.hit - value)
    robust = math.fsum(r * r for r in residuals.values()) / total**2 * clusters / (clusters - 1)
    observed = max(1.0, robust / (value * (1 - value) / kish))
    design = (telling * observed + max(observed, len(items) / clusters)) / (telling + 1)
    quantiles = float(ndtri((1 + level) / 2)) / float(stdtrit(clusters - 1, (1 + level) / 2))
    return kish / design * quantiles**2
