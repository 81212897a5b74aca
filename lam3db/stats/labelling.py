"""How many labels of people buy which interval, before anybody labels.

For N answers in C behaviors, of which a share p is unsafe, with correlation k between answers of
one behavior, and a judge of known sensitivity and specificity, the expected half-width at n
labels drawn evenly is z * sqrt(variance), with s2 = p (1 - p) and

    labels alone:        s2 / n + s2 k (1 - 1/n) / C
    prediction-powered:  s2 ((1 - r2) / n + r2 / N) + s2 k (1 - 1/n) / C

where q = p se + (1 - p)(1 - sp) is the judge's share, and r2 the square of the correlation of
label and judgement, r = p (se - q) / sqrt(p (1-p) q (1-q)), or 0 for a judge worse than chance,
the power being tuned. The first term is that of a mean, and the second that of prediction-powered
inference (Angelopoulos, Duchi & Zrnic 2023, arXiv:2311.01453); the last is what differs from
behavior to behavior, which no label buys away (Kish 1965, Survey Sampling, section 5.4).

What must hold: the numbers are those of large samples, the intervals of few labels being
wider; nothing here is an estimate of a model's share.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lam3db.stats.intervals import LEVEL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lam3db.stats.intervals import ShareTally

SIZES = (25, 50, 100, 200, 400, 800)


@dataclass(frozen=True, slots=True)
class Assumed:
    """What is assumed: share unsafe, the judge's rates, how many answers in how many behaviors.

    ``alike`` is the correlation between answers of one behavior (the intraclass correlation).
    """

    share: float
    sensitivity: float
    specificity: float
    answers: int
    behaviors: int | None = None
    alike: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no share or no number of answers; raise ValueError."""
        for name in ("share", "sensitivity", "specificity", "alike"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}: write a share from 0 to 1")
        if self.answers < 1 or (self.behaviors is not None and self.behaviors < 1):
            raise ValueError("at least one answer and one behavior are needed")

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
    """Half-widths, as shares, that ``labels`` buy alone and with the judge."""

    labels: int
    alone: float
    powered: float


def half_widths(
    assumed: Assumed, sizes: Sequence[int] = SIZES, level: float = LEVEL
) -> list[Bought]:
    """Return what each number of labels buys; no more labels than there are answers."""
    from scipy.special import ndtri

    z = float(ndtri((1 + level) / 2))
    spread = assumed.share * (1 - assumed.share)
    told = max(0.0, assumed.correlation) ** 2
    behaviors = assumed.behaviors or assumed.answers
    found = []
    for n in sorted({min(size, assumed.answers) for size in sizes}):
        between = assumed.alike * (1 - 1 / n) / behaviors
        alone = z * math.sqrt(spread * (1 / n + between))
        powered = z * math.sqrt(spread * ((1 - told) / n + told / assumed.answers + between))
        found.append(Bought(n, alone, powered))
    return found


def intraclass(tallies: Iterable[ShareTally]) -> float | None:
    """Return the correlation of yes and no within clusters, from 0 to 1.

    The analysis-of-variance estimate for clusters of unequal size (Donner 1986, Int. Stat. Rev.
    54); None where no cluster has two items, where there is one cluster, or nothing varies.
    """
    some = [tally for tally in tallies if tally.n]
    n, count = sum(t.n for t in some), len(some)
    if count < 2 or n == count:  # noqa: PLR2004 - a variance needs two
        return None
    share = sum(t.hits for t in some) / n
    between = math.fsum(t.n * (t.hits / t.n - share) ** 2 for t in some) / (count - 1)
    within = math.fsum(t.hits * (1 - t.hits / t.n) for t in some) / (n - count)
    size = (n - sum(t.n * t.n for t in some) / n) / (count - 1)
    if between + (size - 1) * within <= 0:
        return None
    return min(1.0, max(0.0, (between - within) / (between + (size - 1) * within)))
