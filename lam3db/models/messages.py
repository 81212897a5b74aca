"""A conversation as a model is sent it, whatever sends it.

What must hold: a system prompt of the sample's own takes the place of the configured one; a
text that cannot be sent as it is is refused, never changed.
"""

from __future__ import annotations

import re

from lam3db.errors import InputError
from lam3db.records import Message, TextPart

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def with_system_prompt(messages: tuple[Message, ...], system: str) -> tuple[Message, ...]:
    """Return the messages, with the configured system prompt where they bring none.

    Raises:
        InputError: there are none, or a text holds half a character.

    """
    if not messages:
        raise InputError("a sample without messages: there is nothing to answer", of_sample=True)
    for message in messages:
        _check_text(message)
    if not system or any(message.role == "system" for message in messages):
        return messages
    return (Message("system", (TextPart(system),)), *messages)


def _check_text(message: Message) -> None:
    for part in message.parts:
        if isinstance(part, TextPart) and (found := _LONE_SURROGATE.search(part.text)):
            raise InputError(
                f"the text holds half a character (lone surrogate U+{ord(found[0]):04X} at "
                f"position {found.start()}), which no tokenizer can encode",
                of_sample=True,
            )
