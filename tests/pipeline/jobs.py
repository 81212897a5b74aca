"""Small datasets, null models and null judges for the pipeline's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lam3db.config import JudgeConfig, ModelConfig, RuntimeConfig
from lam3db.pipeline.generate import GenerateJob
from lam3db.pipeline.judge import JudgeJob
from lam3db.records import Attack, Behavior, Dataset, Message, Sample, TextPart
from lam3db.store import writes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lam3db.store.engine import Store


def sample(number: int, prompt: str | None = None, attack: str = "none") -> Sample:
    """Return one text-only sample."""
    message = Message("user", (TextPart(prompt or f"prompt {number}"),))
    return Sample((message,), Behavior(f"behavior {number % 5}", "things"), Attack(attack))


def put(store: Store, samples: Sequence[Sample], name: str = "many") -> None:
    """Store samples as a dataset."""
    keyed = tuple((f"k{number}", one) for number, one in enumerate(samples))
    with store.write() as conn:
        writes.put_dataset(conn, Dataset(name, keyed))


def model(source: str = "null", name: str = "null") -> ModelConfig:
    """Return a null model's config."""
    return ModelConfig(name=name, kind="null", source=source)


def job(source: str = "null", **changes: Any) -> GenerateJob:
    """Return a job on the dataset ``many``."""
    runtime = changes.pop("runtime", RuntimeConfig(batch_size=8))
    return GenerateJob(**{"model": model(source), "runtime": runtime, "dataset": "many", **changes})


def judging(name: str = "half", retry_status: Any = (), **settings: int) -> JudgeJob:
    """Return a null judge's job over everything."""
    config = JudgeConfig(name=name, kind="null", settings=settings)
    return JudgeJob(config, retry_status=retry_status)
