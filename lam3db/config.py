"""YAML to validated, normalised, frozen configs.

What must hold: an unknown key is an error with file, line and a near name; a setting has one
spelling after :func:`normalize_runtime`, which tells what it changed and refuses
contradictions; a config never holds a secret.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Precision = Literal["fp32", "fp16", "bf16"]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())


class Quantization(_Frozen):
    """How weights are packed. ``compute_dtype`` is what the arithmetic is done in."""

    enabled: bool = False
    bits: Literal[4, 8] = 4
    quant_type: Literal["nf4", "fp4"] = "nf4"
    compute_dtype: Precision = "bf16"
    double_quant: bool = False


class RuntimeConfig(_Frozen):
    """How text is made: the lab's table. None means "not asked for"."""

    precision: Precision = "bf16"
    device_map: str = "auto"
    max_new_tokens: int = Field(default=256, ge=1)
    min_new_tokens: int | None = Field(default=None, ge=1)
    do_sample: bool = True
    temperature: float = Field(default=1.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=1)
    repetition_penalty: float = Field(default=1.0, gt=0)
    seed: int = Field(default=42, ge=0, lt=2**53)
    batch_size: int | Literal["auto"] = "auto"
    quantization: Quantization = Quantization()


class ImageOptions(_Frozen):
    """How an image reaches the model; changes results, so part of the config's digest.

    ``fit``: ``processor`` leaves it to the checkpoint's own processor (LLaVA's crops the
    centre), ``pad`` pads to a square first as the original LLaVA code does. ``splitting``
    is IDEFICS2's ``do_image_splitting``; None leaves the checkpoint's own setting.
    """

    fit: Literal["processor", "pad"] = "processor"
    splitting: bool | None = None


class ModelConfig(_Frozen):
    """Which model. ``source`` is a folder or a hub name; see ``configs/models``."""

    name: str
    kind: str = "transformers"
    family: str = "auto"
    source: str
    revision: str | None = None
    system_prompt: str | None = None
    image: ImageOptions = ImageOptions()
    markers: Literal["text", "control"] = "text"
    local_files_only: bool = True
    allow_pickle: bool = False
    notes: str = ""


class Policy(_Frozen):
    """A threshold on the judge's value, applied when reading."""

    threshold: float
    operator: Literal[">", ">="] = ">="


class JudgeConfig(_Frozen):
    """Which judge. ``settings`` belong to its kind and are checked by it."""

    name: str
    kind: str
    settings: dict[str, Any] = Field(default_factory=dict)
    policy: Policy | None = None
    notes: str = ""


class RunConfig(_Frozen):
    """A whole job: generate, judge, report. Names or paths of the files above."""

    models: tuple[str, ...]
    dataset: str
    runtime: str = "runtime"
    settings: dict[str, Any] = Field(default_factory=dict)
    judges: tuple[str, ...] = ()
    replicates: int = Field(default=1, ge=1)
    limit: int | None = Field(default=None, ge=1)
    report_by: tuple[str, ...] = ("model", "attack")
