"""Intervals by drawing clusters again: the cluster bootstrap of a share or a mean.

Whole clusters are drawn with replacement, as many as there are, and the ratio (sum of values)
/ (number of items) is worked out anew. What must hold: the same data and seed give the same
interval, in whatever order the clusters come, and in whatever order the values of one were
added; no interval has zero width.

Sources: clusters as the unit of drawing: Field & Welsh (2007), J. R. Stat. Soc. B 69. The
quantiles are those of the expanded percentile interval, alpha/2 -> Phi(-sqrt(C/(C-1)) *
t_{1-alpha/2, C-1}), because plain ones are too narrow for few clusters: Hesterberg (2015),
American Statistician 69.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from lam3db.stats.intervals import LEVEL, Interval, t_quantile, wilson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

RESAMPLES = 2000
_DIGITS = 12
_MANY, _FEW_ALIKE = 1000, 8
_DRAWN_AT_ONCE = 2_000_000


def bootstrap_interval(
    clusters: Sequence[tuple[float, float]],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    scale: tuple[float, float] | None = (0.0, 1.0),
) -> Interval:
    """Return the interval of the mean over all items of ``(items, sum of values)`` clusters.

    With weights, a cluster is (sum of weights, weighted sum of values).

    On a ``scale`` with known ends the interval also reaches as far as a share u of clusters
    that were not seen could move the mean to either end, u being Wilson's upper limit for 0 of
    C: so it has a width where all clusters are alike, and rare ones are allowed for. Without
    (``None``) there is no interval where all clusters are alike.
    """
    # the order of adding shows in the last digits; clusters that are alike have to stay alike
    some = sorted((n, round(total, _DIGITS)) for n, total in clusters if n)
    items, count = math.fsum(n for n, _ in some), len(some)
    if not items:
        return Interval(None, None, "none: nothing scored")
    if count == 1:
        return Interval(None, None, "none: one value" if items == 1 else "none: one behavior")
    mean = math.fsum(total for _, total in some) / items
    low, high = _quantiles(some, seed, resamples, level)
    low, high = min(low, mean), max(high, mean)
    if scale is None:
        alike = math.isclose(low, high, rel_tol=1e-12)
        found = (None, None, "none: values equal") if alike else (low, high, "bootstrap")
        return Interval(*found)
    bottom, top = scale
    unseen = wilson(0.0, count, level)[1]
    low = min(low, mean - unseen * (mean - bottom))
    high = max(high, mean + unseen * (top - mean))
    return Interval(max(bottom, low), min(top, high), "bootstrap")


def _quantiles(
    some: Sequence[tuple[float, float]], seed: int, resamples: int, level: float
) -> tuple[float, float]:
    """Return the expanded percentiles of the ratio over the resamples."""
    import numpy as np
    from scipy.special import ndtr

    count = len(some)
    alike = Counter(some)
    lots = np.random.default_rng(seed)
    if count > _MANY and len(alike) * _FEW_ALIKE > count:
        ratios = _one_by_one(some, lots, resamples)
    else:
        ratios = _alike_together(alike, lots, resamples)
    tail = float(ndtr(-math.sqrt(count / (count - 1)) * t_quantile(level, count - 1)))
    low, high = np.quantile(ratios, [tail, 1 - tail])
    return float(low), float(high)


def _alike_together(alike: Mapping[tuple[float, float], int], lots: Any, resamples: int) -> Any:
    """Return the ratio of each resample, clusters that are alike drawn together."""
    import numpy as np

    pairs = np.array(list(alike), dtype=float)
    counts = np.array(list(alike.values()), dtype=float)
    count = sum(alike.values())
    ratios = []
    for size in _portions(resamples, len(alike)):
        sums = lots.multinomial(count, counts / count, size=size) @ pairs
        ratios.append(sums[:, 1] / sums[:, 0])
    return np.concatenate(ratios)


def _one_by_one(some: Sequence[tuple[float, float]], lots: Any, resamples: int) -> Any:
    """Return the ratio of each resample: the same distribution, quicker where few are alike."""
    import numpy as np

    items, totals = np.array(some, dtype=float).T
    ratios = []
    for size in _portions(resamples, len(some)):
        drawn = lots.integers(0, len(some), size=(size, len(some)), dtype=np.uint32)
        ratios.append(totals.take(drawn).sum(axis=1) / items.take(drawn).sum(axis=1))
    return np.concatenate(ratios)


def _portions(resamples: int, width: int) -> Iterator[int]:
    """Yield how many to draw at once, so that memory stays bounded."""
    step = max(1, _DRAWN_AT_ONCE // width)
    for start in range(0, resamples, step):
        yield min(step, resamples - start)
