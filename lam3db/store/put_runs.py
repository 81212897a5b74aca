"""Writing what a run stands on: model version, config, environment, the run, its failures.

What must hold: a model version, config or environment of one digest is one row; a failure is a
row with its cause, never a result; nothing written here holds a secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, select, update

from lam3db.errors import ConfigError
from lam3db.hashing import digest
from lam3db.records import RunStatus
from lam3db.redaction import looks_secret, redact
from lam3db.store import tables as t
from lam3db.store.failure_groups import FirstSeen, track
from lam3db.store.insert import get_or_insert, insert_ignore
from lam3db.store.lost_runs import this_process
from lam3db.store.values import (
    clean,
    clean_json,
    new_uid,
    now,
    stored,
    stored_or_none,
    to_json,
)
from lam3db.store.withheld import GONE, withheld_answers, withheld_samples

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    from lam3db.records import Failed, GenerationConfig, ModelVersion, RunKind, Stage


@dataclass(frozen=True, slots=True)
class RunStart:
    """Who, where, when, with which code: what is known when a run begins."""

    kind: RunKind
    model_version_id: int | None
    config_id: int | None
    selection_id: int | None
    dataset_id: int | None
    judge_id: int | None
    environment_id: int
    replicates: int
    seed: int | None
    requested: Mapping[str, Any]
    effective: Mapping[str, Any]
    options: Mapping[str, Any]
    command: str
    host: str
    username: str
    code_commit: str | None
    code_dirty: bool | None


@dataclass(frozen=True, slots=True)
class RunCounts:
    """How far a run is: ``planned`` holds ``new``, ``cached`` and ``failed``."""

    planned: int
    new: int
    cached: int
    failed: int


@dataclass(frozen=True, slots=True)
class FailureIn:
    """One failed attempt: at a sample (generate) or at a generation (judge), or at neither."""

    failed: Failed
    sample_id: int | None = None
    generation_id: int | None = None
    judge_id: int | None = None
    replicate: int = 0


def put_model_version(conn: Connection, version: ModelVersion) -> int:
    """Return the row of a model version, written if it is new."""
    manifest = {
        entry.path: {"bytes": entry.byte_count, "sha256": entry.sha256}
        for entry in version.manifest
    }
    row = {
        "digest": version.digest,
        "name": stored(version.name),
        "family": stored(version.family),
        "source": stored(redact(version.source)),
        "revision": stored_or_none(version.revision),
        "identity_kind": str(version.identity_kind),
        "declared": stored_or_none(version.declared),
        "manifest": to_json(manifest),
        "created_at": now(),
    }
    return get_or_insert(conn, t.model_version, row, "digest")


def put_config(conn: Connection, config: GenerationConfig) -> int:
    """Return the row of a config, written if it is new.

    Raises:
        ConfigError: it holds something of the shape of a secret.

    """
    value = to_json(dict(config.value))
    if looks_secret(value):
        raise ConfigError("a setting holds what looks like a key or password: use the environment")
    row = {
        "digest": config.digest,
        "value": value,
        **config_columns(config.value),
        "created_at": now(),
    }
    return get_or_insert(conn, t.config, row, "digest")


def config_columns(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a config's value stands in columns of its own."""
    decoding = value.get("decoding") or {}
    quantization = value.get("quantization") or {}
    do_sample = decoding.get("do_sample")
    return {
        "dtype": value.get("dtype"),
        "quantization": quantization.get("method"),
        "do_sample": None if do_sample is None else int(do_sample),
        "temperature": decoding.get("temperature"),
        "top_p": decoding.get("top_p"),
        "max_new_tokens": decoding.get("max_new_tokens"),
        "seed": decoding.get("seed"),
    }


def put_environment(conn: Connection, value: Mapping[str, Any]) -> int:
    """Return the row of an environment (packages, Python, GPU ...), written if it is new."""
    shown = clean(value)
    row = {"digest": digest("environment", shown), "value": to_json(shown), "created_at": now()}
    return get_or_insert(conn, t.environment, row, "digest")


def start_run(conn: Connection, run: RunStart) -> tuple[int, str]:
    """Write the row of a run that begins; return its id and uid."""
    uid, began = new_uid(), now()
    row = {
        "uid": uid,
        "kind": str(run.kind),
        "status": str(RunStatus.RUNNING),
        "model_version_id": run.model_version_id,
        "config_id": run.config_id,
        "selection_id": run.selection_id,
        "dataset_id": run.dataset_id,
        "judge_id": run.judge_id,
        "environment_id": run.environment_id,
        "replicates": run.replicates,
        "seed": run.seed,
        "requested": clean_json(run.requested),
        "effective": clean_json(run.effective),
        "options": clean_json({**run.options, "process": this_process()}),
        "command": stored(redact(run.command)),
        "host": stored(run.host),
        "username": stored(run.username),
        "code_commit": stored_or_none(run.code_commit),
        "code_dirty": None if run.code_dirty is None else int(run.code_dirty),
        "started_at": began,
        "heartbeat_at": began,
        "finished_at": None,
        **dict.fromkeys(("planned_count", "new_count", "cached_count", "failed_count"), 0),
    }
    added = conn.execute(t.run.insert().values(row).returning(t.run.c.id)).scalar_one()
    return int(added), uid


def beat(conn: Connection, run_id: int, counts: RunCounts) -> None:
    """Tell that a run is alive and how far it is."""
    conn.execute(
        update(t.run).where(t.run.c.id == run_id).values(heartbeat_at=now(), **_counts(counts))
    )


def finish_run(conn: Connection, run_id: int, status: RunStatus, counts: RunCounts) -> None:
    """Write how a run ended."""
    ended = now()
    conn.execute(
        update(t.run)
        .where(t.run.c.id == run_id)
        .values(status=str(status), heartbeat_at=ended, finished_at=ended, **_counts(counts))
    )


def put_failures(conn: Connection, run_id: int, stage: Stage, rows: Sequence[FailureIn]) -> None:
    """Write failed attempts, each numbered after the earlier ones at the same thing."""
    samples = withheld_samples(conn, [row.sample_id for row in rows if row.sample_id])
    answers = withheld_answers(conn, [row.generation_id for row in rows if row.generation_id])

    def is_gone(row: FailureIn) -> bool:
        return row.sample_id in samples or row.generation_id in answers

    at = now()
    written = [
        {
            "uid": new_uid(),
            "run_id": run_id,
            "stage": str(stage),
            "sample_id": row.sample_id,
            "generation_id": row.generation_id,
            "judge_id": row.judge_id,
            "replicate": row.replicate,
            "attempt": _earlier(conn, run_id, stage, row) + 1,
            "error_class": stored(row.failed.error_class),
            "message": GONE if is_gone(row) else stored(redact(row.failed.message)),
            "fingerprint": row.failed.fingerprint,
            "retryable": int(row.failed.retryable),
            "created_at": at,
        }
        for row in rows
    ]
    insert_ignore(conn, t.failure, written)
    track(conn, [_first_seen(row) for row in written])


def _first_seen(row: Mapping[str, Any]) -> FirstSeen:
    return FirstSeen(
        fingerprint=row["fingerprint"],
        stage=row["stage"],
        error_class=row["error_class"],
        message=row["message"],
        at=row["created_at"],
    )


def _counts(counts: RunCounts) -> dict[str, int]:
    return {
        "planned_count": counts.planned,
        "new_count": counts.new,
        "cached_count": counts.cached,
        "failed_count": counts.failed,
    }


def _earlier(conn: Connection, run_id: int, stage: Stage, row: FailureIn) -> int:
    """Return how often the same attempt failed before (under the same model and config)."""
    f = t.failure.c
    same = [f.stage == str(stage), f.replicate == row.replicate]
    if row.generation_id is not None:
        same += [f.judge_id == row.judge_id, f.generation_id == row.generation_id]
    elif row.sample_id is not None:
        same += [f.sample_id == row.sample_id, _like(run_id)]
    else:
        same += [f.run_id == run_id, f.sample_id.is_(None), f.generation_id.is_(None)]
    return int(conn.execute(select(func.count()).where(and_(*same))).scalar_one())


def _like(run_id: int) -> ColumnElement[bool]:
    """Return the condition that a failure's run had the model version and config of this run."""
    r, here = t.run.alias(), t.run.alias()
    alike = and_(r.c.model_version_id == here.c.model_version_id, r.c.config_id == here.c.config_id)
    return t.failure.c.run_id.in_(select(r.c.id).join(here, alike).where(here.c.id == run_id))
