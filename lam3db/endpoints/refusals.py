"""What a service objects to when it refuses a request: its form, this one sample, or nobody knows.

Every request of a job has the same form: the settings beside its messages. A service that refuses
the form refuses the next request, too; one that refuses a sample (too long, its image, a filter)
says nothing of the others. Which it is, is read from where services write it: OpenAI, Azure and
OpenRouter name a ``code`` and a ``param``, vLLM the ``param``, FastAPI and Mistral a ``loc``,
llama.cpp and Anthropic a ``type``; a gateway (LiteLLM, one-api, OpenRouter) wraps another service's
error as text. Only phrases that are generated from a parameter's name are read in a message.

What must hold: a request is not refused "for its form" unless a parameter is named that every
request of the job holds alike; whatever is not recognised is ``unknown``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FORM = frozenset({
    "unsupported_parameter", "unsupported_value", "unknown_parameter", "extra_forbidden",
    "integer_above_max_value", "integer_below_min_value",
    "decimal_above_max_value", "decimal_below_min_value",
})  # fmt: skip
_SAMPLE = frozenset({
    "context_length_exceeded", "string_above_max_length", "tokens_limit_reached",
    "request_too_large", "exceed_context_size_error",
    "content_filter", "content_policy_violation", "moderation_blocked", "invalid_prompt",
    "ResponsibleAIPolicyViolation", "data_inspection_failed",
})  # fmt: skip
_IMAGE = re.compile(r"(?:^|_)image(?:_|$)")
_EVERYWHERE = frozenset({
    "temperature", "top_p", "top_k", "seed", "logprobs", "top_logprobs", "stop",
    "chat_template_kwargs", "add_special_tokens", "reasoning_effort",
})  # fmt: skip
"""Parameters whose refusal never depends on the sample, whatever code comes with it."""
_LIMITS = frozenset({"max_tokens", "max_completion_tokens", "max_output_tokens"})
_PHRASES = (
    re.compile(r"Un(?:supported|known) (?:parameter|value): ['\"`]?(?P<name>\w+)['\"`]?"),
    re.compile(r"Unknown name \\*\"(?P<name>\w+)\\*\": Cannot find field"),
    re.compile(r"[`'\"]?(?P<name>\w+)[`'\"]? and [`'\"]?(?P<other>\w+)[`'\"]? cannot both be"),
    re.compile(r"does not support parameters: \[?'?(?P<name>\w+)"),
)
_TOO_LONG = re.compile(
    r"context (?:length|window|size|limit)|ContextWindowExceeded|(?:prompt|input) is too long"
    r"|too many (?:input )?tokens|input (?:token|length)|reduce the length"
    r"|(?:longer than|exceeds?) the (?:maximum )?model(?:'s)? (?:maximum )?length"
    r"|longer than the maximum (?:model|context|input) length"
    r"|tokens allowed|`?max_new_tokens`? must be <=",
    re.IGNORECASE,
)
_BLOCKED = re.compile(
    r"ContentPolicyViolationError|content management policy|usage policy|safety system"
    r"|Content Exists Risk|inappropriate content|considered high risk|\u654f\u611f\u5185\u5bb9",
    re.IGNORECASE,
)
"""Filters that give no code: OpenAI's, DeepSeek's, Alibaba's, Moonshot's, Zhipu's."""
_BAD_IMAGE = re.compile(
    r"image exceeds|image dimensions|(?:could not process|cannot identify|failed to (?:load|decode)"
    r"|unable to process|invalid) (?:the )?(?:input )?image",
    re.IGNORECASE,
)
_ABOUT_SAMPLE = (_TOO_LONG, _BLOCKED, _BAD_IMAGE)
_DEEPEST = 4
_TOO_LARGE = 413
_REFUSED = (400, 422)


@dataclass(frozen=True, slots=True)
class Objection:
    """What a refusal is about; ``names`` are the parameters that it names."""

    about: Literal["form", "sample", "unknown"]
    names: tuple[str, ...] = ()


UNKNOWN = Objection("unknown")
_OF_SAMPLE = Objection("sample")


def objection(status: int, value: Any, text: str) -> Objection:
    """Return what a service objects to; ``value`` is the reply's JSON, ``text`` its beginning."""
    if status == _TOO_LARGE:
        return _OF_SAMPLE
    if status not in _REFUSED:
        return UNKNOWN
    errors = list(_errors(value, _DEEPEST))
    words = " ".join([*(str(one.get("message", "")) for one in errors), text])
    if any(_is_of_sample(one) for one in errors):
        return _OF_SAMPLE
    names = tuple(dict.fromkeys(name for one in errors for name in _named(one)))
    if not names and any(phrase.search(words) for phrase in _ABOUT_SAMPLE):
        return _OF_SAMPLE
    names = names or tuple(dict.fromkeys(_phrased(words)))
    return Objection("form", names) if names else UNKNOWN


def cure(text: str, names: tuple[str, ...] = ()) -> str:
    """Return what to change for the parameters named, else for those that a text names; or ``""``.

    It is advice only: a text that names a parameter need not be about it.
    """
    named = names or tuple(
        name for name in (*_EVERYWHERE, *_LIMITS) if re.search(rf"\b{name}\b", text)
    )
    advice = [f"--set {name}=null" for name in ("temperature", "top_p", "seed") if name in named]
    if advice:
        leave = " or ".join(advice)
        return f"leave it out: {leave} (for an llm judge: null under settings.model)"
    if _LIMITS & set(named):
        other = "max_completion_tokens" if "max_tokens" in named else "max_tokens"
        return f"write limit_name: {other} in the endpoint block, or ask for fewer max_new_tokens"
    if "chat_template_kwargs" in named:
        return "leave template_arguments out of the model's config"
    if "add_special_tokens" in named:
        return "leave `serves` out of the model's config, and write its system_prompt there"
    if {"logprobs", "top_logprobs"} & set(named):
        return "this service gives no odds: judge by its text (output: {by: text})"
    return ""


def _errors(value: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    """Yield the error objects in a reply, those included that a gateway wraps as text."""
    if isinstance(value, list):
        value = next((one for one in value if isinstance(one, dict)), None)
    if isinstance(value, str):
        value = _json_in(value)
    if not isinstance(value, dict) or not depth:
        return
    if not isinstance(value.get("error"), dict):
        yield value
    metadata = value.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    for inner in (value.get("error"), value.get("innererror"), value.get("message"), raw):
        if isinstance(inner, dict | str):
            yield from _errors(inner, depth - 1)


def _json_in(text: str) -> Any:
    """Return the JSON object that a text holds from its first brace on; None where it has none."""
    start = text.find("{")
    try:
        return json.JSONDecoder().raw_decode(text, start)[0] if start >= 0 else None
    except (ValueError, RecursionError):
        return None


def _codes(error: Mapping[str, Any]) -> list[str]:
    found = (error.get(name) for name in ("code", "type"))
    return [one for one in found if isinstance(one, str)]


def _is_of_sample(error: Mapping[str, Any]) -> bool:
    return any(code in _SAMPLE or _IMAGE.search(code) for code in _codes(error))


def _named(error: Mapping[str, Any]) -> Iterator[str]:
    """Yield the parameters that an error's own fields name as refused."""
    param = error.get("param")
    refused = any(code in _FORM for code in _codes(error))
    if isinstance(param, str) and (param in _EVERYWHERE or (refused and param in _LIMITS)):
        yield param
    for item in _items(error.get("detail")):
        place = [one for one in _items(item.get("loc")) if isinstance(one, str)]
        if place and place[-1] in _EVERYWHERE | _LIMITS:
            yield place[-1]


def _items(value: Any) -> list[Any]:
    return [one for one in value if isinstance(one, dict | str)] if isinstance(value, list) else []


def _phrased(words: str) -> Iterator[str]:
    """Yield the parameters named in phrases that services make from a parameter's name."""
    for phrase in _PHRASES:
        for match in phrase.finditer(words):
            yield from (one for one in match.groups() if one in _EVERYWHERE | _LIMITS)
