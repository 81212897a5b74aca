"""What can be known of a model and of a judge without weights and without asking anybody.

Of a local model: its files, whether they contradict one another, what its chat template does with
the system prompt that it will be given, with which tokens an answer ends, and how much of the
context an image and the longest answer leave. Of an endpoint: whether there is a key, and a way.

What must hold: no weight is loaded or hashed, nobody is asked, and a fault says what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lam3db.config import (
    Quantization,
    load_judge_config,
    load_model_config,
    load_runtime_config,
)
from lam3db.endpoints.keys import find_key
from lam3db.endpoints.options import endpoint_of
from lam3db.errors import ConfigError, Lam3Error, MissingDependencyError
from lam3db.pipeline.doctor_check import LOCAL, Check, Wanted
from lam3db.pipeline.preflight import has_ended, way_fault
from lam3db.redaction import redact

if TYPE_CHECKING:
    from lam3db.config import JudgeConfig, ModelConfig, RuntimeConfig

_GIB, _MIB = 1 << 30, 1 << 20
_DEMO = "demo"


def plain_runtime() -> RuntimeConfig:
    """Return the usual runtime config, but for how weights are packed: that is no model's fault."""
    usual = load_runtime_config("runtime").config
    return usual.model_copy(update={"quantization": Quantization()})


def check_model(wanted: Wanted, runtime: RuntimeConfig) -> Check:
    """Look at a model as far as it can be without its weights."""
    title = f"model {wanted.name}"
    try:
        config = load_model_config(wanted.name)
        return Check(title, "ok", _describe_model(config, runtime))
    except Lam3Error as error:
        return _fault(title, error, wanted)


def check_judge(wanted: Wanted) -> Check:
    """Look at a judge as far as it can be without its weights, and at its key."""
    title = f"judge {wanted.name}"
    try:
        config = load_judge_config(wanted.name)
        return Check(title, "ok", _describe_judge(config))
    except Lam3Error as error:
        return _fault(title, error, wanted)


def _describe_model(config: ModelConfig, runtime: RuntimeConfig) -> str:
    """Return what is known of the model without hashing gigabytes; raise what is wrong."""
    if config.kind == "transformers":
        return _describe_local(config, runtime)
    from lam3db.plugins import model_kind

    plan = model_kind(config.kind).describe(config, runtime, _ignore)
    return f"{config.kind}: {plan.version.digest.hex()[:12]}{_way(config)}"


def _describe_local(config: ModelConfig, runtime: RuntimeConfig) -> str:
    from lam3db.models.effective import effective_config
    from lam3db.models.families import family_named
    from lam3db.models.set_up import check_set_up, room_told, stops_told
    from lam3db.models.weights import find_checkpoint

    checkpoint = find_checkpoint(config)
    family = family_named(config.family, checkpoint.read_json("config.json"))
    effective, _ = effective_config(config, runtime, family, checkpoint)
    check_set_up(config, runtime, family, checkpoint)
    room, fits = room_told(runtime, family, checkpoint)
    if not fits:
        raise ConfigError(f"{room}: ask for less, --set max_new_tokens=N, or take another model")
    names = (*checkpoint.weights, *checkpoint.settings)
    size = sum((checkpoint.folder / name).stat().st_size for name in names)
    revision = f", revision {checkpoint.revision[:12]}" if checkpoint.revision else ""
    files = f"{checkpoint.folder}: {len(names)} files, {_size(size)}{revision}"
    stops = stops_told(family, checkpoint, effective.value)
    return "; ".join(one for one in (files, *checkpoint.notes, stops, room) if one)


def _size(count: int) -> str:
    return f"{count / _GIB:.1f} GiB" if count >= _GIB else f"{count / _MIB:.1f} MiB"


def _describe_judge(config: JudgeConfig) -> str:
    from lam3db.plugins import judge_maker

    identity = judge_maker(config.kind).describe(config, _ignore)
    sees = "+".join(str(part) for part in identity.sees)
    text = f"{config.kind} {identity.version}, digest {identity.digest.hex()[:12]}, sees {sees}"
    if has_ended(config):
        return f"{text}; ended on {config.ends_on}: stored findings are used"
    return f"{text}{_way(config)}"


def _way(config: ModelConfig | JudgeConfig) -> str:
    """Return where the key of an endpoint comes from; raise what keeps it from being asked."""
    fault = way_fault(config)
    if fault is not None:
        raise fault
    options = endpoint_of(config)
    if options is None or options.key_env is None:
        return ""
    key = find_key(options.key_env)
    return f", {options.key_env} set in {key.place}" if key else ""


def _ignore(_name: str, _done: int, _total: int) -> None:
    """Hear of hashing, and say nothing."""


def _fault(title: str, error: Lam3Error, wanted: Wanted) -> Check:
    """Return a fault; big weights that nobody asked for are only a warning, and a short one."""
    text = redact(str(error))
    if isinstance(error, MissingDependencyError):
        return Check(title, "fail" if wanted.named else "warn", text, LOCAL)
    grave = wanted.named or _DEMO in wanted.name.split("-")
    if not grave and not isinstance(error, ConfigError):
        cure = f"lam3db doctor --{title} tells what is missing"
        return Check(title, "warn", "not ready on this machine", cure)
    lines = [line.strip() for line in text.split("\n")]
    cure = f"correct this, or leave the {title.partition(' ')[0]} out"
    if len(lines) > 1 and lines[-1].startswith("Fetch"):
        cure = lines.pop()
    return Check(title, "fail" if grave else "warn", "\n".join(lines), cure)
