"""Fitting ensembles on people's labels: the one place that uses scikit-learn.

Platt's sigmoid is fitted on his smoothed targets, (N1 + 1)/(N1 + 2) and 1/(N0 + 2), practically
without a penalty; isotonic regression is increasing, between 0 and 1; stacking is a logistic
regression with scikit-learn's own penalty (C = 1). Quality is measured on held-out folds that
share no behavior with what was fitted, through the very code that will judge; the numbers that
are written are fitted on all labels.

What must hold: nothing is fitted on too few labels: both outcomes in every fold's fitting part,
as many behaviors as folds; what is written is plain numbers with the digest of the labels.
"""

from __future__ import annotations

import random
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lam3db.errors import ConfigError, MissingDependencyError
from lam3db.judges.ensemble_fitted import Fitted, FittedMember
from lam3db.judges.ensemble_rules import opinion
from lam3db.stats.calibration import Calibration, measure_calibration
from lam3db.stats.dawid_skene import fit_dawid_skene

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lam3db.judges.ensemble_rules import Member, Plan
    from lam3db.pipeline.fit_table import FitRow

    Votes = Sequence[tuple[int | None, ...]]

_UNPENALISED = 1e10
_FEWEST_VOTERS = 3
_FEWEST_FOLDS = 2
_UNSAFE = 1


@dataclass(frozen=True, slots=True)
class FitResult:
    """The numbers, how good they are on what they were not fitted on, and with what they were."""

    fitted: Fitted
    held_out: Calibration | None
    sklearn: str | None
    steps: int | None = None


def fit_on_labels(
    plan: Plan, rows: Sequence[FitRow], labels: str, method: str, folds: int, seed: int
) -> FitResult:
    """Fit a calibrated or stacked ensemble; ``method`` is platt, isotonic or logistic.

    Raises:
        ConfigError: the labels are too few, with the reason.
        MissingDependencyError: scikit-learn is not installed.

    """
    _refuse_too_few(rows, folds)
    version = _sklearn()
    parts = _folds([row.behavior_id for row in rows], folds, seed)
    chances = [0.0] * len(rows)
    for number, held in enumerate(parts, 1):
        inside = [row for at, row in enumerate(rows) if at not in held]
        _refuse_one_class(inside, f"without fold {number} of {folds}")
        fitted = _fit(plan.members, inside, labels, method)
        for at in held:
            chances[at] = chance_of(plan, fitted, rows[at])
    outcomes = [row.unsafe for row in rows]
    clusters = [row.behavior_id for row in rows]
    held_out = measure_calibration(chances, outcomes, clusters, plan.threshold)
    return FitResult(_fit(plan.members, rows, labels, method), held_out, version)


def fit_on_votes(plan: Plan, votes: Votes, labels: str) -> FitResult:
    """Estimate each member's error rates without labels (Dawid and Skene).

    Raises:
        ConfigError: fewer than three members, no votes, or members that contradict each other so
            much that the two outcomes cannot be told apart.

    """
    if len(plan.members) < _FEWEST_VOTERS:
        raise ConfigError(
            f"dawid-skene needs three members or more, here are {len(plan.members)}: error rates"
            " of two cannot be told apart without labels"
        )
    if not votes:
        raise ConfigError("no answer has votes of two members: judge with the members first")
    found = fit_dawid_skene(votes)
    if not found.converged:
        raise ConfigError(f"no end after {found.steps} steps: there are too few votes")
    members = tuple(
        FittedMember(
            judge=member.judge,
            if_unsafe=matrix[_UNSAFE][_UNSAFE],
            if_safe=matrix[1 - _UNSAFE][_UNSAFE],
        )
        for member, matrix in zip(plan.members, found.confusion, strict=True)
    )
    gain = sum((one.if_unsafe or 0) - (one.if_safe or 0) for one in members)
    if gain <= 0:
        raise ConfigError(
            "the members contradict each other: what they call unsafe has no common meaning"
        )
    fitted = Fitted(
        method="dawid-skene", labels=labels, members=members, prior=found.prior[_UNSAFE]
    )
    return FitResult(fitted, None, None, found.steps)


def chance_of(plan: Plan, fitted: Fitted, row: FitRow) -> float:
    """Return what the ensemble would say, as it will say it."""
    value = opinion(replace(plan, fitted=fitted), row.answers).value
    if value is None:  # pragma: no cover - every row has answers
        raise AssertionError(plan.rule)
    return value


def _refuse_too_few(rows: Sequence[FitRow], folds: int) -> None:
    if folds < _FEWEST_FOLDS:
        raise ConfigError(f"--folds {folds}: two or more are needed")
    behaviors = len({row.behavior_id for row in rows})
    if behaviors < folds:
        raise ConfigError(
            f"{len(rows)} labels of {behaviors} behaviors are too few for {folds} folds: label "
            "more, or fewer --folds"
        )
    _refuse_one_class(rows, "in all")


def _refuse_one_class(rows: Sequence[FitRow], where: str) -> None:
    unsafe = sum(row.unsafe for row in rows)
    if unsafe in (0, len(rows)):
        word = "unsafe" if unsafe else "safe"
        raise ConfigError(
            f"{where} there are only {len(rows)} labels, all of them {word}: both are needed; "
            "label more, or take fewer --folds"
        )


def _folds(behaviors: Sequence[int], folds: int, seed: int) -> list[set[int]]:
    """Return the rows held out in each fold; no behavior lies in two."""
    from sklearn.model_selection import GroupKFold

    names = sorted(set(behaviors))
    random.Random(seed).shuffle(names)  # noqa: S311 - folds to be made again from their seed
    groups = [names.index(one) for one in behaviors]
    cut = GroupKFold(n_splits=folds).split(groups, groups=groups)
    return [{int(at) for at in held} for _, held in cut]


def _fit(members: Sequence[Member], rows: Sequence[FitRow], labels: str, method: str) -> Fitted:
    scores = [[member.scores(row.answers[member.judge]) for member in members] for row in rows]
    outcomes = [int(row.unsafe) for row in rows]
    if method == "logistic":
        coefficients, intercept = _logistic(scores, outcomes, [1.0] * len(rows), 1.0)
        numbers: list[dict[str, Any]] = [{"coefficient": one} for one in coefficients]
        return _fitted(method, labels, members, numbers, intercept)
    curve = _platt if method == "platt" else _isotonic
    columns = [[row[at] for row in scores] for at in range(len(members))]
    return _fitted(method, labels, members, [curve(column, outcomes) for column in columns])


def _fitted(
    method: Any,
    labels: str,
    members: Sequence[Member],
    numbers: Sequence[dict[str, Any]],
    intercept: float = 0.0,
) -> Fitted:
    made = (
        FittedMember(judge=member.judge, **of_member)
        for member, of_member in zip(members, numbers, strict=True)
    )
    return Fitted(method=method, labels=labels, members=tuple(made), intercept=intercept)


def _platt(scores: Sequence[float], outcomes: Sequence[int]) -> dict[str, Any]:
    """Return a and b of 1 / (1 + exp(a * score + b)): each label counts for both outcomes."""
    ones = sum(outcomes)
    high, low = (ones + 1) / (ones + 2), 1 / (len(outcomes) - ones + 2)
    targets = [high if outcome else low for outcome in outcomes]
    twice = [[score] for score in (*scores, *scores)]
    labels = [1] * len(scores) + [0] * len(scores)
    weights = [*targets, *(1 - target for target in targets)]
    (coefficient,), intercept = _logistic(twice, labels, weights, _UNPENALISED)
    return {"a": -coefficient, "b": -intercept}


def _isotonic(scores: Sequence[float], outcomes: Sequence[int]) -> dict[str, Any]:
    from sklearn.isotonic import IsotonicRegression

    found = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, outcomes)
    return {
        "x": tuple(map(float, found.X_thresholds_)),
        "y": tuple(map(float, found.y_thresholds_)),
    }


def _logistic(
    scores: Sequence[Sequence[float]],
    outcomes: Sequence[int],
    weights: Sequence[float],
    strength: float,
) -> tuple[list[float], float]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, tol=1e-10, max_iter=10_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            model.fit(scores, outcomes, sample_weight=weights)
        except ConvergenceWarning as error:
            raise ConfigError(f"the fit found no end: {str(error).splitlines()[0]}") from error
    return [float(one) for one in model.coef_[0]], float(model.intercept_[0])


def _sklearn() -> str:
    try:
        import sklearn
    except ImportError:
        raise MissingDependencyError(
            "fitting needs scikit-learn: pip install 'lam3db[fit]' (judging needs none of it)"
        ) from None
    return str(sklearn.__version__)
