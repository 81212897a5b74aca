"""Intervals of many groups at once: the formulas of :mod:`lam3db.stats.intervals` on columns.

What must hold: the very intervals that :func:`share_interval_of` and :func:`mean_interval_of`
give one by one (tests compare them within 1e-12); where whole numbers would not fit in 64 bits,
or values prove their scale wrong, those two are asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lam3db.stats.intervals import (
    LEVEL,
    Interval,
    MeanSums,
    ShareSums,
    mean_interval_of,
    normal_quantile,
    share_interval_of,
    t_quantile,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]

_EXACT = 55_000
"""Up to this many items n ** 4, which bounds the squared residuals, is below 2 ** 63."""
_NOTHING = Interval(None, None, "none: nothing scored")
_ONE_BEHAVIOR = Interval(None, None, "none: one behavior")
_ONE_VALUE = Interval(None, None, "none: one value")


def share_intervals(sums: Ints, level: float = LEVEL) -> list[Interval]:
    """Return the interval of each row; the columns are the fields of :class:`ShareSums`."""
    import numpy as np

    clusters, n, hits = sums[:, 0], sums[:, 1], sums[:, 2]
    alone = clusters == n
    usual = (n > 0) & (n <= _EXACT) & (alone | (clusters > 1))
    rows = sums[usual]
    single = alone[usual]
    size = np.where(single, rows[:, 1], _effective(rows, level))
    low, high = _wilson(hits[usual] / n[usual], size, level)
    words = ["wilson" if one else "wilson-clustered" for one in single.tolist()]
    found = iter(map(Interval, low.tolist(), high.tolist(), words))
    if usual.all():
        return list(found)
    return [next(found) if u else _share(sums[i], level) for i, u in enumerate(usual.tolist())]


def _share(row: Ints, level: float) -> Interval:
    if not row[1]:
        return _NOTHING
    return share_interval_of(ShareSums(*row.tolist()), level)


def mean_intervals(
    whole: Ints, real: Floats, level: float = LEVEL, scale: tuple[float, float] = (0.0, 1.0)
) -> list[Interval]:
    """Return the interval of each row of :class:`MeanSums`.

    ``whole`` has the columns clusters, n and n_n; ``real`` has total, squares, n_total,
    total_total, low and high.
    """
    clusters, n = whole[:, 0], whole[:, 1]
    low, high = real[:, 4], real[:, 5]
    usual = (clusters > 1) & (scale[0] <= low) & (high <= scale[1])
    words, bottom, top = _bounded(whole[usual], real[usual], level, scale)
    found = iter(map(Interval, bottom.tolist(), top.tolist(), words))
    if usual.all():
        return list(found)
    odd: list[Interval] = []
    for at, is_usual in enumerate(usual.tolist()):
        odd.append(
            next(found) if is_usual else _mean(int(n[at]), whole[at], real[at], level, scale)
        )
    return odd


def _mean(n: int, whole: Ints, real: Floats, level: float, scale: tuple[float, float]) -> Interval:
    if not n:
        return _NOTHING
    if whole[0] == 1:
        return _ONE_VALUE if n == 1 else _ONE_BEHAVIOR
    return mean_interval_of(mean_sums(whole.tolist(), real.tolist()), level, scale)


def mean_sums(whole: Sequence[int], real: Sequence[float]) -> MeanSums:
    """Return one row of :func:`mean_intervals` as sums."""
    clusters, n, n_n = whole
    total, squares, n_total, total_total, low, high = real
    return MeanSums(clusters, n, total, squares, n_n, n_total, total_total, low, high)


def _effective(rows: Ints, level: float) -> Floats:
    """Return :func:`lam3db.stats.intervals.effective_size` of each row.

    Products may pass 2 ** 63 on the way; what they add up to does not, so it is right.
    """
    import numpy as np

    clusters, n, hits, with_hits, with_misses, n_n, n_hits, hits_hits = rows.T
    telling = np.minimum(with_hits, with_misses)
    residuals = n * n * hits_hits - 2 * n * hits * n_hits + hits**2 * n_n
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = clusters / (clusters - 1) * residuals / n**4
        share = hits / n
        observed = np.maximum(1.0, variance / (share * (1 - share) / n))
        design = (telling * observed + np.maximum(observed, n / clusters)) / (telling + 1)
        size = n / design * (normal_quantile(level) / _t(clusters, level)) ** 2
    found: Floats = np.where(telling == 0, clusters, size)
    return found


def _t(clusters: Ints, level: float) -> Floats:
    """Return the quantile of Student's t with C-1 degrees of freedom; NaN for one cluster."""
    import numpy as np

    counts, at = np.unique(clusters, return_inverse=True)
    each = [t_quantile(level, one - 1) if one > 1 else np.nan for one in counts.tolist()]
    found: Floats = np.array(each)[at]
    return found


def _wilson(share: Any, n: Any, level: float) -> tuple[Floats, Floats]:
    """Return :func:`lam3db.stats.intervals.wilson` of each row."""
    import numpy as np

    z = normal_quantile(level)
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low = np.where(share == 0, 0.0, np.maximum(0.0, middle - half))
    high = np.where(share == 1, 1.0, np.minimum(1.0, middle + half))
    return low, high


def _bounded(
    whole: Ints, real: Floats, level: float, scale: tuple[float, float]
) -> tuple[list[str], Floats, Floats]:
    """Return method, low and high of rows whose values lie on ``scale``, in several clusters."""
    import numpy as np

    clusters, n, _ = whole.T
    bottom, width = scale[0], scale[1] - scale[0]
    mapped = real if scale == (0.0, 1.0) else _mapped(whole, real, bottom, width)
    mean = np.minimum(1.0, np.maximum(0.0, mapped[:, 0] / n))
    half = _half(whole, mapped, mean, level)
    unseen = _wilson(np.zeros(len(n)), clusters, level)[1]
    equal = mapped[:, 4] == mapped[:, 5]
    wide = _wilson(mean, clusters, level)
    low = np.maximum(0.0, np.minimum(mean - half, mean * (1 - unseen)))
    high = np.minimum(1.0, np.maximum(mean + half, mean + unseen * (1 - mean)))
    low, high = np.where(equal, wide[0], low), np.where(equal, wide[1], high)
    kinds = np.where(equal, 2, np.where(n == clusters, 0, 1)).tolist()
    names = ("t", "t-clustered", "wilson-bound")
    return [names[kind] for kind in kinds], bottom + width * low, bottom + width * high


def _mapped(whole: Ints, real: Floats, bottom: float, width: float) -> Floats:
    """Return the sums of (value - bottom) / width."""
    import numpy as np

    _, n, n_n = whole.T
    total, squares, n_total, total_total, low, high = real.T
    columns = (
        (total - bottom * n) / width,
        (squares - 2 * bottom * total + bottom * bottom * n) / width**2,
        (n_total - bottom * n_n) / width,
        (total_total - 2 * bottom * n_total + bottom * bottom * n_n) / width**2,
        (low - bottom) / width,
        (high - bottom) / width,
    )
    found: Floats = np.stack(columns, axis=1)
    return found


def _half(whole: Ints, real: Floats, mean: Floats, level: float) -> Floats:
    """Return half the width of Student's interval, by the larger of the two variances."""
    import numpy as np

    clusters, n, n_n = whole.T
    _, squares, n_total, total_total, _, _ = real.T
    residuals = total_total - 2 * mean * n_total + mean * mean * n_n
    robust = clusters / (clusters - 1) * np.maximum(0.0, residuals) / n**2
    spread = np.maximum(0.0, squares - n * mean * mean) / (n * (n - 1))
    found: Floats = _t(clusters, level) * np.sqrt(np.maximum(robust, spread))
    return found
