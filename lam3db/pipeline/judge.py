"""Generation to score: what has no score under a judge is judged, over all runs.

What must hold: a judge is shown a :class:`~lam3db.records.Subject` holding only what it
declares to see; identical subjects are judged once and the finding is linked to every
generation; a judge that fails leaves failures, never scores; a judge is loaded once, and
not at all when nothing is pending or its service has ended (``ends_on``): then what it has
said before is linked, and the rest stays pending. An ensemble's score that rests on what its
members no longer say is made anew as a revision (see :mod:`lam3db.pipeline.members`).
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from lam3db import plugins
from lam3db.endpoints.options import endpoint_of
from lam3db.errors import BudgetExhaustedError
from lam3db.media import MediaRoot
from lam3db.pipeline import SAME_FAILURES, members
from lam3db.pipeline.ending import recorded_end, sum_up
from lam3db.pipeline.first_failures import FirstFailures
from lam3db.pipeline.interrupt import Interruption
from lam3db.pipeline.judge_run import start_judge_run
from lam3db.pipeline.judge_todo import check_ways, survey, window_size, windows
from lam3db.pipeline.watch import Silence, Watch
from lam3db.records import (
    Failed,
    Finding,
    RunStatus,
    ScoreStatus,
    Sees,
    Stage,
    Subject,
)
from lam3db.store import lookup, pending, reads, writes
from lam3db.store.pending import ScoreScope
from lam3db.store.writes import FailureIn, FindingIn, RunCounts

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from lam3db.config import JudgeConfig
    from lam3db.pipeline.judge_todo import Part, Todo
    from lam3db.pipeline.members import Waiting
    from lam3db.plugins import Judge
    from lam3db.records import JudgeIdentity
    from lam3db.store.engine import Store
    from lam3db.store.reads import JudgedText

_AUTHOR = "lam3db"


@dataclass(frozen=True, slots=True)
class JudgeJob:
    """What is asked for: one judge over a scope.

    ``retry_status``: judge again what stands under these statuses, as a revision. It says
    nothing to an ensemble, whose scores follow from its members'. ``today`` (UTC) is compared
    with the day on which the judge's service ends. ``only``: of what is pending, these answers.
    ``max_same_failures`` of one cause end the run while nothing has succeeded; 0: they do not.
    """

    judge: JudgeConfig
    scope: ScoreScope = field(default_factory=lambda: ScoreScope(None, None, None))
    retry: bool = False
    retry_status: tuple[ScoreStatus, ...] = ()
    today: date = field(default_factory=lambda: datetime.now(UTC).date())
    only: frozenset[int] | None = None
    max_same_failures: int = SAME_FAILURES

    @property
    def days_left(self) -> int | None:
        """Days until the judge's service ends, below 0 afterwards; None where it does not."""
        ends_on = self.judge.ends_on
        return None if ends_on is None else (ends_on - self.today).days

    @property
    def has_ended(self) -> bool:
        """Whether the judge's service answers no more."""
        return self.days_left is not None and self.days_left < 0


@dataclass(frozen=True, slots=True)
class JudgeResult:
    """What became of it.

    ``counts.cached`` were scored by a finding already stored, or by another process meanwhile.
    ``given_up`` answers in scope have failed for good or three times and were not tried again;
    ``revised`` are those of ``counts.new`` and ``counts.cached`` that had a score which was out of
    date; ``waiting`` tells for which other judges answers wait. ``ended_on`` is the day on which
    the judge's service has ended; None while it answers. ``remarks`` count what the judge passed
    over in texts that it read or was shown.
    """

    judge: str
    digest: str
    run_uid: str | None
    counts: RunCounts
    status: RunStatus
    seconds: float
    error: str | None = None
    given_up: int = 0
    ended_on: date | None = None
    revised: int = 0
    waiting: tuple[Waiting, ...] = ()
    remarks: tuple[tuple[str, int], ...] = ()


def judge_pending(store: Store, job: JudgeJob, watch: Watch | None = None) -> JudgeResult:
    """Score everything in scope that has no score under this judge.

    Raises:
        Lam3Error: before anything is judged, when the judge cannot be had.

    """
    watch = watch or Silence()
    started = time.monotonic()
    _tell_end(job, watch)
    identity = plugins.judge_maker(job.judge.kind).describe(job.judge, watch.hashing)
    check_ways(store, [job], watch)
    judge_id, todo = survey(store, job, identity, watch)
    counts = RunCounts(planned=todo.count, new=0, cached=0, failed=0)
    result = JudgeResult(
        job.judge.name,
        identity.digest.hex(),
        run_uid=None,
        counts=counts,
        status=RunStatus.FAILED if todo.given_up else RunStatus.FINISHED,
        seconds=0.0,
        given_up=todo.given_up,
        revised=sum(len(part.ids) for part in todo.parts if part.reason and not part.anew),
        waiting=todo.waiting,
        ended_on=job.judge.ends_on if job.has_ended else None,
    )
    if not todo.count:
        sum_up(store)  # the threshold may be new
        return replace(result, seconds=time.monotonic() - started)
    run = _open(store, job, identity, judge_id)
    work = _Work(
        store, job, identity, judge_id, *run, counts, _first_failures(store, job, judge_id)
    )
    watch.begin(job.judge.name, todo.count, 0, 0)
    try:
        with recorded_end(store, work.run_id):
            status, error = _drain(work, todo, watch)
        with store.write() as conn:
            pending.advance_watermark(conn, judge_id)
            writes.finish_run(conn, work.run_id, status, work.counts)
        sum_up(store)
    finally:
        work.close()
        watch.end()
    result = replace(result, run_uid=work.run_uid, counts=work.counts, status=status, error=error)
    return replace(result, seconds=time.monotonic() - started, remarks=work.remarks())


def _tell_end(job: JudgeJob, watch: Watch) -> None:
    """Say when the judge's service will end, while there is time."""
    days = job.days_left
    if days is not None and days >= 0:
        left = "today" if days == 0 else "tomorrow" if days == 1 else f"in {days} days"
        watch.note(f"{job.judge.name} ends on {job.judge.ends_on} ({left})")


def _first_failures(store: Store, job: JudgeJob, judge_id: int) -> FirstFailures:
    online = " --online" if endpoint_of(job.judge) is not None else ""
    doctor = f"lam3db doctor{online} --judge {job.judge.name}"
    with store.read() as conn:
        works = lookup.has_judged(conn, judge_id)
    return FirstFailures(job.max_same_failures, doctor, works=works)


_NOTHING = RunCounts(planned=0, new=0, cached=0, failed=0)


@dataclass(slots=True)
class _Work:
    """One judge at work: its rows, its counts, and the judge itself once it is needed."""

    store: Store
    job: JudgeJob
    identity: JudgeIdentity
    judge_id: int
    run_id: int
    run_uid: str
    counts: RunCounts
    first: FirstFailures
    _judge: Judge | None = None

    def count(self, conn: Connection, change: RunCounts) -> RunCounts:
        """Add to the run's counts, in the transaction that makes them true; return the change."""
        self.counts = _add(self.counts, change)
        writes.beat(conn, self.run_id, self.counts)
        return change

    def judge(self) -> Judge:
        """Return the judge, loading it at the first call."""
        if self._judge is None:
            maker = plugins.judge_maker(self.job.judge.kind)
            opener = MediaRoot(self.store.media_root).open
            self._judge = maker.load(self.job.judge, self.identity, opener)
        return self._judge

    def remarks(self) -> tuple[tuple[str, int], ...]:
        """Return what the judge passed over, the most frequent first."""
        counts: Counter[str] | None = getattr(self._judge, "remarks", None)
        return tuple(counts.most_common()) if counts else ()

    def close(self) -> None:
        """Let the judge go."""
        if self._judge is not None:
            self._judge.close()


def _open(store: Store, job: JudgeJob, identity: JudgeIdentity, judge_id: int) -> tuple[int, str]:
    scope: dict[str, Any] = {
        name: value
        for name in ("run_uid", "model", "dataset")
        if (value := getattr(job.scope, name)) is not None
    }
    requested = {"judge": job.judge.name, "settings": dict(job.judge.settings), **scope}
    with store.write() as conn:
        return start_judge_run(conn, identity, judge_id, requested)


def _drain(work: _Work, todo: Todo, watch: Watch) -> tuple[RunStatus, str | None]:
    """Judge everything; return how it ended."""
    with work.store.write() as conn:
        writes.beat(conn, work.run_id, work.counts)
        earlier = lookup.earlier_live_runs(conn, work.run_id, work.judge_id)
    size = window_size(work.job.judge, earlier)
    with Interruption() as interruption:
        for part in windows(todo, size, earlier):
            for change, error in _window(work, part):
                watch.advance(change.new + change.cached, change.failed)
                if error is not None:
                    return RunStatus.FAILED, error
                if interruption.asked:
                    return RunStatus.INTERRUPTED, None
    counts = work.counts
    left = counts.planned - counts.new - counts.cached
    unjudged = left if work.job.has_ended else counts.failed
    return (RunStatus.FAILED if unjudged else RunStatus.FINISHED), None


def _add(counts: RunCounts, change: RunCounts) -> RunCounts:
    return replace(
        counts,
        new=counts.new + change.new,
        cached=counts.cached + change.cached,
        failed=counts.failed + change.failed,
    )


def _window(work: _Work, part: Part) -> Iterator[tuple[RunCounts, str | None]]:
    """Judge one window; yield what each batch changed and an error that ends the run."""
    subjects = _subjects(work, part.ids)
    groups, linked = _link(work, part, subjects)
    if linked.cached:
        yield linked, None
    if not groups or work.job.has_ended:
        return
    shown = {subjects[group[0]].digest: subjects[group[0]] for group in groups.values()}
    outcomes = work.judge().judge(list(shown.values()))
    while True:
        try:
            batch = next(outcomes, None)
        except BudgetExhaustedError as error:  # nothing has failed: what is left stays pending
            yield _NOTHING, str(error)
            return
        except Exception as error:  # noqa: BLE001 - a judge may raise anything; it is recorded
            failed = Failed.from_exception(error)
            with work.store.write() as conn:
                row = FailureIn(failed, judge_id=work.judge_id)
                writes.put_failures(conn, work.run_id, Stage.JUDGE, [row])
            yield _NOTHING, f"{failed.error_class}: {failed.message}"
            return
        if batch is None:
            return
        yield _write(work, part, groups, work.first.see(batch)), work.first.message


def _subjects(work: _Work, ids: Sequence[int]) -> dict[int, Subject]:
    """Return what the judge is shown; what was withheld meanwhile is left out."""
    with work.store.read() as conn:
        if members.is_ensemble(work.identity):
            return members.subjects(conn, work.identity, ids)
        texts = reads.load_judged(conn, ids, work.identity.sees)
    return {one: shown_subject(work.identity.sees, texts[one]) for one in ids if one in texts}


def shown_subject(sees: Iterable[Sees], text: JudgedText) -> Subject:
    """Return what this judge may see of a generation, and no more."""
    parts = set(sees)
    return Subject(
        response=text.text if Sees.RESPONSE in parts else "",
        prompt=text.prompt if Sees.PROMPT in parts else None,
        behavior=text.behavior if Sees.BEHAVIOR in parts else None,
        images=text.images if Sees.IMAGE in parts else (),
        reasoning=text.reasoning if Sees.REASONING in parts else None,
    )


def _link(
    work: _Work, part: Part, subjects: Mapping[int, Subject]
) -> tuple[dict[bytes, list[int]], RunCounts]:
    """Link what is already judged; return the rest by subject, and how many were linked.

    What is to be judged anew is so once in this run, however many pieces show it.
    """
    groups: dict[bytes, list[int]] = defaultdict(list)
    for one, subject in subjects.items():
        groups[subject.digest].append(one)
    by = work.run_id if part.anew else None
    with work.store.write() as conn:
        known = lookup.known_findings(conn, work.judge_id, list(groups), by)
        if not known:
            return groups, _NOTHING
        pairs = [(digest, one) for digest in known for one in groups[digest]]
        if part.reason is None:
            writes.link_findings(conn, work.run_id, work.judge_id, pairs)
        else:
            signed = (pairs, _AUTHOR, part.reason)
            writes.revise_links(conn, work.run_id, work.judge_id, *signed)
        change = work.count(conn, replace(_NOTHING, cached=len(pairs)))  # whoever linked them
    return {digest: group for digest, group in groups.items() if digest not in known}, change


def _write(
    work: _Work,
    part: Part,
    groups: Mapping[bytes, list[int]],
    batch: Sequence[tuple[Subject, Finding | Failed]],
) -> RunCounts:
    """Write one batch's findings, failures and counts in one transaction.

    A batch is empty where a slow judge only lets us look up: the run beats, nothing else.
    """
    findings: list[FindingIn] = []
    failures: list[FailureIn] = []
    for subject, outcome in batch:
        group = groups[subject.digest]
        if isinstance(outcome, Finding):
            findings.append(FindingIn(subject.digest, outcome, tuple(group)))
        else:
            failures += [
                FailureIn(outcome, generation_id=one, judge_id=work.judge_id) for one in group
            ]
    scored = sum(len(row.generation_ids) for row in findings)
    with work.store.write() as conn:
        new = _put(conn, work, part, findings) if findings else 0
        failed = [row.generation_id for row in failures if row.generation_id]
        gone = pending.withheld_from_judge(conn, work.judge_id, failed)
        failures = [row for row in failures if row.generation_id not in gone]
        if failures:
            writes.put_failures(conn, work.run_id, Stage.JUDGE, failures)
        # what has its score from another process by now was not scored by this one
        change = replace(_NOTHING, new=new, cached=scored - new, failed=len(failures))
        return work.count(conn, change)


def _put(conn: Connection, work: _Work, part: Part, findings: Sequence[FindingIn]) -> int:
    """Write findings with their scores: first ones, revisions of both, or of the scores only.

    Return how many scores were written.
    """
    run = (conn, work.run_id, work.judge_id)
    if part.reason is None:
        return writes.put_findings(*run, findings)
    pairs = [(row.subject_digest, one) for row in findings for one in row.generation_ids]
    if part.anew:
        writes.put_revisions(*run, findings, author=_AUTHOR, reason=part.reason)
        return len(pairs)
    writes.put_findings(*run, [replace(row, generation_ids=()) for row in findings])
    return writes.revise_links(*run, pairs, author=_AUTHOR, reason=part.reason)
