"""Shares put right: by hand, against the papers' form, by simulated coverage, and refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as other

from lam3db.stats.correction import (
    Corrected,
    Labelled,
    errors_of,
    prediction_powered,
    rogan_gladen,
)
from lam3db.stats.drawn import Drawn, share_of
from lam3db.stats.intervals import ShareTally


def drawn(
    random: np.random.Generator, labels: int, share: float = 0.4, right: float = 0.9
) -> tuple[dict[int, ShareTally], list[Labelled]]:
    """Return judgements on 50 behaviors of 10 answers, and some labels; both cluster."""
    truth = random.random((50, 10)) < random.beta(3 * share, 3 * (1 - share), size=50)[:, None]
    errs = random.random((50, 10)) > random.beta(9 * right, 9 * (1 - right), size=50)[:, None]
    said = truth ^ errs
    chosen = random.choice(500, size=labels, replace=False)
    known = [Labelled(int(i) // 10, bool(said.flat[i]), bool(truth.flat[i])) for i in chosen]
    return {c: ShareTally(10, int(said[c].sum())) for c in range(50)}, known


def test_error_rates_are_those_of_scikit_learn() -> None:
    _, known = drawn(np.random.default_rng(1), 200)
    truth, said = [one.truth for one in known], [one.judged for one in known]
    found = errors_of(known)
    assert found.accuracy.value == pytest.approx(other.accuracy_score(truth, said))
    assert found.sensitivity.value == pytest.approx(other.recall_score(truth, said))
    assert found.specificity.value == pytest.approx(other.recall_score(truth, said, pos_label=0))
    assert found.precision.value == pytest.approx(other.precision_score(truth, said))
    value, interval = found.f1
    assert value == pytest.approx(other.f1_score(truth, said))
    assert interval.low is not None
    assert interval.high is not None
    assert interval.low < value < interval.high


def test_the_number_is_that_of_the_paper() -> None:
    """Angelopoulos et al.: mean of f over the unlabelled, plus the mean error over the labelled."""
    judged, known = drawn(np.random.default_rng(2), 100)
    hits, said = sum(t.hits for t in judged.values()), [one.judged for one in known]
    theirs = (hits - sum(said)) / 400
    for power in (0.5, 1.0):
        errors = [one.truth - power * one.judged for one in known]
        found = prediction_powered(judged, known, power=power * 500 / 400)
        assert found.value == pytest.approx(power * theirs + np.mean(errors))


def test_no_power_is_the_labels_alone() -> None:
    judged, known = drawn(np.random.default_rng(3), 100)
    found = prediction_powered(judged, known, power=0.0)
    assert found.value == pytest.approx(np.mean([one.truth for one in known]))


def test_a_judge_that_only_guesses_gets_no_trust() -> None:
    random = np.random.default_rng(4)
    judged, known = drawn(random, 200)
    blind = [Labelled(one.cluster, bool(random.random() < 0.5), one.truth) for one in known]
    found = prediction_powered(judged, blind)
    assert found.power is not None
    assert found.power < 0.2


def test_no_error_seen_is_not_certainty() -> None:
    judged = {c: ShareTally(10, 5) for c in range(40)}
    known = [Labelled(c, judged=c % 2 == 0, truth=c % 2 == 0) for c in range(40)]
    found = prediction_powered(judged, known)
    assert found.interval.low is not None
    assert found.interval.high is not None
    assert found.interval.high - found.interval.low > 2 / 40


@pytest.mark.parametrize(("labels", "share"), [(40, 0.4), (80, 0.4), (80, 0.1), (200, 0.5)])
def test_coverage(labels: int, share: float) -> None:
    random = np.random.default_rng([labels, int(10 * share)])
    held, widths, plain, biased = 0, [], [], 0
    for _ in range(300):
        judged, known = drawn(random, labels, share)
        found = prediction_powered(judged, known).interval
        human = errors_of(known).human.interval
        assert found.low is not None
        assert found.high is not None
        assert human.low is not None
        assert human.high is not None
        held += found.low <= share <= found.high
        widths.append(found.high - found.low)
        plain.append(human.high - human.low)
        apparent = share_of(
            Drawn(c, 1.0, hit=i < t.hits) for c, t in judged.items() for i in range(t.n)
        ).interval
        assert apparent.low is not None
        assert apparent.high is not None
        biased += apparent.low <= share <= apparent.high
    assert held / 300 >= 0.91
    assert np.mean(widths) < np.mean(plain)
    if share == 0.1:
        assert biased / 300 < 0.6  # what the judge alone says is wrong, and sure of it


def test_coverage_where_the_disputed_are_drawn_more_often() -> None:
    """Answers where the judge errs are drawn three times as often: without weights it fails."""
    random = np.random.default_rng(9)
    held = plain = 0
    for _ in range(300):
        truth = random.random((60, 8)) < 0.35
        doubtful = random.random((60, 8)) < 0.25
        said = truth ^ (doubtful & (random.random((60, 8)) < 0.6) & ~truth)
        chance = np.where(doubtful, 0.6, 0.2)
        chosen = np.flatnonzero(random.random((60, 8)) < chance)
        judged = {c: ShareTally(8, int(said[c].sum())) for c in range(60)}
        for weighted in (True, False):
            known = [
                Labelled(
                    int(i) // 8,
                    bool(said.flat[i]),
                    bool(truth.flat[i]),
                    1 / float(chance.flat[i]) if weighted else 1.0,
                )
                for i in chosen
            ]
            found = prediction_powered(judged, known, power=1.0).interval
            assert found.low is not None
            assert found.high is not None
            inside = found.low <= 0.35 <= found.high
            held, plain = held + (inside and weighted), plain + (inside and not weighted)
    assert held / 300 >= 0.92
    assert plain / 300 < held / 300


def corrected(apparent: float, se: float, sp: float, n: int = 400) -> Corrected:
    """Return Rogan and Gladen of single answers with these rates."""
    half = n // 2
    known = [Labelled(i, judged=i < se * half, truth=True) for i in range(half)]
    known += [Labelled(half + i, judged=i >= sp * half, truth=False) for i in range(half)]
    share = share_of(Drawn(i, 1.0, hit=i < apparent * 1000) for i in range(1000))
    return rogan_gladen(share, errors_of(known))


def test_rogan_gladen_by_hand() -> None:
    """Rogan and Gladen's formula, and Lang and Reiczigel's interval written out again."""
    found = corrected(0.3, 0.9, 0.8)
    assert found.value == pytest.approx((0.3 + 0.8 - 1) / (0.9 + 0.8 - 1))
    z = stats.norm.ppf(0.975)
    p = (300 + z * z / 2) / (1000 + z * z)
    se, sp = 181 / 202, 161 / 202
    middle = (p + sp - 1) / (se + sp - 1)
    shift = 2 * z * z * (middle * se * (1 - se) / 202 - (1 - middle) * sp * (1 - sp) / 202)
    spread = (
        p * (1 - p) / (1000 + z * z)
        + middle**2 * se * (1 - se) / 202
        + (1 - middle) ** 2 * sp * (1 - sp) / 202
    )
    half = z * math.sqrt(spread) / (se + sp - 1)
    assert (found.interval.low, found.interval.high) == pytest.approx(
        (middle + shift - half, middle + shift + half)
    )


def test_rogan_gladen_out_of_range_is_clipped_and_says_so() -> None:
    found = corrected(0.05, 0.9, 0.8)
    assert (found.value, found.clipped) == (0.0, True)
    assert found.interval.low == 0


@pytest.mark.parametrize(
    ("se", "sp", "n", "said"),
    [
        (0.4, 0.5, 400, "sensitivity + specificity is 0.90, not above 1"),
        (0.5, 0.5, 400, "not above 1"),
        (0.55, 0.5, 400, "not clearly above 1"),
        (1.0, 1.0, 8, "4 labels say unsafe and 4 safe; at least 5 of each"),
    ],
)
def test_rogan_gladen_is_refused_where_it_means_nothing(
    se: float, sp: float, n: int, said: str
) -> None:
    found = corrected(0.3, se, sp, n)
    assert found.value is None
    assert found.reason is not None
    assert said in found.reason
    assert found.interval.low is None


def test_too_few_labels_are_refused() -> None:
    judged, known = drawn(np.random.default_rng(5), 29)
    assert prediction_powered(judged, known).reason == (
        f"29 labels of {len({one.cluster for one in known})} behaviors; "
        "at least 30 labels of 5 behaviors are needed"
    )
    one = [Labelled(0, judged=True, truth=bool(i % 2)) for i in range(40)]
    assert prediction_powered(judged, one).value is None


def test_coverage_of_rogan_gladen() -> None:
    random = np.random.default_rng(6)
    held = seen = 0
    for _ in range(300):
        judged, known = drawn(random, 100)
        share = share_of(
            Drawn(c, 1.0, hit=i < t.hits) for c, t in judged.items() for i in range(t.n)
        )
        found = rogan_gladen(share, errors_of(known)).interval
        if found.low is not None and found.high is not None:
            seen += 1
            held += found.low <= 0.4 <= found.high
    assert seen > 250
    assert held / seen >= 0.92
