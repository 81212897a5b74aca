"""Why a request was refused: bodies as services and gateways write them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from faulty_server import Asked, FaultyServer, Play

from lam3db.config_shapes import EndpointOptions
from lam3db.endpoints.client import Call, Client
from lam3db.endpoints.refusals import cure, objection
from lam3db.errors import EndpointError
from lam3db.records import Failed


def openai(message: str, param: str | None = None, code: Any = None) -> dict[str, Any]:
    kind = "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def anthropic(message: str, kind: str = "invalid_request_error") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def google(field: str) -> list[Any]:
    text = f'Invalid JSON payload received. Unknown name "{field}": Cannot find field.'
    details = [{"fieldViolations": [{"description": text}]}]
    error = {"code": 400, "message": text, "status": "INVALID_ARGUMENT", "details": details}
    return [{"error": error}]


BOTH = "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
LIMIT = "Unsupported parameter: 'max_tokens' is not supported with this model."
FORM: list[tuple[Any, tuple[str, ...]]] = [
    (openai(LIMIT, "max_tokens", "unsupported_parameter"), ("max_tokens",)),
    (openai("no 0", "temperature", "unsupported_value"), ("temperature",)),
    (openai("not with this model", "temperature"), ("temperature",)),
    (openai("too large", "max_tokens", "integer_above_max_value"), ("max_tokens",)),
    (openai("invalid", "temperature", 400), ("temperature",)),
    (anthropic(BOTH), ("temperature", "top_p")),
    (openai(f"litellm.BadRequestError: OpenAIException - {LIMIT}", code="400"), ("max_tokens",)),
    (
        openai(f"litellm.BadRequestError: AnthropicException - {json.dumps(anthropic(BOTH))}"),
        ("temperature", "top_p"),
    ),
    (
        openai("litellm.UnsupportedParamsError: x does not support parameters: ['top_p'], for y"),
        ("top_p",),
    ),
    (
        {
            "error": {
                "message": "Provider returned error",
                "code": 400,
                "metadata": {"raw": json.dumps(openai("no", "temperature")), "provider_name": "P"},
            }
        },
        ("temperature",),
    ),
    ({"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "no"}]}, ("seed",)),
    (
        {"object": "error", "message": {"detail": [{"loc": ["body", "logprobs"], "msg": "no"}]}},
        ("logprobs",),
    ),
    ({"detail": "Unsupported parameter: temperature"}, ("temperature",)),
    (google("seed"), ("seed",)),
]
VLLM = (
    "'max_tokens' or 'max_completion_tokens' is too large: 8000. This model's maximum context "
    "length is 4096 tokens and your request has 2778 input tokens (8000 > 4096 - 2778)."
)
SAMPLE: list[Any] = [
    openai("too long", "messages", "context_length_exceeded"),
    openai("filtered", "prompt", "content_filter"),
    openai("flagged", None, "invalid_prompt"),
    openai("bad", "messages.[0].content.[1].image_url", "invalid_image_url"),
    openai("bad", None, "image_parse_error"),
    openai(VLLM, "max_tokens", 400),
    {"object": "error", "message": VLLM, "type": "BadRequestError", "param": None, "code": 400},
    anthropic("prompt is too long: 209303 tokens > 200000 maximum"),
    anthropic("input length and `max_tokens` exceed context limit: 179413 + 32768 > 200000"),
    {"error": {"code": 400, "message": "no", "type": "exceed_context_size_error"}},
    openai("The decoder prompt (length 5000) is longer than the maximum model length of 4096."),
    openai("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096."),
    openai("The input token count (9) exceeds the maximum number of tokens allowed (8)."),
    openai("Content Exists Risk"),
    openai("The request was rejected because it was considered high risk"),
    openai("Invalid prompt: it was flagged as potentially violating our usage policy."),
    openai("Input data may contain inappropriate content."),
    anthropic("messages.0.content.0.image.source.base64: image exceeds 5 MB maximum"),
    anthropic("Could not process image"),
    openai("litellm.ContentPolicyViolationError: AzureException - filtered", code="400"),
    {
        "error": {
            "code": "x",
            "message": "m",
            "innererror": {"code": "ResponsibleAIPolicyViolation"},
        }
    },
]
UNKNOWN: list[Any] = [
    openai("Unsupported value: 'messages[0].role' does not support 'system'", "messages[0].role",
           "unsupported_value"),
    openai("Unknown parameter: 'continue_final_message'.", "continue_final_message",
           "unknown_parameter"),
    openai("Invalid 'messages[0].content'", "messages[0].content", "invalid_type"),
    {"detail": [{"loc": ["body", "messages", 0, "content"], "msg": "no"}]},
    openai("This model does not support image input."),
    openai("At most 0 image(s) may be provided in one request."),
    openai("temperature is a nice word"), {"error": "temperature"}, {"error": []},
    {}, [], None, "no",
]  # fmt: skip


@pytest.mark.parametrize(("body", "names"), FORM)
@pytest.mark.parametrize("status", [400, 422])
def test_a_refused_form_is_told_by_its_parameter(
    body: Any, names: tuple[str, ...], status: int
) -> None:
    found = objection(status, body, json.dumps(body))
    assert (found.about, found.names) == ("form", names)
    assert cure("", names)


@pytest.mark.parametrize("body", SAMPLE)
def test_what_is_about_one_sample_says_nothing_of_the_others(body: Any) -> None:
    assert objection(400, body, json.dumps(body)).about == "sample"


@pytest.mark.parametrize("body", UNKNOWN)
def test_what_is_not_recognised_is_unknown(body: Any) -> None:
    assert objection(400, body, json.dumps(body)).about == "unknown"


@pytest.mark.parametrize("status", [401, 404, 429, 500])
def test_other_statuses_are_read_elsewhere(status: int) -> None:
    body = openai("no", "temperature", "unsupported_value")
    assert objection(status, body, json.dumps(body)).about == "unknown"
    assert objection(413, None, "").about == "sample"


def test_the_cure_is_what_a_person_types() -> None:
    assert "--set temperature=null or --set top_p=null" in cure(BOTH)
    assert "limit_name: max_completion_tokens" in cure(LIMIT)
    assert "limit_name: max_tokens" in cure("", ("max_completion_tokens",))
    assert cure("something else") == ""


def asked_until_it_ends(body: Any) -> tuple[list[Any], int, str]:
    """Return the outcomes of 60 calls, how many were sent, and what ended them."""

    def script(_: Asked) -> Play:
        return Play(status=400, body=body)

    outcomes: list[Any] = []
    with FaultyServer(script) as server:
        client = Client(EndpointOptions(url=server.url, concurrency=4), "model m")
        calls = (Call(n, "/x", lambda: {"a": 1}) for n in range(60))
        try:
            for batch in client.ask(calls, lambda reply: reply):
                outcomes += [outcome for _, outcome in batch]
        except EndpointError as error:
            return outcomes, len(server.asked), str(error)
        finally:
            client.close()
    return outcomes, len(server.asked), ""


def test_a_refused_form_ends_the_job_with_the_parameter_and_the_cure() -> None:
    outcomes, sent, message = asked_until_it_ends(
        openai(LIMIT, "max_tokens", "unsupported_parameter")
    )
    assert outcomes == []
    assert sent <= 8
    assert "'max_tokens'" in message
    assert "limit_name: max_completion_tokens" in message


def test_a_refused_sample_fails_alone() -> None:
    outcomes, sent, message = asked_until_it_ends(openai("long", None, "context_length_exceeded"))
    assert (len(outcomes), sent, message) == (60, 60, "")
    assert all(isinstance(one, Failed) and one.of_sample for one in outcomes)


def test_until_something_succeeds_no_more_is_sent_than_threads_can_take() -> None:
    def script(_: Asked) -> Play:
        return Play(status=400, body=openai("nobody knows"))

    with FaultyServer(script) as server:
        client = Client(EndpointOptions(url=server.url, concurrency=4), "model m")
        stream = client.ask(
            (Call(n, "/x", lambda: {"a": 1}) for n in range(60)), lambda reply: reply
        )
        seen = 0
        while seen < 5:
            seen += len(next(stream))
        stream.close()
        client.close()
        assert len(server.asked) <= 5 + 2 * 4
