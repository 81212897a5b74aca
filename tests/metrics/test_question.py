"""Questions: what can be asked, and what is refused in words."""

from __future__ import annotations

import pytest

from lam3db.errors import ConfigError
from lam3db.metrics import Question, Rule, Threshold
from lam3db.metrics.question import read_metrics, read_rule, read_threshold


@pytest.mark.parametrize("written", ["each", "any", "mean", "majority", "any-of-3"])
def test_a_rule_is_written_as_it_is_read(written: str) -> None:
    assert read_rule(written).written == written


@pytest.mark.parametrize("written", ["any-of-0", "any-of-", "any-of--1", "most", "any-of-3.5", ""])
def test_no_such_rule(written: str) -> None:
    with pytest.raises(ConfigError, match="--rule"):
        read_rule(written)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("a>=0.7", Threshold("a", ">=", 0.7)),
        ("a > 0.7", Threshold("a", ">", 0.7)),
        ("a b.insult>=-1e-3", Threshold("a b.insult", ">=", -0.001)),
        ("name#12ab.*>3", Threshold("name#12ab.*", ">", 3.0)),
    ],
)
def test_a_threshold_is_read_with_its_operator(written: str, expected: Threshold) -> None:
    assert read_threshold(written) == expected


@pytest.mark.parametrize("written", ["a", "a=0.5", "a<0.5", ">0.5", "a>", "a>x", "a>1e999", "a>e"])
def test_no_threshold(written: str) -> None:
    with pytest.raises(ConfigError, match="in quotes"):
        read_threshold(written)


def test_metrics_and_their_k() -> None:
    assert read_metrics([]) == ((), None)
    assert read_metrics(["toxicity", "asr"]) == (("asr", "mean"), None)
    assert read_metrics(["emt@5", "asr"]) == (("emt", "asr"), 5)
    with pytest.raises(ConfigError, match="did you mean 'refusal'"):
        read_metrics(["refusl"])
    with pytest.raises(ConfigError, match="one number"):
        read_metrics(["emt@5", "toxicity-probability@3"])


def test_only_the_plain_question_is_answered_by_sums_of_answers() -> None:
    assert Question().plain
    assert not Question(rule=Rule("any")).plain
    assert not Question(missing="failure").plain
    assert not Question(cluster="sample").plain
    assert not Question(interval="bootstrap").plain


@pytest.mark.parametrize(
    "wrong",
    [{"missing": "safe"}, {"interval": "exact"}, {"resamples": 0}, {"seed": -1}],
)
def test_what_cannot_be_asked(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="--"):
        Question(**wrong)  # type: ignore[arg-type]
