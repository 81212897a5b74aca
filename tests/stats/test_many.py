"""Intervals of many groups at once are those that each group has for itself."""

from __future__ import annotations

import math
import random
from dataclasses import astuple

import numpy as np
import pytest

from lam3db.stats.intervals import (
    Interval,
    MeanSums,
    MeanTally,
    ShareSums,
    ShareTally,
    mean_interval_of,
    share_interval_of,
)
from lam3db.stats.many import mean_intervals, share_intervals


def same(one: Interval, other: Interval) -> bool:
    if one.method != other.method or (one.low is None) != (other.low is None):
        return False
    if one.low is None or other.low is None or one.high is None or other.high is None:
        return one.high is None and other.high is None
    ends = ((one.low, other.low), (one.high, other.high))
    return all(math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12) for a, b in ends)


def shares(dice: random.Random) -> ShareSums:
    """Clusters of any size and share, down to none, one, all alike; and some too many to square."""
    clusters = dice.choice([0, 1, 2, 3, 10, 40])
    most = dice.choice([1, 1, 3, 30, 80_000])
    chance = dice.choice([0.0, 0.02, 0.5, 1.0])
    rows = []
    for _ in range(clusters):
        n = dice.randint(0, most)
        hits = sum(dice.random() < chance for _ in range(n)) if n < 99 else round(chance * n)
        rows.append(ShareTally(n, dice.choice([0, hits, n]) if dice.random() < 0.2 else hits))
    return ShareSums.of(rows)


def test_shares() -> None:
    dice = random.Random(3)
    sums = [shares(dice) for _ in range(3000)]
    found = share_intervals(np.array([astuple(one) for one in sums], dtype=np.int64))
    for one, interval in zip(sums, found, strict=True):
        assert same(interval, share_interval_of(one)), one
    assert {one.method for one in found} == {
        *("wilson", "wilson-clustered", "none: nothing scored", "none: one behavior"),
    }
    assert max(one.n for one in sums) > 1_000_000


def means(dice: random.Random) -> MeanSums:
    """Values of any spread, some equal, some off the scale."""
    middle, spread = dice.choice([0.0, 0.01, 0.5, 1.0, 4.0]), dice.choice([0.0, 1e-9, 0.1, 0.5])
    rows = []
    for _ in range(dice.choice([0, 1, 2, 10, 40])):
        n = dice.choice([0, 1, 1, 4])
        values = [middle + spread * (dice.random() - 0.5) for _ in range(n)]
        if dice.random() < 0.9:
            values = [min(1.0, max(0.0, value)) for value in values]
        if values:
            squares = math.fsum(value * value for value in values)
            rows.append(MeanTally(n, math.fsum(values), squares, min(values), max(values)))
    return MeanSums.of(rows)


@pytest.mark.parametrize("scale", [(0.0, 1.0), (1.0, 5.0), (-2.0, 5.0)])
def test_means(scale: tuple[float, float]) -> None:
    dice = random.Random(4)
    sums = [means(dice) for _ in range(3000)]
    whole = np.array([(one.clusters, one.n, one.n_n) for one in sums], dtype=np.int64)
    real = np.array(
        [(o.total, o.squares, o.n_total, o.total_total, o.low, o.high) for o in sums], dtype=float
    )
    found = mean_intervals(whole, real, scale=scale)
    for one, interval in zip(sums, found, strict=True):
        assert same(interval, mean_interval_of(one, scale=scale)), one
    methods = {one.method for one in found}
    assert {"none: nothing scored", "none: one value", "none: one behavior"} < methods
    if scale != (1.0, 5.0):
        assert {"t", "t-clustered", "wilson-bound"} < methods
    if scale[0] > -2:
        assert "t-unbounded" in methods


def test_nothing() -> None:
    assert share_intervals(np.zeros((0, 8), dtype=np.int64)) == []
    nothing = np.zeros((0, 3), dtype=np.int64), np.zeros((0, 6))
    assert mean_intervals(*nothing) == []
