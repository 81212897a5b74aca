"""A small world written through the store, for tests of the store itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from lam3db.records import (
    Answer,
    Attack,
    Behavior,
    Dataset,
    FileEntry,
    Finding,
    FinishReason,
    GenerationConfig,
    ImagePart,
    JudgeIdentity,
    JudgeKind,
    Media,
    Message,
    ModelVersion,
    RunKind,
    Sample,
    Sees,
    Subject,
    TextPart,
    Verdict,
)
from lam3db.store import writes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

IMAGE = Media("ab" * 32, "image/png", 10, 4, 3)


def sample(at: int, prompt: str | None = None, *, image: bool = True, **labels: object) -> Sample:
    """Return the sample number ``at``; ``labels`` replace its metadata."""
    words = TextPart(f"prompt {at}" if prompt is None else prompt)
    parts = (ImagePart(IMAGE.sha256), words) if image else (words,)
    return Sample(
        messages=(Message("user", parts),),
        behavior=Behavior(f"aim {at % 3}", f"category {at % 2}", is_benign=at % 4 == 3),
        attack=Attack("none" if at % 2 else "wrapper", {} if at % 2 else {"style": "polite"}),
        target=None if at % 2 else "Sure",
        metadata={"at": at, **labels},
    )


def dataset(count: int = 4, name: str = "bench", *, start: int = 0) -> Dataset:
    """Return a dataset of ``count`` samples, all showing one image."""
    rows = tuple((f"k{at}", sample(at)) for at in range(start, start + count))
    return Dataset(name, rows, media=(IMAGE,), source="drawn here", licence="CC0")


def model(name: str = "tiny") -> ModelVersion:
    """Return a model version of one file."""
    files = (FileEntry("model.safetensors", "cd" * 32, 100),)
    return ModelVersion(name, "llava", f"models/{name}", manifest=files)


def config(seed: int = 42) -> GenerationConfig:
    """Return settings that differ by their seed."""
    decoding = {"do_sample": True, "temperature": 0.2, "top_p": 0.95, "seed": seed}
    return GenerationConfig(
        {"dtype": "bf16", "quantization": {"method": "nf4"}, "decoding": decoding}
    )


def judge(name: str = "tone", sees: tuple[Sees, ...] = (Sees.RESPONSE,)) -> JudgeIdentity:
    """Return a judge that gives a verdict and a value."""
    unsafe = (Verdict.UNSAFE,)
    return JudgeIdentity(name, JudgeKind.CLASSIFIER, "1", {"name": name}, sees, unsafe, "ASR")


def answer(words: str = "Sure, here it is.") -> Answer:
    """Return an answer of these words, with the thoughts before it."""
    thoughts = f"thought {words}"
    raw = f"<think>{thoughts}</think> {words}</s>"
    return Answer(raw, words, FinishReason.STOP, 600, 12, 8.5, batch_size=4, reasoning=thoughts)


def subject(words: str) -> bytes:
    """Return the digest of what a judge is shown that sees the response only."""
    return Subject(words).digest


@dataclass
class World:
    """The ids of what a generate run stands on."""

    selection: int
    dataset: int
    model: int
    config: int
    environment: int
    run: int
    uid: str

    @property
    def keys(self) -> tuple[int, int, int]:
        """What questions about pending samples take first."""
        return self.model, self.config, self.selection


def start(conn: Connection, kind: RunKind = RunKind.GENERATE, **ids: object) -> tuple[int, str]:
    """Start a run."""
    known = {"model_version_id": None, "config_id": None, "selection_id": None}
    known |= {"dataset_id": None, "judge_id": None, "replicates": 1} | ids
    environment = writes.put_environment(conn, {"python": "3.11"})
    return writes.start_run(
        conn,
        writes.RunStart(
            kind=kind,
            environment_id=environment,
            seed=42,
            requested={"temperature": 0.2},
            effective={"temperature": 0.2},
            options={"device": "cpu"},
            command="lam3db generate",
            host="here",
            username="me",
            code_commit="0" * 40,
            code_dirty=False,
            **known,
        ),
    )


def build(conn: Connection, samples: int = 4, replicates: int = 1) -> World:
    """Write a dataset, a model, a config and a run that asks for all of it."""
    row = writes.put_dataset(conn, dataset(samples))
    model_id = writes.put_model_version(conn, model())
    config_id = writes.put_config(conn, config())
    run, uid = start(
        conn,
        model_version_id=model_id,
        config_id=config_id,
        selection_id=row.selection_id,
        dataset_id=row.id,
        replicates=replicates,
    )
    environment = conn.execute(text("SELECT max(id) FROM environment")).scalar_one()
    return World(row.selection_id, row.id, model_id, config_id, environment, run, uid)


def sample_ids(conn: Connection, selection: int) -> list[int]:
    """Return the samples of a selection in order."""
    asked = "SELECT sample_id FROM selection_sample WHERE selection_id = :s ORDER BY position"
    return list(conn.execute(text(asked), {"s": selection}).scalars())


def answer_all(conn: Connection, world: World, words: Sequence[str] | None = None) -> list[int]:
    """Give every sample an answer; return the generations in the samples' order."""
    ids = sample_ids(conn, world.selection)
    said = words or [f"answer {at}" for at in range(len(ids))]
    rows = [writes.GenerationIn(one, 0, answer(said[at])) for at, one in enumerate(ids)]
    writes.put_generations(conn, world.run, world.model, world.config, rows)
    asked = "SELECT sample_id, id FROM generation WHERE variant = 0 AND replicate = 0"
    by_sample = dict(map(tuple, conn.execute(text(asked))))
    return [by_sample[one] for one in ids]


def unsafe(value: float = 0.9) -> Finding:
    """Return a finding of each kind of content."""
    return Finding(
        value=value,
        verdict=Verdict.UNSAFE,
        explanation="it helps",
        raw_output="[[UNSAFE]]",
        attributes={"insult": 0.25, "threat": 0.5},
    )


def count(conn: Connection, table: str) -> int:
    """Return the rows of a table."""
    return int(conn.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())
