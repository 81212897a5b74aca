"""What numbers rest on: the models, settings, datasets and runs in a scope, with digests.

What must hold: only what the scope's answers come from is listed; nothing of a person or a
machine (host, user name) leaves the database this way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from lam3db.hashing import unescape
from lam3db.store import tables as t
from lam3db.store.aggregates import bound, population, values_of
from lam3db.store.answers import iso
from lam3db.store.migrate import schema_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from lam3db.store.aggregates import Frame

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model version: what its digest stands for is its kind of identity."""

    name: str
    family: str
    source: str
    revision: str
    identity: str
    digest: str


@dataclass(frozen=True, slots=True)
class ConfigFacts:
    """Settings that can change a text, as canonical JSON."""

    digest: str
    value: str


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """A dataset version; the digest is that of its selection of samples."""

    name: str
    version: int
    samples: int
    source: str
    licence: str
    digest: str


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A generate run; ``code`` is the commit it ran from."""

    uid: str
    model: str
    status: str
    started_at: str
    code: str
    command: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """Everything that the numbers of a scope rest on. ``runs`` are the newest of ``run_count``."""

    schema: str
    models: tuple[ModelFacts, ...]
    configs: tuple[ConfigFacts, ...]
    datasets: tuple[DatasetFacts, ...]
    runs: tuple[RunFacts, ...]
    run_count: int


def load_provenance(conn: Connection, frame: Frame, most_runs: int = 30) -> Provenance:
    """Return what the answers in ``frame`` come from; of the runs the newest ``most_runs``."""
    query = f"{population(frame, ())} SELECT DISTINCT model_version_id, config_id FROM unit"
    pairs = [(int(m), int(c)) for m, c in conn.execute(bound(query, values_of(frame)))]
    runs = _runs(conn, frame, {model for model, _ in pairs})
    return Provenance(
        schema=schema_of(conn).revision or "none",
        models=_models(conn, sorted({model for model, _ in pairs})),
        configs=_configs(conn, sorted({config for _, config in pairs})),
        datasets=_datasets(conn, frame),
        runs=tuple(runs[:most_runs]),
        run_count=len(runs),
    )


def _models(conn: Connection, ids: Sequence[int]) -> tuple[ModelFacts, ...]:
    m = t.model_version.c
    names = (m.name, m.family, m.source, m.revision, m.identity_kind, m.digest)
    query = select(*names).order_by(m.name, m.id)
    rows = _of(conn, query, m.id, ids)
    return tuple(
        ModelFacts(
            unescape(r.name),
            unescape(r.family or ""),
            unescape(r.source or ""),
            unescape(r.revision or ""),
            r.identity_kind,
            r.digest.hex(),
        )
        for r in rows
    )


def _configs(conn: Connection, ids: Sequence[int]) -> tuple[ConfigFacts, ...]:
    c = t.config.c
    rows = _of(conn, select(c.digest, c.value).order_by(c.id), c.id, ids)
    return tuple(ConfigFacts(row.digest.hex(), unescape(row.value)) for row in rows)


def _datasets(conn: Connection, frame: Frame) -> tuple[DatasetFacts, ...]:
    d, s = t.dataset.c, t.selection.c
    query = (
        select(d.name, d.version, d.source, d.licence, s.sample_count, s.digest)
        .join(t.selection, s.id == d.selection_id)
        .order_by(d.name, d.version)
    )
    rows = _of(conn, query, d.id, frame.datasets)
    return tuple(
        DatasetFacts(
            unescape(r.name),
            r.version,
            r.sample_count,
            unescape(r.source or ""),
            unescape(r.licence or ""),
            r.digest.hex(),
        )
        for r in rows
    )


def _runs(conn: Connection, frame: Frame, models: set[int]) -> list[RunFacts]:
    """Return the generate runs on the scope's datasets (or those named), the newest first."""
    r, m = t.run.c, t.model_version.c
    query = (
        select(r.uid, m.name, r.status, r.started_at, r.code_commit, r.code_dirty, r.command)
        .join(t.model_version, m.id == r.model_version_id)
        .where(r.kind == "generate", r.model_version_id.in_(sorted(models)))
        .order_by(r.started_at.desc(), r.id.desc())
    )
    if frame.runs:
        return [_run(row) for row in _of(conn, query, r.id, frame.runs)]
    return [_run(row) for row in _of(conn, query, r.dataset_id, frame.datasets)]


def _run(row: Any) -> RunFacts:
    code = "no commit known" if row.code_commit is None else row.code_commit
    code += " with local changes" if row.code_dirty else ""
    started = iso(row.started_at)
    return RunFacts(row.uid, unescape(row.name), row.status, started, code, unescape(row.command))


def _of(conn: Connection, query: Any, column: Any, ids: Sequence[int]) -> list[Any]:
    """Return the rows of these ids; within a chunk in the query's order."""
    found: list[Any] = []
    for start in range(0, len(ids), _CHUNK):
        found += conn.execute(query.where(column.in_(list(ids[start : start + _CHUNK])))).all()
    return found
