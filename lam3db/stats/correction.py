"""A share measured by a judge that errs, put right with the help of some true labels.

**Prediction-powered inference** (Angelopoulos et al. 2023, Science 382; tuned as in PPI++,
Angelopoulos, Duchi & Zrnic 2023, arXiv:2311.01453). With judgements f on all N items and labels
Y on n of them, of weights w:

    theta = lambda * mean_N(f) + mean_w(Y - lambda * f)

lambda = 0 is the labels alone, lambda = 1 the judge plus its mean error; without a number given
it is Cov(Y, f) / Var(f) of the labelled, within [0, 1], which makes the variance least. (The
papers take the mean over the unlabelled: theirs with lambda * (N - n) / N is the same number.) The
variance is cluster-robust by linearization: both terms are summed within a behavior before
squaring, and t has C - 1 degrees of freedom, C being the behaviors with labels. Errors that
are rare may not have been seen: the variance is never less than with one more error of each
kind, as Bonett & Price (2012) do for paired shares. In simulation (20 to 100 behaviors, 30 to 200
labels, share 0.1 to 0.5, judge errors that cluster) nominal 95 % covered 0.93 to 0.97.

**Rogan & Gladen** (1978), Am. J. Epidemiol. 107: (apparent + specificity - 1) /
(sensitivity + specificity - 1), with the interval of Lang & Reiczigel (2014), Prev. Vet. Med. 113,
on effective sizes where items come in clusters. It needs a judge that is clearly better than
chance, and is refused otherwise.

What must hold: the weights are those of how items were drawn, or the labels a fair sample;
where nothing can be estimated there is a reason and no number.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lam3db.stats.drawn import Drawn, Share, share_of
from lam3db.stats.intervals import LEVEL, Interval, ShareTally, wilson

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

LEAST_LABELS = 30
LEAST_CLUSTERS = 5
LEAST_OF_A_CLASS = 5


@dataclass(frozen=True, slots=True)
class Labelled:
    """An item with the truth and what the judge said; ``weight`` is 1 / its chance to be drawn."""

    cluster: Hashable
    judged: bool
    truth: bool
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Corrected:
    """A corrected share, or (``value`` None) the ``reason`` why there is none.

    ``power`` is the lambda of prediction-powered inference. ``clipped`` tells that the formula
    gave a number outside [0, 1].
    """

    value: float | None
    interval: Interval
    reason: str | None = None
    power: float | None = None
    clipped: bool = False


@dataclass(frozen=True, slots=True)
class Errors:
    """What labels tell of a judge: shares of the labelled, weighted."""

    human: Share
    accuracy: Share
    sensitivity: Share
    specificity: Share
    precision: Share
    jaccard: Share

    @property
    def f1(self) -> tuple[float | None, Interval]:
        """F1 = 2 J / (1 + J) of the Jaccard index, and so its interval."""
        value, found = self.jaccard.value, self.jaccard.interval
        if value is None or found.low is None or found.high is None:
            return (None if value is None else _f1(value)), found
        return _f1(value), Interval(_f1(found.low), _f1(found.high), found.method)


def errors_of(labelled: Sequence[Labelled]) -> Errors:
    """Return the judge's error rates against the truth, with intervals over clusters.

    The Jaccard index is the share unsafe by both among those unsafe by either.
    """
    return Errors(
        *(
            share_of(
                Drawn(one.cluster, one.weight, hit=_HITS[what](one))
                for one in labelled
                if among(one)
            )
            for what, among in _AMONG.items()
        )
    )


_Test = Callable[[Labelled], bool]
_AMONG: dict[str, _Test] = {
    "human": lambda _: True,
    "accuracy": lambda _: True,
    "sensitivity": lambda one: one.truth,
    "specificity": lambda one: not one.truth,
    "precision": lambda one: one.judged,
    "jaccard": lambda one: one.truth or one.judged,
}
_HITS: dict[str, _Test] = {
    "human": lambda one: one.truth,
    "accuracy": lambda one: one.truth == one.judged,
    "sensitivity": lambda one: one.judged,
    "specificity": lambda one: not one.judged,
    "precision": lambda one: one.truth,
    "jaccard": lambda one: one.truth and one.judged,
}


def _f1(jaccard: float) -> float:
    return 2 * jaccard / (1 + jaccard)


def prediction_powered(
    judged: Mapping[Hashable, ShareTally],
    labelled: Sequence[Labelled],
    power: float | None = None,
    level: float = LEVEL,
) -> Corrected:
    """Return the share by prediction-powered inference.

    ``judged`` counts, by cluster, all items that the judge scored, the labelled ones too.
    """
    behaviors = len({one.cluster for one in labelled})
    if len(labelled) < LEAST_LABELS or behaviors < LEAST_CLUSTERS:
        return _refused(
            f"{len(labelled)} labels of {behaviors} behaviors; at least {LEAST_LABELS} labels of "
            f"{LEAST_CLUSTERS} behaviors are needed"
        )
    tuned = _tuned(labelled) if power is None else power
    n = sum(tally.n for tally in judged.values())
    apparent = sum(tally.hits for tally in judged.values()) / n
    rectifier = _mean(labelled, [one.truth - tuned * one.judged for one in labelled])
    value = tuned * apparent + rectifier
    variance = max(
        _robust(judged, labelled, tuned, apparent, rectifier),
        tuned**2 * apparent * (1 - apparent) / n + _cautious(labelled, tuned, rectifier),
    )
    held = min(1.0, max(0.0, value))
    low, high = _around(value, _quantile(behaviors, level) ** 2 * variance, level)
    interval = Interval(min(low, held), max(high, held), "prediction-powered")
    return Corrected(held, interval, power=tuned, clipped=not 0 <= value <= 1)


def _around(value: float, square: float, level: float) -> tuple[float, float]:
    """Return the interval whose half-width is the root of ``square``, in Wilson's shape.

    Wilson's interval for as many items as would have this half-width is longer towards 1/2,
    as the uncertainty of small shares is; outside [0, 1] there is none, and the plain one stands.
    """
    half = math.sqrt(square)
    low, high = max(0.0, value - half), min(1.0, value + half)
    if not 0 < value < 1:
        return low, high
    size = value * (1 - value) * _normal(level) ** 2 / square
    shaped = wilson(value, size, level)
    return (min(low, shaped[0]), shaped[1]) if value > _HALF else (shaped[0], max(high, shaped[1]))


_HALF = 0.5


def _tuned(labelled: Sequence[Labelled]) -> float:
    """Return Cov(Y, f) / Var(f) within [0, 1], with one more error of each kind among the labels.

    The two keep a few labels that happen to fit from being trusted too much.
    """
    size = _kish(labelled)
    f = (size * _mean(labelled, [float(one.judged) for one in labelled]) + 1) / (size + 2)
    y = (size * _mean(labelled, [float(one.truth) for one in labelled]) + 1) / (size + 2)
    hits = [float(one.judged and one.truth) for one in labelled]
    both = size * _mean(labelled, hits) / (size + 2)
    return min(1.0, max(0.0, (both - f * y) / (f * (1 - f))))


def _kish(labelled: Sequence[Labelled]) -> float:
    """Return (sum w)^2 / sum w^2: how many items of equal weight would tell as much."""
    total = math.fsum(one.weight for one in labelled)
    return total**2 / math.fsum(one.weight**2 for one in labelled)


def _mean(labelled: Sequence[Labelled], values: Sequence[float]) -> float:
    total = math.fsum(one.weight for one in labelled)
    pairs = zip(labelled, values, strict=True)
    return math.fsum(one.weight * value for one, value in pairs) / total


def _robust(
    judged: Mapping[Hashable, ShareTally],
    labelled: Sequence[Labelled],
    power: float,
    apparent: float,
    rectifier: float,
) -> float:
    """Return the variance from sums of influences within clusters."""
    n = sum(tally.n for tally in judged.values())
    total = math.fsum(one.weight for one in labelled)
    sums: dict[Hashable, float] = defaultdict(float)
    for cluster, tally in judged.items():
        sums[cluster] = power * (tally.hits - tally.n * apparent) / n
    for one in labelled:
        residual = one.truth - power * one.judged - rectifier
        sums[one.cluster] += one.weight * residual / total
    count = len({one.cluster for one in labelled})
    return count / (count - 1) * math.fsum(s * s for s in sums.values())


def _cautious(labelled: Sequence[Labelled], power: float, rectifier: float) -> float:
    """Return the variance of the mean residual with one more error of each kind.

    The design effect of clusters is averaged with the cautious one as in
    :func:`lam3db.stats.intervals.effective_size`.
    """
    total = math.fsum(one.weight for one in labelled)
    kish = _kish(labelled)
    residuals = [one.truth - power * one.judged for one in labelled]
    squares = _mean(labelled, [(r - rectifier) ** 2 for r in residuals])
    sums: dict[Hashable, float] = defaultdict(float)
    for one, residual in zip(labelled, residuals, strict=True):
        sums[one.cluster] += one.weight * (residual - rectifier) / total
    count = len(sums)
    robust = count / (count - 1) * math.fsum(s * s for s in sums.values())
    observed = max(1.0, robust / (squares / kish)) if squares > 0 else 1.0
    common = Counter(residuals).most_common(1)[0][0]
    pairs = zip(labelled, residuals, strict=True)
    telling = len({one.cluster for one, residual in pairs if residual != common})
    design = (telling * observed + max(observed, len(labelled) / count)) / (telling + 1)
    more = (kish * squares + (1 - rectifier) ** 2 + (-power - rectifier) ** 2) / (kish + 2)
    return more * design / (kish + 2)


def rogan_gladen(apparent: Share, errors: Errors, level: float = LEVEL) -> Corrected:
    """Return the share by Rogan and Gladen, or the reason why it is not defined.

    ``apparent`` is the judge's share over all it scored. The interval takes sensitivity and
    specificity for independent of it and of each other; sizes are effective ones.
    """
    reason = _undefined(apparent, errors)
    if reason is not None:
        return _refused(reason)
    share, size = _of(apparent)
    sensitivity, n_sensitivity = _of(errors.sensitivity)
    specificity, n_specificity = _of(errors.specificity)
    value = (share + specificity - 1) / (sensitivity + specificity - 1)
    z = _normal(level)
    p = (size * share + z * z / 2) / (size + z * z)
    se = (n_sensitivity * sensitivity + 1) / (n_sensitivity + 2)
    sp = (n_specificity * specificity + 1) / (n_specificity + 2)
    middle = (p + sp - 1) / (se + sp - 1)
    of_se = se * (1 - se) / (n_sensitivity + 2)
    of_sp = sp * (1 - sp) / (n_specificity + 2)
    shift = 2 * z * z * (middle * of_se - (1 - middle) * of_sp)
    spread = p * (1 - p) / (size + z * z) + middle**2 * of_se + (1 - middle) ** 2 * of_sp
    half = z * math.sqrt(spread) / (se + sp - 1)
    held = min(1.0, max(0.0, value))
    low = min(held, max(0.0, middle + shift - half))
    high = max(held, min(1.0, middle + shift + half))
    return Corrected(held, Interval(low, high, "lang-reiczigel"), clipped=not 0 <= value <= 1)


def _undefined(apparent: Share, errors: Errors) -> str | None:
    """Return why Rogan and Gladen's share is not defined here, or None."""
    sensitivity, specificity = errors.sensitivity, errors.specificity
    if min(sensitivity.n, specificity.n) < LEAST_OF_A_CLASS:
        return (
            f"{sensitivity.n} labels say unsafe and {specificity.n} safe; at least "
            f"{LEAST_OF_A_CLASS} of each are needed"
        )
    if None in (apparent.effective, sensitivity.effective, specificity.effective):
        return "the labels are of one behavior, which tells nothing of others"
    (se, n_se), (sp, n_sp) = _of(sensitivity), _of(specificity)
    told = f"sensitivity + specificity is {se + sp:.2f}"
    if se + sp <= 1:
        return f"{told}, not above 1: the judge is no better than chance here"
    se, sp = (n_se * se + 1) / (n_se + 2), (n_sp * sp + 1) / (n_sp + 2)
    error = math.sqrt(se * (1 - se) / (n_se + 2) + sp * (1 - sp) / (n_sp + 2))
    low = se + sp - _normal(LEVEL) * error
    if low <= 1:
        return f"{told}, but its 95 % limit is {low:.2f}: not clearly above 1"
    return None


def _of(share: Share) -> tuple[float, float]:
    return share.value or 0.0, share.effective or 0.0


def _refused(reason: str) -> Corrected:
    return Corrected(None, Interval(None, None, f"none: {reason}"), reason)


def _normal(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri((1 + level) / 2))


def _quantile(clusters: int, level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(clusters - 1, (1 + level) / 2))
