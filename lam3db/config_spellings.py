"""Old and foreign spellings of runtime settings, brought to the one form.

Each key of the file becomes one or more claims, "this setting has that value". Claims of one
setting that disagree are a contradiction, and the file is refused: which of the two its
writer meant is not ours to guess.

What must hold: a claim made in the one form passes unchanged and unmentioned; every other
one is told as a sentence (``torch_dtype: bfloat16 -> precision: bf16``) or is a fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from lam3db.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from lam3db.config_files import Faults, Place

_QUANTIZATION = ("enabled", "bits", "quant_type", "compute_dtype", "double_quant")
_PLAIN = (
    "precision", "device_map", "max_new_tokens", "min_new_tokens", "do_sample", "temperature",
    "top_p", "top_k", "repetition_penalty", "seed", "batch_size",
)  # fmt: skip
SETTINGS = (*_PLAIN, "quantization", *(f"quantization.{name}" for name in _QUANTIZATION))

_RENAMED = {name: name for name in _PLAIN} | {
    "torch_dtype": "precision",
    "dtype": "precision",
    "temp": "temperature",
    "topp": "top_p",
    "nucleus": "top_p",
    "nucleus_p": "top_p",
    "topk": "top_k",
    "random_seed": "seed",
    "manual_seed": "seed",
    "max_tokens": "max_new_tokens",
    "max_output_tokens": "max_new_tokens",
    "max_completion_tokens": "max_new_tokens",
    "min_tokens": "min_new_tokens",
    "device": "device_map",
    "use_quantization": "quantization.enabled",
    "quantize": "quantization",
    "compute_dtype": "quantization.compute_dtype",
    "quant_type": "quantization.quant_type",
    "double_quant": "quantization.double_quant",
    "bnb_4bit_compute_dtype": "quantization.compute_dtype",
    "bnb_4bit_quant_type": "quantization.quant_type",
    "bnb_4bit_use_double_quant": "quantization.double_quant",
    **{
        f"quantization{dot}{name}": f"quantization.{name}" for name in _QUANTIZATION for dot in "_."
    },
}
_IN_QUANTIZATION = {name: f"quantization.{name}" for name in _QUANTIZATION} | {
    "use_double_quant": "quantization.double_quant",
    "dtype": "quantization.compute_dtype",
}
_GROUPS = {"sampling", "decoding", "generation", "generate", "generation_config", "gen", "runtime"}
_QUANTIZATION_GROUPS = {"quantization", "quantization_config", "bnb", "bitsandbytes"}
_PRECISIONS = {
    word: short
    for short, words in {
        "bf16": ("bf16", "bfloat16", "brain"),
        "fp16": ("fp16", "float16", "half", "f16"),
        "fp32": ("fp32", "float32", "float", "full", "single", "f32"),
    }.items()
    for word in words
}
_PACKINGS: dict[object, dict[str, Any]] = {
    "4bit": {"enabled": True, "bits": 4},
    "int4": {"enabled": True, "bits": 4},
    "nf4": {"enabled": True, "bits": 4, "quant_type": "nf4"},
    "fp4": {"enabled": True, "bits": 4, "quant_type": "fp4"},
    "8bit": {"enabled": True, "bits": 8},
    "int8": {"enabled": True, "bits": 8},
    "none": {"enabled": False},
    "off": {"enabled": False},
}
_ELSEWHERE = "is a matter of the model: write it in configs/models/<name>.yaml"
_REFUSED = {
    "max_length": "counts the prompt too and so gives each sample another limit: "
    "write max_new_tokens",
    "min_length": "counts the prompt too: write min_new_tokens",
    "revision": _ELSEWHERE,
    "local_files_only": _ELSEWHERE,
    "system_prompt": _ELSEWHERE,
    "trust_remote_code": "is never allowed: code of a checkpoint is not run",
}
_ONE_ONLY = {
    "num_beams": "one text is followed at a time: beams make no sample of the model",
    "num_return_sequences": "several answers per sample are asked for by replicates",
    "n": "several answers per sample are asked for by replicates",
}


class Claim(NamedTuple):
    """Setting ``name`` (dotted) has ``value``, says the entry at ``place``, written ``text``."""

    name: str
    value: Any
    place: Place
    text: str


@dataclass(slots=True)
class Layer:
    """The claims of one source, told apart by setting; ``values`` is the one form, nested."""

    faults: Faults
    claims: dict[str, Claim] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)

    @property
    def values(self) -> dict[str, Any]:
        """The settings by their one name, those of quantization in their own mapping."""
        found: dict[str, Any] = {}
        for name, claim in self.claims.items():
            group, _, last = name.rpartition(".")
            (found.setdefault(group, {}) if group else found)[last] = claim.value
        return found


def translate(raw: Mapping[str, Any], faults: Faults) -> Layer:
    """Bring ``raw`` to the one form; faults go to ``faults``, changes to the result."""
    layer = Layer(faults)
    translator = _Translator(layer)
    translator.group(raw, ())
    translator.settle()
    return layer


def show(value: object) -> str:
    """Return a value as YAML writes it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


class _Translator:
    """One walk over a source."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.faults = layer.faults
        self.denials: list[Claim] = []
        self.special: dict[str, Callable[[Any], dict[str, Any]]] = {
            "load_in_4bit": lambda on: _load_in(4, on=on),
            "load_in_8bit": lambda on: _load_in(8, on=on),
            "greedy": lambda on: {"do_sample": not _flag(on)},
            **{name: _only_true(short) for name, short in _PRECISIONS.items()},
        }

    def group(self, raw: Mapping[str, Any], place: Place, *, packing: bool = False) -> None:
        for key, value in raw.items():
            self.entry(key, value, (*place, key), packing=packing)

    def entry(self, key: str, value: Any, place: Place, *, packing: bool) -> None:
        name = key.lower().replace("-", "_")
        if isinstance(value, Mapping) and name in _QUANTIZATION_GROUPS:
            self.group(value, place, packing=True)
            return
        if isinstance(value, Mapping) and name in _GROUPS:
            self.group(value, place)
            return
        text = f"{'.'.join(map(str, place))}: {show(value)}"
        try:
            found = self.meaning(name, value, packing=packing)
        except ValueError as error:
            self.faults.add(place, f"{text}: {error}")
            return
        if found is None:
            known = list(_IN_QUANTIZATION) if packing else [*_PLAIN, "quantization"]
            self.faults.add(place, f"unknown key {key!r}{did_you_mean(name, known)}")
            return
        self.tell(text, found)
        for setting, meant in found.items():
            self.claim(Claim(setting, meant, place, text))

    def meaning(self, name: str, value: Any, *, packing: bool) -> dict[str, Any] | None:
        """Return what an entry says as setting -> value; None for a name nobody knows."""
        if name in _REFUSED:
            raise ValueError(_REFUSED[name])
        if name in _ONE_ONLY:
            if value is not None and value != 1:
                raise ValueError(_ONE_ONLY[name])
            return {}
        if name in self.special:
            return self.special[name](value)
        if name in _QUANTIZATION_GROUPS or (name == "quantize" and not packing):
            return _packing(value)
        if name == "sampling":
            return {"do_sample": _flag(value)}
        table = _RENAMED | _IN_QUANTIZATION if packing else _RENAMED
        setting = table.get(name)
        if setting is None or (packing and not setting.startswith("quantization.")):
            return None
        return {setting: _value(setting, value)}

    def tell(self, text: str, found: dict[str, Any]) -> None:
        if not found:
            self.layer.changes.append(f"{text} -> left out, it changes nothing")
            return
        one_form = ", ".join(f"{name}: {show(value)}" for name, value in found.items())
        if one_form != text and not any(name.startswith("not ") for name in found):
            self.layer.changes.append(f"{text} -> {one_form}")

    def claim(self, claim: Claim) -> None:
        if claim.name.startswith("not "):
            self.denials.append(claim)
            return
        known = self.layer.claims.setdefault(claim.name, claim)
        if (known.value, isinstance(known.value, bool)) != (
            claim.value,
            isinstance(claim.value, bool),
        ):
            self.faults.add(claim.place, f"{claim.text} contradicts {known.text}{self.at(known)}")

    def settle(self) -> None:
        """Hold what was switched off (``bf16: false``) against what was asked for."""
        for denial in self.denials:
            name = denial.name.removeprefix("not ")
            if name == "precision":
                self.deny(denial, self.layer.claims.get(name), nothing="precision says how")
                continue
            enabled = self.layer.claims.get("quantization.enabled")
            bits = self.layer.claims.get("quantization.bits")
            if enabled is None:
                off = Claim("quantization.enabled", False, denial.place, denial.text)  # noqa: FBT003 - a value
                self.layer.claims["quantization.enabled"] = off
                self.layer.changes.append(f"{denial.text} -> quantization.enabled: false")
            elif enabled.value is True and (bits.value if bits else 4) == denial.value:
                self.faults.add(
                    denial.place, f"{denial.text} contradicts {enabled.text}{self.at(enabled)}"
                )
            else:
                self.layer.changes.append(f"{denial.text} -> left out, quantization says how")

    def deny(self, denial: Claim, known: Claim | None, nothing: str) -> None:
        if known is not None and known.value == denial.value:
            self.faults.add(denial.place, f"{denial.text} contradicts {known.text}{self.at(known)}")
        else:
            self.layer.changes.append(f"{denial.text} -> left out, {nothing}")

    def at(self, claim: Claim) -> str:
        line = self.faults.line(claim.place)
        return f" (line {line})" if line else ""


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("write true or false")  # noqa: TRY004 - a fault of the file
    return value


def _load_in(bits: int, *, on: Any) -> dict[str, Any]:
    if _flag(on):
        return {"quantization.enabled": True, "quantization.bits": bits}
    return {"not quantization": bits}


def _only_true(short: str) -> Callable[[Any], dict[str, Any]]:
    return lambda on: {"precision" if _flag(on) else "not precision": short}


def _packing(value: Any) -> dict[str, Any]:
    """Read a flat ``quantization: 4bit``."""
    if value is None or isinstance(value, bool):
        return {"quantization.enabled": bool(value)}
    word = str(value).lower().replace("-", "").replace("_", "").removesuffix("s")
    if word in {"4", "8"}:
        word += "bit"
    if word not in _PACKINGS:
        raise ValueError("write 4bit, 8bit or none, or enabled, bits ... below it")
    return {f"quantization.{name}": meant for name, meant in _PACKINGS[word].items()}


def _value(setting: str, value: Any) -> Any:
    """Return the value in its one spelling; what is simply wrong is left to the shape."""
    if setting in {"precision", "quantization.compute_dtype"}:
        return _precision(value)
    if setting == "quantization.quant_type" and isinstance(value, str):
        return value.lower()
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    if setting in {"top_k", "min_new_tokens"} and value in {0, -1}:
        return None
    if setting == "device_map":
        return f"cuda:{value}"
    return value


def _precision(value: Any) -> Any:
    word = str(value).lower().removeprefix("torch.")
    if word == "auto":
        raise ValueError(
            "takes whatever the checkpoint happens to be stored in: write fp32, fp16 or bf16"
        )
    return _PRECISIONS.get(word, value)
