"""What a classifier judge's settings may say, by themselves and of the model they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from small_classifier import MULTI, SINGLE, Small, build_classifier, refused
from small_detoxify import outcomes

from lam3db.errors import ConfigError
from lam3db.records import Finding, Verdict

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"value": "rudes"}, "value: the model has no label 'rudes' - did you mean 'rude'?"),
        ({"value": "toxic!"}, "no label 'toxic!' (known: neutral, odd, rude)"),
        ({"value": []}, "is not a list of the model's labels, one or more"),
        ({"value": 3}, "3 is not a list of the model's labels"),
        ({"value": ["rude", "rude"]}, "value: a label is listed twice"),
        ({"verdict": {"neutral": "safe", "rude": "unsafe"}}, "verdict: odd has none"),
        (
            {"verdict": {"neutral": "safe", "rude": "unsafe", "odd": "safe", "Rude": "safe"}},
            "verdict: the model has no label 'Rude' - did you mean 'rude'?",
        ),
        ({"verdict": {"neutral": "bad"}}, "'bad' is not safe, unsafe, refused or not_refused"),
        (
            {"verdict": {"neutral": "safe", "rude": "safe", "odd": "refused"}},
            "no label gives unsafe or not_refused: nothing could ever count",
        ),
        (
            {
                "value": "odd",
                "verdict": {"neutral": "not_refused", "rude": "refused", "odd": "refused"},
            },
            "value: odd speaks against not_refused, which is what the judge's share counts",
        ),
        (
            {"over_windows": "min", "verdict_rule": {"labels": ["rude"], "threshold": 0.5}},
            "met: unsafe with over_windows: min would rest value and verdict on different windows",
        ),
        (
            {
                "value": "neutral",
                "verdict_rule": {
                    "labels": ["odd"],
                    "threshold": 0.5,
                    "met": "refused",
                    "unmet": "not_refused",
                },
            },
            "met: refused with over_windows: max would rest value and verdict on different windows",
        ),
        (
            {
                "value": "odd",
                "verdict_rule": {
                    "labels": ["odd"],
                    "threshold": 0.5,
                    "met": "refused",
                    "unmet": "not_refused",
                },
            },
            "value: odd speaks against not_refused",
        ),
        (
            {
                "verdict": {"neutral": "safe", "rude": "unsafe", "odd": "safe"},
                "activation": "sigmoid",
            },
            "chooses no single label; write verdict_rule",
        ),
        (
            {
                "verdict": {"neutral": "safe", "rude": "unsafe", "odd": "safe"},
                "verdict_rule": {"labels": "rude", "threshold": 0.5},
            },
            "contradict each other: keep one",
        ),
        ({"verdict_rule": {"labels": "rudes", "threshold": 0.5}}, "did you mean 'rude'?"),
        ({"verdict_rule": {"labels": "rude", "threshold": 0}}, "0 is not a number above 0"),
        ({"verdict_rule": {"labels": "rude"}}, "verdict_rule.threshold is missing"),
        (
            {"verdict_rule": {"labels": "rude", "threshold": 0.5, "unmet": "unsafe"}},
            "met and unmet are both unsafe",
        ),
        ({"activation": "sigmoid", "combine": "sum"}, "combine: sum contradicts activation"),
        ({"label_names": ["a", "b", "c"]}, "the model names its labels itself: neutral, rude"),
        ({"label_names": ["a"]}, "1 names for the model's 3 labels"),
        ({"precision": "bf16", "quantization": "int8"}, "precision: bf16 has no effect"),
        ({"quantization": "int8", "token_budget": 64}, "token_budget has no effect"),
        ({"precision": "fp16"}, "'fp16' is not fp32 or bf16"),
        ({"window": 16, "overlap": 9}, "overlap: 9 is above half of window: 16"),
        ({"activation": "none"}, "'none' is not auto, softmax or sigmoid"),
        ({"sees": ["image"]}, "'image' is not [response] or [prompt, response]"),
        ({"sees": ["prompt"]}, "sees: ['prompt'] is not [response] or [prompt, response]"),
        ({"over_window": "max"}, "did you mean 'over_windows'?"),
    ],
)
def test_wrong_settings_are_told(classifier: Small, settings: dict[str, Any], told: str) -> None:
    assert told in refused(ConfigError, classifier.folder, **settings)


def test_numbered_labels_are_named_by_the_settings(mine: Small) -> None:
    mine.change(id2label=None, label2id=None, num_labels=3)
    assert "known: LABEL_0, LABEL_1, LABEL_2" in refused(ConfigError, mine.folder)
    names = {"label_names": ["calm", "rude", "odd"], "value": "rude"}
    named = mine.describe(**names)
    assert named.spec["labels"] == ["calm", "rude", "odd"]
    assert named.digest != mine.describe(value="LABEL_1").digest
    found = outcomes(mine.judge(**names), ["red ball"])["red ball"]
    assert isinstance(found, Finding)
    assert set(found.attributes) == {"calm", "rude", "odd"}
    swapped = mine.describe(label_names=["rude", "calm", "odd"], value="rude")
    assert swapped.digest != named.digest


@pytest.mark.parametrize("labels", [("a", "a_mean"), ("windows", "b"), ("a", "a")])
def test_labels_that_would_hide_one_another_are_refused(
    tmp_path: Path, labels: tuple[str, ...]
) -> None:
    build_classifier(tmp_path, "Bert", labels)
    assert "each needs a name of its own" in refused(ConfigError, tmp_path, value=labels[0])


@pytest.mark.parametrize(
    ("labels", "problem_type", "activation"),
    [
        (SINGLE, None, "softmax"),
        (SINGLE, "single_label_classification", "softmax"),
        (MULTI, "multi_label_classification", "sigmoid"),
        (("hate",), None, "sigmoid"),
    ],
)
def test_the_effective_activation_is_in_the_identity(
    tmp_path: Path, labels: tuple[str, ...], problem_type: str | None, activation: str
) -> None:
    small = build_classifier(tmp_path, "Bert", labels, problem_type)
    identity = small.describe()
    assert identity.spec["activation"] == activation
    assert small.describe(activation=activation).digest == identity.digest


def test_a_regression_is_no_probability_unless_it_is_said_to_be(mine: Small) -> None:
    mine.change(problem_type="regression")
    assert "its numbers are no probabilities" in refused(ConfigError, mine.folder)
    assert mine.describe(activation="sigmoid").spec["activation"] == "sigmoid"
    mine.change(problem_type="multi_label_classification")
    message = refused(ConfigError, mine.folder, value=["rude", "odd"], combine="sum")
    assert "combine: sum contradicts the model's sigmoid" in message


def test_softmax_of_one_label_is_refused(tmp_path: Path) -> None:
    build_classifier(tmp_path, "Bert", ("hate",), None)
    message = refused(ConfigError, tmp_path, value="hate", activation="softmax")
    assert "softmax of a single label is always 1" in message


def test_harm_counts_before_the_lack_of_a_refusal(classifier: Small) -> None:
    verdict = {"neutral": "not_refused", "rude": "unsafe", "odd": "refused"}
    identity = classifier.describe(value="rude", verdict=verdict)
    assert identity.unsafe_verdicts == (Verdict.UNSAFE,)
    assert identity.heading == "ASR"
    assert classifier.describe(value="rude", verdict=verdict, heading="harm").heading == "harm"
