"""A score against yes and no at every threshold: ROC area, average precision, best thresholds.

The area under the ROC curve is the chance that an item that is positive scores higher than one
that is not, ties counting half. Its variance is DeLong's (1988, Biometrics 44) with placements
summed within clusters before squaring (Obuchowski 1997, Biometrics 53), and the interval is taken
on the logit scale with t of C - 1 degrees of freedom. Average precision is the sum over falling
thresholds of (rise in recall) x precision, without interpolation.

What must hold: weights are those of how items were drawn; a perfect score on few items is not
certain, so its interval reaches as far as Wilson's for the smaller class does.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from lam3db.stats.intervals import LEVEL, Interval, wilson

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from lam3db.stats.resample import Numbers


class Scored(NamedTuple):
    """An item: its cluster, its score, the truth, and its weight."""

    cluster: Hashable
    score: float
    truth: bool
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Area:
    """The area under the ROC curve, None where one of the classes is missing."""

    value: float | None
    interval: Interval
    positives: int
    negatives: int


@dataclass(frozen=True, slots=True)
class Best:
    """The threshold at which a criterion is largest on these items, and how large it is there.

    Of equally good ones the highest.
    """

    criterion: str
    threshold: float
    value: float


def roc_area(items: Sequence[Scored], level: float = LEVEL) -> Area:
    """Return the area under the ROC curve with its cluster-robust interval."""
    yes, no = [i for i in items if i.truth], [i for i in items if not i.truth]
    if not yes or not no:
        none = Interval(None, None, "none: one class only")
        return Area(None, none, len(yes), len(no))
    above, below = _placements(yes, no), _placements(no, yes)
    total_yes = math.fsum(i.weight for i in yes)
    total_no = math.fsum(i.weight for i in no)
    value = math.fsum(i.weight * p for i, p in zip(yes, above, strict=True)) / total_yes
    single = 0.0
    sums: dict[Hashable, float] = defaultdict(float)
    for group, places, total in ((yes, above, total_yes), (no, below, total_no)):
        for item, place in zip(group, places, strict=True):
            score = place if item.truth else 1 - place
            part = item.weight * (score - value) / total
            sums[item.cluster] += part
            single += part * part
    fewer = min(len({i.cluster for i in yes}), len({i.cluster for i in no}))
    interval = _interval(value, list(sums.values()), single, fewer, level)
    return Area(value, interval, len(yes), len(no))


def _placements(these: Sequence[Scored], those: Sequence[Scored]) -> list[float]:
    """Return, for each of these, the weighted share of those that score lower, ties half."""
    import numpy as np

    scores = np.array([i.score for i in those])
    order = np.argsort(scores)
    scores = scores[order]
    sums = np.concatenate([[0.0], np.cumsum(np.array([i.weight for i in those])[order])])
    mine = np.array([i.score for i in these])
    left = sums[np.searchsorted(scores, mine, "left")]
    right = sums[np.searchsorted(scores, mine, "right")]
    return [float(one) for one in (left + right) / 2 / sums[-1]]


def _interval(
    value: float, sums: Sequence[float], single: float, fewer: int, level: float
) -> Interval:
    from scipy.special import expit, logit, stdtrit

    count = len(sums)
    if count == 1:
        return Interval(None, None, "none: one behavior")
    unseen = wilson(1.0, fewer, level)[0]
    if value in (0.0, 1.0):
        found = (unseen, 1.0) if value else (0.0, 1 - unseen)
        return Interval(*found, "wilson-bound")
    variance = max(count / (count - 1) * math.fsum(s * s for s in sums), single)
    quantile = float(stdtrit(count - 1, (1 + level) / 2))
    half = quantile * math.sqrt(variance) / (value * (1 - value))
    middle = float(logit(value))
    return Interval(float(expit(middle - half)), float(expit(middle + half)), "delong-clustered")


def average_precision(items: Sequence[Scored]) -> float | None:
    """Return the average precision, None where nothing is positive; it has no interval here."""
    hits, flagged, _ = _falling(items)
    if not len(hits) or hits[-1] == 0:
        return None
    rises = hits.copy()
    rises[1:] -= hits[:-1]
    return float((rises / hits[-1] * hits / flagged).sum())


def best_thresholds(items: Sequence[Scored]) -> list[Best]:
    """Return where Youden's J, F1 and accuracy are largest; an item at a threshold is flagged.

    Nothing where one of the classes is missing.
    """
    import numpy as np

    hits, flagged, thresholds = _falling(items)
    if not len(hits) or hits[-1] == 0 or hits[-1] == flagged[-1]:
        return []
    yes, every = hits[-1], flagged[-1]
    false = flagged - hits
    criteria = {
        "youden": hits / yes - false / (every - yes),
        "f1": 2 * hits / (flagged + yes),
        "accuracy": (hits + (every - yes) - false) / every,
    }
    found = []
    for name, values in criteria.items():
        at = int(np.argmax(values))
        found.append(Best(name, float(thresholds[at]), float(values[at])))
    return found


def _falling(items: Sequence[Scored]) -> tuple[Numbers, Numbers, Numbers]:
    """Return, by falling distinct score, the weights flagged and truly so, and the scores."""
    import numpy as np

    scores = np.array([i.score for i in items], dtype=float)
    weights = np.array([i.weight for i in items], dtype=float)
    truth = np.array([i.truth for i in items], dtype=float)
    order = np.argsort(-scores, kind="stable")
    scores = scores[order]
    ends = [*np.flatnonzero(np.diff(scores)).tolist(), len(scores) - 1] if len(scores) else []
    last = np.array(ends, dtype=int)
    flagged = np.cumsum(weights[order])[last]
    hits = np.cumsum((weights * truth)[order])[last]
    return hits, flagged, scores[last]
