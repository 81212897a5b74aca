"""Intervals: against an independent implementation, by hand, and by simulated coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from lam3db.stats.intervals import (
    MeanSums,
    MeanTally,
    ShareSums,
    ShareTally,
    effective_size,
    mean_interval,
    share_interval,
    wilson,
)


def shares(*pairs: tuple[int, int]) -> list[ShareTally]:
    return [ShareTally(n, hits) for n, hits in pairs]


def means(*clusters: list[float]) -> list[MeanTally]:
    return [
        MeanTally(len(c), sum(c), sum(v * v for v in c), min(c, default=0), max(c, default=0))
        for c in clusters
    ]


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (1, 1), (0, 12), (12, 12), (5, 8), (37, 400)])
def test_wilson_agrees_with_scipy(hits: int, n: int) -> None:
    expected = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson(hits / n, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_single_items_per_behavior_are_independent() -> None:
    interval = share_interval(shares(*[(1, 1)] * 5, *[(1, 0)] * 3))
    assert interval.method == "wilson"
    assert (interval.low, interval.high) == pytest.approx(wilson(5 / 8, 8))


def test_clustered_share_by_hand() -> None:
    # 3 clusters of 4 with 4, 1, 1 hits: p = 1/2, residuals 2, -1, -1,
    # variance 3/2 * 6 / 144 = 1/16, design effect (1/16) / (1/48) = 3, averaged with
    # n / C = 4 -> max(3, 4): clusters that hold hits 3, misses 2: (2*3 + 4) / 3 = 10/3.
    tallies = shares((4, 4), (4, 1), (4, 1))
    by_hand = 12 / (10 / 3) * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, 2)) ** 2
    assert effective_size(ShareSums.of(tallies)) == pytest.approx(by_hand)
    interval = share_interval(tallies)
    assert interval.method == "wilson-clustered"
    assert (interval.low, interval.high) == pytest.approx(wilson(0.5, by_hand))


@pytest.mark.parametrize("hits", [0, 6])
def test_all_alike_counts_each_behavior_once_and_has_width(hits: int) -> None:
    interval = share_interval(shares(*[(6, hits)] * 10))
    assert (interval.low, interval.high) == pytest.approx(wilson(hits / 6, 10))
    assert interval.high is not None
    assert interval.low is not None
    assert interval.high - interval.low > 0.2


def test_never_narrower_than_independent_items() -> None:
    random = np.random.default_rng(7)
    for _ in range(200):
        sizes = random.integers(1, 6, size=random.integers(2, 12))
        tallies = shares(*[(int(n), int(random.integers(0, n + 1))) for n in sizes])
        n, hits = sum(t.n for t in tallies), sum(t.hits for t in tallies)
        interval, (low, high) = share_interval(tallies), wilson(hits / n, n)
        assert interval.low is not None
        assert interval.high is not None
        assert 0 <= interval.low <= hits / n <= interval.high <= 1
        assert interval.high - interval.low >= high - low - 1e-12


def test_no_interval_where_none_can_be_given() -> None:
    assert share_interval([]).method == "none: nothing scored"
    one = share_interval(shares((5, 3), (0, 0)))
    assert (one.low, one.high, one.method) == (None, None, "none: one behavior")
    assert mean_interval([]).method == "none: nothing scored"
    assert mean_interval(means([0.2])).method == "none: one value"
    assert mean_interval(means([0.2, 0.3])).method == "none: one behavior"


def test_mean_of_independent_values_is_the_t_interval() -> None:
    values = [0.1, 0.4, 0.35, 0.8, 0.55]
    interval = mean_interval(means(*[[v] for v in values]))
    low, high = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    assert interval.method == "t"
    assert (interval.low, interval.high) == pytest.approx((low, high))


def test_clustered_mean_by_hand() -> None:
    # means 0.75 and 0.25 in clusters of 2: residual sums 0.5, -0.5, variance 2 * 0.5 / 16
    interval = mean_interval(means([0.75, 0.75], [0.25, 0.25]))
    half = stats.t.ppf(0.975, 1) * math.sqrt(1 / 16)
    assert interval.method == "t-clustered"
    assert (interval.low, interval.high) == (max(0, 0.5 - half), min(1, 0.5 + half))


def test_equal_values_get_the_bound_of_a_variable_in_0_1() -> None:
    interval = mean_interval(means(*[[0.125, 0.125]] * 8))
    assert interval.method == "wilson-bound"
    assert (interval.low, interval.high) == pytest.approx(wilson(0.125, 8))


def _covered(
    random: np.random.Generator, share: float, icc: float, count: int
) -> tuple[bool, bool]:
    """One drawn table: does the clustered interval hold the truth, does Wilson's on n?"""
    a, b = share * (1 - icc) / icc, (1 - share) * (1 - icc) / icc
    sizes = random.integers(1, 10, size=count)
    hits = random.binomial(sizes, random.beta(a, b, size=count))
    tallies = shares(*zip(sizes.tolist(), hits.tolist(), strict=True))
    interval = share_interval(tallies)
    assert interval.low is not None
    assert interval.high is not None
    low, high = wilson(hits.sum() / sizes.sum(), sizes.sum())
    return interval.low <= share <= interval.high, low <= share <= high


@pytest.mark.parametrize("count", [10, 20, 40])
@pytest.mark.parametrize("icc", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_coverage_of_clustered_labels(share: float, icc: float, count: int) -> None:
    random = np.random.default_rng([count, int(icc * 10), int(share * 10)])
    seen = np.array([_covered(random, share, icc, count) for _ in range(600)])
    clustered, independent = seen.mean(axis=0)
    assert clustered >= 0.92
    assert independent < 0.9


def test_coverage_of_clustered_means() -> None:
    random = np.random.default_rng(3)
    held = 0
    for _ in range(500):
        centers = random.beta(1.5, 3.5, size=15)
        clusters = [random.beta(20 * c + 0.1, 20 * (1 - c) + 0.1, size=5).tolist() for c in centers]
        interval = mean_interval(means(*clusters))
        assert interval.low is not None
        assert interval.high is not None
        held += interval.low <= _TRUE_MEAN <= interval.high
    assert held / 500 >= 0.92


# E[(20 c + 0.1) / 20.2] for c ~ Beta(1.5, 3.5)
_TRUE_MEAN = (20 * 0.3 + 0.1) / 20.2


@pytest.mark.parametrize("count", [10, 20, 50])
@pytest.mark.parametrize("rare", [0.02, 0.05, 0.1, 0.3])
def test_rare_toxic_answers_that_were_not_seen_are_allowed_for(count: int, rare: float) -> None:
    """Nine answers in ten score 0.01: Student's t alone would call that certain."""
    random = np.random.default_rng(count)
    truth = rare * 0.9 + (1 - rare) * 0.01
    hits = plain = 0
    for _ in range(1500):
        values = np.where(random.random(count) < rare, 0.9, 0.01) + random.normal(0, 1e-3, count)
        values = np.clip(values, 0, 1)
        interval = mean_interval(means(*[[float(value)] for value in values]))
        assert interval.low is not None
        assert interval.high is not None
        hits += interval.low <= truth <= interval.high
        half = stats.t.ppf(0.975, count - 1) * values.std(ddof=1) / math.sqrt(count)
        plain += abs(values.mean() - truth) <= half
    assert hits / 1500 >= 0.92
    assert hits >= plain


def test_sums_of_two_sets_of_clusters_are_the_sums_of_both() -> None:
    some, others = shares((4, 4), (3, 0), (0, 0)), shares((1, 1), (5, 2))
    assert ShareSums.of(some) + ShareSums.of(others) == ShareSums.of([*some, *others])
    ones, more = means([0.25, 0.5], [1.0]), means([0.125], [0.75, 0.75])
    assert MeanSums.of(ones) + MeanSums.of(more) == MeanSums.of([*ones, *more])
    assert MeanSums.of(ones) + MeanSums() == MeanSums.of(ones)


@pytest.mark.parametrize(("hits", "n"), [(0, 7), (3, 40), (57, 100)])
def test_wilson_agrees_with_statsmodels(hits: int, n: int) -> None:
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    expected = proportion.proportion_confint(hits, n, method="wilson")
    assert wilson(hits / n, n) == pytest.approx(expected)


def test_the_clustered_variance_agrees_with_statsmodels() -> None:
    """OLS on a constant with the same small-sample factor: C/(C-1), and t with C-1 df."""
    api = pytest.importorskip("statsmodels.api")
    random = np.random.default_rng(12)
    centers = random.beta(4, 4, size=40)
    clusters = [random.beta(20 * c, 20 * (1 - c), size=random.integers(1, 7)) for c in centers]
    values = np.concatenate(clusters)
    groups = np.repeat(np.arange(40), [len(c) for c in clusters])
    fitted = api.OLS(values, np.ones(len(values))).fit(
        cov_type="cluster",
        cov_kwds={"groups": groups, "use_correction": True, "df_correction": True},
        use_t=True,
    )
    # statsmodels' factor is C/(C-1) * (n-1)/(n-k) with k = 1: ours
    interval = mean_interval(means(*[c.tolist() for c in clusters]))
    assert (interval.low, interval.high) == pytest.approx(tuple(fitted.conf_int()[0]), rel=1e-6)


def test_a_grade_is_on_its_scale_and_mapped_to_it() -> None:
    grades = [[1.0, 2.0], [5.0], [3.0, 3.0], [4.0]]
    shares_of = [[(g - 1) / 4 for g in cluster] for cluster in grades]
    found, mapped = (
        mean_interval(means(*grades), scale=(1.0, 5.0)),
        mean_interval(means(*shares_of)),
    )
    assert found.method == mapped.method == "t-clustered"
    assert mapped.low is not None
    assert mapped.high is not None
    assert (found.low, found.high) == pytest.approx((1 + 4 * mapped.low, 1 + 4 * mapped.high))
    lowest = mean_interval(means(*[[1.0]] * 9), scale=(1.0, 5.0))
    assert (lowest.low, lowest.high) == pytest.approx((1.0, 1 + 4 * wilson(0.0, 9)[1]))


def test_values_outside_of_the_scale_are_never_clipped_to_it() -> None:
    interval = mean_interval(means([1.0], [5.0], [4.0], [4.0]))
    low, high = stats.t.interval(0.95, 3, 3.5, stats.sem([1, 5, 4, 4]))
    assert interval.method == "t-unbounded"
    assert (interval.low, interval.high) == pytest.approx((low, high))
    equal = mean_interval(means([4.0], [4.0]))
    assert (equal.low, equal.high, equal.method) == (None, None, "none: values equal")
