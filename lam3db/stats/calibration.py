"""How good probabilities are, against what came out.

Sources: G. W. Brier (1950) for the score; M. P. Naeini and others (2015) for the expected
calibration error over bins of equal width. What must hold: every measure is over the same
items; a probability of 0 or 1 that was wrong costs much in log loss and not infinitely.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

BINS = 10
_SURELY = 1e-6


@dataclass(frozen=True, slots=True)
class Calibration:
    """Measures over ``n`` items in ``clusters`` behaviors.

    ``accuracy`` is at the threshold, ``base_rate`` the accuracy of always saying the commoner
    outcome; ``log_loss`` is in nats; ``ece`` the expected calibration error over ten bins.
    """

    n: int
    clusters: int
    accuracy: float
    base_rate: float
    brier: float
    log_loss: float
    ece: float


def measure_calibration(
    chances: Sequence[float],
    outcomes: Sequence[bool],
    clusters: Sequence[int],
    threshold: float = 0.5,
) -> Calibration:
    """Return the measures of probabilities of True.

    Raises:
        ValueError: there is nothing, or the lengths differ.

    """
    if not chances or not len(chances) == len(outcomes) == len(clusters):
        raise ValueError("chances, outcomes and clusters of the same items are needed")
    n = len(chances)
    pairs = list(zip(chances, outcomes, strict=True))
    right = sum((chance > threshold) == outcome for chance, outcome in pairs)
    common = max(sum(outcomes), n - sum(outcomes))
    return Calibration(
        n=n,
        clusters=len(set(clusters)),
        accuracy=right / n,
        base_rate=common / n,
        brier=math.fsum((chance - outcome) ** 2 for chance, outcome in pairs) / n,
        log_loss=math.fsum(_loss(chance, outcome=outcome) for chance, outcome in pairs) / n,
        ece=expected_calibration_error(chances, outcomes),
    )


def expected_calibration_error(
    chances: Sequence[float], outcomes: Sequence[bool], bins: int = BINS
) -> float:
    """Return the mean gap between probability and share, weighed by the items of each bin."""
    gaps: dict[int, list[float]] = {}
    for chance, outcome in zip(chances, outcomes, strict=True):
        gaps.setdefault(min(bins - 1, int(chance * bins)), []).append(chance - outcome)
    return math.fsum(abs(math.fsum(gap)) for gap in gaps.values()) / len(chances)


def _loss(chance: float, *, outcome: bool) -> float:
    held = min(1 - _SURELY, max(_SURELY, chance))
    return -math.log(held if outcome else 1 - held)
