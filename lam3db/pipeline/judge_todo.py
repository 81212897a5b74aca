"""What a judge has to do: answers without a score, and scores to be made anew.

What must hold: what was given up, what waits for other judges and what has no work left are told
apart; the judge's own rows are written before anything is asked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lam3db import plugins
from lam3db.endpoints.options import endpoint_of
from lam3db.pipeline import members
from lam3db.pipeline.preflight import raise_all, way_fault
from lam3db.records import JudgePolicy
from lam3db.store import lookup, pending, writes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from lam3db.config import JudgeConfig
    from lam3db.pipeline.judge import JudgeJob
    from lam3db.pipeline.members import Waiting
    from lam3db.pipeline.watch import Watch
    from lam3db.records import JudgeIdentity
    from lam3db.store.engine import Store

WINDOW = 2048
"""Generations whose texts are in memory at once."""
SHARED = 256
"""The same where asking costs: as often it is looked up what another process has had said."""
_WAVES = 32
"""Requests after one another in such a piece, at least: its end, where few are left in flight,
costs little time then."""


@dataclass(frozen=True, slots=True)
class Part:
    """Answers to judge. With a ``reason`` they have scores: what is made is a revision.

    ``anew``: a finding already stored on the same subject does not count.
    """

    ids: Sequence[int]
    reason: str | None = None
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Todo:
    """What a survey found."""

    parts: tuple[Part, ...]
    given_up: int = 0
    waiting: tuple[Waiting, ...] = ()

    @property
    def count(self) -> int:
        """Return how many answers there are to judge."""
        return sum(len(part.ids) for part in self.parts)


def check_ways(store: Store, jobs: Sequence[JudgeJob], watch: Watch) -> None:
    """Raise what keeps judges from asking their endpoints; who has nothing to ask needs no key.

    Raises:
        Lam3Error: one fault as it is, several under one heading; nothing was written.

    """
    asking = [job for job in jobs if not job.has_ended]
    faults = [(job, fault) for job in asking if (fault := way_fault(job.judge)) is not None]
    raise_all([fault for job, fault in faults if _has_work(store, job, watch)])


def _has_work(store: Store, job: JudgeJob, watch: Watch) -> bool:
    """Tell whether a judge has anything to do; one that is not stored yet has."""
    identity = plugins.judge_maker(job.judge.kind).describe(job.judge, watch.hashing)
    with store.read() as conn:
        judge_id = lookup.judge_id(conn, identity.digest)
        return judge_id is None or _todo(conn, job, identity, judge_id, watch).count > 0


def survey(store: Store, job: JudgeJob, identity: JudgeIdentity, watch: Watch) -> tuple[int, Todo]:
    """Write the judge's rows where they are new; return its id and what is to be judged."""
    with store.write() as conn:
        judge_id = writes.put_judge(conn, identity)
        if job.judge.policy is not None:
            policy = JudgePolicy(job.judge.policy.threshold, job.judge.policy.operator)
            writes.put_policy(conn, judge_id, policy, author="config")
    with store.read() as conn:
        return judge_id, _todo(conn, job, identity, judge_id, watch)


def _todo(
    conn: Connection, job: JudgeJob, identity: JudgeIdentity, judge_id: int, watch: Watch
) -> Todo:
    if job.retry_status and not members.is_ensemble(identity):
        asked = pending.unscored_status(conn, judge_id, job.scope, job.retry_status)
        reason = "asked again: status was " + " or ".join(map(str, job.retry_status))
        return Todo((Part(_ids(asked), reason, anew=True),))
    unscored = _ids(pending.pending_scores(conn, judge_id, job.scope, retry=True))
    if job.only is not None:
        unscored = [one for one in unscored if one in job.only]
    lost = set() if job.retry else pending.given_up_scores(conn, judge_id)
    todo = [one for one in unscored if one not in lost]
    given_up = len(unscored) - len(todo)
    if members.is_ensemble(identity):
        return _ensemble(conn, job, identity, judge_id, todo, given_up, watch)
    return Todo((Part(todo),), given_up)


def _ids(found: Sequence[pending.PendingScore]) -> list[int]:
    return [item.generation_id for item in found]


def _ensemble(
    conn: Connection,
    job: JudgeJob,
    identity: JudgeIdentity,
    judge_id: int,
    todo: Sequence[int],
    given_up: int,
    watch: Watch,
) -> Todo:
    """Leave out what waits, and add what is out of date."""
    outlook = members.survey(conn, identity, judge_id, todo, job.scope)
    parts = [Part(outlook.fresh), *(Part(ids, why) for why, ids in outlook.revise.items())]
    return Todo(tuple(parts), given_up, members.waited_for(conn, outlook, job.judge, watch))


def window_size(config: JudgeConfig, earlier: int) -> int:
    """Return how many answers are looked up at once, beside ``earlier`` runs of the same judge."""
    endpoint = endpoint_of(config)
    if endpoint is None:
        return SHARED if earlier else WINDOW
    return min(WINDOW, max(SHARED, _WAVES * endpoint.concurrency))


def windows(todo: Todo, size: int = WINDOW, earlier: int = 0) -> Iterator[Part]:
    """Yield the parts, each cut into pieces of ``size`` answers at most, that fit into memory.

    ``earlier`` processes have begun with the same work: this one begins as far from them as it
    can, in the middle, then in the middle of a half, and meets them on the way.
    """
    for part in todo.parts:
        turn = int(_between(earlier) * len(part.ids))
        ids = [*part.ids[turn:], *part.ids[:turn]]
        for start in range(0, len(ids), size):
            yield replace(part, ids=ids[start : start + size])


def _between(number: int) -> float:
    """Return 0, 1/2, 1/4, 3/4, 1/8 ...: the binary digits mirrored (van der Corput 1935)."""
    digits = f"{number:b}"[::-1]
    return int(digits, 2) / (1 << len(digits))
