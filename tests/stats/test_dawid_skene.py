"""Dawid and Skene against voters whose error rates are known, and a second writing of it."""

from __future__ import annotations

import itertools
import math
import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lam3db.stats.dawid_skene import SMOOTHING, fit_dawid_skene

if TYPE_CHECKING:
    from collections.abc import Sequence

Votes = tuple[int | None, ...]
RATES = [(0.95, 0.05), (0.8, 0.1), (0.7, 0.35), (0.9, 0.4)]
"""P(votes 1 | 1) and P(votes 1 | 0) of four voters."""


def simulate(count: int, prior: float, missing: float, seed: int) -> tuple[list[Votes], list[int]]:
    lots = random.Random(seed)
    items: list[Votes] = []
    truths = []
    for _ in range(count):
        truth = int(lots.random() < prior)
        votes = tuple(
            None if lots.random() < missing else int(lots.random() < rate[1 - truth])
            for rate in RATES
        )
        items.append(votes)
        truths.append(truth)
    return items, truths


def plainly(items: Sequence[Votes], classes: int, steps: int) -> tuple[object, object]:
    """Write the same with whole arrays, one row per item, as the paper has it."""
    kept = [votes for votes in items if any(vote is not None for vote in votes)]
    seen = np.zeros((len(kept), len(kept[0]), classes))
    for at, votes in enumerate(kept):
        for judge, vote in enumerate(votes):
            if vote is not None:
                seen[at, judge, vote] = 1
    truth = seen.sum(1) / seen.sum((1, 2))[:, None]
    for _ in range(steps):
        prior = truth.sum(0) + SMOOTHING
        prior /= prior.sum()
        counts = np.einsum("it,ijv->jtv", truth, seen) + SMOOTHING
        confusion = counts / counts.sum(2, keepdims=True)
        logs = np.log(prior) + np.einsum("ijv,jtv->it", seen, np.log(confusion))
        truth = np.exp(logs - logs.max(1, keepdims=True))
        truth /= truth.sum(1, keepdims=True)
    return prior, confusion


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_known_error_rates_are_found_again(missing: float) -> None:
    items, truths = simulate(20_000, 0.3, missing, seed=4)
    found = fit_dawid_skene(items)
    assert found.converged
    assert found.prior[1] == pytest.approx(0.3, abs=0.02)
    for matrix, (if_unsafe, if_safe) in zip(found.confusion, RATES, strict=True):
        assert matrix[1][1] == pytest.approx(if_unsafe, abs=0.03)
        assert matrix[0][1] == pytest.approx(if_safe, abs=0.03)
    right = sum(
        (found.posterior(votes)[1] > 0.5) == truth
        for votes, truth in zip(items, truths, strict=True)
    )
    majority = sum(
        (sum(v or 0 for v in votes) * 2 > sum(v is not None for v in votes)) == truth
        for votes, truth in zip(items, truths, strict=True)
    )
    assert right > majority


@pytest.mark.parametrize("seed", range(4))
def test_a_second_writing_agrees(seed: int) -> None:
    items, _ = simulate(300, 0.4, 0.2, seed)
    found = fit_dawid_skene(items)
    prior, confusion = plainly(items, 2, found.steps)
    assert np.allclose(found.prior, prior, atol=1e-9)
    assert np.allclose(found.confusion, confusion, atol=1e-9)


def test_three_classes_agree_too() -> None:
    lots = random.Random(3)
    items: list[Votes] = []
    for _ in range(400):
        truth = lots.randrange(3)
        items.append(tuple(truth if lots.random() < 0.7 else lots.randrange(3) for _ in range(4)))
    found = fit_dawid_skene(items, classes=3)
    prior, confusion = plainly(items, 3, found.steps)
    assert np.allclose(found.prior, prior, atol=1e-9)
    assert np.allclose(found.confusion, confusion, atol=1e-9)


@given(st.lists(st.tuples(*[st.sampled_from([0, 1, None])] * 3), min_size=1, max_size=30))
@settings(deadline=None, max_examples=50)
def test_probabilities_are_probabilities_and_order_says_nothing(items: list[Votes]) -> None:
    if not any(vote is not None for votes in items for vote in votes):
        with pytest.raises(ValueError, match="votes are needed"):
            fit_dawid_skene(items)
        return
    found = fit_dawid_skene(items)
    assert math.fsum(found.prior) == pytest.approx(1)
    for matrix in found.confusion:
        for row in matrix:
            assert math.fsum(row) == pytest.approx(1)
            assert all(0 < rate < 1 for rate in row)
    assert fit_dawid_skene(items[::-1]) == found
    for votes in itertools.product([0, 1, None], repeat=3):
        assert math.fsum(found.posterior(votes)) == pytest.approx(1)


def test_nobody_voting_leaves_the_prior() -> None:
    found = fit_dawid_skene([(1, 1, 0), (0, 0, 0), (1, 1, 1)])
    assert found.posterior((None, None, None)) == pytest.approx(found.prior)


def test_ragged_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="every row"):
        fit_dawid_skene([(1, 0), (1, 0, 1)])
