"""How many tokens an image takes, as a checkpoint's files say it twice.

The processor writes so many image tokens into a prompt, the model gives so many features for them;
where the two differ, every request with an image fails. Both follow from numbers in the files: of
LLaVA, ``(height // patch) * (width // patch)``, with a class token where the tower has one, less
one where ``vision_feature_select_strategy`` is ``default``; of IDEFICS2, the resampler's latents.

What must hold: only numbers that the files name are compared; a checkpoint whose files leave one to
a library's default says nothing here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lam3db.models.weights import Checkpoint

_CLIP, _SIGLIP = "clip_vision_model", "siglip_vision_model"
_SPLIT = 5
"""Pictures that IDEFICS2 makes of one that it splits: four quarters and the whole."""


@dataclass(frozen=True, slots=True)
class ImageTokens:
    """What the processor writes and the model gives; ``pictures`` are made of one image."""

    written: int
    given: int
    written_from: str
    given_from: str
    pictures: int = 1

    @property
    def total(self) -> int:
        """Tokens of one image in a prompt."""
        return self.written * self.pictures


@dataclass(frozen=True, slots=True)
class _Grid:
    """Patches of a picture: the numbers that decide how many tokens they become."""

    height: int
    width: int
    patch: int
    more: int
    strategy: str

    @property
    def tokens(self) -> int:
        patches = (self.height // self.patch) * (self.width // self.patch)
        return patches + self.more - (self.strategy == "default")

    def __str__(self) -> str:
        return (
            f"{self.height} x {self.width} pixels, patch_size {self.patch}, "
            f"vision_feature_select_strategy {self.strategy}, {self.more} tokens more"
        )


def image_tokens(checkpoint: Checkpoint) -> ImageTokens | None:
    """Return both numbers; None where the files do not tell them."""
    config = checkpoint.read_json("config.json")
    processor = checkpoint.read_json("processor_config.json")
    images = checkpoint.read_json("preprocessor_config.json") or _part(processor, "image_processor")
    if config.get("model_type") == "idefics2":
        return _idefics2(config, processor, images)
    return _llava(config, processor, images) if config.get("model_type") == "llava" else None


def refuse_contradiction(name: str, checkpoint: Checkpoint) -> None:
    """Raise ModelError where the processor writes other tokens than the model gives features."""
    counts = image_tokens(checkpoint)
    if counts is None or counts.written == counts.given:
        return
    raise ModelError(
        f"{name}: {checkpoint.folder}: the processor contradicts the model: it writes "
        f"{counts.written} tokens for an image ({counts.written_from}), and the model gives "
        f"{counts.given} features ({counts.given_from}). Take processor_config.json and "
        "preprocessor_config.json of the repository that the weights come from"
    )


def _idefics2(
    config: Mapping[str, Any], processor: Mapping[str, Any], images: Mapping[str, Any]
) -> ImageTokens | None:
    written = _whole(processor.get("image_seq_len"))
    given = _whole(_part(config, "perceiver_config").get("resampler_n_latents"))
    if written is None or given is None:
        return None
    pictures = _SPLIT if images.get("do_image_splitting") is True else 1
    told = f"image_seq_len {written}", f"resampler_n_latents {given}"
    return ImageTokens(written, given, *told, pictures)


def _llava(
    config: Mapping[str, Any], processor: Mapping[str, Any], images: Mapping[str, Any]
) -> ImageTokens | None:
    tower = _part(config, "vision_config")
    side, patch = _whole(tower.get("image_size")), _whole(tower.get("patch_size"))
    if tower.get("model_type") not in {_CLIP, _SIGLIP} or side is None or patch is None:
        return None
    first = int(tower["model_type"] == _CLIP)  # its class token
    strategy = str(config.get("vision_feature_select_strategy", "default"))
    given = _Grid(side, side, patch, first, strategy)
    pixels = _pixels(images)
    if pixels is None:
        return None
    more = processor.get("num_additional_image_tokens", first)
    # what a processor was published without is taken from the model (see `loading`)
    written = _Grid(
        *pixels,
        _whole(processor.get("patch_size")) or patch,
        more if isinstance(more, int) else first,
        str(processor.get("vision_feature_select_strategy") or strategy),
    )
    return ImageTokens(written.tokens, given.tokens, str(written), str(given))


def _pixels(images: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return height and width of what the image processor makes; None where it is not told."""
    crops = images.get("do_center_crop", "crop_size" in images)
    size = images.get("crop_size") if crops else images.get("size")
    if isinstance(size, int):
        return (size, size) if _whole(size) else None
    if not isinstance(size, dict):
        return None
    height, width = _whole(size.get("height")), _whole(size.get("width"))
    return None if height is None or width is None else (height, width)


def _part(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = value.get(name)
    return part if isinstance(part, dict) else {}


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
