"""ROC areas and thresholds: against scikit-learn, by hand, and by simulated coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from lam3db.stats.roc import Scored, average_precision, best_thresholds, roc_area


def scored(seed: int, n: int = 200, *, weights: bool = False) -> list[Scored]:
    random = np.random.default_rng(seed)
    truth = random.random(n) < 0.4
    scores = np.round(random.normal(truth * 1.2, 1), 1)  # with ties
    w = random.integers(1, 5, size=n) if weights else np.ones(n)
    rows = zip(range(n), scores, truth, w, strict=True)
    return [Scored(c, float(s), bool(t), float(x)) for c, s, t, x in rows]


@pytest.mark.parametrize("weights", [False, True])
def test_areas_are_those_of_scikit_learn(weights: bool) -> None:
    items = scored(1, weights=weights)
    truth, scores = [i.truth for i in items], [i.score for i in items]
    w = [i.weight for i in items]
    assert roc_area(items).value == pytest.approx(roc_auc_score(truth, scores, sample_weight=w))
    assert average_precision(items) == pytest.approx(
        average_precision_score(truth, scores, sample_weight=w)
    )


def test_delongs_variance_of_independent_items() -> None:
    """DeLong's, written out: variances of the placements over the sizes of the classes."""
    items = scored(2)
    yes, no = [i.score for i in items if i.truth], [i.score for i in items if not i.truth]
    psi = np.array([[(a > b) + 0.5 * (a == b) for b in no] for a in yes])
    variance = psi.mean(1).var() / len(yes) + psi.mean(0).var() / len(no)
    area = psi.mean()
    count = len(items)
    half = stats.t.ppf(0.975, count - 1) * np.sqrt(variance * count / (count - 1))
    half /= area * (1 - area)
    low, high = 1 / (1 + np.exp(-(np.log(area / (1 - area)) + np.array([-half, half]))))
    found = roc_area(items).interval
    assert (found.low, found.high) == pytest.approx((low, high))


def test_best_thresholds_are_the_best_of_all() -> None:
    items = scored(3)
    truth = np.array([i.truth for i in items])
    scores = np.array([i.score for i in items])
    found = {best.criterion: best for best in best_thresholds(items)}
    f1 = {t: f1_score(truth, scores >= t) for t in set(scores.tolist())}
    assert found["f1"].value == pytest.approx(max(f1.values()))
    assert f1[found["f1"].threshold] == pytest.approx(max(f1.values()))
    right = {t: np.mean((scores >= t) == truth) for t in f1}
    assert found["accuracy"].value == pytest.approx(max(right.values()))
    youden = {
        t: np.mean(scores[truth] >= t) - np.mean(scores[~truth] >= t) for t in set(scores.tolist())
    }
    assert found["youden"].value == pytest.approx(max(youden.values()))


def test_a_perfect_score_is_not_certain() -> None:
    items = [Scored(at, float(at), at >= 10) for at in range(20)]
    found = roc_area(items)
    assert found.value == 1
    assert found.interval.low is not None
    assert 0.6 < found.interval.low < 0.8
    assert roc_area([Scored(at, -float(at), at >= 10) for at in range(20)]).value == 0


def test_where_nothing_can_be_said() -> None:
    assert roc_area([Scored(1, 0.5, truth=True)]).value is None
    assert average_precision([]) is None
    assert average_precision([Scored(1, 0.5, truth=False)]) is None
    assert best_thresholds([Scored(1, 0.5, truth=False)]) == []
    one = [Scored(7, float(at % 5), bool(at % 2)) for at in range(20)]
    assert roc_area(one).interval.method == "none: one behavior"


def test_coverage_over_clusters() -> None:
    """Scores shift by behavior: the clustered interval holds the truth, the plain one less."""
    random = np.random.default_rng(5)
    held = plain = 0
    truth = stats.norm.cdf(1 / np.sqrt(2 * (1 + 0.5)))
    for _ in range(300):
        kind = random.random(40) < 0.5
        shift = random.normal(0, np.sqrt(0.5), size=40)
        items = [
            Scored(c, float(random.normal(kind[c] + shift[c])), bool(kind[c]))
            for c in range(40)
            for _ in range(5)
        ]
        found = roc_area(items).interval
        single = roc_area([i._replace(cluster=at) for at, i in enumerate(items)]).interval
        held += (found.low or 0) <= truth <= (found.high or 0)
        plain += (single.low or 0) <= truth <= (single.high or 0)
    assert held / 300 >= 0.92
    assert plain < held
