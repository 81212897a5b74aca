"""From messages to the text of a prompt: the checkpoint's own chat template, or none.

Chat templates of text-only models want a message's content as one text, or as a list of
parts as those of image-text models do; the first form in which the template shows every
text is taken. A raw prompt is its messages' texts, one after the other.

What must hold: what is rendered holds every text in full, or the request is refused; what a
request becomes depends on its messages and the model's config only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.errors import InputError
from lam3db.models.chat_template import template_of
from lam3db.models.template_host import TemplateLimitError
from lam3db.records import ImagePart, Message, TextPart

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Renderer:
    """Renders for one loaded model. ``processor`` is what it was loaded with."""

    processor: Any
    raw: bool
    arguments: Mapping[str, Any]
    images: bool

    def render(
        self, messages: tuple[Message, ...], texts: Sequence[str], *, continued: bool
    ) -> str:
        """Return the prompt; ``texts`` stand for the text parts of the messages in order.

        A ``continued`` conversation ends with the assistant's own last words, put right
        after the place where its answer begins.

        Raises:
            InputError: the template refuses the messages or leaves a text out.

        """
        if self.raw:
            return self._joined(messages, texts)
        tail = ""
        if continued:
            if any(isinstance(part, ImagePart) for part in messages[-1].parts):
                text = "an answer that begins with an image cannot be continued"
                raise InputError(text, of_sample=True)
            kept = len(texts) - len(texts_of(messages[-1:]))
            messages, texts, tail = messages[:-1], texts[:kept], "\n".join(texts[kept:])
        return self._chat(messages, texts) + tail

    def _joined(self, messages: tuple[Message, ...], texts: Sequence[str]) -> str:
        left = iter(texts)
        token = getattr(self.processor, "image_token", None) or ""
        return "".join(
            token if isinstance(part, ImagePart) else next(left)
            for message in messages
            for part in parts_of(message)
        )

    def _chat(self, messages: tuple[Message, ...], texts: Sequence[str]) -> str:
        forms = (_parts,) if self.images else (_whole, _parts)
        told: InputError | None = None
        for form in forms:
            left = iter(texts)
            conversation = [
                {"role": message.role, "content": form(message, left)} for message in messages
            ]
            try:
                prompt = self._templated(conversation)
                check_shown(prompt, texts)
            except TemplateLimitError:
                raise
            except InputError as error:
                told = told or error
            else:
                return prompt
        raise told or InputError("a conversation without messages")

    def _templated(self, conversation: list[dict[str, Any]]) -> str:
        try:
            return template_of(self.processor, self.arguments).render(conversation)
        except TemplateLimitError as error:
            raise TemplateLimitError(f"the model's chat template: {error}") from error
        except InputError as error:
            roles = ", ".join(message["role"] for message in conversation)
            message = f"the model's chat template refuses these messages ({roles}): {error}"
            raise InputError(message) from error


def check_shown(prompt: str, texts: Sequence[str]) -> None:
    """Raise InputError for a text that the prompt does not hold."""
    for text in texts:
        if text.strip() not in prompt:
            shown = f"{text.strip()[:_SHOWN]!r}"
            raise InputError(f"the model's chat template does not show the text {shown}")


def parts_of(message: Message) -> tuple[TextPart | ImagePart, ...]:
    """Return a message's parts; an empty message is one empty text."""
    return message.parts or (TextPart(""),)


def texts_of(messages: tuple[Message, ...]) -> list[str]:
    """Return the texts of the messages' parts in order."""
    return [
        part.text
        for message in messages
        for part in parts_of(message)
        if isinstance(part, TextPart)
    ]


def _parts(message: Message, texts: Iterator[str]) -> list[dict[str, Any]]:
    return [
        {"type": "image"} if isinstance(part, ImagePart) else {"type": "text", "text": next(texts)}
        for part in parts_of(message)
    ]


def _whole(message: Message, texts: Iterator[str]) -> str:
    return "\n".join(next(texts) for part in parts_of(message) if isinstance(part, TextPart))
