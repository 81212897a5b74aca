"""The prompt of a judge: messages with places for what it sees.

A place is ``{name}``; everything else in a template stays as it is, other braces included
(``{"a": 1}``, ``{{name}}``). Own templates use ``{response}``, ``{prompt}`` and
``{behavior}``; for a published prompt, loaded from a file to the letter, ``fields`` says
what its names stand for (``{generation: response}``).

What must hold: every part that the judge sees is shown and no other; a value is put in once
and never looked at again, so that a ``{prompt}`` inside an answer stays one.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lam3db.config_files import read_value
from lam3db.errors import ConfigError, did_you_mean
from lam3db.judges.llm_settings import TEXT_FIELDS, LlmSettings, TemplateMessage
from lam3db.records import TEMPLATE_ROLE, ImagePart, Message, TextPart

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lam3db.config import JudgeConfig

_PLACE = re.compile(r"(?<!\{)\{([A-Za-z_][A-Za-z0-9_]*)\}(?!\})")
_LARGEST = 1 << 20
_YAML = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Piece:
    """A text of the template itself, or (with ``field``) the place of a part of the subject."""

    text: str = ""
    field: str = ""


@dataclass(frozen=True, slots=True)
class Template:
    """Messages as pieces. ``raw``: one prompt without a chat template around it.

    ``images``: the judge sees them. ``source`` is what the identity holds of all this.
    """

    messages: tuple[tuple[str, tuple[Piece, ...]], ...]
    prefill: str | None
    raw: bool
    images: bool
    source: Mapping[str, Any]

    def literals(self) -> tuple[str, ...]:
        """Return the template's own texts, each up to the next place."""
        return tuple(piece.text for _, pieces in self.messages for piece in pieces if piece.text)

    def render(self, values: Mapping[str, str], images: Sequence[str]) -> tuple[Message, ...]:
        """Return the conversation for one subject; images come first in the first user's turn."""
        if self.raw:
            ((_, pieces),) = self.messages
            return tuple(
                Message("user", (TextPart(values[piece.field]),))
                if piece.field
                else Message(TEMPLATE_ROLE, (TextPart(piece.text),))
                for piece in pieces
            )
        shown = tuple(ImagePart(digest) for digest in images if self.images)
        messages: list[Message] = []
        for role, pieces in self.messages:
            text = "".join(values[one.field] if one.field else one.text for one in pieces)
            first = shown if role == "user" else ()
            shown = () if role == "user" else shown
            messages.append(Message(role, (*first, TextPart(text))))
        if self.prefill is not None:
            messages.append(Message("assistant", (TextPart(self.prefill),)))
        return tuple(messages)


def read_template(config: JudgeConfig, settings: LlmSettings, *, raw: bool) -> Template:
    """Return the template of a judge.

    Raises:
        ConfigError: there is none or two, its file cannot be read, or its places and what the
            judge sees are not the same.

    """
    where = f"judge {config.name}"
    if bool(settings.template) == (settings.template_file is not None):
        raise ConfigError(f"{where}: give either template (a list of messages) or template_file")
    messages, source = settings.template, dict[str, Any]()
    if settings.template_file is not None:
        messages, digest = _load(where, Path(settings.template_file))
        source["template_file"] = digest
    places = _places(where, settings)
    compiled = tuple((one.role, _pieces(where, one.text, places)) for one in messages)
    _check_use(where, settings, compiled)
    held = {match[1] for one in messages for match in _PLACE.finditer(one.text)}
    if idle := sorted(set(settings.fields) - held):
        raise ConfigError(f"{where}: fields: the template has no place {{{idle[0]}}}")
    if raw and (len(compiled) != 1 or settings.prefill or "image" in settings.sees):
        raise ConfigError(
            f"{where}: a raw prompt is one text without images; what the answer begins with "
            "is written at its end, not as prefill"
        )
    if "image" in settings.sees and not any(role == "user" for role, _ in compiled):
        raise ConfigError(f"{where}: sees image, but the template has no user's message for it")
    source["template"] = [one.model_dump() for one in messages]
    if settings.fields:
        source["fields"] = dict(settings.fields)
    if settings.prefill is not None:
        source["prefill"] = settings.prefill
    return Template(compiled, settings.prefill, raw, "image" in settings.sees, source)


def _places(where: str, settings: LlmSettings) -> dict[str, str]:
    """Return what each placeholder stands for."""
    for name, field in settings.fields.items():
        if field not in TEXT_FIELDS:
            raise ConfigError(
                f"{where}: fields: {name} stands for {field!r}{did_you_mean(field, TEXT_FIELDS)}"
            )
    mapped = set(settings.fields.values())
    return {name: name for name in TEXT_FIELDS if name not in mapped} | dict(settings.fields)


def _pieces(where: str, text: str, places: Mapping[str, str]) -> tuple[Piece, ...]:
    found: list[Piece] = []
    end = 0
    for match in _PLACE.finditer(text):
        name = match[1]
        if name not in places:
            raise ConfigError(
                f"{where}: the template's {{{name}}} stands for nothing"
                f"{did_you_mean(name, sorted(places))}; say what under fields"
            )
        found += [Piece(text[end : match.start()]), Piece(field=places[name])]
        end = match.end()
    found.append(Piece(text[end:]))
    return tuple(piece for piece in found if piece != Piece())


def _check_use(
    where: str, settings: LlmSettings, messages: Sequence[tuple[str, tuple[Piece, ...]]]
) -> None:
    shown = {piece.field for _, pieces in messages for piece in pieces if piece.field}
    allowed = {part for part in settings.sees if part in TEXT_FIELDS}
    if hidden := sorted(shown - allowed):
        raise ConfigError(f"{where}: the template shows {hidden[0]}, which `sees` does not name")
    if unused := sorted(allowed - shown):
        raise ConfigError(f"{where}: sees {unused[0]}, but no place in the template shows it")


def _load(where: str, path: Path) -> tuple[tuple[TemplateMessage, ...], str]:
    """Return a file's messages (a text is one user's message) and the digest of its bytes."""
    if path.exists() and not path.is_file():
        raise ConfigError(f"{where}: template_file {path} is no regular file")
    try:
        with path.open("rb") as stream:
            raw = stream.read(_LARGEST + 1)
        text = raw.decode("utf-8")
    except OSError as error:
        raise ConfigError(
            f"{where}: template_file {path} cannot be read: {error.strerror or error}; published "
            "prompts do not ship with lam3db: save the one you need there, to the letter"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where}: template_file {path} is not UTF-8") from error
    if len(raw) > _LARGEST:
        raise ConfigError(f"{where}: template_file {path} is larger than 1 MiB")
    digest = hashlib.sha256(raw).hexdigest()
    if path.suffix.lower() not in _YAML:
        return (TemplateMessage(role="user", text=text),), digest
    try:
        items = read_value(text)
        messages = tuple(TemplateMessage.model_validate(item) for item in items)
    except (TypeError, ValueError) as error:
        told = f"template_file {path} is no list of messages, each with role and text"
        raise ConfigError(f"{where}: {told}") from error
    if not messages:
        raise ConfigError(f"{where}: template_file {path} holds no message")
    return messages, digest
