"""A checkpoint's chat template: what it makes of messages, and what it says of the model.

It says with which token an assistant's turn ends (that token is a stop, whether or not the
checkpoint's eos ids name it) and whether the model thinks before it answers.

What must hold: nothing is rendered in this process (:mod:`lam3db.models.template_host`); what is
said depends on the checkpoint's files and the model's config only; a template that cannot be
rendered says nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lam3db.errors import InputError, ModelError
from lam3db.models.reasoning import Tags, tags_in
from lam3db.models.template_host import HOST, TemplateLimitError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lam3db.models.weights import Checkpoint

NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
"""The special tokens that a template can name."""
_ASKED, _SAID = "Lorem ipsum dolor", "Sit amet consectetur"
_BRACKETED = re.compile(r"[<\[|].*[>\]|]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A template with what it is rendered with. ``parts``: contents are lists of parts."""

    source: str
    tokens: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def render(self, conversation: list[dict[str, Any]], *, answers: bool = True) -> str:
        """Return the prompt; with ``answers`` it ends where the assistant begins.

        Raises:
            TemplateLimitError: the template did not end within its limits.
            InputError: it refuses the conversation.

        """
        variables = {
            **self.tokens,
            **self.arguments,
            "messages": conversation,
            "tools": None,
            "documents": None,
            "add_generation_prompt": answers,
        }
        return HOST.render(self.source, variables)


def template_of(processor: Any, arguments: Mapping[str, Any]) -> ChatTemplate:
    """Return the template of a loaded processor or tokenizer.

    Raises:
        InputError: it has none, or several and none by default.

    """
    source = processor.chat_template
    if isinstance(source, dict):
        source = source.get("default")
    if not isinstance(source, str):
        raise InputError("this model has no chat template, or several and no default")
    return ChatTemplate(source, processor.tokenizer.special_tokens_map, arguments)


def read_template(
    checkpoint: Checkpoint, arguments: Mapping[str, Any], *, images: bool
) -> ChatTemplate | None:
    """Return the template that lies in a checkpoint's folder; None where none does."""
    source = _source(checkpoint, images=images)
    return None if source is None else ChatTemplate(source, named_tokens(checkpoint), arguments)


def _source(checkpoint: Checkpoint, *, images: bool) -> str | None:
    """Return the default template, looked for in the order of transformers."""
    path = checkpoint.folder / "chat_template.jinja"
    if images:
        for name in ("processor_config.json", "chat_template.json"):
            if found := _default(checkpoint.read_json(name).get("chat_template")):
                return found
    if path.is_file():
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"{path} cannot be read: {error}") from error
    return _default(checkpoint.read_json("tokenizer_config.json").get("chat_template"))


def _default(value: Any) -> str | None:
    """Return a template, or the one called ``default`` of several."""
    if isinstance(value, list):
        value = {one.get("name"): one.get("template") for one in value if isinstance(one, dict)}
    if isinstance(value, dict):
        value = value.get("default")
    return value if isinstance(value, str) and value else None


def named_tokens(checkpoint: Checkpoint) -> dict[str, str]:
    """Return the special tokens by name, as the tokenizer's files give them."""
    found: dict[str, str] = {}
    for file in ("special_tokens_map.json", "tokenizer_config.json"):
        values = checkpoint.read_json(file)
        for name in NAMED:
            value = values.get(name)
            content = value.get("content") if isinstance(value, dict) else value
            if isinstance(content, str):
                found[name] = content
    return found


def turn_end(checkpoint: Checkpoint, template: ChatTemplate, *, images: bool) -> str | None:
    """Return the control token with which the template ends an assistant's turn, if it does.

    Raises:
        ModelError: the template does not end within its limits.

    """
    turns = (("user", _ASKED), ("assistant", _SAID))
    prompt = _rendered(template, turns, images=images, answers=False)
    if prompt is None:
        return None
    tail = prompt.rpartition(_SAID)[2]
    if not tail.strip():
        return None
    return _first(tail, control_tokens(checkpoint))


def thinking(template: ChatTemplate, given: Tags | None, *, images: bool) -> Tags | None:
    """Return the tags between which the model thinks, as its template says (or the file's).

    A template that closes the block itself says that the model does not think now.

    Raises:
        ModelError: the template does not end within its limits.

    """
    pair = (given.start, given.end) if given else tags_in(template.source)
    if pair is None:
        return None
    start, end = pair
    prompt = _rendered(template, (("user", _ASKED),), images=images, answers=True)
    tail = "" if prompt is None else prompt.rpartition(_ASKED)[2]
    place = tail.rfind(start.strip())
    if place < 0:
        return given or Tags(start, end)
    if end.strip() not in tail[place:]:
        return Tags(start, end, opened=True)
    return given


def _rendered(
    template: ChatTemplate, turns: Iterable[tuple[str, str]], *, images: bool, answers: bool
) -> str | None:
    """Render in the first form in which the template shows every text; None where it does not."""
    turns = tuple(turns)
    parts = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in turns]
    whole = [{"role": role, "content": text} for role, text in turns]
    for conversation in (parts,) if images else (whole, parts):
        try:
            prompt = template.render(conversation, answers=answers)
        except TemplateLimitError as error:
            raise ModelError(f"the model's chat template cannot be used: {error}") from error
        except InputError:
            continue
        if all(text in prompt for _, text in turns):
            return prompt
    return None


def _first(text: str, tokens: Iterable[str]) -> str | None:
    """Return the token that a text holds first; the longest of those that begin there."""
    places = [(text.find(token), -len(token), token) for token in tokens if token in text]
    return min(places)[2] if places else None


def control_tokens(checkpoint: Checkpoint) -> dict[str, int | None]:
    """Return the tokens that are control, with their ids where the files tell.

    As :func:`lam3db.models.markers.control_markers`: special ones, and added ones in brackets.
    """
    found: dict[str, int | None] = dict.fromkeys(named_tokens(checkpoint).values())
    decoder = checkpoint.read_json("tokenizer_config.json").get("added_tokens_decoder")
    if isinstance(decoder, dict):
        entries = [(value, key) for key, value in decoder.items() if isinstance(value, dict)]
    else:
        listed = checkpoint.read_json("tokenizer.json").get("added_tokens")
        listed = listed if isinstance(listed, list) else []
        entries = [(value, value.get("id")) for value in listed if isinstance(value, dict)]
    for value, key in entries:
        content = value.get("content")
        if isinstance(content, str) and (value.get("special") or _BRACKETED.fullmatch(content)):
            found[content] = int(key) if str(key).isdecimal() else None
    added = checkpoint.read_json("added_tokens.json")
    found |= {
        name: key
        for name, key in added.items()
        if isinstance(key, int) and (name in found or _BRACKETED.fullmatch(name))
    }
    return {name: key for name, key in found.items() if name.strip()}
