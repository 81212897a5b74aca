"""Agreement beyond chance: against other implementations, published examples, by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import aggregate_raters
from statsmodels.stats.inter_rater import fleiss_kappa as other_fleiss

from lam3db.stats.agreement import Coefficient, cohen_kappa, fleiss_kappa, krippendorff_alpha


def coded(*coders: str) -> list[tuple[int, list[str]]]:
    """Return units from one line per coder, a character per unit; * is a missing opinion."""
    units = zip(*(line.split() for line in coders), strict=True)
    return [(at, [word for word in unit if word != "*"]) for at, unit in enumerate(units)]


def bounds(found: Coefficient) -> tuple[float, float]:
    assert found.interval.low is not None
    assert found.interval.high is not None
    return found.interval.low, found.interval.high


def test_alpha_of_krippendorffs_four_observers() -> None:
    """Krippendorff (2011), section C: 12 units, 4 observers, missing data: 0.743."""
    found = krippendorff_alpha(
        coded(
            "1 2 3 3 2 1 4 1 2 * * *",
            "1 2 3 3 2 2 4 1 2 5 * 3",
            "* 3 3 3 2 3 4 2 2 5 1 *",
            "1 2 3 3 2 4 4 1 2 5 1 *",
        )
    )
    assert found.value == pytest.approx(0.743, abs=5e-4)
    assert (found.n, found.left_out) == (11, 1)


def test_alpha_of_three_coders_with_most_data_missing() -> None:
    """The computational example that Wikipedia gives: 3 coders, 15 units: 0.691."""
    found = krippendorff_alpha(
        coded(
            "* * * * * 3 4 1 2 1 1 3 3 * 3",
            "1 * 2 1 3 3 4 3 * * * * * * *",
            "* * 2 1 3 4 4 * 2 1 1 3 3 * 4",
        )
    )
    assert found.value == pytest.approx(0.691, abs=5e-4)


def test_alpha_of_two_observers_of_yes_and_no() -> None:
    """Krippendorff (2011), section A: 10 units, 2 observers, binary: 0.095."""
    found = krippendorff_alpha(coded("0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0"))
    assert found.value == pytest.approx(0.095, abs=5e-4)


def test_fleiss_own_example() -> None:
    """Fleiss (1971) as statsmodels has it, and counts by hand."""
    random = np.random.default_rng(5)
    said = random.integers(0, 5, size=(30, 6))
    found = fleiss_kappa([(at, row.tolist()) for at, row in enumerate(said)])
    assert found.value == pytest.approx(other_fleiss(aggregate_raters(said)[0]))
    more = [(at, row.tolist()) for at, row in enumerate(said)] + [(90, [1, 1]), (91, [2])]
    again = fleiss_kappa(more)
    assert (again.value, again.left_out, again.n) == (found.value, 2, 30)


@pytest.mark.parametrize("k", [2, 3])
def test_cohen_agrees_with_scikit_learn(k: int) -> None:
    random = np.random.default_rng(k)
    one = random.integers(0, k, size=200)
    other = np.where(random.random(200) < 0.6, one, random.integers(0, k, size=200))
    found = cohen_kappa(zip(range(200), one.tolist(), other.tolist(), strict=True))
    assert found.value == pytest.approx(cohen_kappa_score(one, other))
    low, high = bounds(found)
    assert low < found.value < high


def test_weights_count_as_so_many_items() -> None:
    random = np.random.default_rng(8)
    items = [(at, *random.integers(0, 2, size=2).tolist()) for at in range(60)]
    weights = random.integers(1, 4, size=60).tolist()
    one, other = zip(*((a, b) for _, a, b in items), strict=True)
    found = cohen_kappa(items, weights)
    assert found.value == pytest.approx(cohen_kappa_score(one, other, sample_weight=weights))
    assert found.n == 60


def test_no_disagreement_seen_is_not_certainty() -> None:
    items = [(at, at % 2, at % 2) for at in range(20)]
    found = cohen_kappa(items)
    assert found.value == 1
    low, high = bounds(found)
    assert high == 1
    assert low < 0.75  # Wilson for 20 of 20 is 0.84: 1 - 0.16 / 0.5
    for other in (krippendorff_alpha, fleiss_kappa):
        low, high = bounds(other([(at, [a, b]) for at, a, b in items]))
        assert high == 1
        assert low < 0.75


def test_where_chance_explains_everything_nothing_is_said() -> None:
    for found in (
        cohen_kappa([(at, "safe", "safe") for at in range(9)]),
        krippendorff_alpha([(at, ["safe", "safe"]) for at in range(9)]),
        fleiss_kappa([(at, ["safe", "safe"]) for at in range(9)]),
    ):
        assert found.value is None
        assert found.interval.low is None
        assert found.interval.method.startswith("none: all said the same")
    assert krippendorff_alpha([(0, ["safe"]), (1, [])]).n == 0
    assert cohen_kappa([]).value is None


def test_one_behavior_tells_nothing_of_others() -> None:
    found = cohen_kappa([(7, at % 2, at % 3 == 0) for at in range(30)])
    assert found.value is not None
    assert found.interval.method == "none: one behavior"


def test_order_says_nothing() -> None:
    random = np.random.default_rng(2)
    units = [(int(at // 3), random.integers(0, 2, size=3).tolist()) for at in range(60)]
    for measure in (krippendorff_alpha, fleiss_kappa):
        assert measure(units) == measure(units[::-1])


def test_coverage_of_kappa_over_clusters() -> None:
    """Whole behaviors are easy or hard: 92 % and more of nominal 95 % hold the truth."""
    random = np.random.default_rng(11)
    # each behavior: share unsafe 0.2 or 0.8, share of flips 0.05 or 0.35, five answers each
    held = plain = 0
    rounds = 300
    both = 0.5 * (0.95 + 0.65)
    truth = 1 - (1 - both) / 0.5
    for _ in range(rounds):
        rates = random.choice([0.2, 0.8], size=25)
        flips = random.choice([0.05, 0.35], size=25)
        one = random.random((25, 5)) < rates[:, None]
        other = one ^ (random.random((25, 5)) < flips[:, None])
        items = [(c, bool(one[c, i]), bool(other[c, i])) for c in range(25) for i in range(5)]
        low, high = bounds(cohen_kappa(items))
        held += low <= truth <= high
        single = [(at, a, b) for at, (_, a, b) in enumerate(items)]
        low, high = bounds(cohen_kappa(single))
        plain += low <= truth <= high
    assert held / rounds >= 0.92
    assert plain < held


def test_coverage_of_alpha_and_fleiss() -> None:
    """Four coders who each flip one label in eight, easy and hard behaviors alike."""
    random = np.random.default_rng(12)
    together = (1 - 0.125) ** 2 + 0.125**2
    truth = 1 - (1 - together) / 0.5
    for measure in (krippendorff_alpha, fleiss_kappa):
        held = 0
        for _ in range(200):
            real = random.random((25, 3)) < random.choice([0.2, 0.8], size=(25, 1))
            said = real[..., None] ^ (random.random((25, 3, 4)) < 0.125)
            units = [(c, said[c, i].tolist()) for c in range(25) for i in range(3)]
            low, high = bounds(measure(units))
            held += low <= truth <= high
        assert held / 200 >= 0.92
