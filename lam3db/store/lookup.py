"""Small questions by digest or id, asked before and between batches.

What must hold: nothing here writes, and an answer in any variant but 0 does not count as
stored (variants come from merging databases).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from lam3db.hashing import unescape
from lam3db.records import RunKind, RunStatus, ScoreStatus
from lam3db.store import tables as t
from lam3db.store.put_runs import RunCounts
from lam3db.store.values import paged

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

_ALIVE_MICROSECONDS = 120 * 1_000_000


def model_version_id(conn: Connection, digest: bytes) -> int | None:
    """Return the row of the model version with this digest."""
    found = select(t.model_version.c.id).where(t.model_version.c.digest == digest)
    return conn.execute(found).scalar()


def model_name(conn: Connection, model_version: int) -> str:
    """Return the name a model version was first stored under."""
    found = select(t.model_version.c.name).where(t.model_version.c.id == model_version)
    return unescape(conn.execute(found).scalar_one())


def config_id(conn: Connection, digest: bytes) -> int | None:
    """Return the row of the config with this digest."""
    return conn.execute(select(t.config.c.id).where(t.config.c.digest == digest)).scalar()


def judge_id(conn: Connection, digest: bytes) -> int | None:
    """Return the row of the judge with this digest."""
    return conn.execute(select(t.judge.c.id).where(t.judge.c.digest == digest)).scalar()


def sample_ids(conn: Connection, digests: Iterable[bytes]) -> dict[bytes, int]:
    """Return the rows of samples by digest."""
    c = t.sample.c
    found: dict[bytes, int] = {}
    for chunk in paged(digests):
        rows = conn.execute(select(c.digest, c.id).where(c.digest.in_(chunk)))
        found.update((bytes(digest), one) for digest, one in rows)
    return found


def input_digests(conn: Connection, samples: Iterable[int]) -> dict[int, bytes]:
    """Return what the model will see of each sample, by id."""
    c = t.sample.c
    found: dict[int, bytes] = {}
    for chunk in paged(samples):
        rows = conn.execute(select(c.id, c.input_digest).where(c.id.in_(chunk)))
        found.update((one, bytes(digest)) for one, digest in rows)
    return found


def stored_answers(
    conn: Connection, model_version: int, config: int, samples: Iterable[int], replicates: int
) -> set[tuple[int, int]]:
    """Return the (sample, replicate) pairs that have an answer under this key."""
    c = t.generation.c
    found: set[tuple[int, int]] = set()
    for chunk in paged(samples):
        rows = conn.execute(
            select(c.sample_id, c.replicate).where(
                c.model_version_id == model_version,
                c.config_id == config,
                c.sample_id.in_(chunk),
                c.replicate < replicates,
                c.variant == 0,
            )
        )
        found.update((sample, replicate) for sample, replicate in rows)
    return found


def known_findings(
    conn: Connection, judge: int, subjects: Iterable[bytes], run: int | None = None
) -> set[bytes]:
    """Return which of these subjects the judge has a finding on; with ``run``, one made by it."""
    c = t.finding.c
    made = [] if run is None else [c.run_id == run]
    found: set[bytes] = set()
    for chunk in paged(subjects):
        rows = conn.execute(
            select(c.subject_digest).where(c.judge_id == judge, c.subject_digest.in_(chunk), *made)
        )
        found.update(bytes(digest) for (digest,) in rows)
    return found


def run_counts(conn: Connection, run: int) -> RunCounts:
    """Return a run's counts as its last batch wrote them."""
    c = t.run.c
    counts = select(c.planned_count, c.new_count, c.cached_count, c.failed_count)
    return RunCounts(*conn.execute(counts.where(c.id == run)).one())


def other_live_runs(conn: Connection, run: int, model_version: int, config: int) -> int:
    """Return how many other runs are at work under this model version and config."""
    c = t.run.c
    alive = int(time.time() * 1_000_000) - _ALIVE_MICROSECONDS
    count = select(func.count()).where(
        c.id != run,
        c.kind == str(RunKind.GENERATE),
        c.status == str(RunStatus.RUNNING),
        c.model_version_id == model_version,
        c.config_id == config,
        c.heartbeat_at > alive,
    )
    return int(conn.execute(count).scalar_one())


def has_judged(conn: Connection, judge_id: int) -> bool:
    """Tell whether a judge has ever scored anything but what it abstained from."""
    c = t.score.c
    judged = select(c.id).where(c.judge_id == judge_id, c.status != str(ScoreStatus.ABSTAINED))
    return conn.execute(judged.limit(1)).first() is not None


def earlier_live_runs(conn: Connection, run: int, judge: int) -> int:
    """Return how many runs that began before this one are at work under this judge."""
    c = t.run.c
    alive = int(time.time() * 1_000_000) - _ALIVE_MICROSECONDS
    count = select(func.count()).where(
        c.id < run,
        c.kind == str(RunKind.JUDGE),
        c.status == str(RunStatus.RUNNING),
        c.judge_id == judge,
        c.heartbeat_at > alive,
    )
    return int(conn.execute(count).scalar_one())
