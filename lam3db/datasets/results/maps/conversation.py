"""What was posed: a prompt with images, or a whole conversation.

What must hold: an image that a row names is opened, or kept by its name, wherever it is named; no
message and no part of one is dropped without a word.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lam3db.datasets.content_parts import ImageName, read_message
from lam3db.datasets.faults import shown
from lam3db.datasets.images import is_data_url
from lam3db.datasets.results.cells import posed
from lam3db.datasets.results.maps.ways import Unread
from lam3db.hashing import text_digest
from lam3db.records import ImagePart, Message, TextPart

if TYPE_CHECKING:
    from lam3db.datasets.faults import Faults
    from lam3db.datasets.results.formats import ReadOptions
    from lam3db.datasets.results.maps.fields import Fields
    from lam3db.datasets.results.maps.lookup import Cells
    from lam3db.datasets.results.maps.map_shape import FieldSource

_MOST_MESSAGES = 1000
_WEB = re.compile(r"https?://", re.IGNORECASE)


class PosedReader:
    """Reads what one attempt was posed; ``unseen`` are the images that were not opened."""

    def __init__(self, fields: Fields, options: ReadOptions, faults: Faults) -> None:
        """Take the fields of an attempt."""
        self._fields, self._options, self._faults = fields, options, faults
        self.unseen: list[str] = []

    def read(self, cells: Cells, source: FieldSource | None) -> tuple[Message, ...] | None:
        """Return the messages; ``source`` is where whole conversations are. None: nothing known."""
        fields = self._fields
        images = [self._image(column, name) for column, name in fields.images()]
        opened = tuple(image for image in images if image is not None)
        system, prompt = fields.text("system"), fields.text("prompt")
        whole = None if source is None else self._whole(cells, source)
        if whole is not None:
            if system is not None and whole[:1] and whole[0].role == "system":
                fields.fault("system", "stands beside messages that begin with one of their own")
            return _joined(whole, opened, system)
        if prompt is None and not opened:
            return None
        return posed(prompt, *opened, system=system)

    def _image(self, column: str, name: str) -> ImagePart | None:
        """Return an image; one that is not opened is kept by its name."""
        is_web = _WEB.match(name) is not None
        image = None
        if not is_web:
            image = self._options.picture(self._fields.row, column, name, self._faults)
        if image is None:
            self.unseen.append(f"data:{text_digest(name).hex()}" if is_data_url(name) else name)
        return image

    def _whole(self, cells: Cells, source: FieldSource) -> tuple[Message, ...] | None:
        if source.way is None:
            return None
        items = cells.items(source.way)
        if items is None:
            return None
        if isinstance(items, Unread) or len(items) > _MOST_MESSAGES:
            what = (
                f"{shown(items.text)} is no list of messages"
                if isinstance(items, Unread)
                else (f"more than {_MOST_MESSAGES:,} messages")
            )
            self._fields.fault("messages", what)
            return None
        messages = [self._message(at, item) for at, item in enumerate(items, 1)]
        return tuple(message for message in messages if message is not None)

    def _message(self, at: int, item: Any) -> Message | None:
        if not isinstance(item, dict):
            what = f"message {at}: {shown(item)}: a role and a content are expected"
            self._fields.fault("messages", what)
            return None
        try:
            role, pieces = read_message(item, self._faults.remarks)
        except ValueError as error:
            self._fields.fault("messages", f"message {at}: {error}")
            return None
        column = self._fields.column("messages")
        parts: list[TextPart | ImagePart] = []
        for piece in pieces:
            part = self._image(column, piece.name) if isinstance(piece, ImageName) else piece
            if part is not None:
                parts.append(part)
        return Message(role, tuple(parts))


def _joined(
    messages: tuple[Message, ...], images: tuple[ImagePart, ...], system: str | None
) -> tuple[Message, ...]:
    """Return a conversation with what stands beside it: images first in the user's first turn."""
    if images:
        first = next((at for at, one in enumerate(messages) if one.role == "user"), None)
        turn = Message("user", images)
        if first is None:
            messages = (*messages, turn)
        else:
            turn = Message("user", (*images, *messages[first].parts))
            messages = (*messages[:first], turn, *messages[first + 1 :])
    return messages if system is None else (Message("system", (TextPart(system),)), *messages)
