"""Measures of probabilities, by hand and against scikit-learn."""

from __future__ import annotations

import random

import pytest
from sklearn.metrics import brier_score_loss, log_loss

from lam3db.stats.calibration import expected_calibration_error, measure_calibration


def test_measures_are_those_of_scikit_learn() -> None:
    lots = random.Random(1)
    chances = [lots.random() for _ in range(500)]
    outcomes = [lots.random() < chance for chance in chances]
    found = measure_calibration(chances, outcomes, [at % 7 for at in range(500)])
    assert found.brier == pytest.approx(brier_score_loss(outcomes, chances))
    assert found.log_loss == pytest.approx(log_loss(outcomes, chances))
    assert (found.n, found.clusters) == (500, 7)
    assert found.accuracy == pytest.approx(
        sum((c > 0.5) == o for c, o in zip(chances, outcomes, strict=True)) / 500
    )
    assert found.base_rate == max(sum(outcomes), 500 - sum(outcomes)) / 500


def test_the_calibration_error_by_hand() -> None:
    """Two of four right at 0.75 in one bin, one of one at 0.1 in another."""
    chances, outcomes = [0.75, 0.75, 0.75, 0.75, 0.1], [True, True, False, False, True]
    assert expected_calibration_error(chances, outcomes) == pytest.approx((1.0 + 0.9) / 5)
    assert expected_calibration_error([1.0, 0.0], [True, False]) == 0
    assert expected_calibration_error([0.3, 0.3], [True, False], bins=1) == pytest.approx(0.2)


def test_sure_and_wrong_costs_much_and_not_infinitely() -> None:
    found = measure_calibration([0.0, 1.0], [True, False], [1, 2])
    assert 13 < found.log_loss < 14
    assert (found.accuracy, found.brier) == (0, 1)


def test_nothing_is_not_measured() -> None:
    for chances, outcomes, clusters in (([], [], []), ([0.5], [True, False], [1])):
        with pytest.raises(ValueError, match="same items"):
            measure_calibration(chances, outcomes, clusters)
