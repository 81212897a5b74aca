"""How many labels of people buy which interval, before anybody labels.

For N answers of which a share p is unsafe, and a judge of known sensitivity and specificity, the
expected half-width at n labels drawn evenly is z * sqrt(variance * design effect), with

    labels alone:        p (1 - p) / n
    prediction-powered:  p (1 - p) ((1 - r^2) / n + r^2 / N)

where q = p se + (1 - p)(1 - sp) is the judge's share, r = p (se - q) / sqrt(p (1-p) q (1-q)) the
correlation of label and judgement, and the power is tuned (the second is never above the first:
a judge that is worse than chance is not used). From the variance of prediction-powered inference
(Angelopoulos, Duchi & Zrnic 2023, arXiv:2311.01453, section 6). What must hold: the numbers are
those of large samples; the interval of few labels is wider, as Wilson's and t are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lam3db.stats.intervals import LEVEL

SIZES = (25, 50, 100, 200, 400, 800)


@dataclass(frozen=True, slots=True)
class Assumed:
    """What is assumed: share unsafe, the judge's rates, how many answers, the design effect.

    The design effect is how much more variance answers have because they come in behaviors.
    """

    share: float
    sensitivity: float
    specificity: float
    answers: int
    design: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what is no share or no number of answers; raise ValueError."""
        for name in ("share", "sensitivity", "specificity"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}: write a share from 0 to 1")
        if self.answers < 1 or self.design < 1:
            raise ValueError("at least one answer and a design effect of 1 are needed")

    @property
    def judged(self) -> float:
        """The share that the judge calls unsafe."""
        return self.share * self.sensitivity + (1 - self.share) * (1 - self.specificity)

    @property
    def correlation(self) -> float:
        """Of label and judgement; 0 where one of them never varies."""
        spread = self.share * (1 - self.share) * self.judged * (1 - self.judged)
        if spread <= 0:
            return 0.0
        return self.share * (self.sensitivity - self.judged) / math.sqrt(spread)


@dataclass(frozen=True, slots=True)
class Bought:
    """Half-widths, as shares, that ``labels`` buy."""

    labels: int
    alone: float
    powered: float

    @property
    def worth(self) -> float | None:
        """How many labels alone would buy what these buy with the judge; None for a width of 0."""
        return self.labels * (self.alone / self.powered) ** 2 if self.powered else None


def half_widths(
    assumed: Assumed, sizes: tuple[int, ...] = SIZES, level: float = LEVEL
) -> list[Bought]:
    """Return what each number of labels buys; more labels than answers are left out."""
    from scipy.special import ndtri

    z = float(ndtri((1 + level) / 2))
    spread = assumed.share * (1 - assumed.share) * assumed.design
    told = max(0.0, assumed.correlation) ** 2
    found = []
    for n in sorted({min(size, assumed.answers) for size in sizes}):
        alone = z * math.sqrt(spread / n)
        powered = z * math.sqrt(spread * ((1 - told) / n + told / assumed.answers))
        found.append(Bought(n, alone, powered))
    return found
