"""Which judges there are: in the store, and as configs.

What must hold: a config that would give another digest than the stored judge of its name is
another judge, and is said to be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lam3db import plugins
from lam3db.config import list_configs, load_judge_config
from lam3db.errors import ConfigError, NotFoundError
from lam3db.judges.ensemble_members import depth
from lam3db.pipeline.watch import Silence
from lam3db.store import reads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lam3db.config import JudgeConfig
    from lam3db.pipeline.judge import JudgeJob
    from lam3db.store.engine import Store
    from lam3db.store.reads import JudgeInfo


def judges_in_use(store: Store) -> list[JudgeConfig]:
    """Return the configs of the judges that have scored here, by their names.

    Raises:
        ConfigError: none has, or none of their names has a config.

    """
    with store.read() as conn:
        names = sorted({info.name for info in reads.list_judges(conn)})
    known = list_configs("judges")
    found = [load_judge_config(name) for name in names if name in known]
    if not found:
        raise ConfigError(
            "no judge has scored in this database yet: name one with --judge "
            f"(known: {', '.join(known)})"
        )
    return found


def members_first(jobs: Sequence[JudgeJob]) -> list[JudgeJob]:
    """Return the jobs in their order, but every ensemble after the judges it may rest on.

    Raises:
        Lam3Error: an ensemble names a judge without a file, or is a member of itself.

    """
    return sorted(jobs, key=lambda job: depth(job.judge))


def stored_judges(store: Store) -> list[dict[str, Any]]:
    """Return one row per judge in the store."""
    with store.read() as conn:
        return [_row(info) for info in reads.list_judges(conn)]


def judge_facts(store: Store | None, name: str) -> dict[str, Any]:
    """Return all that is known of a judge, by its name, its file or a digest's start.

    Raises:
        NotFoundError: neither a config nor a stored judge answers to it.

    """
    stored: list[JudgeInfo] = []
    if store is not None:
        with store.read() as conn:
            stored = [
                info
                for info in reads.list_judges(conn)
                if info.name == name or info.digest.startswith(name)
            ]
    facts: dict[str, Any] = {"stored": [_row(info) | {"digest": info.digest} for info in stored]}
    try:
        config = load_judge_config(name)
    except NotFoundError:
        if not stored:
            raise
        return facts
    facts["config"] = config.model_dump()
    identity = plugins.judge_maker(config.kind).describe(config, Silence().hashing)
    facts["identity"] = {
        "digest": identity.digest.hex(),
        "kind": str(identity.kind),
        "version": identity.version,
        "sees": [str(part) for part in identity.sees],
        "unsafe_verdicts": [str(verdict) for verdict in identity.unsafe_verdicts],
        "heading": identity.heading,
        "spec": dict(identity.spec),
    }
    return facts


def _row(info: JudgeInfo) -> dict[str, Any]:
    return {
        "judge": info.name,
        "kind": info.kind,
        "version": info.version,
        "digest": info.digest[:12],
        "sees": "+".join(info.sees),
        "heading": info.heading,
        "threshold": info.policy and info.policy.threshold,
        "operator": info.policy and str(info.policy.operator),
        "scores": info.scores,
        "failures": info.failures,
    }
