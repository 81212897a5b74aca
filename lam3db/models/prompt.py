"""From messages and images to what one request feeds the model: token ids and pixels.

Each request is prepared alone, so that a broken image or an impossible prompt fails that
request and no other. What must hold: what the model is sent holds every text and every
image of the messages, in full: a prompt is refused, never cut; a system prompt of the
sample's own takes the place of the configured one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.errors import InputError
from lam3db.models.markers import TextMarkers
from lam3db.models.messages import with_system_prompt
from lam3db.records import ImagePart, Message, TextPart

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from PIL.Image import Image

    from lam3db.plugins import ImageOpener

_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Prepared:
    """What one request feeds the model; ``tensors`` are all but ids and mask, on the CPU."""

    ids: tuple[int, ...]
    tensors: Mapping[str, torch.Tensor]


class Preparer:
    """Prepares requests for one loaded model, as its effective config says."""

    def __init__(
        self,
        processor: Any,
        config: Mapping[str, Any],
        open_image: ImageOpener,
        context: int | None,
    ) -> None:
        self._processor = processor
        self._system = config.get("system_prompt", "")
        self._markers = TextMarkers(processor) if config["markers"] == "text" else None
        self._pads = config["image"]["fit"] == "pad"
        self._open_image = open_image
        self._context = context
        self._room = int(config["decoding"]["max_new_tokens"])

    def prepare(self, messages: tuple[Message, ...]) -> Prepared:
        """Return ids and pixels of one conversation.

        Raises:
            InputError: a prompt that cannot be sent as it is.
            MediaError: an image that cannot be used.

        """
        messages = with_system_prompt(messages, self._system)
        images = self._images(messages)
        out = self._processed(messages, images)
        ids = tuple(out.pop("input_ids")[0].tolist())
        out.pop("attention_mask", None)
        self._check_length(len(ids))
        return Prepared(ids, {name: value for name, value in out.items() if _is_tensor(value)})

    def _images(self, messages: tuple[Message, ...]) -> list[Image]:
        parts = [part for message in messages for part in message.parts]
        images = [self._open_image(part.sha256) for part in parts if isinstance(part, ImagePart)]
        return [self._padded(image) for image in images] if self._pads else images

    def _padded(self, image: Image) -> Image:
        """Lay an image in the middle of a square of the processor's mean colour.

        As ``expand2square`` of the original LLaVA code does (llava/mm_utils.py).
        """
        import PIL.Image

        mean = self._processor.image_processor.image_mean or (0.5, 0.5, 0.5)
        colour = tuple(int(channel * 255) for channel in mean)
        width, height = image.size
        if width == height:
            return image
        side = max(width, height)
        square = PIL.Image.new("RGB", (side, side), colour)
        square.paste(image, ((side - width) // 2, (side - height) // 2))
        return square

    def _processed(self, messages: tuple[Message, ...], images: list[Image]) -> dict[str, Any]:
        """Render the chat template and run the processor on the result."""
        texts = _texts(messages)
        placeholders: dict[str, str] = {}
        if self._markers is not None and self._markers.found(texts):
            texts, placeholders = self._markers.protect(texts)
        prompt = self._rendered(messages, texts)
        self._check_rendered(prompt, texts, len(images))
        start = self._processor.tokenizer.bos_token
        arguments = {
            "text": [prompt],
            "images": images or None,
            "return_tensors": "pt",
            "add_special_tokens": not (start and prompt.startswith(start)),
        }
        if placeholders and self._markers is not None:
            return dict(self._markers.process(placeholders, **arguments))
        return dict(self._processor(**arguments))

    def _rendered(self, messages: tuple[Message, ...], texts: list[str]) -> str:
        """Return the prompt as the model's own chat template writes it."""
        from jinja2 import TemplateError

        left = iter(texts)
        conversation = [
            {"role": message.role, "content": [_content(part, left) for part in _parts(message)]}
            for message in messages
        ]
        try:
            prompt = self._processor.apply_chat_template(conversation, add_generation_prompt=True)
        except TemplateError as error:
            roles = ", ".join(message.role for message in messages)
            message = f"the model's chat template refuses these messages ({roles}): {error}"
            raise InputError(message) from error
        return str(prompt)

    def _check_rendered(self, prompt: str, texts: list[str], images: int) -> None:
        for text in texts:
            if text.strip() not in prompt:
                shown = f"{text.strip()[:_SHOWN]!r}"
                raise InputError(f"the model's chat template does not show the text {shown}")
        token = getattr(self._processor, "image_token", None)
        if token and (count := prompt.count(token)) != images:
            message = f"{count} {token} markers in the prompt for {images} images"
            cure = (
                "" if self._markers else f" (markers: control sends a {token} of the text as one)"
            )
            raise InputError(f"{message}: the model cannot be fed that{cure}")

    def _check_length(self, count: int) -> None:
        if self._context is not None and count + self._room > self._context:
            raise InputError(
                f"a prompt of {count} tokens and max_new_tokens {self._room} exceed the model's "
                f"context of {self._context}: it is not cut; shorten it or ask for less"
            )


def _parts(message: Message) -> tuple[TextPart | ImagePart, ...]:
    return message.parts or (TextPart(""),)


def _texts(messages: tuple[Message, ...]) -> list[str]:
    return [
        part.text for message in messages for part in _parts(message) if isinstance(part, TextPart)
    ]


def _content(part: TextPart | ImagePart, texts: Any) -> dict[str, Any]:
    if isinstance(part, ImagePart):
        return {"type": "image"}
    return {"type": "text", "text": next(texts)}


def _is_tensor(value: object) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")
