"""Shares and means of items that were drawn with unequal chances, with their intervals.

Each item weighs 1 over its chance (Horvitz & Thompson 1952, JASA 47); the estimate is the ratio
of weighted sums (Hajek 1971). The variance is the cluster-robust one of a ratio,
C/(C-1) * sum_c (Y_c - m W_c)^2 / (sum W)^2, as if clusters were drawn with replacement, which
is cautious (Saerndal, Swensson & Wretman 1992, 5.6). What must hold: with equal weights these
are the intervals of :mod:`lam3db.stats.intervals`; none is narrower than independent items of
these weights would get (Kish 1965: sum w^2 / (sum w)^2 in place of 1/n).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lam3db.stats.intervals import LEVEL, Interval, normal_quantile, t_quantile, wilson

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable


@dataclass(frozen=True, slots=True)
class Weighed:
    """``n`` items of one cluster that weigh ``weight`` each: sum, sum of squares, ends."""

    cluster: Hashable
    weight: float
    n: int
    total: float
    squares: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class WeightedSums:
    """All that an estimate from drawn items needs.

    ``weights`` and ``total`` are sums of w and of w times the value; ``w2``, ``w2_y`` and
    ``w2_y2`` of w^2 times the value's powers; ``by_cluster`` are the two sums of each cluster.
    ``with_low`` and ``with_high`` count clusters with a value below the largest possible one,
    1, and above the least, 0.
    """

    n: int
    weights: float
    total: float
    w2: float
    w2_y: float
    w2_y2: float
    low: float
    high: float
    with_low: int
    with_high: int
    by_cluster: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, items: Iterable[Weighed]) -> WeightedSums:
        """Return the sums of these items."""
        some = [item for item in items if item.n]
        clusters: dict[Hashable, list[Weighed]] = {}
        for item in some:
            clusters.setdefault(item.cluster, []).append(item)
        pairs = [
            (
                math.fsum(one.weight * one.n for one in mine),
                math.fsum(one.weight * one.total for one in mine),
            )
            for mine in clusters.values()
        ]
        return cls(
            n=sum(one.n for one in some),
            weights=math.fsum(pair[0] for pair in pairs),
            total=math.fsum(pair[1] for pair in pairs),
            w2=math.fsum(one.weight**2 * one.n for one in some),
            w2_y=math.fsum(one.weight**2 * one.total for one in some),
            w2_y2=math.fsum(one.weight**2 * one.squares for one in some),
            low=min((one.low for one in some), default=math.inf),
            high=max((one.high for one in some), default=-math.inf),
            with_low=sum(any(one.low < 1 for one in mine) for mine in clusters.values()),
            with_high=sum(any(one.high > 0 for one in mine) for mine in clusters.values()),
            by_cluster=tuple(sorted(pairs)),
        )

    @property
    def clusters(self) -> int:
        """How many clusters have an item."""
        return len(self.by_cluster)

    @property
    def effective_clusters(self) -> float:
        """How many clusters of equal weight would tell as much: (sum W)^2 / sum W^2."""
        return self.weights**2 / math.fsum(weight**2 for weight, _ in self.by_cluster)

    @property
    def robust(self) -> float:
        """The cluster-robust variance of the estimate, for two clusters or more."""
        mean, count = self.total / self.weights, self.clusters
        residuals = math.fsum((total - mean * weight) ** 2 for weight, total in self.by_cluster)
        return count / (count - 1) * residuals / self.weights**2


def weighted_share_interval(sums: WeightedSums, level: float = LEVEL) -> Interval:
    """Return the interval of a weighted share: Wilson's on the effective number of items."""
    if missing := _none(sums):
        return missing
    size = weighted_size(sums, level)
    return Interval(*wilson(_share(sums), size, level), "wilson-weighted")


def weighted_size(sums: WeightedSums, level: float = LEVEL) -> float:
    """Return the number of independent items that would tell as much, for two clusters or more.

    The design effect is averaged with the cautious one as
    :func:`lam3db.stats.intervals.effective_size` says.
    """
    share, count = _share(sums), sums.clusters
    telling = min(sums.with_low, sums.with_high)
    cautious = sums.n / sums.effective_clusters
    if telling == 0 or not 0 < share < 1:
        return sums.effective_clusters
    kish = sums.n * sums.w2 / sums.weights**2
    observed = max(kish, sums.robust / (share * (1 - share) / sums.n))
    design = observed
    if count < sums.n:
        design = (telling * observed + max(observed, cautious)) / (telling + 1)
    return sums.n / design * (normal_quantile(level) / t_quantile(level, count - 1)) ** 2


def _share(sums: WeightedSums) -> float:
    return min(1.0, max(0.0, sums.total / sums.weights))


def weighted_mean_interval(
    sums: WeightedSums, level: float = LEVEL, scale: tuple[float, float] = (0.0, 1.0)
) -> Interval:
    """Return the interval of a weighted mean: Student's t, reaching as an unweighted one does.

    Values outside of ``scale`` prove it wrong: then nothing is clipped.
    """
    if missing := _none(sums):
        return missing
    mean, count = sums.total / sums.weights, sums.clusters
    spread = max(0.0, sums.w2_y2 - 2 * mean * sums.w2_y + mean * mean * sums.w2)
    alone = spread / sums.weights**2 * sums.n / (sums.n - 1)
    half = t_quantile(level, count - 1) * math.sqrt(max(sums.robust, alone))
    bottom, top = scale
    if sums.low < bottom or sums.high > top:
        if sums.low == sums.high:
            return Interval(None, None, "none: values equal")
        return Interval(mean - half, mean + half, "t-weighted")
    unseen = wilson(0.0, sums.effective_clusters, level)[1]
    low = min(mean - half, mean - unseen * (mean - bottom))
    high = max(mean + half, mean + unseen * (top - mean))
    return Interval(max(bottom, low), min(top, high), "t-weighted")


def _none(sums: WeightedSums) -> Interval | None:
    if not sums.n:
        return Interval(None, None, "none: nothing scored")
    if sums.clusters == 1:
        return Interval(None, None, "none: one value" if sums.n == 1 else "none: one behavior")
    return None
