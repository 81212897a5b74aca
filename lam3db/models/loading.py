"""The one function through which a model and its processor are loaded.

What must hold: the dtype is always ours, never the file's; nothing is looked up outside
the folder; no code of the checkpoint runs; no weight is left random; no layer lies on the
CPU or the disk behind a GPU's back; and a second model in the process finds torch's
default dtype and device as they were.
"""

from __future__ import annotations

import contextlib
import logging as standard_logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
import transformers
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
    BitsAndBytesConfig,
)
from transformers import GenerationConfig as OwnSettings
from transformers.utils import logging

from lam3db.errors import ModelError
from lam3db.models.families import FAMILIES, PLAIN_TEXTS, Family
from lam3db.models.text_processor import TextProcessor
from lam3db.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to answer. ``context`` is the most positions it knows, if it says so."""

    model: Any
    processor: Any
    family: Family
    device: torch.device
    dtype: torch.dtype
    stops: frozenset[int]
    pad_id: int
    context: int | None


def load_model(
    folder: Path, config: Mapping[str, Any], device_map: str, *, allow_pickle: bool = False
) -> Loaded:
    """Load a complete checkpoint folder as its effective config says.

    Raises:
        ModelError: it cannot be loaded whole onto this device.

    """
    family = FAMILIES[config["family"]]
    dtype = getattr(torch, config["dtype"])
    with _quiet():
        load = _load_processor if family.images else _load_tokenizer
        processor = load(folder, config, family)
        model = _load_weights(folder, config, dtype, device_map, allow_pickle=allow_pickle)
    try:
        _complete_processor(processor, model.config, folder)
        stops = _stops(model, processor.tokenizer, (*family.stops, *config.get("stops", ())))
    except (AttributeError, TypeError, ValueError) as error:
        raise _unusable(folder, "its config", error) from error
    model.generation_config = OwnSettings()  # ours alone decides
    pad = processor.tokenizer.pad_token_id
    return Loaded(
        model=model.eval().requires_grad_(requires_grad=False),
        processor=processor,
        family=_as_decoded(family, model.config),
        device=model.get_input_embeddings().weight.device,
        dtype=dtype,
        stops=stops,
        pad_id=pad if isinstance(pad, int) else min(stops, default=0),
        context=getattr(model.config.get_text_config(), "max_position_embeddings", None),
    )


def _unusable(folder: Path, what: str, error: Exception) -> ModelError:
    text = redact(str(error)).strip()
    return ModelError(f"{folder}: {what} cannot be loaded: {type(error).__name__}: {text}")


def _as_decoded(family: Family, config: Any) -> Family:
    """Let our own loop decode a text-only model that it knows; both ways give the same."""
    if family.images:
        return family
    return replace(family, plain_decoder=config.model_type in PLAIN_TEXTS)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's remarks and bars off the terminal: what matters is checked and raised."""
    verbosity = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    # its one remark is on a faster kernel that could be fetched; it comes later than the loading
    standard_logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(standard_logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _load_processor(folder: Path, config: Mapping[str, Any], family: Family) -> Any:
    image = config["image"]
    more = {"do_image_splitting": image["splitting"]} if family.splits_images else {}
    try:
        processor = AutoProcessor.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, backend=image["backend"], **more
        )
    except Exception as error:  # a stranger's files make the library raise anything
        raise _unusable(folder, "its processor", error) from error
    if not (hasattr(processor, "image_processor") and hasattr(processor, "tokenizer")):
        kind = type(processor).__name__
        raise ModelError(f"{folder}: {kind} prepares no images: this is no image-text model")
    used = getattr(processor.image_processor, "backend", image["backend"])
    if used != image["backend"]:
        raise ModelError(f"{folder}: images would be prepared by {used}, not {image['backend']}")
    processor.tokenizer.padding_side = "left"
    return processor


def _load_tokenizer(folder: Path, config: Mapping[str, Any], family: Family) -> Any:
    del config, family
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, padding_side="left"
        )
    except Exception as error:  # a stranger's files make the library raise anything
        raise _unusable(folder, "its tokenizer", error) from error
    return TextProcessor(tokenizer)


def _load_weights(
    folder: Path, config: Mapping[str, Any], dtype: torch.dtype, device_map: str, *,
    allow_pickle: bool,
) -> Any:  # fmt: skip
    where = _where(device_map)
    arguments: dict[str, Any] = {"quantization_config": _quantization(config, dtype)}
    if where is not None or arguments["quantization_config"] is not None:
        arguments["device_map"] = where or {"": "cpu"}
    images = FAMILIES[config["family"]].images
    loader = AutoModelForImageTextToText if images else AutoModelForCausalLM
    try:
        model, found = loader.from_pretrained(
            folder, dtype=dtype, local_files_only=True, trust_remote_code=False,
            use_safetensors=None if allow_pickle else True, output_loading_info=True,
            ignore_mismatched_sizes=True,  # told below, by name
            **arguments,
        )  # fmt: skip
    except torch.OutOfMemoryError as error:
        raise ModelError(f"{folder} does not fit the device's memory: {error}") from error
    except Exception as error:  # a stranger's files make the library raise anything
        raise _unusable(folder, "it", error) from error
    _refuse_gaps(folder, found)
    _refuse_offload(folder, model, where)
    return model


def _where(device_map: str) -> str | dict[str, str] | None:
    """Return transformers' ``device_map``; None is the CPU without dispatch.

    ``auto`` sizes by the memory free at this moment and spills the rest: with one GPU the
    whole model goes there or fails.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device_map == "cpu" or (device_map == "auto" and gpus == 0):
        return None
    if device_map == "auto" and gpus == 1:
        return {"": "cuda:0"}
    if device_map.startswith("cuda") and gpus == 0:
        raise ModelError(f"device_map {device_map}: torch sees no GPU here; `auto` takes the CPU")
    if device_map == "auto" or not device_map.startswith(("cuda", "mps", "xpu")):
        return device_map
    return {"": device_map if ":" in device_map else f"{device_map}:0"}


def _quantization(config: Mapping[str, Any], dtype: torch.dtype) -> Any:
    wanted = config.get("quantization")
    if wanted is None:
        return None
    if wanted["method"] == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=wanted["method"],
        bnb_4bit_compute_dtype=dtype,
        bnb_4bit_use_double_quant=wanted.get("double_quant", False),
    )


def _refuse_gaps(folder: Path, found: Mapping[str, Any]) -> None:
    """Refuse a checkpoint that does not fill the model: the rest would be random."""
    gaps = sorted(found["missing_keys"])
    wrong = sorted(str(item[0]) for item in found["mismatched_keys"])
    adapters = [name for name in found["unexpected_keys"] if "lora_" in name]
    for what, names in (("are missing", gaps), ("have other sizes", wrong)):
        if names:
            some = ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
            message = f"{folder}: {len(names)} weights {what} ({some})"
            raise ModelError(f"{message}: they would be random; the checkpoint is not for this")
    if adapters:
        raise ModelError(f"{folder}: adapter weights ({adapters[0]}) are not applied: merge them")


def _refuse_offload(folder: Path, model: Any, where: object) -> None:
    spilled = [
        name
        for name, device in (getattr(model, "hf_device_map", None) or {}).items()
        if str(device) in {"cpu", "disk"}
    ]
    if where is not None and spilled:
        message = f"{folder}: {len(spilled)} modules would lie on CPU or disk ({spilled[0]} ...)"
        cure = "free the GPU, quantize, or ask for device_map: cpu"
        raise ModelError(f"{message}: too slow to be meant; {cure}")


def _complete_processor(processor: Any, config: Any, folder: Path) -> None:
    """Give an old LLaVA processor the three numbers it was published without.

    They follow from the model's own config; without them image tokens cannot be counted.
    """
    if not isinstance(processor, transformers.LlavaProcessor):
        return
    if processor.patch_size is None:
        processor.patch_size = config.vision_config.patch_size
    if processor.vision_feature_select_strategy is None:
        processor.vision_feature_select_strategy = config.vision_feature_select_strategy
    file = folder / "processor_config.json"
    told = file.is_file() and "num_additional_image_tokens" in file.read_text(encoding="utf-8")
    if not told and config.vision_config.model_type == "clip_vision_model":
        processor.num_additional_image_tokens = 1  # CLIP's class token


def _stops(model: Any, tokenizer: Any, more: Sequence[str]) -> frozenset[int]:
    """Return the tokens that end an answer: the checkpoint's, the tokenizer's, and ``more``.

    More are the family's, and the one with which the chat template ends a turn.
    """
    own = [getattr(model.generation_config, "eos_token_id", None)]
    own += [getattr(model.config.get_text_config(), "eos_token_id", None), tokenizer.eos_token_id]
    known = tokenizer.get_vocab()
    own += [known.get(marker) for marker in more]
    flat = [token for one in own for token in (one if isinstance(one, list) else [one])]
    size = model.config.get_text_config().vocab_size
    return frozenset(token for token in flat if isinstance(token, int) and token < size)
