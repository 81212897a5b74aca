"""One answer whole, for a person who wants to see what is behind a number.

What must hold: the model's text is shown, never obeyed; nothing that is stored of the answer
is left out, and a body that was withheld says by whom and why.
"""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lam3db.records import ImagePart, TextPart, images_of
from lam3db.report.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lam3db.store.answers import AnswerDetail, ScoreDetail

_NAME = 12
_DIGEST = 12


def answer_json(answer: AnswerDetail, find: Callable[[str], str]) -> dict[str, Any]:
    """Return the answer as JSON; ``find`` tells where the image of a digest lies."""
    value = asdict(answer)
    value["messages"] = [message.to_json() for message in answer.messages or ()]
    images = images_of(answer.messages or ())
    value["images"] = [{"sha256": sha256, "path": find(sha256)} for sha256 in images]
    return value


def answer_text(answer: AnswerDetail, find: Callable[[str], str], width: int = 100) -> str:
    """Return the answer as lines for a terminal; ``find`` tells where an image lies."""
    behavior = "(withheld)" if answer.behavior is None else answer.behavior
    benign = ", benign" if answer.is_benign else ""
    tokens = f"{answer.prompt_tokens} tokens in, {answer.completion_tokens} out"
    took = f"{answer.latency_ms:.0f} ms, batch {answer.batch_size}"
    parts = [
        f"Answer {answer.generation_id}  {safe_text(answer.model)}  replicate {answer.replicate}"
        + (f"  variant {answer.variant}" if answer.variant else ""),
        *_field("sample", ", ".join(answer.datasets) or answer.sample_digest),
        *_field("behavior", f"{behavior} (category {answer.category or 'none'}{benign})"),
        *_field("attack", answer.attack + _json_tail(answer.attack_parameters)),
        *(_field("target", answer.target) if answer.target is not None else []),
        *(_field("metadata", _json(answer.metadata)) if answer.metadata else []),
        "",
        "Prompt",
        *_prompt(answer, find, width),
        "",
        f"Answer ({answer.finish_reason}, {tokens}, {took})",
        *_body(answer, answer.text, width),
        "",
        *_raw(answer, width),
        "",
        *_reasoning(answer, width),
        "Scores",
        *([line for score in answer.scores for line in _score(score, width)] or ["  none yet"]),
        "",
        "Where from",
        *_field("model", f"{answer.model_source} (digest {answer.model_digest[:_DIGEST]})"),
        *_field("settings", f"{_json(answer.settings)} (digest {answer.config_digest[:_DIGEST]})"),
        *_field("requested", _json(answer.requested)),
        *_field("effective", _json(answer.effective)),
        *_field("run", f"{answer.run_uid}, {answer.run_started_at}, on {answer.run_host}"),
        *_field("code", _code(answer)),
        *_field("stored", answer.created_at + _origin(answer)),
    ]
    return "\n".join([*parts, ""])


def _field(name: str, value: str) -> list[str]:
    lines = safe_text(value).split("\n")
    return [f"  {name:<{_NAME}}{lines[0]}", *(" " * (_NAME + 2) + line for line in lines[1:])]


def _prompt(answer: AnswerDetail, find: Callable[[str], str], width: int) -> list[str]:
    if answer.messages is None:
        return [f"  (withheld {safe_text(answer.withheld or '')})".replace(" )", ")")]
    lines = []
    for message in answer.messages:
        lines.append(f"  {safe_text(message.role)}:")
        for part in message.parts:
            if isinstance(part, ImagePart):
                lines.append(f"    [image] {safe_text(find(part.sha256))}")
                lines.append(f"            sha256 {part.sha256}")
            elif isinstance(part, TextPart):
                lines += _quoted(part.text, width)
    return lines


def _body(answer: AnswerDetail, body: str | None, width: int) -> list[str]:
    if body is None:
        return [f"  (withheld {safe_text(answer.withheld or '')})"]
    return _quoted(body, width) if body else ["    (empty)"]


def _raw(answer: AnswerDetail, width: int) -> list[str]:
    if answer.raw_text == answer.text:
        return ["Raw text: the same"]
    return ["Raw text", *_body(answer, answer.raw_text, width)]


def _reasoning(answer: AnswerDetail, width: int) -> list[str]:
    """Return what the model thought first; nothing where it did not (or that is withheld)."""
    if answer.reasoning is None:
        return []
    return ["Reasoning (no part of the answer)", *_body(answer, answer.reasoning, width), ""]


def _quoted(text: str, width: int) -> list[str]:
    found = []
    for line in safe_text(text).split("\n"):
        found += textwrap.wrap(line, width - 4, replace_whitespace=False) or [""]
    return [f"    {line}".rstrip() for line in found]


def _score(score: ScoreDetail, width: int) -> list[str]:
    who = f"{score.judge} ({score.judge_kind} {score.judge_version}, #{score.judge_digest[:8]})"
    said = score.status if score.verdict is None else f"{score.status}: {score.verdict}"
    value = "" if score.value is None else f" {score.value:.4f}"
    again = "" if not score.revision else f", revision {score.revision} by {score.author}"
    lines = [f"  {safe_text(who + again)}  {said}{value}"]
    if score.attributes:
        told = ", ".join(f"{safe_text(name)} {v:.4f}" for name, v in score.attributes.items())
        lines += textwrap.wrap(told, width, initial_indent="    ", subsequent_indent="    ")
    for name in ("explanation", "reason", "raw_output"):
        text = getattr(score, name)
        if text:
            lines += [f"    {name.replace('_', ' ')}:", *_quoted(text, width)]
    return lines


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _json_tail(value: Mapping[str, Any]) -> str:
    return f" {_json(value)}" if value else ""


def _code(answer: AnswerDetail) -> str:
    if answer.code_commit is None:
        return "no commit known"
    return answer.code_commit + (" with local changes" if answer.code_dirty else "")


def _origin(answer: AnswerDetail) -> str:
    if answer.origin_id is None:
        return ""
    return f" (copied from answer {answer.origin_id}: the same input under other labels)"
