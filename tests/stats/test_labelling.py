"""How many labels buy which interval: by simulation, and where the judge tells nothing."""

from __future__ import annotations

import numpy as np
import pytest

from lam3db.stats.correction import Labelled, prediction_powered
from lam3db.stats.intervals import ShareTally
from lam3db.stats.labelling import Assumed, half_widths


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


def test_a_judge_that_tells_nothing_buys_nothing() -> None:
    for rates in ((0.5, 0.5), (0.2, 0.3), (1.0, 0.0)):
        for bought in half_widths(Assumed(0.3, *rates, 1000)):
            assert bought.powered == pytest.approx(bought.alone)
            assert bought.worth == pytest.approx(bought.labels)


def test_a_perfect_judge_makes_every_answer_a_label() -> None:
    few, *_ = half_widths(Assumed(0.3, 1.0, 1.0, 1000))
    assert few.worth == pytest.approx(1000)
    assert half_widths(Assumed(0.3, 0.9, 0.9, 60))[-1].labels == 60
    wider = half_widths(Assumed(0.3, 0.9, 0.9, 1000, design=4.0))[0]
    assert wider.alone == pytest.approx(2 * half_widths(Assumed(0.3, 0.9, 0.9, 1000))[0].alone)


@pytest.mark.parametrize("wrong", [(1.2, 0.9, 0.9, 9), (0.2, -0.1, 0.9, 9), (0.2, 0.9, 0.9, 0)])
def test_what_is_no_share_is_refused(wrong: tuple[float, float, float, int]) -> None:
    with pytest.raises(ValueError, match=r"share from 0 to 1|at least one answer"):
        Assumed(*wrong)
