"""Trying again exactly what failed: the failures of one issue that have not succeeded since.

What must hold: nothing else is asked of a model or judge; the model, its settings and the judge
are the very ones that failed (by digest), or nothing is started; what has succeeded meanwhile
is not asked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from lam3db import plugins
from lam3db.config import load_judge_config, load_model_config
from lam3db.errors import ConfigError, NotFoundError
from lam3db.hashing import unescape
from lam3db.pipeline.generate import GenerateJob
from lam3db.pipeline.generate import describe as describe_model
from lam3db.pipeline.judge import JudgeJob
from lam3db.store.failure_groups import LEFT
from lam3db.store.issues import find_issue

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from lam3db.config import RuntimeConfig
    from lam3db.pipeline.watch import Watch
    from lam3db.store.engine import Store

_ROWS = f"""SELECT f.stage, f.sample_id, f.replicate, f.generation_id, r.uid, r.command,
       r.replicates, m.name AS model, m.digest AS model_digest, c.digest AS config_digest,
       d.name AS dataset, d.version, j.name AS judge, j.digest AS judge_digest
  FROM issue_link l JOIN failure f ON f.fingerprint = l.fingerprint JOIN run r ON r.id = f.run_id
  LEFT JOIN model_version m ON m.id = r.model_version_id LEFT JOIN config c ON c.id = r.config_id
  LEFT JOIN dataset d ON d.id = r.dataset_id LEFT JOIN judge j ON j.id = f.judge_id
 WHERE l.issue_id = :issue AND {LEFT} ORDER BY f.id"""


@dataclass(frozen=True, slots=True)
class Retry:
    """What is to be tried again. ``by_hand`` are commands of runs that failed as a whole."""

    key: str
    generate: tuple[GenerateJob, ...]
    judge: tuple[JudgeJob, ...]
    by_hand: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many answers and scores are to be had."""
        answers = sum(len(job.only or ()) for job in self.generate)
        return answers + sum(len(job.only or ()) for job in self.judge)


def plan_retry(store: Store, key: str, runtime: RuntimeConfig, watch: Watch) -> Retry:
    """Return the jobs that try an issue's failures again.

    ``runtime`` has to be what they failed under. Loads no weights.

    Raises:
        NotFoundError: no such issue, or it is about no failures.
        ConfigError: a model, its settings or a judge is another one here than the one that failed.

    """
    with store.read() as conn:
        issue = find_issue(conn, key)
        linked = text("SELECT 1 FROM issue_link WHERE issue_id = :one AND fingerprint IS NOT NULL")
        if conn.execute(linked, {"one": issue.id}).first() is None:
            raise NotFoundError(
                f"issue {key} is about no failures: `lam3db issue link {key} --fingerprint ...`"
                " names some"
            )
        rows = _rows(conn, issue.id)
    whole = [row for row in rows if row.sample_id is None and row.generation_id is None]
    return Retry(
        key=key,
        generate=_generate([row for row in rows if row.sample_id is not None], runtime, watch),
        judge=_judge([row for row in rows if row.generation_id is not None], watch),
        by_hand=tuple(dict.fromkeys(unescape(row.command) for row in whole)),
    )


def _rows(conn: Connection, issue: int) -> list[Any]:
    return list(conn.execute(text(_ROWS), {"issue": issue}))


def _generate(rows: list[Any], runtime: RuntimeConfig, watch: Watch) -> tuple[GenerateJob, ...]:
    groups: dict[tuple[Any, ...], list[Any]] = {}
    for row in rows:
        dataset = f"{unescape(row.dataset)}@{row.version}"
        key = (row.model, bytes(row.model_digest), bytes(row.config_digest), dataset)
        groups.setdefault(key, []).append(row)
    jobs = []
    for (name, model_digest, config_digest, dataset), some in groups.items():
        job = GenerateJob(
            model=load_model_config(unescape(name)),
            runtime=runtime,
            dataset=dataset,
            replicates=max(row.replicates for row in some),
            retry=True,
            only=frozenset((row.sample_id, row.replicate) for row in some),
        )
        plan = describe_model(job, watch)
        if plan.version.digest != model_digest:
            raise ConfigError(
                f"model {unescape(name)!r} has other weights than the one that failed"
                f" ({model_digest.hex()[:8]}): run {some[-1].uid[:8]}, {unescape(some[-1].command)}"
            )
        if plan.config.digest != config_digest:
            raise ConfigError(
                f"{len(some)} answers of {unescape(name)!r} failed under other settings"
                f" ({config_digest.hex()[:8]}): give the --runtime and --set of run"
                f" {some[-1].uid[:8]}, {unescape(some[-1].command)}"
            )
        jobs.append(job)
    return tuple(jobs)


def _judge(rows: list[Any], watch: Watch) -> tuple[JudgeJob, ...]:
    groups: dict[tuple[str, bytes], list[Any]] = {}
    for row in rows:
        groups.setdefault((unescape(row.judge), bytes(row.judge_digest)), []).append(row)
    jobs = []
    for (name, digest), some in groups.items():
        config = load_judge_config(name)
        identity = plugins.judge_maker(config.kind).describe(config, watch.hashing)
        if identity.digest != digest:
            raise ConfigError(
                f"judge {name!r} is another one here ({identity.digest.hex()[:8]}) than the one"
                f" that failed ({digest.hex()[:8]}): `lam3db judge --pending --judge {name}` asks"
                " the new one everything"
            )
        only = frozenset(row.generation_id for row in some)
        jobs.append(JudgeJob(config, retry=True, only=only))
    return tuple(jobs)
