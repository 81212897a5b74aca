"""An endpoint's model is asked as our own runner asks its family, and may think first."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest
from faulty_server import FaultyServer, Play

from lam3db.config import ModelConfig, RuntimeConfig, load_model_config
from lam3db.config_shapes import EndpointOptions, ReasoningTags
from lam3db.errors import ConfigError
from lam3db.models.endpoint import KIND
from lam3db.models.families import CAREFUL
from lam3db.records import Answer, Failed, FinishReason, Message, Request, TextPart

if TYPE_CHECKING:
    from pathlib import Path

CONNECT = socket.socket.connect
GREEDY = RuntimeConfig(do_sample=False, max_new_tokens=32)
SAYS: dict[str, Any] = {"role": "assistant", "content": "hi"}


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", CONNECT)


def config(url: str = "http://127.0.0.1:1/v1", **changed: Any) -> ModelConfig:
    given = {"name": "far", "kind": "endpoint", "family": "endpoint", "source": "some/model"}
    return ModelConfig(**given | {"endpoint": EndpointOptions(url=url, attempts=1)} | changed)


def value(**changed: Any) -> dict[str, Any]:
    return dict(KIND.describe(config(**changed), GREEDY, lambda *_: None).config.value)


def answered(
    message: dict[str, Any], end: str = "stop", times: int = 1, **changed: Any
) -> tuple[Answer | Failed, dict[str, Any]]:
    """Return what became of one reply, and the request that it replied to."""
    choice = {"index": 0, "message": SAYS | message, "finish_reason": end}
    reply = {"model": "some/model", "choices": [choice], "usage": None}
    request = Request(0, (Message("user", (TextPart("hello"),)),), b"")
    with FaultyServer(lambda _: Play(body=reply)) as server:
        plan = KIND.describe(config(server.url, **changed), GREEDY, lambda *_: None)
        model = KIND.load(plan, lambda _: None)  # type: ignore[arg-type, return-value]
        for _ in range(times):
            ((_, outcome),) = [pair for batch in model.answer([request]) for pair in batch]
        model.close()
    return outcome, dict(server.asked[0].body)


def test_a_model_that_is_served_is_asked_as_its_family_is() -> None:
    outcome, body = answered({"content": " ASSISTANT: a cat\nUSER: and"}, serves="llava")
    assert isinstance(outcome, Answer)
    assert outcome.text == "a cat"
    assert body["messages"][0] == {"role": "system", "content": CAREFUL}
    assert body["add_special_tokens"] is True
    assert "stop" not in body
    described = value(serves="llava")
    assert (described["serves"], described["clean_up"]) == ("llava", "llava/1")
    assert described["system_prompt"] == CAREFUL
    assert "system_prompt" not in value(serves="llava", system_prompt="")
    _, body = answered({}, serves="idefics2")
    assert body["stop"] == ["<end_of_utterance>"]


@pytest.mark.parametrize("serves", [None, "generic", "causal"])
def test_a_model_of_no_family_is_asked_as_before(serves: str | None) -> None:
    assert value(serves=serves) == value()
    _, body = answered({}, serves=serves)
    assert set(body) == {"model", "messages", "max_tokens", "temperature"}


def test_serves_names_a_family_and_needs_an_endpoint(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'llava'"):
        value(serves="lava")
    (tmp_path / "m.yaml").write_text("name: m\nsource: ./here\nserves: llava\n")
    with pytest.raises(ConfigError, match="serves: has no effect without family: endpoint"):
        load_model_config(tmp_path / "m.yaml")


def test_a_block_is_kept_beside_the_answer_where_the_file_says_so() -> None:
    message = {"content": "<think>\nrefuse?\n</think>\n\nSure <think>x</think>"}
    outcome, _ = answered(message, reasoning="think")
    assert isinstance(outcome, Answer)
    assert (outcome.reasoning, outcome.text) == ("refuse?", "Sure <think>x</think>")
    assert outcome.raw_text == message["content"]
    assert value(reasoning="think") == value() | {
        "reasoning": {"start": "<think>", "end": "</think>"}
    }
    assert value(reasoning="none") == value()


def test_a_file_says_the_tags_and_that_the_prompt_opens_them(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(
        "name: m\nfamily: endpoint\nsource: a\nendpoint: {url: 'http://127.0.0.1:1/v1'}\n"
        "reasoning: {start: '<t>', end: '</t>', opened: true}\n"
    )
    tags = load_model_config(tmp_path / "m.yaml").reasoning
    outcome, _ = answered({"content": "hm</t>yes"}, reasoning=tags)
    assert isinstance(outcome, Answer)
    assert (outcome.reasoning, outcome.text) == ("hm", "yes")
    outcome, _ = answered({"content": "hm hm"}, reasoning=tags)
    assert isinstance(outcome, Failed)
    for wrong, told in (("thinks", "auto, none, think or"), ("{start: '<t>'}", "start and end")):
        (tmp_path / "w.yaml").write_text(
            f"name: m\nfamily: endpoint\nsource: a\nreasoning: {wrong}\n"
            "endpoint: {url: 'http://127.0.0.1:1/v1'}\n"
        )
        with pytest.raises(ConfigError, match=told):
            load_model_config(tmp_path / "w.yaml")


def test_tags_of_a_model_that_nobody_says_thinks_are_text_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outcome, _ = answered({"content": "<think>a</think>b"}, times=2)
    assert isinstance(outcome, Answer)
    assert (outcome.text, outcome.reasoning) == ("<think>a</think>b", None)
    told = [one.message for one in caplog.records if "begin with <think>" in one.message]
    assert len(told) == 1
    assert "reasoning: think" in told[0]
    caplog.clear()
    answered({"content": "<think>a</think>b"}, reasoning="none")
    assert not [one for one in caplog.records if "begin with" in one.message]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_what_a_server_takes_apart_is_kept_beside_the_answer(name: str) -> None:
    outcome, _ = answered({"content": "Sure", name: " hm\n"})
    assert isinstance(outcome, Answer)
    assert (outcome.text, outcome.raw_text, outcome.reasoning) == ("Sure", "Sure", "hm")
    outcome, _ = answered({"content": "Sure", name: None})
    assert isinstance(outcome, Answer)
    assert outcome.reasoning is None


@pytest.mark.parametrize(
    ("message", "end", "how"),
    [
        ({"content": "", "reasoning_content": "They want"}, "length", {}),
        ({"content": None, "reasoning": "They want"}, "stop", {}),
        ({"content": "<think>on and on"}, "length", {"reasoning": "think"}),
        ({"content": "<think>on</think>\n"}, "length", {"reasoning": "think"}),
        ({"content": "<think>on and on"}, "stop", {"reasoning": "think"}),
    ],
)
def test_thoughts_alone_are_no_answer(
    message: dict[str, Any], end: str, how: dict[str, Any]
) -> None:
    outcome, _ = answered(message, end, **how)
    assert isinstance(outcome, Failed)
    assert (outcome.error_class, outcome.retryable) == ("ReasoningOnlyError", False)
    assert ("ask for more" in outcome.message) == (end == "length")


def test_a_refusal_after_thoughts_is_what_the_model_said() -> None:
    outcome, _ = answered({"content": None, "refusal": "No.", "reasoning": "hm"})
    assert isinstance(outcome, Answer)
    assert (outcome.text, outcome.reasoning) == ("No.", "hm")
    assert outcome.finish_reason is FinishReason.STOP


def test_a_name_that_tells_the_family_is_remarked_on() -> None:
    def notes(**changed: Any) -> str:
        plan = KIND.describe(config(**changed), GREEDY, lambda *_: None)
        return "; ".join(plan.notes)

    assert "`serves: llava` asks it as" in notes(source="llava-hf/llava-1.5-7b-hf")
    assert "serves" not in notes(source="llava-hf/llava-1.5-7b-hf", serves="llava")
    assert "serves" not in notes(source="some/causal-generic")


@pytest.mark.parametrize("reasoning", ["auto", "think"])
def test_an_end_without_a_beginning_is_text_and_told(
    reasoning: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As DeepSeek-R1 behind a server that takes nothing apart: the prompt began the block."""
    outcome, _ = answered({"content": "hm</think>yes"}, reasoning=reasoning)
    assert isinstance(outcome, Answer)
    assert (outcome.text, outcome.reasoning) == ("hm</think>yes", None)
    assert "opened: true" in "".join(one.message for one in caplog.records)


def test_what_the_server_took_apart_is_not_looked_for_again() -> None:
    tags = ReasoningTags(start="<think>", end="</think>", opened=True)
    outcome, _ = answered({"content": "yes", "reasoning": "hm"}, reasoning=tags)
    assert isinstance(outcome, Answer)
    assert (outcome.text, outcome.reasoning) == ("yes", "hm")
