"""Sample to generation: ask the store what is missing, ask the model, write each batch.

What must hold: an answer is written in one transaction with its batch, opened after the
model has spoken; a failure is written as a failure; what is stored under the same key is
never asked again, and a run whose answers are all stored loads no model. Running again
goes on with what is missing, whatever ended the run before.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from lam3db import plugins
from lam3db.errors import BudgetExhaustedError, ConfigError
from lam3db.media import MediaRoot
from lam3db.pipeline import SAME_FAILURES
from lam3db.pipeline.ending import recorded_end, sum_up
from lam3db.pipeline.first_failures import FirstFailures
from lam3db.pipeline.interrupt import Interruption
from lam3db.pipeline.preflight import way_fault
from lam3db.pipeline.provenance import Provenance, provenance
from lam3db.pipeline.watch import Silence, Watch
from lam3db.records import Answer, Failed, Request, RunKind, RunStatus, Stage
from lam3db.store import lookup, pending, reads, writes
from lam3db.store.writes import FailureIn, GenerationIn, RunCounts, RunStart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lam3db.config import ModelConfig, RuntimeConfig
    from lam3db.plugins import Model
    from lam3db.records import ModelPlan
    from lam3db.store.engine import Store
    from lam3db.store.pending import PendingSample

_SHARD = re.compile("([0-9]{1,9})/([0-9]{1,9})")
WINDOW = 256
"""Requests handed to a model at once: it sorts and batches within them."""
_UNPOSED = Failed(
    "NoPromptError",
    "the sample came with results of others, and without a prompt",
    of_sample=True,
)


@dataclass(frozen=True, slots=True)
class Shard:
    """Part ``index`` (from 1) of ``count``, cut by input digest."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``I/N``; raise ConfigError unless 1 <= I <= N."""
        match = _SHARD.fullmatch(text)
        if match and 1 <= int(match[1]) <= int(match[2]):
            return cls(int(match[1]), int(match[2]))
        raise ConfigError(f"--shard {text!r}: write I/N with 1 <= I <= N, for example 1/4")

    def holds(self, input_digest: bytes) -> bool:
        """Tell whether an input belongs to this part; each input belongs to exactly one."""
        return int.from_bytes(input_digest[:8], "big") % self.count == self.index - 1


@dataclass(frozen=True, slots=True)
class GenerateJob:
    """What is asked for: one model on one selection.

    ``only``: of what is missing, these (sample id, replicate) pairs and no others.
    ``max_same_failures`` of one cause end the run while nothing has succeeded; 0: they do not.
    """

    model: ModelConfig
    runtime: RuntimeConfig
    dataset: str
    where: Mapping[str, str] = field(default_factory=dict)
    limit: int | None = None
    shard: Shard | None = None
    replicates: int = 1
    retry: bool = False
    requested: Mapping[str, Any] = field(default_factory=dict)
    only: frozenset[tuple[int, int]] | None = None
    max_same_failures: int = SAME_FAILURES


@dataclass(frozen=True, slots=True)
class GenerateResult:
    """What became of it. ``cached`` counts answers that were stored before this run."""

    model: str
    run_uid: str | None
    counts: RunCounts
    status: RunStatus
    seconds: float
    error: str | None = None

    @property
    def missing(self) -> int:
        """Answers still to be had."""
        return self.counts.planned - self.counts.cached - self.counts.new


def describe(job: GenerateJob, watch: Watch) -> ModelPlan:
    """Return what the model will be; tell the notes. Loads no weights."""
    kind = plugins.model_kind(job.model.kind)
    plan = kind.describe(job.model, job.runtime, watch.hashing)
    for note in plan.notes:
        watch.note(f"{job.model.name}: {note}")
    return plan


def preview(store: Store, job: GenerateJob, watch: Watch | None = None) -> RunCounts:
    """Return what :func:`generate` would find and do, writing nothing."""
    return _preview(store, job, describe(job, watch or Silence()))


def _preview(store: Store, job: GenerateJob, plan: ModelPlan) -> RunCounts:
    with store.read() as conn:
        members = _members(conn, job)
        total = len(members) * job.replicates
        model_id = lookup.model_version_id(conn, plan.version.digest)
        config_id = lookup.config_id(conn, plan.config.digest)
        if model_id is None or config_id is None:
            return RunCounts(planned=total, new=total, cached=0, failed=0)
        stored = lookup.stored_answers(
            conn, model_id, config_id, [sample for _, sample in members], job.replicates
        )
    return RunCounts(planned=total, new=total - len(stored), cached=len(stored), failed=0)


def generate(store: Store, job: GenerateJob, watch: Watch | None = None) -> GenerateResult:
    """Bring every answer the job asks for into the store.

    Returns:
        The counts; ``status`` is ``finished``, ``failed`` (some requests or the model
        itself failed) or ``interrupted`` (by a signal, after the batch in flight).

    Raises:
        Lam3Error: before anything is started, when the job cannot be done at all.

    """
    watch = watch or Silence()
    started = time.monotonic()
    plan = describe(job, watch)
    fault = way_fault(job.model)
    if fault is not None and _preview(store, job, plan).new:  # what is all stored needs no key
        raise fault
    run = _open(store, job, plan, provenance(device_facts()))
    if run.model_name != job.model.name:
        watch.note(
            f"{job.model.name}: the same weights are stored as {run.model_name!r}; "
            "its answers are listed under that name"
        )
    counts, todo = _survey(store, run, job)
    watch.begin(job.model.name, counts.planned, counts.cached, counts.failed)
    try:
        with recorded_end(store, run.run_id):
            status, counts, error = _drain(store, run, job, plan, counts, todo, watch)
        counts = _link(store, run, job, counts)
        with store.write() as conn:
            writes.finish_run(conn, run.run_id, status, counts)
        sum_up(store)
    finally:
        watch.end()
    seconds = time.monotonic() - started
    return GenerateResult(run.model_name, run.run_uid, counts, status, seconds, error)


@dataclass(frozen=True, slots=True)
class _Run:
    """The row ids of one run, and the name its model version is stored under."""

    run_id: int
    run_uid: str
    model_name: str
    model_id: int
    config_id: int
    selection_id: int


def _members(conn: Any, job: GenerateJob) -> list[tuple[str, int]]:
    """Return the (key, sample id) pairs the job asks for, refusing an empty choice."""
    dataset = reads.find_dataset(conn, job.dataset)
    members = reads.select_members(conn, dataset.selection_id, job.where, job.limit)
    if job.shard is not None:
        inputs = lookup.input_digests(conn, [sample for _, sample in members])
        members = [pair for pair in members if job.shard.holds(inputs[pair[1]])]
    elif not members:
        chosen = ", ".join(f"{name}={value}" for name, value in job.where.items())
        raise ConfigError(
            f"dataset {dataset.name!r} holds no sample with {chosen}: "
            f"see `lam3db dataset show {dataset.name}`"
        )
    return members


def _open(store: Store, job: GenerateJob, plan: ModelPlan, seen: Provenance) -> _Run:
    """Write the rows a run stands on, in one transaction."""
    with store.write() as conn:
        dataset = reads.find_dataset(conn, job.dataset)
        members = _members(conn, job)
        whole = len(members) == dataset.sample_count
        selection = dataset.selection_id if whole else writes.put_selection(conn, members)
        model_id = writes.put_model_version(conn, plan.version)
        config_id = writes.put_config(conn, plan.config)
        run = RunStart(
            kind=RunKind.GENERATE,
            model_version_id=model_id,
            config_id=config_id,
            selection_id=selection,
            dataset_id=dataset.id,
            judge_id=None,
            environment_id=writes.put_environment(conn, seen.environment),
            replicates=job.replicates,
            seed=job.runtime.seed,
            requested={**job.requested, **plan.requested},
            effective=dict(plan.config.value),
            options=dict(plan.options),
            **seen.columns(),
        )
        run_id, uid = writes.start_run(conn, run)
        name = lookup.model_name(conn, model_id)
    return _Run(run_id, uid, name, model_id, config_id, selection)


def _survey(store: Store, run: _Run, job: GenerateJob) -> tuple[RunCounts, list[PendingSample]]:
    """Link what other samples' equal inputs give; return the counts and what is to be done."""
    keys = (run.model_id, run.config_id, run.selection_id, job.replicates)
    with store.write() as conn:
        pending.link_same_inputs(conn, run.run_id, *keys)
    with store.read() as conn:
        progress = pending.generate_progress(conn, *keys)
        todo = pending.pending_samples(conn, *keys, retry=job.retry)
        crowded = lookup.other_live_runs(conn, run.run_id, run.model_id, run.config_id)
    given_up = progress.total - progress.cached - len(todo)
    if job.only is not None:
        todo = [item for item in todo if (item.sample_id, item.replicate) in job.only]
    unique = {(item.input_digest, item.replicate): item for item in reversed(todo)}
    chosen = list(reversed(unique.values()))
    if crowded and chosen:  # start elsewhere than the others, and meet them on the way
        turn = int.from_bytes(run.run_uid.encode()[-4:], "big") % len(chosen)
        chosen = chosen[turn:] + chosen[:turn]
    return RunCounts(progress.total, new=0, cached=progress.cached, failed=given_up), chosen


def _drain(
    store: Store,
    run: _Run,
    job: GenerateJob,
    plan: ModelPlan,
    counts: RunCounts,
    todo: list[PendingSample],
    watch: Watch,
) -> tuple[RunStatus, RunCounts, str | None]:
    """Answer what is to be done; return how it ended."""
    status = RunStatus.FAILED if counts.failed else RunStatus.FINISHED
    if not todo:
        return status, counts, None
    root = MediaRoot(store.media_root)
    with store.write() as conn:
        writes.beat(conn, run.run_id, counts)
    watch.note(f"{job.model.name}: loading")
    online = " --online" if job.model.endpoint is not None else ""
    doctor = f"lam3db doctor{online} --model {job.model.name}"
    first = FirstFailures(job.max_same_failures, doctor, works=counts.cached > 0)
    with Interruption() as interruption:
        model = plugins.model_kind(job.model.kind).load(plan, root.open)
        try:
            for window in _windows(todo, WINDOW):
                for new, failed, error in _window(store, run, model, window, counts, first):
                    counts = replace(counts, new=counts.new + new, failed=counts.failed + failed)
                    watch.advance(new, failed)
                    if error is not None:
                        return RunStatus.FAILED, counts, error
                    if interruption.asked:
                        return RunStatus.INTERRUPTED, counts, None
                if interruption.asked:
                    return RunStatus.INTERRUPTED, counts, None
        finally:
            model.close()
    return (RunStatus.FAILED if counts.failed else RunStatus.FINISHED), counts, None


def _windows(todo: list[PendingSample], size: int) -> Iterator[list[PendingSample]]:
    items = iter(todo)
    while window := list(islice(items, size)):
        yield window


def _window(
    store: Store,
    run: _Run,
    model: Model,
    window: list[PendingSample],
    counts: RunCounts,
    first: FirstFailures,
) -> Iterator[tuple[int, int, str | None]]:
    """Answer one window; yield (new, failed, error that ends the run) per batch written."""
    requests = _requests(store, run, window)
    if not requests:
        return
    by_tag = {request.tag: window[request.tag] for request in requests}
    unposed = [(request, _UNPOSED) for request in requests if not request.messages]
    if unposed:
        new, failures = _write(store, run, by_tag, unposed, counts)
        counts = replace(counts, failed=counts.failed + failures)
        yield new, failures, None
    outcomes = model.answer([request for request in requests if request.messages])
    while True:
        try:
            batch = next(outcomes, None)
        except BudgetExhaustedError as error:  # nothing has failed: what is left stays pending
            yield 0, 0, str(error)
            return
        except Exception as error:  # noqa: BLE001 - a model may raise anything; it is recorded
            failed = Failed.from_exception(error)
            with store.write() as conn:
                writes.put_failures(conn, run.run_id, Stage.GENERATE, [FailureIn(failed)])
            yield 0, 0, f"{failed.error_class}: {failed.message}"
            return
        if batch is None:
            return
        new, failures = _write(store, run, by_tag, first.see(batch), counts)
        counts = replace(counts, new=counts.new + new, failed=counts.failed + failures)
        yield new, failures, first.message


def _requests(store: Store, run: _Run, window: list[PendingSample]) -> list[Request]:
    """Return a window's requests, less what was answered elsewhere or withheld meanwhile."""
    samples = sorted({item.sample_id for item in window})
    replicates = max(item.replicate for item in window) + 1
    with store.read() as conn:
        there = lookup.stored_answers(conn, run.model_id, run.config_id, samples, replicates)
        messages = reads.load_messages(conn, samples)
    return [
        Request(tag, messages[item.sample_id], item.input_digest, item.replicate)
        for tag, item in enumerate(window)
        if (item.sample_id, item.replicate) not in there and item.sample_id in messages
    ]


def _write(
    store: Store,
    run: _Run,
    by_tag: Mapping[int, PendingSample],
    batch: Sequence[tuple[Request, Answer | Failed]],
    counts: RunCounts,
) -> tuple[int, int]:
    """Write one batch in one transaction; return how many were new and how many failed."""
    answers = [
        GenerationIn(by_tag[request.tag].sample_id, request.replicate, outcome)
        for request, outcome in batch
        if isinstance(outcome, Answer)
    ]
    failures = [
        FailureIn(outcome, sample_id=by_tag[request.tag].sample_id, replicate=request.replicate)
        for request, outcome in batch
        if isinstance(outcome, Failed)
    ]
    with store.write() as conn:
        new = writes.put_generations(conn, run.run_id, run.model_id, run.config_id, answers)
        gone = pending.withheld_samples(conn, [row.sample_id for row in failures if row.sample_id])
        failures = [row for row in failures if row.sample_id not in gone]
        if failures:
            writes.put_failures(conn, run.run_id, Stage.GENERATE, failures)
        now = replace(counts, new=counts.new + new, failed=counts.failed + len(failures))
        writes.beat(conn, run.run_id, now)
    return new, len(failures)


def _link(store: Store, run: _Run, job: GenerateJob, counts: RunCounts) -> RunCounts:
    """Give this run's answers to samples with the same input; recount what is there."""
    keys = (run.model_id, run.config_id, run.selection_id, job.replicates)
    with store.write() as conn:
        pending.link_same_inputs(conn, run.run_id, *keys)
        progress = pending.generate_progress(conn, *keys)
    return replace(counts, cached=progress.cached - counts.new)


def device_facts() -> dict[str, Any]:
    """Ask the model stack about GPU and driver, where it is installed."""
    from lam3db.models.environment import model_environment

    facts: Callable[[], dict[str, Any]] = model_environment
    return facts()
