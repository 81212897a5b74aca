"""``lam3db smoke``: does this model load here, and does it answer?

One image, one question, asked afresh each time, recorded as a run of kind ``smoke``. What
must hold: the answer is measured, never taken from the cache; the row written is an
ordinary generation under its ordinary key.
"""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db import plugins
from lam3db.errors import ModelError
from lam3db.media import MediaRoot
from lam3db.pipeline.generate import GenerateJob, describe, device_facts
from lam3db.pipeline.preflight import way_fault
from lam3db.pipeline.provenance import provenance
from lam3db.pipeline.watch import Silence, Watch
from lam3db.records import (
    Answer,
    Behavior,
    Dataset,
    Failed,
    ImagePart,
    Message,
    Request,
    RunKind,
    RunStatus,
    Sample,
    Stage,
    TextPart,
)
from lam3db.resources import shipped
from lam3db.store import lookup, writes
from lam3db.store.writes import FailureIn, GenerationIn, RunCounts, RunStart

if TYPE_CHECKING:
    from lam3db.config import ModelConfig, RuntimeConfig
    from lam3db.records import ModelPlan
    from lam3db.store.engine import Store

QUESTION = "What can be seen in this picture?"


@dataclass(frozen=True, slots=True)
class SmokeResult:
    """What was seen. Times in seconds, memory in bytes; ``device`` as the model told it."""

    model: str
    run_uid: str
    load_seconds: float
    answer_seconds: float
    answer: Answer
    memory_bytes: int
    gpu_memory_bytes: int | None
    effective: dict[str, Any]
    options: dict[str, Any]

    @property
    def tokens_per_second(self) -> float:
        """Completion tokens over the wall time of the whole answer, image included."""
        return self.answer.completion_tokens / self.answer_seconds


def smoke(
    store: Store, model: ModelConfig, runtime: RuntimeConfig, watch: Watch | None = None
) -> SmokeResult:
    """Load one model, ask one question about one image.

    Raises:
        ModelError: it does not load, or it loads and does not answer.

    """
    watch = watch or Silence()
    job = GenerateJob(model=model, runtime=runtime, dataset="smoke")
    plan = describe(job, watch)
    if (fault := way_fault(model)) is not None:
        raise fault
    sample = _sample(MediaRoot(store.media_root))
    run_id, uid, keys = _open(store, plan, runtime, sample)
    started = time.monotonic()
    counts = RunCounts(planned=1, new=0, cached=0, failed=0)
    try:
        loaded = plugins.model_kind(model.kind).load(plan, MediaRoot(store.media_root).open)
        load_seconds = time.monotonic() - started
        try:
            request = Request(0, sample[1].messages, sample[1].input_digest)
            asked = time.monotonic()
            ((_, outcome),) = next(loaded.answer([request]))
            answer_seconds = time.monotonic() - asked
        finally:
            loaded.close()
    except BaseException as error:
        _close(store, run_id, keys, Failed.from_exception(error), counts)
        raise
    _close(store, run_id, keys, outcome, counts)
    if isinstance(outcome, Failed):
        raise ModelError(f"{model.name} does not answer: {outcome.error_class}: {outcome.message}")
    return SmokeResult(
        model=model.name,
        run_uid=uid,
        load_seconds=load_seconds,
        answer_seconds=answer_seconds,
        answer=outcome,
        memory_bytes=_peak_memory(),
        gpu_memory_bytes=_peak_gpu_memory(),
        effective=dict(plan.config.value),
        options=dict(plan.options),
    )


def _sample(root: MediaRoot) -> tuple[Any, Sample]:
    """Return the picture's media row and the one sample; the bytes are put into the root."""
    media = root.put(shipped("data", "mini_bench", "pic5.png").read_bytes())
    parts = (ImagePart(media.sha256), TextPart(QUESTION))
    return media, Sample((Message("user", parts),), Behavior(QUESTION, "smoke", is_benign=True))


def _open(
    store: Store, plan: ModelPlan, runtime: RuntimeConfig, sample: tuple[Any, Sample]
) -> tuple[int, str, tuple[int, int, int]]:
    """Write the rows of the run; return its id, its uid, and (model, config, sample) ids."""
    seen = provenance(device_facts())
    with store.write() as conn:
        media, one = sample
        selection = writes.put_unnamed(conn, Dataset("smoke", (("pic5", one),), (media,)))
        sample_id = lookup.sample_ids(conn, [one.digest])[one.digest]
        model_id = writes.put_model_version(conn, plan.version)
        config_id = writes.put_config(conn, plan.config)
        run = RunStart(
            kind=RunKind.SMOKE,
            model_version_id=model_id,
            config_id=config_id,
            selection_id=selection,
            dataset_id=None,
            judge_id=None,
            environment_id=writes.put_environment(conn, seen.environment),
            replicates=1,
            seed=runtime.seed,
            requested=dict(plan.requested),
            effective=dict(plan.config.value),
            options=dict(plan.options),
            **seen.columns(),
        )
        run_id, uid = writes.start_run(conn, run)
    return run_id, uid, (model_id, config_id, sample_id)


def _close(
    store: Store,
    run_id: int,
    keys: tuple[int, int, int],
    outcome: Answer | Failed,
    counts: RunCounts,
) -> None:
    model_id, config_id, sample_id = keys
    with store.write() as conn:
        if isinstance(outcome, Failed):
            row = FailureIn(outcome, sample_id=sample_id)
            writes.put_failures(conn, run_id, Stage.GENERATE, [row])
            ended = RunCounts(counts.planned, new=0, cached=0, failed=1)
            writes.finish_run(conn, run_id, RunStatus.FAILED, ended)
            return
        rows = [GenerationIn(sample_id, 0, outcome)]
        new = writes.put_generations(conn, run_id, model_id, config_id, rows)
        ended = RunCounts(counts.planned, new=new, cached=1 - new, failed=0)
        writes.finish_run(conn, run_id, RunStatus.FINISHED, ended)


def _peak_memory() -> int:
    """Return the largest resident size of this process so far (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _peak_gpu_memory() -> int | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return int(torch.cuda.max_memory_allocated())
