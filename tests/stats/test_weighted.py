"""Weighted estimates: equal weights give the plain intervals, unequal ones cover the truth."""

from __future__ import annotations

import numpy as np
import pytest

from lam3db.stats.intervals import MeanTally, ShareTally, mean_interval, share_interval, wilson
from lam3db.stats.weighted import (
    Weighed,
    WeightedSums,
    weighted_mean_interval,
    weighted_share_interval,
)


def hits(cluster: int, weight: float, n: int, hit: int) -> Weighed:
    return Weighed(cluster, weight, n, hit, hit, float(hit == n), float(hit > 0))


def value(cluster: int, weight: float, one: float) -> Weighed:
    return Weighed(cluster, weight, 1, one, one * one, one, one)


@pytest.mark.parametrize("weight", [1.0, 7.5])
def test_equal_weights_are_no_weights(weight: float) -> None:
    random = np.random.default_rng(5)
    for _ in range(50):
        sizes = random.integers(2, 6, size=random.integers(2, 12)).tolist()
        found = [int(random.integers(0, n + 1)) for n in sizes]
        pairs = list(zip(sizes, found, strict=True))
        plain = share_interval([ShareTally(n, hit) for n, hit in pairs])
        sums = WeightedSums.of(hits(i, weight, n, hit) for i, (n, hit) in enumerate(pairs))
        weighted = weighted_share_interval(sums)
        # clusters of unequal size weigh as their sizes do, where plain counts each once
        if len(set(sizes)) == 1 or 0 < sum(found) < sum(sizes):
            assert weighted.low is not None
            assert plain.low is not None
            assert weighted.low <= plain.low + 1e-9
            assert weighted.high is not None
            assert plain.high is not None
            assert weighted.high >= plain.high - 1e-9
        values = random.random(12)
        tallies = [MeanTally(2, a + b, a * a + b * b, min(a, b), max(a, b))
                   for a, b in values.reshape(6, 2)]  # fmt: skip
        items = [value(i // 2, weight, one) for i, one in enumerate(values.tolist())]
        other = mean_interval(tallies)
        mean = weighted_mean_interval(WeightedSums.of(items))
        assert (mean.low, mean.high) == pytest.approx((other.low, other.high))


def test_single_answers_of_one_weight_have_wilsons_interval_with_t() -> None:
    sums = WeightedSums.of(hits(i, 3.0, 1, i % 2) for i in range(40))
    interval = weighted_share_interval(sums)
    low, high = wilson(0.5, 40)
    assert interval.low is not None
    assert interval.high is not None
    assert interval.low <= low < high <= interval.high
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.01)


def test_no_interval_where_none_can_be_given() -> None:
    assert weighted_share_interval(WeightedSums.of([])).method == "none: nothing scored"
    one = WeightedSums.of([hits(1, 2.0, 3, 1)])
    assert weighted_share_interval(one).method == "none: one behavior"
    assert weighted_mean_interval(one).method == "none: one behavior"


def test_all_alike_has_a_width() -> None:
    sums = WeightedSums.of(hits(i, 1.0 + i, 2, 0) for i in range(8))
    for interval in (weighted_share_interval(sums), weighted_mean_interval(sums)):
        assert interval.low == 0
        assert interval.high is not None
        assert interval.high > wilson(0.0, 8)[1] - 1e-9


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_unequal_chances_cover_the_truth_and_pooling_does_not(share: float) -> None:
    """Behaviors of very different size, two answers drawn of each: the small ones are seen more."""
    random = np.random.default_rng(int(share * 100))
    sizes = random.integers(2, 60, size=80)
    chances = np.clip(share * sizes / sizes.mean(), 0, 0.95)
    labels = [random.random(n) < p for n, p in zip(sizes, chances, strict=True)]
    truth = sum(one.sum() for one in labels) / sizes.sum()
    held = pooled = 0
    estimates = []
    for _ in range(400):
        items, seen = [], []
        for i, one in enumerate(labels):
            drawn = random.choice(one, size=2, replace=False)
            items.append(hits(i, len(one) / 2, 2, int(drawn.sum())))
            seen += drawn.tolist()
        sums = WeightedSums.of(items)
        estimates.append(sums.total / sums.weights)
        interval = weighted_share_interval(sums)
        assert interval.low is not None
        assert interval.high is not None
        held += interval.low <= truth <= interval.high
        low, high = wilson(sum(seen) / len(seen), len(seen))
        pooled += low <= truth <= high
    assert np.mean(estimates) == pytest.approx(truth, abs=0.01)
    assert held / 400 >= 0.93
    assert pooled < held
