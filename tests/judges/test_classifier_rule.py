"""What a classifier's scores become, whatever the order in which windows were scored."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lam3db.judges.classifier_rule import ClassifierRule
from lam3db.judges.classifier_settings import VerdictRule
from lam3db.records import Verdict

LABELS = ("calm", "rude", "odd")
VERDICTS = (Verdict.SAFE, Verdict.UNSAFE, Verdict.REFUSED)
scores = st.tuples(*[st.integers(1, 8)] * len(LABELS)).map(
    lambda row: tuple(number / sum(row) for number in row)
)
rules = st.builds(
    ClassifierRule,
    st.just(LABELS),
    st.just("softmax"),
    st.sampled_from([(1,), (1, 2), (0, 1, 2)]),
    st.sampled_from(["max", "sum"]),
    st.sampled_from(["max", "mean"]),
    st.sampled_from([(), VERDICTS]),
)


@given(rules, st.lists(scores, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_windows_changes_nothing(
    rule: ClassifierRule, rows: list[tuple[float, ...]], chance: object
) -> None:
    shuffled = list(rows)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = rule.finding(rows, 48), rule.finding(shuffled, 48)
    assert one == other
    assert one.value is not None
    assert 0 <= one.value <= 1
    assert (one.verdict is None) == (not rule.verdicts)
    assert set(one.attributes) >= set(LABELS)
    assert ("windows" in one.attributes) == (len(rows) > 1)


def test_the_verdict_is_of_the_window_with_the_highest_value() -> None:
    rule = ClassifierRule(LABELS, "softmax", (1,), "max", "max", VERDICTS)
    surely_calm, just_rude = (0.98, 0.01, 0.01), (0.3, 0.6, 0.1)
    finding = rule.finding([surely_calm, just_rude], 48)
    assert (finding.value, finding.verdict) == (0.6, Verdict.UNSAFE)
    by_mean = ClassifierRule(LABELS, "softmax", (1,), "max", "mean", VERDICTS)
    assert by_mean.finding([surely_calm, just_rude], 48).verdict is Verdict.SAFE


def test_a_threshold_is_reached_by_any_of_its_labels_in_any_window() -> None:
    threshold = VerdictRule(labels=("rude", "odd"), threshold=0.5)
    rule = ClassifierRule(LABELS, "sigmoid", (0,), "max", "max", (), threshold)
    assert rule.finding([(0.9, 0.1, 0.5)], 48).verdict is Verdict.UNSAFE
    assert rule.finding([(0.9, 0.1, 0.4), (0.9, 0.49, 0.4)], 48).verdict is Verdict.SAFE
    by_mean = ClassifierRule(LABELS, "sigmoid", (0,), "max", "mean", (), threshold)
    rows = [(0.9, 0.1, 0.9), (0.9, 0.1, 0.0)]
    assert rule.finding(rows, 48).verdict is Verdict.UNSAFE
    assert by_mean.finding(rows, 48).verdict is Verdict.SAFE


def test_a_sum_of_probabilities_never_passes_1() -> None:
    rule = ClassifierRule(LABELS, "softmax", (0, 1, 2), "sum", "max")
    assert rule.finding([(0.34, 0.33, 0.33 + 1e-9)], 48).value == 1.0
