"""Messages as chat interfaces write them: a role, and a content of text or of parts.

A part is what OpenAI's interfaces take (``text``, ``image_url``, ``input_text``, ``input_image``,
``output_text``), an ``image`` as chat templates take it (``image``, ``url`` or ``path`` names
it), or Anthropic's ``image`` with a ``source`` in base64. An image is named by a path or written
out as a ``data:`` URL; :meth:`lam3db.datasets.images.ImageFolder.take` opens both and refuses
other URLs.

One reading for files of datasets and for import maps. What must hold: parts keep their order; what
carries content and cannot be read (sound, files, calls of tools) is refused by name, and what
carries none (``detail``, ``cache_control``) is told as not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import shown
from lam3db.records import TextPart

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lam3db.datasets.files.remarks import Remarks

ROLES = ("user", "assistant", "system")
_CONTENT_KEYS = ("tool_calls", "function_call", "audio", "refusal")
"""Keys of a message that hold a part of what was said."""


class ContentError(ValueError):
    """What is wrong with a message, and where in it."""


@dataclass(frozen=True, slots=True)
class ImageName:
    """An image in a content: a path, or a ``data:`` URL."""

    name: str


Piece = TextPart | ImageName


def read_role(role: Any, remarks: Remarks) -> str:
    """Return the role; raise ContentError for one that is not known.

    ``developer`` is how newer interfaces call ``system``.
    """
    if role == "developer":
        remarks.note("messages by the role 'developer' are read as 'system'")
        return "system"
    if role not in ROLES:
        raise ContentError(f"role {shown(role)} is none of {', '.join(ROLES)}")
    return str(role)


def read_message(message: Mapping[str, Any], remarks: Remarks) -> tuple[str, tuple[Piece, ...]]:
    """Return the role and the pieces of a message with a ``content``.

    Raises:
        ContentError: what is wrong with it, and where in it.

    """
    for name, value in message.items():
        if name in ("role", "content") or value in (None, "", [], {}):
            continue
        if name in _CONTENT_KEYS:
            raise ContentError(f"{name} is not read here: {shown(value)}")
        remarks.unread(f"messages[].{name}")
    return read_role(message.get("role"), remarks), read_content(message.get("content"), remarks)


def read_content(content: Any, remarks: Remarks) -> tuple[Piece, ...]:
    """Return the pieces of a content in their order; an empty text is no piece.

    Raises:
        ContentError: what is wrong with it, and where in it.

    """
    if isinstance(content, str):
        return (TextPart(content),) if content else ()
    items = content if isinstance(content, list) else [content]
    pieces: list[Piece] = []
    for index, item in enumerate(items, 1):
        try:
            piece = _piece(item, remarks)
        except ContentError as error:
            raise ContentError(f"content[{index}]: {error}") from None
        if piece != TextPart(""):
            pieces.append(piece)
    return tuple(pieces)


def _piece(item: Any, remarks: Remarks) -> Piece:
    if isinstance(item, str):
        return TextPart(item)
    if not isinstance(item, dict):
        raise ContentError(f"a text or a part with its type is expected, not {shown(item)}")
    kind = item.get("type")
    if not isinstance(kind, str) or kind not in _PARTS:
        raise ContentError(f"type {shown(kind)} is none of {', '.join(_PARTS)}")
    piece, used = _PARTS[kind](item)
    for name, value in item.items():
        if name not in ("type", used) and value not in (None, "", [], {}):
            remarks.unread(f"messages[].content[].{name}")
    inner = item[used]
    if isinstance(inner, dict) and inner.get("detail") is not None:
        remarks.unread(f"messages[].content[].{used}.detail")
    return piece


def _text(item: Mapping[str, Any]) -> tuple[Piece, str]:
    text = item.get("text")
    if not isinstance(text, str):
        raise ContentError(f"text is expected as a text, not {shown(text)}")
    return TextPart(text), "text"


def _image_url(item: Mapping[str, Any]) -> tuple[Piece, str]:
    """Read both spellings: the address itself, or an object with ``url``."""
    value = item.get("image_url")
    url = value.get("url") if isinstance(value, dict) else value
    if not isinstance(url, str) or not url:
        if item.get("file_id"):
            raise ContentError("file_id names an image that lies elsewhere: name a file instead")
        raise ContentError(f"image_url is expected as a path or a data: URL, not {shown(value)}")
    return ImageName(url), "image_url"


def _image(item: Mapping[str, Any]) -> tuple[Piece, str]:
    source = item.get("source")
    if isinstance(source, dict):
        if source.get("type") != "base64" or not isinstance(source.get("data"), str):
            raise ContentError(f"source is expected in base64, not {shown(source.get('type'))}")
        return ImageName(f"data:{source.get('media_type') or ''};base64,{source['data']}"), "source"
    named = [name for name in ("image", "url", "path", "image_url") if item.get(name)]
    if len(named) != 1 or not isinstance(item[named[0]], str):
        raise ContentError(f"one of image, url or path is expected as a text, not {shown(item)}")
    return ImageName(item[named[0]]), named[0]


_PARTS: Mapping[str, Callable[[Mapping[str, Any]], tuple[Piece, str]]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "image_url": _image_url,
    "input_image": _image_url,
    "image": _image,
}
