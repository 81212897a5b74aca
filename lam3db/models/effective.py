"""What is asked for, what of it takes effect, and the sentences about the difference.

The requested settings are the runtime and model configs as they are; the effective ones are
a :class:`~lam3db.records.GenerationConfig`: what can change a text and nothing else, so that
two requests that mean the same share one key. What must hold: loading reads the effective
value, never the request, so what is hashed is what is done; a setting that is dropped is
told in a note; a checkpoint's own ``generation_config.json`` never decides silently.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lam3db.errors import ConfigError, did_you_mean
from lam3db.media import DECODER
from lam3db.models.template_settings import template_settings
from lam3db.records import GenerationConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lam3db.config import ModelConfig, Quantization, RuntimeConfig
    from lam3db.models.families import Family
    from lam3db.models.weights import Checkpoint

RUNNER = "transformers/1"
"""Raised when prompts, image preparation or decoding change what models say."""
SAMPLER = "gumbel-philox/1"
DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
_DEVICE_MAPS = ("auto", "balanced", "balanced_low_0", "sequential", "cpu", "cuda", "mps", "xpu")
_TOKEN_SETTINGS = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
_BOOKKEEPING = ("transformers_version", "use_cache", "max_length", "cache_implementation")


def effective_config(
    model: ModelConfig, runtime: RuntimeConfig, family: Family, checkpoint: Checkpoint
) -> tuple[GenerationConfig, tuple[str, ...]]:
    """Return the settings that take effect, and notes on those that do not.

    Raises:
        ConfigError: settings that contradict each other or the checkpoint.

    """
    notes: list[str] = []
    _check_device_map(runtime.device_map)
    system_prompt = family.system_prompt if model.system_prompt is None else model.system_prompt
    value: dict[str, Any] = {
        "runner": RUNNER,
        "family": family.name,
        "clean_up": family.clean_up,
        "markers": model.markers,
        **_image(model, family, checkpoint, notes),
        **_template(model),
        **template_settings(model, family, checkpoint, notes),
        "decoding": _decoding(runtime, notes),
        **_arithmetic(runtime, checkpoint.read_json("config.json"), notes),
    }
    if system_prompt and model.template == "raw":
        raise ConfigError(
            f"{model.name}: a raw prompt has no place for system_prompt: set system_prompt: ''"
        )
    if system_prompt:
        value["system_prompt"] = system_prompt
    _note_own_settings(checkpoint.read_json("generation_config.json"), notes)
    return GenerationConfig(value), tuple(notes)


def _check_device_map(name: str) -> None:
    if name not in _DEVICE_MAPS and re.fullmatch(r"(cuda|xpu|mps):\d+", name) is None:
        near = did_you_mean(name, [*_DEVICE_MAPS, "cuda:0"])
        raise ConfigError(f"device_map: {name!r} is nothing we know{near}")


def _template(model: ModelConfig) -> dict[str, Any]:
    """Return how messages become a prompt, where it is not as it always was."""
    value: dict[str, Any] = {}
    if model.template == "raw":
        if model.template_arguments:
            raise ConfigError(
                f"{model.name}: template_arguments have no effect on a raw prompt: leave them out"
            )
        value["template"] = "raw"
    if model.template_arguments:
        value["template_arguments"] = model.model_dump(mode="json")["template_arguments"]
    if model.last_turn != "auto":
        value["last_turn"] = model.last_turn
    return value


def _image(
    model: ModelConfig, family: Family, checkpoint: Checkpoint, notes: list[str]
) -> dict[str, Any]:
    """Return how images are prepared; nothing for a family that sees none."""
    if not family.images:
        if model.image != type(model.image)():
            notes.append(f"image settings have no effect on the family {family.name}")
        return {}
    value: dict[str, Any] = {"decoder": DECODER, "backend": "pil", "fit": model.image.fit}
    if family.splits_images:
        asked = model.image.splitting
        value["splitting"] = _own_splitting(checkpoint) if asked is None else asked
    elif model.image.splitting is not None:
        asked_for = str(model.image.splitting).lower()
        notes.append(f"image.splitting: {asked_for} has no effect on the family {family.name}")
    return {"image": value}


def _own_splitting(checkpoint: Checkpoint) -> bool:
    """Return the checkpoint's ``do_image_splitting`` (the class's default is off)."""
    own = checkpoint.read_json("preprocessor_config.json")
    own = own or checkpoint.read_json("processor_config.json").get("image_processor") or {}
    return bool(own.get("do_image_splitting", False))


def _decoding(runtime: RuntimeConfig, notes: list[str]) -> dict[str, Any]:
    """Return the decoding settings; a setting at the value that changes nothing is left out."""
    value: dict[str, Any] = {
        "do_sample": runtime.do_sample,
        "max_new_tokens": runtime.max_new_tokens,
    }
    if runtime.min_new_tokens is not None:
        value["min_new_tokens"] = runtime.min_new_tokens
        notes.append(
            f"min_new_tokens {runtime.min_new_tokens} suppresses the end of an answer until then: "
            "a short refusal is made to ramble"
        )
    if runtime.repetition_penalty != 1:
        value["repetition_penalty"] = runtime.repetition_penalty
    if not runtime.do_sample:
        _note_greedy(runtime, notes)
        return value
    _refuse_left_out(runtime)
    value |= {"temperature": runtime.temperature, "top_p": runtime.top_p, "seed": runtime.seed}
    if runtime.top_k is not None:
        value["top_k"] = runtime.top_k
    return value | {"sampler": SAMPLER}


def _refuse_left_out(runtime: RuntimeConfig) -> None:
    """Raise ConfigError for a setting left to a service: here is none that would choose."""
    for name in ("temperature", "top_p", "seed"):
        if getattr(runtime, name) is None:
            raise ConfigError(
                f"{name}: null leaves the choice to the service behind an endpoint; this model "
                f"runs here, so write a number (--set {name}=...), or do_sample: false"
            )


def _note_greedy(runtime: RuntimeConfig, notes: list[str]) -> None:
    temperature, top_p = (_number(one) for one in (runtime.temperature, runtime.top_p))
    idle = [f"temperature {temperature}"] if runtime.temperature not in (0, 1) else []
    idle += [f"top_p {top_p}"] if runtime.top_p != 1 else []
    idle += [f"top_k {runtime.top_k}"] if runtime.top_k is not None else []
    seed = _number(runtime.seed)
    what = f"{', '.join(idle)} and seed {seed} have" if idle else f"seed {seed} has"
    notes.append(f"decoding is greedy: {what} no effect")


def _number(value: float | None) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "null" if value is None else str(value)


def _arithmetic(
    runtime: RuntimeConfig, checkpoint: Mapping[str, Any], notes: list[str]
) -> dict[str, Any]:
    """Return dtype and quantization. With quantization on, ``compute_dtype`` is the dtype."""
    wanted = runtime.quantization
    own = checkpoint.get("quantization_config")
    if own:
        method = own.get("quant_method", "some method")
        if wanted.enabled:
            message = f"the checkpoint is already quantized ({method})"
            raise ConfigError(f"{message}: set quantization.enabled: false")
        notes.append(f"the checkpoint is itself quantized ({method}); precision covers the rest")
    if not wanted.enabled:
        return {"dtype": DTYPES[runtime.precision]}
    if runtime.precision != wanted.compute_dtype:
        notes.append(
            f"precision {runtime.precision} has no effect: quantization is on and "
            f"compute_dtype {wanted.compute_dtype} decides"
        )
    value = _quantization(wanted, notes)
    return {"dtype": DTYPES[wanted.compute_dtype], "quantization": value}


def _quantization(wanted: Quantization, notes: list[str]) -> dict[str, Any]:
    four_bits = wanted.bits == 4  # noqa: PLR2004 - bits
    if four_bits:
        value: dict[str, Any] = {"method": wanted.quant_type}
        return value | ({"double_quant": True} if wanted.double_quant else {})
    if wanted.double_quant:
        notes.append("quantization.double_quant: true has no effect with 8 bits")
    if wanted.quant_type != "nf4":
        notes.append(f"quantization.quant_type: {wanted.quant_type} has no effect with 8 bits")
    notes.append("8-bit arithmetic depends on the whole batch: texts may vary with batch mates")
    return {"method": "int8"}


def _note_own_settings(own: Mapping[str, Any], notes: list[str]) -> None:
    """Tell what the checkpoint's ``generation_config.json`` asks for and does not get."""
    known = (*_TOKEN_SETTINGS, *_BOOKKEEPING)
    asked = {
        name: value
        for name, value in own.items()
        if name not in known and not name.startswith("_") and value not in (None, False)
    }
    if asked:
        settings = ", ".join(f"{name}={value}" for name, value in sorted(asked.items()))
        notes.append(f"the checkpoint's own generation_config.json is not followed: {settings}")
