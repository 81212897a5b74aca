"""How many labels buy which interval: by simulation, and where the judge tells nothing."""

from __future__ import annotations

import numpy as np
import pytest

from lam3db.stats.correction import Labelled, prediction_powered
from lam3db.stats.intervals import ShareTally
from lam3db.stats.labelling import Assumed, half_widths, intraclass


@pytest.mark.parametrize(
    ("share", "se", "sp"), [(0.4, 0.9, 0.9), (0.2, 0.8, 0.95), (0.5, 0.6, 0.6)]
)
@pytest.mark.parametrize("labels", [100, 400])
def test_the_formula_is_what_simulation_gives(
    share: float, se: float, sp: float, labels: int
) -> None:
    """The spread of the estimates, and the mean half-width of the intervals, at 1,000 answers."""
    random = np.random.default_rng([labels, int(100 * share)])
    (expected,) = half_widths(Assumed(share, se, sp, 1000), (labels,))
    alone, powered, widths = [], [], []
    for at in range(400):
        truth = random.random(1000) < share
        said = np.where(truth, random.random(1000) < se, random.random(1000) > sp)
        chosen = random.choice(1000, size=labels, replace=False)
        alone.append(truth[chosen].mean())
        known = [Labelled(int(i), bool(said[i]), bool(truth[i])) for i in chosen]
        tallies = {i: ShareTally(1, int(said[i])) for i in range(1000)}
        found = prediction_powered(tallies, known)
        powered.append(found.value)
        if at < 60 and found.interval.low is not None and found.interval.high is not None:
            widths.append((found.interval.high - found.interval.low) / 2)
    assert 1.96 * np.std(alone) == pytest.approx(expected.alone, rel=0.1)
    assert 1.96 * np.std(np.array(powered)) == pytest.approx(expected.powered, rel=0.1)
    assert np.mean(widths) == pytest.approx(expected.powered, rel=0.12)


def test_behaviors_cost_what_no_label_buys_back() -> None:
    """Answers of 40 behaviors of 20, correlated 0.3: the spread of the estimates by simulation."""
    random = np.random.default_rng(4)
    assumed = Assumed(0.4, 0.85, 0.9, 800, 40, 0.3)
    few, many = half_widths(assumed, (50, 400))
    alone: dict[int, list[float]] = {50: [], 400: []}
    powered: dict[int, list[float]] = {50: [], 400: []}
    between = (1 - 0.3) / 0.3
    for _ in range(500):
        truth = random.random((40, 20)) < random.beta(0.4 * between, 0.6 * between, (40, 1))
        said = np.where(truth, random.random((40, 20)) < 0.85, random.random((40, 20)) > 0.9)
        for n in (50, 400):
            chosen = random.choice(800, size=n, replace=False)
            alone[n].append(truth.flat[chosen].mean())
            known = [Labelled(i // 20, said.flat[i], truth.flat[i]) for i in chosen.tolist()]
            tallies = {c: ShareTally(20, int(said[c].sum())) for c in range(40)}
            powered[n].append(prediction_powered(tallies, known).value or 0.0)
    for bought in (few, many):
        n = bought.labels
        assert 1.96 * np.std(alone[n]) == pytest.approx(bought.alone, rel=0.1)
        assert 1.96 * np.std(powered[n]) == pytest.approx(bought.powered, rel=0.1)


def test_intraclass_correlation_is_found_again() -> None:
    random = np.random.default_rng(6)
    for alike in (0.1, 0.5):
        between = (1 - alike) / alike
        rates = random.beta(0.3 * between, 0.7 * between, size=2000)
        sizes = random.integers(1, 12, size=2000)
        hits = random.binomial(sizes, rates)
        tallies = [ShareTally(int(n), int(h)) for n, h in zip(sizes, hits, strict=True)]
        assert intraclass(tallies) == pytest.approx(alike, abs=0.05)
    assert intraclass([ShareTally(1, 1), ShareTally(1, 0)]) is None
    assert intraclass([ShareTally(5, 1)]) is None
    assert intraclass([ShareTally(5, 0), ShareTally(5, 0)]) is None
    assert intraclass([ShareTally(5, 5), ShareTally(5, 0)]) == 1


def test_a_judge_that_tells_nothing_buys_nothing() -> None:
    for rates in ((0.5, 0.5), (0.2, 0.3), (1.0, 0.0)):
        for bought in half_widths(Assumed(0.3, *rates, 1000)):
            assert bought.powered == pytest.approx(bought.alone)


def test_a_perfect_judge_makes_every_answer_a_label() -> None:
    few, *_ = half_widths(Assumed(0.3, 1.0, 1.0, 1000))
    (every,) = half_widths(Assumed(0.3, 1.0, 1.0, 1000), (1000,))
    assert few.powered == pytest.approx(every.alone)
    assert half_widths(Assumed(0.3, 0.9, 0.9, 60))[-1].labels == 60


@pytest.mark.parametrize("wrong", [(1.2, 0.9, 0.9, 9), (0.2, -0.1, 0.9, 9), (0.2, 0.9, 0.9, 0)])
def test_what_is_no_share_is_refused(wrong: tuple[float, float, float, int]) -> None:
    with pytest.raises(ValueError, match=r"share from 0 to 1|at least one answer"):
        Assumed(*wrong)
