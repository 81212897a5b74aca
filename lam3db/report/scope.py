"""Which answers a report, a listing or an export is about: from words to ids.

What must hold: nothing is picked silently. Without a dataset or run, the scope is, of every
dataset, the latest version that a generate run was made on; whoever prints it says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lam3db.errors import ConfigError, NotFoundError, did_you_mean
from lam3db.store import overview
from lam3db.store.aggregates import Frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from lam3db.metrics import Scope


def resolve(conn: Connection, scope: Scope) -> tuple[Frame, tuple[str, ...]]:
    """Return the scope in ids, and in words; raise NotFoundError or ConfigError."""
    words = []
    known = sorted({model.name for model in overview.model_names(conn).values()})
    for name in scope.models:
        if name not in known:
            raise NotFoundError(f"--model {name}: no answers of it here{did_you_mean(name, known)}")
    if scope.run is not None and scope.dataset is not None:
        raise ConfigError("--run and --dataset: a run has its own dataset, give one of the two")
    every = overview.dataset_versions(conn)
    versions = _datasets(every, scope.dataset)
    runs: tuple[int, ...] = ()
    if scope.run is not None:
        run = find_run(conn, scope.run)
        runs = (run.id,)
        words.append(f"run {run.uid} ({run.subject})")
        versions = [version for version in every if version.id == run.dataset_id]
    words += [f"dataset {version.name}@{version.version}" for version in versions]
    words += [f"model {name}" for name in scope.models]
    words += [f"{name}={value}" for name, value in scope.where.items()]
    frame = Frame(
        tuple(version.id for version in versions),
        runs,
        scope.models,
        scope.where,
        conn.dialect.name,
    )
    return frame, tuple(words)


def _datasets(
    versions: Sequence[overview.DatasetVersion], asked: str | None
) -> list[overview.DatasetVersion]:
    """Return the version asked for, or of each dataset the latest that a run was made on."""
    if asked is None:
        latest = {version.name: version for version in versions if version.asked}
        return list(latest.values())
    name, _, number = asked.partition("@")
    found = [v for v in versions if v.name == name and number in ("", str(v.version))]
    if not found:
        known = (
            [f"{v.name}@{v.version}" for v in versions] if number else [v.name for v in versions]
        )
        raise NotFoundError(f"--dataset {asked}: no such dataset{did_you_mean(asked, known)}")
    used = [version for version in found if version.asked]
    return (used or found)[-1:]


def find_run(conn: Connection, uid: str, option: str = "--run ") -> overview.RunRow:
    """Return the generate run whose uid begins so; ``option`` is how it was asked for.

    Raises:
        NotFoundError: none, or several.
        ConfigError: a run of another kind.

    """
    found = overview.recent_runs(conn, uid=uid) if uid else []
    if len(found) != 1:
        several = f": {len(found)} runs begin so, write more of it" if found else ": no such run"
        raise NotFoundError(f"{option}{uid}{several} (`lam3db status` lists runs)")
    if found[0].kind != "generate":
        raise ConfigError(
            f"{option}{uid} is a run of kind {found[0].kind}: a report needs a generate run, "
            "whose answers it then finds by selection, model and config"
        )
    return found[0]
