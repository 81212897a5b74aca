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
from lam3db.models.rendering import Renderer, texts_of
from lam3db.records import TEMPLATE_ROLE, Message, images_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from PIL.Image import Image

    from lam3db.plugins import ImageOpener


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
        image = config.get("image")
        self._renderer = Renderer(
            processor,
            raw=config.get("template") == "raw",
            arguments=config.get("template_arguments", {}),
            images=image is not None,
        )
        self._pads = image is not None and image["fit"] == "pad"
        self._open_image = open_image
        self._context = context
        self._room = int(config["decoding"]["max_new_tokens"])

    def prepare(self, messages: tuple[Message, ...], *, continues: bool = False) -> Prepared:
        """Return ids and pixels of one conversation.

        With ``continues``, one that ends with the assistant is continued, not answered.

        Raises:
            InputError: a prompt that cannot be sent as it is.
            MediaError: an image that cannot be used.

        """
        messages = with_system_prompt(messages, self._system)
        images = self._images(messages)
        continued = continues and messages[-1].role == "assistant"
        out = self._processed(messages, images, continued=continued)
        ids = tuple(out.pop("input_ids")[0].tolist())
        out.pop("attention_mask", None)
        self._check_length(len(ids))
        return Prepared(ids, {name: value for name, value in out.items() if _is_tensor(value)})

    def _images(self, messages: tuple[Message, ...]) -> list[Image]:
        digests = images_of(messages)
        if digests and not self._renderer.images:
            raise InputError(
                f"{len(digests)} images for a model without eyes: take an image-text model",
                of_sample=True,
            )
        images = [self._open_image(digest) for digest in digests]
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

    def _processed(
        self, messages: tuple[Message, ...], images: list[Image], *, continued: bool = False
    ) -> dict[str, Any]:
        """Render the prompt and run the processor on the result."""
        texts = texts_of(messages)
        placeholders: dict[str, str] = {}
        if self._markers is not None and self._markers.found(texts):
            protected, placeholders = self._markers.protect(texts)
            live = self._live(messages)
            texts = [
                text if alive else safe
                for text, safe, alive in zip(texts, protected, live, strict=True)
            ]
        prompt = self._rendered(messages, texts, continued=continued)
        self._check_images(prompt, len(images), texts)
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

    def _live(self, messages: tuple[Message, ...]) -> list[bool]:
        """Tell of each text whether its markers are the prompt's own."""
        return [
            self._renderer.raw and message.role == TEMPLATE_ROLE
            for message in messages
            for _ in texts_of((message,))
        ]

    def _rendered(
        self, messages: tuple[Message, ...], texts: list[str], *, continued: bool = False
    ) -> str:
        return self._renderer.render(messages, texts, continued=continued)

    def _check_images(self, prompt: str, images: int, texts: list[str]) -> None:
        token = getattr(self._processor, "image_token", None)
        if token and (count := prompt.count(token)) != images:
            message = f"{count} {token} markers in the prompt for {images} images"
            cure = (
                "" if self._markers else f" (markers: control sends a {token} of the text as one)"
            )
            own = any(token in text for text in texts)
            raise InputError(f"{message}: the model cannot be fed that{cure}", of_sample=own)

    def _check_length(self, count: int) -> None:
        if self._context is not None and count + self._room > self._context:
            raise InputError(
                f"a prompt of {count} tokens and max_new_tokens {self._room} exceed the model's "
                f"context of {self._context}: it is not cut; shorten it or ask for less",
                of_sample=self._room < self._context,
            )


def _is_tensor(value: object) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")
