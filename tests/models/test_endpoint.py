"""A model behind an endpoint: what is sent, what comes back, and what is no answer."""

from __future__ import annotations

import base64
import io
import logging
import math
import socket
from typing import TYPE_CHECKING, Any

import pytest
from faulty_server import Asked, FaultyServer, Play
from PIL import Image

from lam3db.config import ModelConfig, RuntimeConfig, load_model_config
from lam3db.config_shapes import EndpointOptions
from lam3db.endpoints import retry
from lam3db.errors import ConfigError, EndpointError, MediaError
from lam3db.models.endpoint import KIND
from lam3db.records import (
    Answer,
    Failed,
    FinishReason,
    IdentityKind,
    ImagePart,
    Message,
    Odds,
    Request,
    TextPart,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RED = "a" * 64
CONNECT = socket.socket.connect


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """These models are behind a network: the machine's own, which the others do without."""

    def guarded(self: socket.socket, address: Any) -> None:
        assert address[0] == "127.0.0.1"
        CONNECT(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setattr(retry, "BASE_S", 0.001)


def config(url: str = "http://127.0.0.1:1/v1", **changed: Any) -> ModelConfig:
    given = {
        "name": "far",
        "kind": "endpoint",
        "family": "endpoint",
        "source": "some/model",
        "endpoint": EndpointOptions(url=url, attempts=2),
    }
    return ModelConfig(**given | changed)


def plan(one: ModelConfig, **runtime: Any) -> Any:
    return KIND.describe(one, RuntimeConfig(**runtime), lambda *_: None)


def open_image(sha256: str) -> Image.Image:
    if sha256 != RED:
        raise MediaError("image is not in the media root")
    return Image.new("RGB", (4, 3), "red")


def user(*parts: str | ImagePart) -> Message:
    return Message("user", tuple(TextPart(p) if isinstance(p, str) else p for p in parts))


def request(*messages: Message, tag: int = 0, replicate: int = 0) -> Request:
    return Request(tag, messages or (user("hello"),), b"", replicate)


def says(text: str | None = "hi there ", **changed: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text} | changed.pop("message", {})
    choice = {"index": 0, "message": message, "finish_reason": "stop"} | changed.pop("choice", {})
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    return {"model": "some/model", "choices": [choice], "usage": usage} | changed


def answered(
    reply: dict[str, Any] | Callable[[Asked], Play], *requests: Request, **changed: Any
) -> tuple[list[Answer | Failed], list[Asked]]:
    runtime = changed.pop("runtime", {"do_sample": False, "max_new_tokens": 32})
    script = reply if callable(reply) else (lambda _: Play(body=reply))
    with FaultyServer(script) as server:
        model = KIND.load(plan(config(server.url, **changed), **runtime), open_image)
        asked = requests or (request(),)
        try:
            found = {r.tag: o for batch in model.answer(asked) for r, o in batch}
        finally:
            model.close()
        assert set(found) == {one.tag for one in asked}
        return [found[one.tag] for one in asked], server.asked


def test_a_greedy_request_and_its_answer() -> None:
    (answer,), (asked,) = answered(says())
    assert isinstance(answer, Answer)
    assert (answer.raw_text, answer.text) == ("hi there ", "hi there")
    assert answer.finish_reason is FinishReason.STOP
    assert (answer.prompt_tokens, answer.completion_tokens) == (7, 3)
    assert answer.latency_ms > 0
    assert asked.target == "/v1/chat/completions"
    assert asked.body == {
        "model": "some/model",
        "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": 32,
        "temperature": 0,
    }


def test_a_sampled_request_sends_what_is_hashed() -> None:
    runtime = {"temperature": 0.7, "top_p": 0.9, "seed": 5, "max_new_tokens": 8}
    _, asked = answered(says(), request(), request(tag=1, replicate=3), runtime=runtime)
    assert sorted(one.body["seed"] for one in asked) == [5, 8]
    decoding = plan(config(), **runtime).config.value["decoding"]
    assert decoding == runtime | {"do_sample": True}
    for one in asked:
        assert {name: one.body[name] for name in ("temperature", "top_p", "max_tokens")} == {
            "temperature": 0.7,
            "top_p": 0.9,
            "max_tokens": 8,
        }


def test_what_is_null_is_left_to_the_service_told_and_part_of_the_identity() -> None:
    before = plan(config(), temperature=0.7, top_p=0.9, max_new_tokens=8)
    runtime = {"temperature": None, "top_p": 0.9, "seed": None, "max_new_tokens": 8}
    _, (asked,) = answered(says(), runtime=runtime)
    assert set(asked.body) == {"model", "messages", "max_tokens", "top_p"}
    described = plan(config(), **runtime)
    assert described.config.value["decoding"] == runtime | {"do_sample": True}
    assert described.config.digest != before.config.digest
    assert "temperature, seed: null is not sent" in "; ".join(described.notes)


def test_greedy_without_a_temperature_is_recorded_as_what_it_is_drawing() -> None:
    runtime = {"temperature": None, "do_sample": False, "max_new_tokens": 8}
    _, (asked,) = answered(says(), runtime=runtime)
    assert set(asked.body) == {"model", "messages", "max_tokens"}
    described = plan(config(), **runtime)
    assert described.config.value["decoding"]["do_sample"] is True
    assert "do_sample: false cannot be asked for" in "; ".join(described.notes)
    assert "temperature 0" not in "; ".join(described.notes)


@pytest.mark.parametrize("name", ["max_completion_tokens", "max_output_tokens"])
def test_the_limits_name_is_chosen_and_part_of_the_identity(name: str) -> None:
    with FaultyServer(lambda _: Play(body=says())) as server:
        options = EndpointOptions(url=server.url, limit_name=name)  # type: ignore[arg-type]
        described = plan(config(endpoint=options), max_new_tokens=8)
        model = KIND.load(described, open_image)
        list(model.answer([request()]))
        model.close()
    assert server.asked[0].body[name] == 8
    assert "max_tokens" not in server.asked[0].body
    usual = plan(config(), max_new_tokens=8)
    assert described.config.digest != usual.config.digest


def test_the_limits_usual_name_changes_no_identity() -> None:
    for url, name in (
        ("http://127.0.0.1:1/v1", "max_tokens"),
        ("https://api.openai.com/v1", "max_completion_tokens"),
    ):
        unsaid, said = (
            plan(config(endpoint=EndpointOptions(url=url, limit_name=one)))  # type: ignore[arg-type]
            for one in ("auto", name)
        )
        assert unsaid.config.digest == said.config.digest


def test_images_system_prompt_and_a_conversation() -> None:
    talk = (user("look", ImagePart(RED)), Message("assistant", (TextPart("yes"),)), user("and?"))
    _, (asked,) = answered(says(), request(*talk), system_prompt="be brief")
    system, first, second, third = asked.body["messages"]
    assert system == {"role": "system", "content": "be brief"}
    assert first["content"][0] == {"type": "text", "text": "look"}
    url = first["content"][1]["image_url"]["url"]
    picture = Image.open(io.BytesIO(base64.b64decode(url.partition("base64,")[2])))
    assert (picture.size, picture.getpixel((0, 0))) == ((4, 3), (255, 0, 0))
    assert (second["content"], third["content"]) == ("yes", "and?")
    assert "continue_final_message" not in asked.body
    own = (Message("system", (TextPart("own"),)), user("x"))
    _, (asked,) = answered(says(), request(*own), system_prompt="be brief")
    assert [one["content"] for one in asked.body["messages"]] == ["own", "x"]


def test_a_conversation_that_ends_with_the_assistant_is_continued() -> None:
    talk = (user("go on"), Message("assistant", (TextPart("Once"),)))
    _, (asked,) = answered(says(" upon"), request(*talk))
    assert asked.body["continue_final_message"] is True
    assert asked.body["add_generation_prompt"] is False


@pytest.mark.parametrize(
    ("reply", "kind", "retryable"),
    [
        (says(choice={"finish_reason": "content_filter"}), "ContentFilterError", False),
        (says("", choice={"finish_reason": "content_filter"}), "ContentFilterError", False),
        (says(None), "NoAnswerError", False),
        (says(None, choice={"finish_reason": "tool_calls"}), "ToolCallError", False),
        (says("half", choice={"finish_reason": "abort"}), "CancelledError", False),
        (says("half", choice={"finish_reason": "SAFETY"}), "ContentFilterError", False),
        (says("half", choice={"finish_reason": "out of luck"}), "UnknownFinishError", False),
        (says(choice={"finish_reason": None}), "UnknownFinishError", False),
        (says(choices=[]), "WrongSchemaError", True),
        (says(choices=[{}, {}]), "WrongSchemaError", True),
        (says(choice={"message": "hi"}), "WrongSchemaError", True),
        (says(message={"content": [{"type": "text", "text": "hi"}]}), "WrongSchemaError", True),
        ({"error": "no"}, "WrongSchemaError", True),
    ],
)
def test_what_is_no_answer(reply: dict[str, Any], kind: str, *, retryable: bool) -> None:
    (failed,), _ = answered(reply)
    assert isinstance(failed, Failed)
    assert (failed.error_class, failed.retryable) == (kind, retryable)


def test_a_refusal_is_what_the_model_said_and_an_empty_answer_is_one() -> None:
    (answer,), _ = answered(says(None, message={"refusal": "I will not."}))
    assert isinstance(answer, Answer)
    assert answer.text == "I will not."
    (empty,), _ = answered(says(""))
    assert isinstance(empty, Answer)
    assert empty.text == ""
    for word in ("length", "max_tokens", "MAX_TOKENS"):
        (cut,), _ = answered(says("and so", choice={"finish_reason": word}))
        assert isinstance(cut, Answer)
        assert cut.finish_reason is FinishReason.LENGTH


def test_absent_usage_and_changes_behind_the_name_are_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)

    def script(asked: Asked) -> Play:
        body = says(system_fingerprint=f"fp_{asked.number // 2}", model="another")
        del body["usage"]
        return Play(body=body)

    endpoint = {"concurrency": 1}
    options = EndpointOptions(url="http://127.0.0.1:1", **endpoint)
    with FaultyServer(script) as server:
        one = config(endpoint=options.model_copy(update={"url": server.url}))
        model = KIND.load(plan(one), open_image)
        found = [o for b in model.answer([request(tag=n) for n in range(4)]) for _, o in b]
        model.close()
    assert all(isinstance(one, Answer) and one.prompt_tokens == 0 for one in found)
    assert caplog.text.count("no usage") == 1
    assert caplog.text.count("'another' has answered") == 1
    assert caplog.text.count("system_fingerprint has changed from 'fp_0' to 'fp_1'") == 1


def test_another_snapshot_is_a_failure() -> None:
    reply = says(model="gpt-9-2027-01-01")
    (failed,), _ = answered(reply, source="gpt-9-2026-01-01")
    assert isinstance(failed, Failed)
    assert failed.error_class == "OtherModelError"


def test_what_cannot_be_sent_fails_alone() -> None:
    bad = (
        request(user("half a \ud83d"), tag=0),
        request(user(ImagePart("b" * 64)), tag=1),
        request(tag=2),
    )
    (half, gone, good), asked = answered(says(), *bad)
    assert isinstance(half, Failed)
    assert "half a character" in half.message
    assert isinstance(gone, Failed)
    assert "media root" in gone.message
    assert isinstance(good, Answer)
    assert len(asked) == 1


def test_identity_is_name_and_revision_and_not_the_way_there() -> None:
    plain = plan(config())
    assert plain.version.identity_kind is IdentityKind.ENDPOINT
    other = config("https://elsewhere.example/v1", name="other")
    assert plan(other).version.digest == plain.version.digest
    assert plan(other).config.digest == plain.config.digest
    assert plan(config(source="some/model2")).version.digest != plain.version.digest
    assert plan(config(revision="awq")).version.digest != plain.version.digest
    assert plan(config(system_prompt="x")).config.digest != plain.config.digest
    greedy = plan(config(), do_sample=False, seed=1)
    assert greedy.config.digest == plan(config(), do_sample=False, seed=2).config.digest


def test_what_has_no_effect_is_told_and_changes_nothing() -> None:
    odd = {"top_k": 5, "min_new_tokens": 3, "repetition_penalty": 1.2, "precision": "fp16"}
    noted = plan(config(markers="control"), **odd)
    told = "\n".join(noted.notes)
    for word in ("top_k", "min_new_tokens", "repetition_penalty", "precision", "markers"):
        assert word in told
    assert noted.config.digest == plan(config()).config.digest
    assert any("names no snapshot" in n for n in plan(config("https://api.openai.com/v1")).notes)


def odds_of(top: Any, *words: str) -> Odds | Failed:
    logprobs = None if top is None else {"content": [{"token": "x", "top_logprobs": top}]}
    reply = says("x", choice={"finish_reason": "length", "logprobs": logprobs})
    with FaultyServer(lambda _: Play(body=reply)) as server:
        model = KIND.load(plan(config(server.url), do_sample=False), open_image)
        try:
            ((_, outcome),) = [pair for batch in model.weigh([request()], words) for pair in batch]
        finally:
            model.close()
        body = server.asked[0].body
    assert (body["max_tokens"], body["logprobs"], body["top_logprobs"]) == (1, True, 20)
    return outcome


def top(**given: float) -> list[dict[str, Any]]:
    return [{"token": token, "logprob": math.log(p)} for token, p in given.items()]


def test_odds_are_those_of_the_first_token() -> None:
    tokens = [*top(Yes=0.5, No=0.2, N=0.05, None_=0.1), {"token": " Yes", "logprob": math.log(0.1)}]
    tokens += [{"token": "Nobody", "logprob": math.log(0.01)}]
    tokens += [{"token": "No,", "logprob": math.log(0.02)}]
    found = odds_of(tokens, "Yes", "No", "Maybe")
    assert isinstance(found, Odds)
    assert dict(found.probabilities) == pytest.approx({"Yes": 0.6, "No": 0.27, "Maybe": 0.0})


def test_a_token_that_begins_two_words_is_refused() -> None:
    with pytest.raises(ConfigError, match="'un' begins 'unsafe' and 'unclear'"):
        odds_of(top(un=0.5), "unsafe", "unclear")


@pytest.mark.parametrize("nothing", [None, []])
def test_odds_that_are_not_given_end_all_with_the_reason(nothing: Any) -> None:
    with pytest.raises(EndpointError, match="ignores `logprobs`"):
        odds_of(nothing, "Yes", "No")


def test_family_endpoint_chooses_the_kind(tmp_path: Path) -> None:
    assert load_model_config("endpoint-example").kind == "endpoint"
    path = tmp_path / "m.yaml"
    block = "endpoint: {url: http://127.0.0.1:1/v1}\n"
    for text, wrong in (
        ("family: endpoint\nsource: x\n", "endpoint is missing"),
        (f"family: llava\nsource: x\n{block}", "no effect without family: endpoint"),
        (f"family: endpoint\nkind: 'null'\nsource: x\n{block}", "contradicts family"),
        (f"family: llava\nkind: endpoint\nsource: x\n{block}", "contradicts kind"),
        (f"family: endpoint\nsource: x\n{block}endpoints: 1\n", "unknown key"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=wrong):
            load_model_config(path)


def test_a_password_of_a_proxy_has_no_place_in_a_config() -> None:
    options = EndpointOptions(url="https://a.example/v1", proxy="http://me:geheim@p.example:3128")
    with pytest.raises(ConfigError, match="HTTPS_PROXY") as caught:
        plan(config(endpoint=options))
    assert "geheim" not in str(caught.value)


def test_what_a_guard_judges_is_not_continued() -> None:
    talk = (user("look"), Message("assistant", (TextPart("an answer"),)))
    _, (asked,) = answered(says(), request(*talk), last_turn="answer")
    assert "continue_final_message" not in asked.body
    assert asked.body["messages"][-1] == {"role": "assistant", "content": "an answer"}
    assert plan(config(last_turn="answer")).config.digest != plan(config()).config.digest


def test_template_arguments_are_sent_and_raw_prompts_are_refused() -> None:
    arguments = {"guardian_config": {"risk_name": "harm"}}
    _, (asked,) = answered(says(), template_arguments=arguments)
    assert asked.body["chat_template_kwargs"] == arguments
    value = plan(config(template_arguments=arguments)).config.value
    assert value["template_arguments"] == arguments
    with pytest.raises(ConfigError, match="always go through the model's chat template"):
        plan(config(template="raw"))
