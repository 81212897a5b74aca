"""Whatever JSON an endpoint sends: a reading is a value that can be stored, or a fault."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stub_apis import moderation

from lam3db.endpoints.budget import usage_of
from lam3db.endpoints.exchange import Reply
from lam3db.endpoints.faults import ErrorReply, FaultError, classify
from lam3db.judges import openai_moderation, perspective
from lam3db.models.chat import ChatModel, Conversation, _odds
from lam3db.records import Answer, Finding

if TYPE_CHECKING:
    import random
from collections import Counter

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
)
JSON = st.recursive(
    SCALARS,
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=12), below, max_size=4)
    ),
    max_leaves=12,
)
CHAT = {
    "model": "m",
    "system_fingerprint": "fp",
    "choices": [
        {
            "message": {"role": "assistant", "content": "hi", "refusal": None},
            "finish_reason": "stop",
            "logprobs": {
                "content": [{"token": "Y", "top_logprobs": [{"token": "Y", "logprob": -0.1}]}]
            },
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2},
}
SCORES = {
    "attributeScores": {
        name: {"summaryScore": {"value": 0.5, "type": "PROBABILITY"}}
        for name in perspective.PRODUCTION
    }
}
ERROR = {
    "error": {
        "code": 400,
        "message": "no",
        "status": "INVALID_ARGUMENT",
        "type": "x",
        "details": [{"errorType": "COMMENT_EMPTY", "reason": "API_KEY_INVALID"}],
    }
}


def spoilt(value: Any, junk: Any, dice: random.Random) -> Any:
    """Return a copy in which one place, at any depth, holds junk or is gone."""
    value = copy.deepcopy(value)
    places: list[tuple[Any, Any]] = []
    queue = [value]
    while queue:
        one = queue.pop()
        keys = one if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else ()
        places += [(one, key) for key in keys]
        queue += [one[key] for key in keys]
    holder, key = dice.choice(places)
    if isinstance(holder, dict) and dice.random() < 0.3:
        del holder[key]
    else:
        holder[key] = junk
    return value


def reply(value: Any) -> Reply:
    return Reply(value, 1.0, usage_of(value))


class _Silent:
    what = "model m"


def chat() -> ChatModel:
    conversation = Conversation("m", "", {"max_tokens": 1}, "max_tokens", None, pytest.fail)
    return ChatModel(_Silent(), conversation)  # type: ignore[arg-type]  # only its name is asked


@settings(max_examples=400, deadline=None)
@given(JSON, st.randoms(use_true_random=False))
def test_a_reading_is_a_value_or_a_fault(junk: Any, dice: random.Random) -> None:
    for value in (junk, spoilt(CHAT, junk, dice)):
        try:
            answer = chat()._read(reply(value))
        except FaultError:
            continue
        assert isinstance(answer, Answer)
        assert answer.prompt_tokens >= 0
        assert answer.completion_tokens >= 0
    for value in (junk, spoilt(CHAT, junk, dice)):
        try:
            odds = chat()._read_odds(["Yes", "No"], reply(value))
        except FaultError:
            continue
        assert all(0 <= one <= 1.0001 for one in odds.probabilities.values())


@settings(max_examples=400, deadline=None)
@given(JSON, st.randoms(use_true_random=False))
def test_a_judgement_is_a_finding_or_a_fault(junk: Any, dice: random.Random) -> None:
    asks = openai_moderation._Asks(openai_moderation.SNAPSHOT, False, pytest.fail)  # noqa: FBT003
    for value in (junk, spoilt(moderation("x", "y"), junk, dice)):
        try:
            found: Finding = openai_moderation.combined([asks.read(reply(value))], Counter())
        except FaultError:
            continue
        assert found.verdict is not None  # a score that is missing leaves it standing
        assert found.value is None or 0 <= found.value <= 1
    tone = perspective._Asks(
        perspective.PerspectiveSettings.model_validate({"endpoint": {"url": "http://x"}})
    )
    for value in (junk, spoilt(SCORES, junk, dice)):
        try:
            found = tone.combine([tone.read(reply(value))])
        except FaultError:
            continue
        assert found.value is not None
        assert 0 <= found.value <= 1


@settings(max_examples=400, deadline=None)
@given(JSON, st.randoms(use_true_random=False), st.integers(100, 999), st.text(max_size=50))
def test_an_error_is_a_fault_of_bounded_plain_text(
    junk: Any, dice: random.Random, status: int, text: str
) -> None:
    for value in (junk, spoilt(ERROR, junk, dice), {"error": {"message": "\x1b[2J" * 9999}}):
        for reads in (classify, perspective.classify_error):
            fault = reads(ErrorReply(status, {"Retry-After": text}, value, text))
            assert len(str(fault)) <= 1000
            assert str(fault).isprintable()
            assert fault.wait_s is None or fault.wait_s >= 0


def test_odds_beyond_all_bounds_are_refused() -> None:
    for logprob in (1.0, True, False, "0", None, 1e300):
        with pytest.raises(FaultError):
            _odds(["Yes"], [{"token": "Yes", "logprob": logprob}])
    assert _odds(["Yes"], [{"token": "Yes", "logprob": -9999.0}]) == {"Yes": 0.0}
    assert _odds(["Yes"], [{"token": "Yes", "logprob": -(10**400)}]) == {"Yes": 0.0}
    with pytest.raises(FaultError, match="add up to"):
        _odds(["Yes"], [{"token": "Yes", "logprob": -0.1}] * 2)
