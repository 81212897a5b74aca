"""The texts and images of a sample of an Inspect log.

A content is a text or a list of parts (``text``, ``image``, ``reasoning`` ...); a long text may
be an ``attachment://...`` that the sample holds under ``attachments``. Images are data inside
the log or paths: data is kept as its digest, a path is opened below ``--images``.

What must hold: reasoning is no part of an answer, and is kept beside it; what cannot be shown as
messages is not shown in part: then the sample is its text and digests.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import shown
from lam3db.datasets.results.cells import posed
from lam3db.datasets.results.pictures import pictured
from lam3db.records import Message, TextPart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lam3db.datasets.faults import Faults
    from lam3db.datasets.results.formats import ReadOptions
    from lam3db.records import ImagePart

_ATTACHED = "attachment://"
_ROLES = ("system", "user", "assistant")


class Texts:
    """Reads the contents of one sample; what is wrong goes to ``faults``."""

    def __init__(
        self, sample: Mapping[str, Any], row: int, faults: Faults, options: ReadOptions
    ) -> None:
        self._sample, self._row, self._faults, self._options = sample, row, faults, options
        self._attached = _attachments(sample)
        self._named: list[str] = []
        self._is_whole = True

    def posed(self) -> tuple[tuple[Message, ...] | None, str, dict[str, Any]]:
        """Return what was posed (None where it cannot be shown), its last text, metadata."""
        asked = self._sample.get("input")
        if isinstance(asked, str):
            text = self._resolved(asked)
            return posed(text), text, {}
        if not isinstance(asked, list) or not asked:
            self._faults.add(self._row, "input", f"text or messages are wanted, not {shown(asked)}")
            return None, "", {}
        messages = tuple(self._message(message) for message in asked)
        last = next((m for m in reversed(messages) if m.role == "user"), messages[-1])
        texts = [part.text for part in last.parts if isinstance(part, TextPart)]
        metadata = {"images": self._named} if self._named else {}
        return (messages if self._is_whole else None), "\n".join(texts), metadata

    def text_of(self, content: Any, where: str) -> str:
        """Return the text of a content, its parts of text one after the other."""
        if isinstance(content, str):
            return self._resolved(content)
        if not isinstance(content, list):
            what = f"a text or a list of parts is wanted, not {shown(content)}"
            self._faults.add(self._row, where, what)
            return ""
        return "\n".join(
            self._resolved(part["text"])
            for part in content
            if isinstance(part, dict)
            and part.get("type") == "text"
            and isinstance(part.get("text"), str)
        )

    def reasoning_of(self, message: Mapping[str, Any]) -> str | None:
        """Return what a message holds of reasoning, old logs' field included; None for nothing."""
        content = message.get("content")
        parts = content if isinstance(content, list) else []
        found: list[Any] = [
            part.get("summary") if part.get("redacted") else part.get("reasoning")
            for part in parts
            if isinstance(part, dict) and part.get("type") == "reasoning"
        ]
        found.append(message.get("reasoning"))
        texts = (self._resolved(text) for text in found if isinstance(text, str) and text)
        return "\n".join(texts) or None

    def _message(self, value: Any) -> Message:
        role = value.get("role") if isinstance(value, dict) else None
        if not isinstance(value, dict) or not isinstance(role, str):
            self._faults.add(self._row, "input", f"no message: {shown(value)}")
            return Message("user", ())
        if role not in _ROLES:
            self._is_whole = False
        content = value.get("content")
        text = self.text_of(content, "input")
        images = self._images(content) if isinstance(content, list) else ()
        return Message(role, (*images, *((TextPart(text),) if text else ())))

    def _images(self, parts: list[Any]) -> tuple[ImagePart, ...]:
        found: tuple[ImagePart, ...] = ()
        for part in parts:
            if not isinstance(part, dict) or part.get("type") in ("text", "reasoning"):
                continue
            name = part.get("image")
            if part.get("type") != "image" or not isinstance(name, str):
                self._is_whole = False
                self._named.append(str(part.get("type")))
                continue
            name = self._resolved(name)
            if name.startswith(("data:", _ATTACHED)):
                self._is_whole = False
                self._named.append(hashlib.sha256(name.encode()).hexdigest())
                continue
            image, metadata = pictured(name, self._row, "input", self._faults, self._options)
            self._named += metadata.values()
            found += image
        return found

    def _resolved(self, text: str) -> str:
        if not text.startswith(_ATTACHED):
            return text
        found = self._attached.get(text.removeprefix(_ATTACHED))
        return found if isinstance(found, str) else text


def _attachments(sample: Mapping[str, Any]) -> Mapping[str, Any]:
    old = sample.get("transcript")
    contents = (old.get("content") if isinstance(old, dict) else None, sample.get("attachments"))
    merged: dict[str, Any] = {}
    for content in contents:
        merged |= content if isinstance(content, dict) else {}
    return merged
