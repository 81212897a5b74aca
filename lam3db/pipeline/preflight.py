"""Before anything is started: can every model and judge named be had, all of them?

The key of an endpoint is looked for, too (but for a judge whose service has ended), so that
it is not missed at the end of the night.

What must hold: nothing is loaded, asked or written; all faults are told at once, so that a night's
work does not end at the second model.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from lam3db import plugins
from lam3db.endpoints.options import endpoint_of, way_to
from lam3db.errors import Lam3Error, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lam3db.config import JudgeConfig, ModelConfig
    from lam3db.pipeline.generate import GenerateJob
    from lam3db.pipeline.watch import Watch


_STACK = ("torch", "transformers")
_LOCAL_JUDGES = frozenset({"classifier", "detoxify"})


def preflight(jobs: Sequence[GenerateJob], judges: Sequence[JudgeConfig], watch: Watch) -> None:
    """Describe every model and judge; large files are hashed here, once.

    Raises:
        Lam3Error: one fault as it is, several under one heading.

    """
    faults: list[Lam3Error] = []
    for job in jobs:
        describe_model = plugins.model_kind(job.model.kind).describe
        _hear(faults, partial(describe_model, job.model, job.runtime, watch.hashing))
        _hear(faults, partial(_find_way, job.model))
    for judge in judges:
        describe_judge = plugins.judge_maker(judge.kind).describe
        _hear(faults, partial(describe_judge, judge, watch.hashing))
        if not has_ended(judge):
            _hear(faults, partial(_find_way, judge))
    raise_all(faults)


def raise_all(faults: Sequence[Lam3Error]) -> None:
    """Raise one fault as it is, several under one heading; nothing where there is none."""
    if len(faults) == 1:
        raise faults[0]
    if faults:
        told = "\n- ".join(map(str, faults))
        raise Lam3Error(f"{len(faults)} faults; nothing was started:\n- {told}")


def _find_way(config: JudgeConfig | ModelConfig) -> None:
    options = endpoint_of(config)
    if options is not None:
        way_to(options, config.name)


def has_ended(judge: JudgeConfig) -> bool:
    """Tell whether a judge's service answers no more, so that it needs no key."""
    return judge.ends_on is not None and judge.ends_on < datetime.now(UTC).date()


def way_fault(config: JudgeConfig | ModelConfig) -> Lam3Error | None:
    """Return why it cannot even begin (no key, a wrong proxy, no torch ...); None where it can."""
    try:
        _find_way(config)
    except Lam3Error as error:
        return error
    return _stack_fault(config)


def _stack_fault(config: JudgeConfig | ModelConfig) -> Lam3Error | None:
    """Return what is missing where weights are to run here; imports none of it."""
    missing = [name for name in _STACK if find_spec(name) is None] if _runs_here(config) else []
    if not missing:
        return None
    needed = " and ".join(missing)
    return MissingDependencyError(f"{config.name} needs {needed}: pip install 'lam3db[local]'")


def _runs_here(config: JudgeConfig | ModelConfig) -> bool:
    settings = getattr(config, "settings", None)
    if settings is None:
        return config.kind == "transformers"
    model = settings.get("model")
    inner = model.get("kind", "transformers") if isinstance(model, Mapping) else ""
    return config.kind in _LOCAL_JUDGES or (config.kind == "llm" and inner == "transformers")


def _hear(faults: list[Lam3Error], describe: Callable[[], object]) -> None:
    try:
        describe()
    except Lam3Error as error:
        if str(error) not in map(str, faults):
            faults.append(error)
