"""Any number that follows from sums over clusters, with its interval by drawing clusters again.

Each cluster (behavior) is a row of counts; a statistic is worked out from the sums of the rows.
Whole clusters are drawn with replacement, as many as there are; rows that are alike are drawn
together, which is the same distribution and takes a million of them. What must hold: the
same rows and seed give the same interval, in whatever order the rows come; a draw in which the
statistic is not defined is left out, and where that is more than one in twenty there is no
interval.

Sources: clusters as the unit of drawing: Field & Welsh (2007), J. R. Stat. Soc. B 69; the
quantiles are those of the expanded percentile interval, because plain ones are too narrow for
few clusters: Hesterberg (2015), American Statistician 69.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from lam3db.stats.intervals import LEVEL, Interval

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]

RESAMPLES = 2000
SEED = 42
_AT_ONCE = 2_000_000
_UNDEFINED = 0.05


def clustered_interval(
    rows: Numbers,
    statistic: Callable[[Numbers], Numbers],
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    level: float = LEVEL,
) -> Interval:
    """Return the interval of ``statistic(rows.sum(0))``.

    ``rows`` is clusters x counts; ``statistic`` takes sums (draws x counts) and gives one
    number for each, NaN where it is not defined. The method is ``bootstrap``, or begins with
    ``none:``.
    """
    import numpy as np

    count = len(rows)
    if count == 0:
        return Interval(None, None, "none: nothing scored")
    if count == 1:
        return Interval(None, None, "none: one behavior")
    values = np.concatenate([statistic(sums) for sums in _draws(rows, resamples, seed)])
    defined = values[np.isfinite(values)]
    if len(defined) < (1 - _UNDEFINED) * len(values):
        return Interval(None, None, "none: often undefined when behaviors are drawn again")
    tail = _tail(count, level)
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Interval(float(low), float(high), "bootstrap")


def _draws(rows: Numbers, resamples: int, seed: int) -> Any:
    import numpy as np

    alike, how_many = np.unique(rows, axis=0, return_counts=True)
    lots = np.random.default_rng(seed)
    step = max(1, _AT_ONCE // len(alike))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        yield lots.multinomial(len(rows), how_many / len(rows), size=size) @ alike


def _tail(count: int, level: float) -> float:
    """Return the share cut off at each end: that of a normal at sqrt(C/(C-1)) t."""
    from scipy.special import ndtr, stdtrit

    quantile = float(stdtrit(count - 1, (1 + level) / 2))
    return float(ndtr(-math.sqrt(count / (count - 1)) * quantile))
