"""The types of what is read from a checkpoint's JSON files, key by key.

A model folder is a stranger's: a number where an object belongs would end in a traceback wherever
the key is read first. What must hold: every key that this package reads of these files is in the
table (``null`` is as if it were left out) but those of ``tokenizer.json``, which is large and read
once; a value of another type is told with file, key and value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lam3db.weightfiles import read_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_OBJECT, _LIST, _TEXT, _NUMBER, _SWITCH = "an object", "a list", "text", "a number", "true or false"
_TYPES: dict[str, type | tuple[type, ...]] = {
    _OBJECT: dict,
    _LIST: list,
    _TEXT: str,
    _NUMBER: (int, float),
    _SWITCH: bool,
}
_TOKEN = (_TEXT, _OBJECT)
_ID = (_NUMBER, _LIST)
_TOKENS: dict[str, tuple[str, ...]] = {
    f"{name}_token": _TOKEN for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
}
_TEMPLATE: dict[str, tuple[str, ...]] = {"chat_template": (_TEXT, _LIST, _OBJECT)}
_PIXELS = {
    "do_image_splitting": (_SWITCH,),
    "do_center_crop": (_SWITCH,),
    "size": (_NUMBER, _OBJECT, _LIST),
    "crop_size": (_NUMBER, _OBJECT, _LIST),
    "image_mean": (_LIST, _NUMBER),
    "image_std": (_LIST, _NUMBER),
    "image_processor_type": (_TEXT,),
}
_PART = {
    "model_type": (_TEXT,),
    "hidden_size": (_NUMBER, _LIST),
    "vocab_size": (_NUMBER,),
    "eos_token_id": _ID,
    "max_position_embeddings": (_NUMBER,),
    "n_positions": (_NUMBER,),
    "max_seq_len": (_NUMBER,),
    "image_size": (_NUMBER, _LIST, _OBJECT),
    "patch_size": (_NUMBER, _LIST),
}
KEYS: dict[str, dict[str, tuple[str, ...]]] = {
    "config.json": {
        **_PART,
        "architectures": (_LIST,),
        "quantization_config": (_OBJECT,),
        "vision_config": (_OBJECT,),
        "text_config": (_OBJECT,),
        "perceiver_config": (_OBJECT,),
        "vision_feature_select_strategy": (_TEXT,),
        "_name_or_path": (_TEXT,),
        "mm_projector_type": (_TEXT,),
        **{f"vision_config.{name}": kinds for name, kinds in _PART.items()},
        **{f"text_config.{name}": kinds for name, kinds in _PART.items()},
        "quantization_config.quant_method": (_TEXT,),
        "perceiver_config.resampler_n_latents": (_NUMBER,),
    },
    "generation_config.json": {"eos_token_id": _ID},
    "preprocessor_config.json": _PIXELS,
    "processor_config.json": {
        **_TEMPLATE,
        "image_processor": (_OBJECT,),
        "image_seq_len": (_NUMBER,),
        "patch_size": (_NUMBER,),
        "num_additional_image_tokens": (_NUMBER,),
        "vision_feature_select_strategy": (_TEXT,),
        **{f"image_processor.{name}": kinds for name, kinds in _PIXELS.items()},
    },
    "tokenizer_config.json": {
        **_TEMPLATE,
        **_TOKENS,
        "added_tokens_decoder": (_OBJECT,),
        "model_max_length": (_NUMBER,),
    },
    "special_tokens_map.json": _TOKENS,
    "chat_template.json": _TEMPLATE,
}
_LONGEST = 60


def type_faults(folder: Path) -> list[str]:
    """Return what has another type than it is read as; files that cannot be read say nothing."""
    return [
        f"{folder / name}: {key} is {_shown(value)}, which is not {' or '.join(kinds)}"
        for name, keys in KEYS.items()
        for key, value, kinds in _wrong(_values(folder / name), keys)
    ]


def _values(path: Path) -> Mapping[str, Any]:
    try:
        return read_object(path) if path.is_file() else {}
    except ValueError:
        return {}


def _wrong(
    values: Mapping[str, Any], keys: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    for key, kinds in keys.items():
        above, _, last = key.rpartition(".")
        holder = values.get(above) if above else values
        value = holder.get(last) if isinstance(holder, dict) else None
        if value is not None and not any(_is(value, kind) for kind in kinds):
            yield key, value, kinds


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == _SWITCH
    return isinstance(value, _TYPES[kind])


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
