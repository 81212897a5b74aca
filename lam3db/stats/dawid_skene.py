"""Error rates of judges without any labels, by expectation and maximisation.

A. P. Dawid and A. M. Skene, Maximum likelihood estimation of observer error-rates using the EM
algorithm, Applied Statistics 28 (1979) 20-28. Items have an unknown class; each judge votes by a
confusion matrix of its own, independently of the others given the class. The E-step is their
equation 2.5, the M-step 2.3 and 2.4; it begins from the shares of votes (their section 4).

Every cell begins with a small count (0.01 votes), so that no rate is 0 or 1: a vote never seen is
improbable, not impossible. What must hold: the likelihood (with those counts) never falls; the
order of items and judges says nothing. Judges that err alike break the assumption: the more
they do, the surer and the more wrong the outcome.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Votes = tuple[int | None, ...]

SMOOTHING = 0.01
_STEPS = 10_000
_ENOUGH = 1e-10


@dataclass(frozen=True, slots=True)
class DawidSkene:
    """What was estimated, for classes 0 to K-1.

    ``confusion[judge][truth][vote]`` is P(vote | truth); ``prior[truth]`` is P(truth);
    ``converged`` is false where the steps ran out.
    """

    prior: tuple[float, ...]
    confusion: tuple[tuple[tuple[float, ...], ...], ...]
    log_likelihood: float
    steps: int
    converged: bool

    def posterior(self, votes: Votes) -> tuple[float, ...]:
        """Return P(truth | votes); a judge that did not vote (None) says nothing."""
        logs = _joint(self.prior, self.confusion, votes)
        total = _log_sum(logs)
        return tuple(math.exp(log - total) for log in logs)


def fit_dawid_skene(
    items: Sequence[Votes], classes: int = 2, smoothing: float = SMOOTHING
) -> DawidSkene:
    """Estimate from one row of votes per item, one column per judge.

    Raises:
        ValueError: no item has a vote, or the rows differ in length.

    """
    patterns = Counter(votes for votes in map(tuple, items) if any(v is not None for v in votes))
    if not patterns or len({len(votes) for votes in patterns}) != 1:
        raise ValueError("votes are needed, one per judge (or None) in every row")
    beliefs = {votes: _shares(votes, classes) for votes in patterns}
    likelihood, steps, converged = -math.inf, 0, False
    while steps < _STEPS and not converged:
        steps += 1
        prior, confusion = _maximise(patterns, beliefs, classes, smoothing)
        found = _penalty(prior, confusion, smoothing)
        for votes, count in sorted(patterns.items(), key=repr):
            logs = _joint(prior, confusion, votes)
            total = _log_sum(logs)
            beliefs[votes] = [math.exp(log - total) for log in logs]
            found += count * total
        converged = found - likelihood < _ENOUGH * max(1.0, abs(found))
        likelihood = found
    return DawidSkene(prior, confusion, likelihood, steps, converged)


def _shares(votes: Votes, classes: int) -> list[float]:
    cast = [vote for vote in votes if vote is not None]
    return [cast.count(one) / len(cast) for one in range(classes)]


def _maximise(
    patterns: Mapping[Votes, int],
    beliefs: Mapping[Votes, Sequence[float]],
    classes: int,
    smoothing: float,
) -> tuple[tuple[float, ...], tuple[tuple[tuple[float, ...], ...], ...]]:
    """Return the prior and the confusion matrices that fit these beliefs best."""
    ordered = sorted(patterns, key=repr)
    judges = len(ordered[0])
    everyone = range(classes)
    sizes = [
        math.fsum([smoothing, *(patterns[v] * beliefs[v][truth] for v in ordered)])
        for truth in everyone
    ]
    total = math.fsum(sizes)
    confusion = []
    for judge in range(judges):
        matrix = []
        for truth in everyone:
            counts = [
                math.fsum(
                    [
                        smoothing,
                        *(patterns[v] * beliefs[v][truth] for v in ordered if v[judge] == vote),
                    ]
                )
                for vote in everyone
            ]
            of_truth = math.fsum(counts)
            matrix.append(tuple(count / of_truth for count in counts))
        confusion.append(tuple(matrix))
    return tuple(size / total for size in sizes), tuple(confusion)


def _penalty(
    prior: Sequence[float], confusion: Sequence[Sequence[Sequence[float]]], smoothing: float
) -> float:
    """Return what the small counts add to the likelihood."""
    rates = [rate for matrix in confusion for row in matrix for rate in row]
    return smoothing * math.fsum(math.log(rate) for rate in (*prior, *rates))


def _joint(
    prior: Sequence[float], confusion: Sequence[Sequence[Sequence[float]]], votes: Votes
) -> list[float]:
    """Return log P(truth, votes) for each truth."""
    return [
        math.fsum(
            [
                math.log(chance),
                *(
                    math.log(matrix[truth][vote])
                    for matrix, vote in zip(confusion, votes, strict=True)
                    if vote is not None
                ),
            ]
        )
        for truth, chance in enumerate(prior)
    ]


def _log_sum(logs: Sequence[float]) -> float:
    highest = max(logs)
    return highest + math.log(math.fsum(math.exp(log - highest) for log in logs))
