"""The layout in which LLaVA was first published, which transformers does not load.

Its ``config.json`` names ``mm_vision_tower`` and a class such as ``LlavaLlamaForCausalLM``; the
vision tower is another repository, and a projector lies beside the weights or in a file of its own
(``mm_projector.bin``). The same weights, converted, are published under names that end in ``-hf``.

What must hold: a converted checkpoint is never taken for an original one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_CLASS = re.compile(r"Llava\w*ForCausalLM")
_OWNERS = ("liuhaotian/", "lmms-lab/")
_NAME = re.compile(r"llava-(?P<rest>v1\.[56]-[\w.-]+|onevision-[\w.-]+)", re.IGNORECASE)
_SCRIPT = "transformers' convert_llava_weights_to_hf.py"
_SIZES = {4096: "7b", 5120: "13b"}


def is_original(folder: Path, config: Mapping[str, Any]) -> bool:
    """Tell whether a folder holds LLaVA as it was first published."""
    if isinstance(config.get("vision_config"), dict):
        return False  # converted, whatever lies beside it
    classes = config.get("architectures")
    named = classes if isinstance(classes, list) else []
    return (
        "mm_vision_tower" in config
        or any(_CLASS.fullmatch(str(one)) for one in named)
        or (folder / "mm_projector.bin").is_file()
    )


def is_original_name(source: str) -> bool:
    """Tell whether a hub name is one under which LLaVA was first published."""
    return source.startswith(_OWNERS) and _NAME.search(source) is not None


def cure(source: str, config: Mapping[str, Any]) -> str:
    """Return which repository to take instead, as a sentence."""
    converted = _converted(source, config)
    where = f"{converted} is it, converted" if converted else "take its -hf repository (llava-hf)"
    return (
        f"this is LLaVA in its original layout, and its weights must be converted first: {where}; "
        f"your own weights are converted by {_SCRIPT}"
    )


def _converted(source: str, config: Mapping[str, Any]) -> str:
    """Return the converted repository's name; ``""`` where it cannot be told."""
    names = [str(config.get("_name_or_path", "")), source]
    match = next((found for name in reversed(names) if (found := _NAME.search(name))), None)
    if match is not None and "lora" not in match[0]:
        rest = match["rest"].removesuffix("-hf").lower()
        return f"llava-hf/llava-{rest.removeprefix('v') if rest.startswith('v1.5') else rest}-hf"
    size = _SIZES.get(config.get("hidden_size", 0))
    plain = config.get("mm_projector_type") == "mlp2x_gelu" and not config.get(
        "image_grid_pinpoints"
    )
    return f"llava-hf/llava-1.5-{size}-hf" if size and plain else ""
