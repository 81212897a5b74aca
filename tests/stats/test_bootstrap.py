"""The cluster bootstrap: against scipy's, by simulated coverage, and never without a width."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lam3db.stats.bootstrap import bootstrap_interval
from lam3db.stats.intervals import ShareTally, share_interval, wilson


def test_it_agrees_with_scipy_on_many_clusters() -> None:
    random = np.random.default_rng(4)
    sizes = random.integers(1, 8, size=200)
    totals = random.binomial(sizes, random.beta(2, 3, size=200))
    found = bootstrap_interval(list(zip(sizes.tolist(), totals.tolist(), strict=True)), seed=1)

    def ratio(n: np.ndarray, t: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.asarray(t.sum(axis=axis) / n.sum(axis=axis))

    other = stats.bootstrap(
        (sizes, totals), ratio, paired=True, vectorized=True, method="percentile",
        n_resamples=4000, rng=np.random.default_rng(9),
    ).confidence_interval  # fmt: skip
    assert (found.low, found.high) == pytest.approx((other.low, other.high), abs=0.006)


def test_the_same_seed_gives_the_same_in_any_order() -> None:
    random = np.random.default_rng(1)
    clusters = [(int(n), float(random.random() * n)) for n in random.integers(1, 5, size=30)]
    once = bootstrap_interval(clusters, seed=3)
    assert bootstrap_interval(clusters[::-1], seed=3) == once
    assert bootstrap_interval(clusters, seed=4) != once
    assert once.method == "bootstrap"


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_where_all_are_alike_it_is_as_wide_as_what_was_not_seen(value: float) -> None:
    found = bootstrap_interval([(2, 2 * value)] * 10)
    unseen = wilson(0.0, 10)[1]
    assert (found.low, found.high) == pytest.approx(
        (value * (1 - unseen), value + unseen * (1 - value))
    )
    assert share_interval([ShareTally(2, 0)] * 10).high == pytest.approx(unseen)


def test_no_interval_where_none_can_be_given() -> None:
    assert bootstrap_interval([]).method == "none: nothing scored"
    assert bootstrap_interval([(0, 0.0)]).method == "none: nothing scored"
    assert bootstrap_interval([(3, 1.0), (0, 0.0)]).method == "none: one behavior"
    assert bootstrap_interval([(1, 1.0)]).method == "none: one value"
    assert bootstrap_interval([(1, 4.0), (1, 4.0)], scale=None).method == "none: values equal"


def test_values_on_no_known_scale_are_not_clipped() -> None:
    found = bootstrap_interval([(1, 4.0), (1, 90.0), (1, 55.0), (1, -3.0)], scale=None)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 20
    assert found.high > 60
    graded = bootstrap_interval([(1, 4.0), (1, 5.0), (1, 1.0)], scale=(1.0, 5.0))
    assert graded.low is not None
    assert graded.high is not None
    assert 1 <= graded.low < 10 / 3 < graded.high <= 5


@pytest.mark.parametrize("count", [10, 20, 40])
@pytest.mark.parametrize("share", [0.03, 0.1, 0.5])
@pytest.mark.parametrize("icc", [0.3, 0.9])
def test_coverage_of_clustered_labels(share: float, icc: float, count: int) -> None:
    random = np.random.default_rng([count, int(icc * 10), int(share * 100)])
    a, b = share * (1 - icc) / icc, (1 - share) * (1 - icc) / icc
    held = 0
    for _ in range(300):
        sizes = random.integers(1, 10, size=count)
        hits = random.binomial(sizes, random.beta(a, b, size=count))
        clusters = list(zip(sizes.tolist(), hits.astype(float).tolist(), strict=True))
        found = bootstrap_interval(clusters, resamples=500)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= share <= found.high
    assert held / 300 >= 0.9


def test_many_clusters_that_differ_are_drawn_as_those_that_are_alike() -> None:
    random = np.random.default_rng(5)
    values = random.random(5000)
    alike = bootstrap_interval([(2, round(float(v), 2)) for v in values])
    found = bootstrap_interval([(2, float(v)) for v in values])
    assert (found.low, found.high) == pytest.approx((alike.low, alike.high), abs=4e-4)
    clusters = [(2, float(v)) for v in values]
    assert bootstrap_interval(clusters[::-1], seed=3) == bootstrap_interval(clusters, seed=3)
