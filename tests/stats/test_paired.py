"""Paired tests and intervals: against other implementations, and against their own promise."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar
from statsmodels.stats.multitest import multipletests

from lam3db.stats.paired import (
    ENUMERATED,
    DifferenceTally,
    PairTally,
    holm,
    mcnemar,
    shares_interval,
    shares_test,
    values_interval,
    values_test,
)


def differences(groups: list[list[float]]) -> list[DifferenceTally]:
    return [DifferenceTally(len(g), sum(g), min(g), max(g)) for g in groups]


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (5, 5), (3, 12), (12, 3), (40, 61), (0, 9)])
def test_mcnemar_is_that_of_statsmodels(b: int, c: int) -> None:
    theirs = their_mcnemar([[7, b], [c, 11]], exact=True).pvalue
    assert mcnemar(b, c) == pytest.approx(min(1.0, theirs), rel=1e-12)
    pairs = [PairTally(1, 1, 0)] * b + [PairTally(1, 0, 1)] * c + [PairTally(1, 0, 0)] * 3
    found = shares_test(pairs)
    assert (found.p, found.method) == (mcnemar(b, c), "mcnemar-exact")


def test_flips_of_clusters_are_summed_as_if_each_was_tried() -> None:
    random = np.random.default_rng(3)
    for _ in range(20):
        tallies = [PairTally(6, *map(int, random.integers(0, 4, 2))) for _ in range(9)]
        surpluses = [t.only_a - t.only_b for t in tallies]
        flips = itertools.product((1, -1), repeat=len(surpluses))
        sums = [abs(sum(s * d for s, d in zip(f, surpluses, strict=True))) for f in flips]
        expected = np.mean([s >= abs(sum(surpluses)) for s in sums])
        found = shares_test(tallies)
        assert found.method == "sign-flip-exact"
        assert found.p == pytest.approx(expected, rel=1e-12)


def test_flips_of_single_pairs_in_larger_clusters_agree_with_mcnemar() -> None:
    # one discordant pair a cluster: the clusters are the pairs, whatever else they hold
    tallies = [PairTally(4, 1, 0)] * 11 + [PairTally(4, 0, 1)] * 3
    assert shares_test(tallies).p == pytest.approx(mcnemar(11, 3), rel=1e-12)


@pytest.mark.parametrize("clusters", [5, ENUMERATED])
def test_few_values_are_flipped_in_every_way_as_scipy_does(clusters: int) -> None:
    sums = np.random.default_rng(clusters).normal(0.2, 0.4, clusters)
    found = values_test(differences([[x] for x in sums]))
    theirs = scipy.stats.permutation_test(
        (sums,), np.sum, permutation_type="samples", n_resamples=np.inf
    )
    assert found.method == "sign-flip-exact"
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-12)


def test_many_values_are_flipped_at_random_but_always_alike() -> None:
    sums = np.random.default_rng(8).normal(0.1, 0.4, 60)
    tallies = differences([[x] for x in sums])
    found = values_test(tallies)
    assert found == values_test(tallies)
    assert (found.method, found.resamples) == ("sign-flip", 9_999)
    t = scipy.stats.ttest_1samp(sums, 0).pvalue
    assert found.p == pytest.approx(t, abs=0.02)
    assert values_test(differences([[5e-3]] * 400)).p == 1 / 10_000  # never 0


def test_equal_answers_differ_in_nothing() -> None:
    assert shares_test([PairTally(3, 0, 0)] * 8).p == 1
    assert values_test(differences([[0.0, 0.0]] * 8)).p == 1
    assert values_test([]).p == 1


@pytest.mark.parametrize(("clusters", "size"), [(8, 5), (20, 5), (40, 3)])
def test_equal_models_are_rarely_called_different_though_samples_hang_together(
    clusters: int, size: int
) -> None:
    random = np.random.default_rng(clusters)
    wrong, naive, wrong_values, covered, rounds = 0, 0, 0, 0, 300
    for _ in range(rounds):
        # an intraclass correlation of 0.5, the same share for both
        shares = random.beta(0.3, 0.7, (2, clusters))
        a, b = (random.random((clusters, size)) < s[:, None] for s in shares)
        only_a, only_b = (a & ~b).sum(axis=1), (b & ~a).sum(axis=1)
        pairs = [PairTally(size, int(x), int(y)) for x, y in zip(only_a, only_b, strict=True)]
        wrong += shares_test(pairs).p < 0.05
        naive += mcnemar(int(only_a.sum()), int(only_b.sum())) < 0.05
        found = shares_interval(pairs)
        covered += found.low <= 0 <= found.high  # type: ignore[operator]
        values = (a * 0.9 - b * 0.9 + random.normal(0, 0.02, (clusters, size))).tolist()
        wrong_values += values_test(differences(values), resamples=199).p < 0.05
    assert wrong / rounds < 0.08
    assert wrong_values / rounds < 0.08
    assert covered / rounds > 0.92
    assert naive / rounds > 0.1, "the simulation would not have shown it"


@pytest.mark.parametrize(("clusters", "size"), [(10, 1), (15, 4), (60, 2)])
def test_the_interval_of_a_mean_difference_covers_it(clusters: int, size: int) -> None:
    random = np.random.default_rng(clusters)
    covered, rounds = 0, 200
    for _ in range(rounds):
        # A is toxic in one behavior of ten, else both are near zero
        toxic = random.random(clusters) < 0.1
        a = np.where(toxic[:, None], 0.9, 0.01) + random.normal(0, 0.002, (clusters, size))
        b = 0.01 + random.normal(0, 0.002, (clusters, size))
        found = values_interval(differences((a - b).tolist()), resamples=499)
        covered += found.low <= 0.089 <= found.high  # type: ignore[operator]
    assert covered / rounds > 0.93


def test_the_bootstrap_is_scipys_for_many_clusters() -> None:
    values = np.random.default_rng(5).uniform(-0.6, 0.9, 400)
    found = values_interval(differences([[x] for x in values]), resamples=4_000)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=4_000, method="percentile", rng=1
    ).confidence_interval
    assert found.method == "cluster-bootstrap"
    assert found.low == pytest.approx(theirs.low, abs=0.006)
    assert found.high == pytest.approx(theirs.high, abs=0.006)
    assert found == values_interval(differences([[x] for x in values]), resamples=4_000)


def test_nothing_seen_is_not_nothing_there() -> None:
    same = shares_interval([PairTally(3, 0, 0)] * 10)
    alike = shares_interval([PairTally(1, 0, 0)] * 30)
    assert same.high == -same.low > alike.high > 0.05  # type: ignore[operator]
    values = values_interval(differences([[0.0]] * 30))
    assert -values.low == pytest.approx(values.high)  # type: ignore[operator]
    assert values.high > 0.05  # type: ignore[operator]
    assert shares_interval([PairTally(1, 1, 0)] * 5).high == 1
    assert values_interval(differences([[1.0]] * 5)).low < 0.6  # type: ignore[operator]


def test_a_scale_is_as_wide_as_it_is() -> None:
    grades = differences([[0.0], [0.0], [1.0]] * 10)
    ours, wide = values_interval(grades), values_interval(grades, width=4)
    assert wide.high > ours.high  # type: ignore[operator]
    far = values_interval(differences([[-9.0], [3.0]] * 10))
    assert far.low < -5 < far.high  # type: ignore[operator]


@pytest.mark.parametrize("count", [0, 1])
def test_one_cluster_tells_nothing_of_others(count: int) -> None:
    why = "none: one behavior" if count else "none: nothing scored"
    assert shares_interval([PairTally(5, 2, 1)] * count).method == why
    assert values_interval(differences([[0.1, 0.4]] * count)).method == why
    assert shares_interval([PairTally(5, 2, 1)] * count).low is None


def test_holm_is_that_of_statsmodels() -> None:
    random = np.random.default_rng(1)
    for size in (1, 2, 7, 40):
        ps = (random.random(size) ** 3).tolist()
        assert holm(ps) == pytest.approx(multipletests(ps, method="holm")[1], rel=1e-12)
    assert holm([0.02, 0.02, 1.0]) == [0.06, 0.06, 1.0]
    assert holm([]) == []
