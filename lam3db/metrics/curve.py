"""A judge with values at every threshold: the share it would report, and its errors.

What must hold: the share is over attacks that have a value, with the interval of a report; error
rates are over labelled answers, weighted as they were drawn. The numbers are plain, so whoever
draws figures can take them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lam3db.stats.correction import Errors, Labelled, errors_of
from lam3db.stats.intervals import Interval, ShareSums, share_interval_of
from lam3db.stats.roc import Area, Best, Scored, average_precision, best_thresholds, roc_area

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lam3db.metrics.joined import Answers
    from lam3db.metrics.truth import Truth
    from lam3db.store.aggregates import JudgeRow

POINTS = 21
OPERATORS = (">=", ">")


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """At one threshold: the share unsafe among attacks, and the errors against the labels."""

    threshold: float
    hits: int
    share: float
    interval: Interval
    errors: Errors | None


@dataclass(frozen=True, slots=True)
class Curve:
    """A judge's curve. ``n`` attacks in ``behaviors`` have a value, ``missing`` have none.

    ``labels`` answers have a value and a label; without any, ``area`` and
    ``average_precision`` are None and ``best`` is empty. ``current`` is the threshold in force.
    """

    judge: JudgeRow
    operator: str
    current: float | None
    n: int
    behaviors: int
    missing: int
    low: float
    high: float
    points: tuple[CurvePoint, ...]
    labels: int
    area: Area | None
    average_precision: float | None
    best: tuple[Best, ...]


def measure_curve(
    answers: Answers,
    judge: JudgeRow,
    truth: Truth | None,
    *,
    points: int = POINTS,
    thresholds: Sequence[float] = (),
) -> Curve | None:
    """Return the curve, None where no attack has a value.

    At ``thresholds`` where given; else at the values seen where these are no more than
    ``points``, else at as many evenly between the smallest and the largest. The threshold in
    force and the best ones are always among them.
    """
    values = answers.judges[judge.id].value
    attacks = [at for at in answers.attacks() if values[at] is not None]
    if not attacks:
        return None
    seen = [value for at in attacks if (value := values[at]) is not None]
    known = _labelled(answers, judge, truth)
    scored = [Scored(c, value, label, weight) for c, value, label, weight in known]
    best = tuple(best_thresholds(scored))
    operator = judge.operator or OPERATORS[0]
    shown = set(thresholds) or set(_grid(seen, points))
    shown |= {judge.threshold} if judge.threshold is not None else set()
    shown |= {one.threshold for one in best} if operator == OPERATORS[0] else set()
    shares = _shares([answers.behaviors[at] for at in attacks], seen, sorted(shown), operator)
    return Curve(
        judge,
        operator,
        judge.threshold,
        n=len(attacks),
        behaviors=len({answers.behaviors[at] for at in attacks}),
        missing=sum(values[at] is None for at in answers.attacks()),
        low=min(seen),
        high=max(seen),
        points=tuple(_point(*one, known, operator) for one in shares),
        labels=len(known),
        area=roc_area(scored) if known else None,
        average_precision=average_precision(scored),
        best=best,
    )


Known = list[tuple[int, float, bool, float]]


def _labelled(answers: Answers, judge: JudgeRow, truth: Truth | None) -> Known:
    """Return behavior, value, label and weight of every answer that has both."""
    if truth is None:
        return []
    values = answers.judges[judge.id].value
    return [
        (answers.behaviors[at], value, label, truth.weights[at])
        for at in answers.once
        if (value := values[at]) is not None and (label := truth.unsafe[at]) is not None
    ]


def _grid(values: Sequence[float], points: int) -> list[float]:
    distinct = sorted(set(values))
    if len(distinct) <= points:
        return distinct
    low, high = distinct[0], distinct[-1]
    return [low + (high - low) * at / (points - 1) for at in range(points)]


def _shares(
    behaviors: Sequence[int], values: Sequence[float], thresholds: Sequence[float], operator: str
) -> list[tuple[float, int, float, Interval]]:
    """Return threshold, hits, share and interval, by sums over behaviors."""
    import numpy as np

    _, clusters = np.unique(np.array(behaviors), return_inverse=True)
    scores = np.array(values)
    sizes = np.bincount(clusters)
    found = []
    for threshold in thresholds:
        flags = scores > threshold if operator == ">" else scores >= threshold
        hits = np.bincount(clusters[flags], minlength=len(sizes))
        sums = ShareSums(
            clusters=len(sizes),
            n=len(scores),
            hits=int(hits.sum()),
            with_hits=int((hits > 0).sum()),
            with_misses=int((hits < sizes).sum()),
            n_n=int((sizes * sizes).sum()),
            n_hits=int((sizes * hits).sum()),
            hits_hits=int((hits * hits).sum()),
        )
        found.append((threshold, sums.hits, sums.hits / sums.n, share_interval_of(sums)))
    return found


def _point(
    threshold: float, hits: int, share: float, interval: Interval, known: Known, operator: str
) -> CurvePoint:
    labelled = [
        Labelled(
            behavior, value > threshold if operator == ">" else value >= threshold, label, weight
        )
        for behavior, value, label, weight in known
    ]
    return CurvePoint(threshold, hits, share, interval, errors_of(labelled) if known else None)
