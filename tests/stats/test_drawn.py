"""Weighted shares: alike where the weights are, and right where the disputed are overdrawn."""

from __future__ import annotations

import numpy as np
import pytest

from lam3db.stats.drawn import Drawn, share_of
from lam3db.stats.intervals import ShareTally, share_interval
from lam3db.stats.weighted import Weighed, WeightedSums, weighted_share_interval


def test_equal_weights_are_no_weights() -> None:
    items = [Drawn(at // 3, 2.5, at % 4 == 0) for at in range(30)]
    found = share_of(items)
    tallies = [ShareTally(3, sum(i.hit for i in items if i.cluster == c)) for c in range(10)]
    assert found.interval == share_interval(tallies)
    assert (found.value, found.n, found.hits, found.clusters) == (8 / 30, 30, 8, 10)
    single = share_of([Drawn(at, 1.0, at < 2) for at in range(9)])
    assert single.interval == share_interval([ShareTally(1, int(at < 2)) for at in range(9)])


def test_almost_equal_weights_give_almost_the_same() -> None:
    random = np.random.default_rng(1)
    even = [Drawn(at // 4, 1.0, bool(random.random() < 0.3)) for at in range(80)]
    uneven = [Drawn(i.cluster, 1 + 1e-6 * at, i.hit) for at, i in enumerate(even)]
    one, other = share_of(even), share_of(uneven)
    assert other.interval.method == "wilson-weighted"
    assert one.value == pytest.approx(other.value, abs=1e-4)
    assert (one.interval.low, one.interval.high) == pytest.approx(
        (other.interval.low, other.interval.high), abs=1e-4
    )


def test_where_nothing_can_be_said() -> None:
    assert share_of([]).interval.method == "none: nothing scored"
    assert share_of([Drawn(1, 1.0, hit=True)] * 3).interval.method == "none: one behavior"
    alike = share_of([Drawn(at, 1.0 + at, hit=True) for at in range(8)])
    assert alike.value == 1
    assert alike.interval.low is not None
    assert alike.interval.low < 0.75


@pytest.mark.parametrize("count", [20, 60])
def test_coverage_where_the_rarer_kind_is_drawn_more_often(count: int) -> None:
    """Two kinds of answers, drawn with 0.8 and 0.2: the plain share would be far off."""
    random = np.random.default_rng(count)
    held = plain = 0
    truth = 0.5 * 0.7 + 0.5 * 0.1
    for _ in range(600):
        kind = random.random(count * 4) < 0.5
        chance = np.where(kind, 0.8, 0.2)
        hits = random.random(count * 4) < np.where(kind, 0.7, 0.1)
        drawn = random.random(count * 4) < chance
        items = [
            Drawn(int(at) // 4, 1 / float(chance[at]), bool(hits[at]))
            for at in np.flatnonzero(drawn)
        ]
        for weighted in (True, False):
            found = share_of(
                items if weighted else [Drawn(i.cluster, 1.0, i.hit) for i in items]
            ).interval
            assert found.low is not None
            assert found.high is not None
            inside = found.low <= truth <= found.high
            held += inside and weighted
            plain += inside and not weighted
    assert held / 600 >= 0.93
    assert plain / 600 < 0.6


def test_a_report_and_an_agreement_give_a_weighted_share_one_interval() -> None:
    rng = np.random.default_rng(7)
    for _ in range(50):
        clusters = rng.integers(2, 20)
        items = [
            Drawn(int(cluster), float(rng.choice([1, 2, 5])), bool(rng.random() < 0.3))
            for cluster in range(clusters)
            for _ in range(rng.integers(1, 5))
        ]
        if len({item.weight for item in items}) == 1:
            continue
        found = share_of(items)
        sums = WeightedSums.of(
            Weighed(i.cluster, i.weight, 1, float(i.hit), float(i.hit), float(i.hit), float(i.hit))
            for i in items
        )
        assert found.interval == weighted_share_interval(sums)
        weights = [item.weight for item in items]
        assert found.value == pytest.approx(np.average([i.hit for i in items], weights=weights))
