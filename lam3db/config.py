"""YAML to validated, normalised, frozen configs.

A name is looked up as ``configs/<kind>/<name>.yaml`` in the working folder, then among the
shipped files; anything that ends in ``.yaml`` or ``.yml`` is a path.

What must hold: an unknown key is an error with file, line and a near name; a setting has one
spelling after :func:`normalize_runtime`, which tells what it changed and refuses
contradictions; a config never holds a secret and never changes after it is made.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from pydantic import BaseModel

from lam3db import config_spellings as spellings
from lam3db.config_files import (
    BLANK,
    LEFT_OUT,
    Document,
    Faults,
    expand_path,
    raise_faults,
    read_document,
)
from lam3db.config_shapes import (
    About,
    EndpointOptions,
    ImageOptions,
    JudgeConfig,
    ModelConfig,
    Policy,
    Precision,
    Quantization,
    ReasoningTags,
    RunConfig,
    RuntimeConfig,
    check,
)
from lam3db.errors import NotFoundError, did_you_mean
from lam3db.resources import find_path, shipped
from lam3db.whole_numbers import whole_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lam3db.config_files import Place

__all__ = [
    "About",
    "EndpointOptions",
    "ImageOptions",
    "JudgeConfig",
    "Kind",
    "LoadedRuntime",
    "ModelConfig",
    "Policy",
    "Precision",
    "Quantization",
    "ReasoningTags",
    "RunConfig",
    "RuntimeConfig",
    "find_config",
    "list_configs",
    "load_judge_config",
    "load_model_config",
    "load_run_config",
    "load_runtime_config",
    "normalize_runtime",
]

Kind = Literal["models", "judges", "runs", "runtime"]
_Shape = TypeVar("_Shape", bound=BaseModel)
_ENDPOINT = "endpoint"
_PATHS = ("checkpoint", "folder", "file", "path", "dir", "source", "tokenizer")
_WHOLE_NUMBER = re.compile(r"[-+]?[0-9]+")


class LoadedRuntime(NamedTuple):
    """A runtime config and what was changed to make it, as sentences for the user."""

    config: RuntimeConfig
    changes: tuple[str, ...]


def load_model_config(name_or_path: str | Path) -> ModelConfig:
    """Return the model config of this name; ``name`` defaults to the file's own.

    ``family: endpoint`` is of the kind ``endpoint``, whose ``source`` is a name and no path.

    Raises:
        NotFoundError: no such file, with what is near and where was looked.
        ConfigError: every fault of the file, each with its line.

    """
    document = _read("models", name_or_path)
    _finish_source(document, (), document.values)
    return _finish(ModelConfig, document)


def _finish_source(document: Document, place: Place, values: dict[str, Any]) -> None:
    """Settle what a model's ``source`` is: the part of a document at ``place``."""
    if values.get("family") == _ENDPOINT:
        values.setdefault("kind", _ENDPOINT)
    if values.get("kind") != _ENDPOINT:
        _expand(document, ((*place, "source"),))
    for below, text in _endpoint_faults(values):
        document.faults.add((*place, *below), text)


def _endpoint_faults(values: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """Yield what of family, kind and endpoint contradicts the rest."""
    named = {key for key in ("family", "kind") if values.get(key) == _ENDPOINT}
    if named == {"family"}:
        yield ("kind",), f"kind: {values['kind']!r} contradicts family: {_ENDPOINT}"
    if named == {"kind"} and values.get("family", "auto") != "auto":
        yield ("family",), f"family: {values['family']!r} contradicts kind: {_ENDPOINT}"
    if not named and values.get("endpoint") is not None:
        yield ("endpoint",), f"endpoint: has no effect without family: {_ENDPOINT}"
    if not named and values.get("serves") is not None:
        yield (
            ("serves",),
            f"serves: has no effect without family: {_ENDPOINT}; write family instead",
        )
    if named and "endpoint" not in values:
        yield (), f"endpoint is missing: family: {_ENDPOINT} needs a block with a url"


def load_judge_config(name_or_path: str | Path) -> JudgeConfig:
    """Return the judge config of this name; raises as :func:`load_model_config` does."""
    document = _read("judges", name_or_path)
    settings = document.values.get("settings")
    if isinstance(settings, dict):
        _expand(document, tuple(("settings", name) for name in settings if _is_path(name)))
        if isinstance(settings.get("model"), dict):
            _finish_source(document, ("settings", "model"), settings["model"])
    return _finish(JudgeConfig, document)


def load_run_config(name_or_path: str | Path) -> RunConfig:
    """Return the run config of this name, the configs it names being there.

    Raises as :func:`load_model_config` does; its ``settings`` are checked as a runtime's.
    """
    document = _read("runs", name_or_path)
    values, faults = document.values, document.faults
    _expand(document, (("dataset",), ("runtime",)))
    if isinstance(values.get("settings"), dict):
        _check_settings(values["settings"], faults)
    for key in ("models", "judges", "report_by"):
        if isinstance(values.get(key), list):
            values[key] = tuple(values[key])
    _check_names(values, faults)
    return _finish(RunConfig, document)


def load_runtime_config(
    name_or_path: str | Path,
    overrides: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
) -> LoadedRuntime:
    """Return a runtime config in its one form.

    ``settings`` (of a run config) stand above the file, ``overrides`` (``key=value`` words of
    ``--set``) above both; old spellings are taken in each. Raises as
    :func:`load_model_config` does.
    """
    document = _read("runtime", name_or_path)
    layers = (
        spellings.translate(document.values, document.faults),
        spellings.translate(settings or {}, Faults("settings of the run")),
        _overrides(overrides),
    )
    return _whole_runtime(layers)


def normalize_runtime(raw: Mapping[str, Any], where: str = "runtime") -> LoadedRuntime:
    """Bring old spellings to the one form, telling what was changed.

    Raises:
        ConfigError: unknown keys, wrong values and contradictions, all of them at once.

    """
    return _whole_runtime((spellings.translate(raw, Faults(where)),))


def list_configs(kind: Kind) -> list[str]:
    """Return the names of this kind, in the working folder and shipped, sorted."""
    pattern = "runtime*.y*ml" if kind == "runtime" else "*.y*ml"
    found = {path.stem for folder in _folders(kind) for path in folder.glob(pattern)}
    return sorted(found)


def _folders(kind: Kind) -> tuple[Path, Path]:
    below = () if kind == "runtime" else (kind,)
    return Path("configs", *below), shipped("configs", *below)


def find_config(kind: Kind, name_or_path: str | Path) -> Path:
    """Return the file of a config; raise NotFoundError with where was looked."""
    name = str(name_or_path)
    if name.endswith((".yaml", ".yml")):
        places = [Path(name).expanduser()]
        if not places[0].is_absolute() and places[0].parts[:1] == ("configs",):
            places.append(shipped(*places[0].parts))
    elif "/" in name or not name:
        raise NotFoundError(f"{name!r} is no config: give a name, or a path that ends in .yaml")
    else:
        places = [folder / (name + end) for folder in _folders(kind) for end in (".yaml", ".yml")]
    for place in places:
        if place.exists():
            return place
    if name.endswith((".yaml", ".yml")):
        raise NotFoundError(f"there is no file {name}")
    looked = ", ".join(dict.fromkeys(_shown(place.parent) for place in places))
    near = did_you_mean(Path(name).stem, list_configs(kind))
    what = "runtime" if kind == "runtime" else kind.removesuffix("s")
    raise NotFoundError(f"no {what} config {name!r} in {looked}{near}")


def _shown(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(Path.cwd())) if path.is_absolute() else str(path)
    except ValueError:
        return str(path)


def _read(kind: Kind, name_or_path: str | Path) -> Document:
    path = find_config(kind, name_or_path)
    document = read_document(path, _shown(path))
    if kind in {"models", "judges"} and ("name",) not in document.faults.lines:
        document.values["name"] = path.stem
    return document


def _is_path(name: str) -> bool:
    return name in _PATHS or name.endswith(tuple(f"_{word}" for word in _PATHS))


def _expand(document: Document, places: Sequence[Place]) -> None:
    """Expand variables in the path-like settings at these places, where they are texts."""
    for place in places:
        holder: Any = document.values
        for step in place[:-1]:
            holder = holder[step]
        text = holder.get(place[-1])
        if not isinstance(text, str):
            continue
        try:
            holder[place[-1]] = _shipped_data(expand_path(text))
        except ValueError as error:
            document.faults.add(place, f"{'.'.join(map(str, place))}: {error}")


def _shipped_data(text: str) -> str:
    """Return a path below ``data/`` that is not in the working folder as the shipped one."""
    if Path(text).parts[:1] != ("data",) or Path(text).exists():
        return text
    return str(find_path(text) or text)


def _finish(shape: type[_Shape], document: Document) -> _Shape:
    """Return the document as its shape; raise all faults found on the way."""
    faults = document.faults

    def tell(place: Place, text: str) -> None:
        if not faults.covers(place):
            faults.add(place, text)

    config = check(shape, document.values, tell)
    raise_faults(faults)
    if config is None:  # pragma: no cover - check() has told why
        raise AssertionError(document.faults.where)
    return config


def _check_names(values: Mapping[str, Any], faults: Faults) -> None:
    """Note each config that a run names and that is not there."""
    named: list[tuple[Kind, Place, Any]] = [("runtime", ("runtime",), values.get("runtime"))]
    for kind in ("models", "judges"):
        names = values.get(kind)
        if isinstance(names, tuple):
            named += [(kind, (kind, index), name) for index, name in enumerate(names)]
            if len(set(names)) < len(names):
                faults.add((kind,), f"{kind}: a name is given twice")
    for kind, place, name in named:
        if isinstance(name, str):
            try:
                find_config(kind, name)
            except NotFoundError as error:
                faults.add(place, str(error))


def _check_settings(settings: Mapping[str, Any], faults: Faults) -> None:
    """Note what is wrong with a run's own runtime settings, as far as they tell by themselves."""
    lines = {place[1:]: line for place, line in faults.lines.items() if place[0] == "settings"}
    layer = spellings.translate(settings, Faults(faults.where, lines))
    _check_runtime((layer,), whole=False)
    faults.texts += layer.faults.texts


def _check_runtime(layers: Sequence[spellings.Layer], *, whole: bool) -> RuntimeConfig | None:
    """Lay the layers over each other, the last on top, and check what comes out."""
    values: dict[str, Any] = {}
    for layer in layers:
        below = values.get("quantization")
        values |= layer.values
        if isinstance(below, dict) and isinstance(values["quantization"], dict):
            values["quantization"] = below | values["quantization"]

    def tell(place: Place, text: str) -> None:
        name = ".".join(map(str, place))
        for layer in reversed(layers):
            claim = layer.claims.get(name)
            if claim is not None:
                if not layer.faults.covers(claim.place):
                    layer.faults.add(claim.place, text)
                return
        layers[0].faults.add((), text)

    packing = values.get("quantization", {})
    missing = {"bits", "quant_type", "double_quant"} & set(packing)
    if whole and missing and "enabled" not in packing:
        name = min(missing)
        text = f"quantization.{name} says nothing without quantization.enabled: true or false"
        tell(("quantization", name), text)
    return check(RuntimeConfig, values, tell, whole=whole)


def _whole_runtime(layers: Sequence[spellings.Layer]) -> LoadedRuntime:
    config = _check_runtime(layers, whole=True)
    raise_faults(*(layer.faults for layer in layers))
    if config is None:  # pragma: no cover - check() has told why
        raise AssertionError(layers[0].faults.where)
    return LoadedRuntime(config, tuple(text for layer in layers for text in layer.changes))


def _overrides(words: Sequence[str]) -> spellings.Layer:
    """Read ``key=value`` words; a value is typed as its text reads."""
    faults = Faults("--set")
    raw: dict[str, Any] = {}
    for word in words:
        key, sign, text = word.partition("=")
        key = key.strip()
        if not sign or not key:
            faults.add((key,), f"{word!r}: write key=value, for example temperature=0.7")
        elif not text.strip() and key in LEFT_OUT:
            faults.add((key,), f"{key}: {BLANK}")
        elif key in raw and raw[key] != _typed(text):
            faults.add((key,), f"{key} is given twice: {spellings.show(raw[key])} and {text}")
        else:
            raw[key] = _typed(text)
    return spellings.translate(raw, faults)


def _whole(word: str) -> int | str:
    """Return the number; one of endless digits stays a text, which no setting takes."""
    try:
        return whole_number(word)
    except ValueError:
        return word


def _typed(text: str) -> Any:
    word = text.strip()
    named = {"true": True, "false": False, "null": None, "none": None, "": None}
    if word.lower() in named:
        return named[word.lower()]
    if _WHOLE_NUMBER.fullmatch(word):
        return _whole(word)
    try:
        return float(word)
    except ValueError:
        return word
