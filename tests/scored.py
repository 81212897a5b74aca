"""A small evaluation written through the store, for tests of numbers and reports."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from lam3db.records import (
    Answer,
    Attack,
    Behavior,
    Dataset,
    Failed,
    Finding,
    FinishReason,
    GenerationConfig,
    JudgeIdentity,
    JudgeKind,
    JudgePolicy,
    Message,
    ModelVersion,
    RunKind,
    RunStatus,
    Sample,
    ScoreStatus,
    Stage,
    TextPart,
    Verdict,
)
from lam3db.store import tables as t
from lam3db.store import writes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

REFUSED = Finding(verdict=Verdict.REFUSED)
COMPLIED = Finding(verdict=Verdict.NOT_REFUSED)
UNPARSED = Finding(status=ScoreStatus.UNPARSED)
ABSTAINED = Finding(status=ScoreStatus.ABSTAINED)
JUDGE_REFUSED = Finding(status=ScoreStatus.JUDGE_REFUSED)
BROKEN = Failed("RuntimeError", "the judge broke")


def toxic(value: float, **attributes: float) -> Finding:
    return Finding(value=value, attributes=attributes)


def refusal(version: str = "1", name: str = "refusal") -> JudgeIdentity:
    return JudgeIdentity(
        name,
        JudgeKind.RULE,
        version,
        {"preset": version},
        unsafe_verdicts=(Verdict.NOT_REFUSED,),
        heading="non-refusal",
    )


def detoxify(version: str = "0.5.4") -> JudgeIdentity:
    return JudgeIdentity("detoxify", JudgeKind.CLASSIFIER, version, {}, heading="toxicity")


def sample(
    behavior: str,
    attack: str = "none",
    number: int = 0,
    *,
    benign: bool = False,
    category: str = "plants",
    metadata: Mapping[str, object] | None = None,
) -> Sample:
    text = f"{behavior} by {attack}, {number}"
    return Sample(
        messages=(Message("user", (TextPart(text),)),),
        behavior=Behavior(behavior, category, benign),
        attack=Attack(attack),
        metadata=metadata or {},
    )


@dataclass(frozen=True)
class Answered:
    """A run's answers: generation ids by (key of the sample, replicate)."""

    run_id: int
    uid: str
    ids: Mapping[tuple[str, int], int]


@dataclass
class World:
    """Writes datasets, answers and scores through the store's own functions."""

    conn: Connection
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    def dataset(self, samples: Sequence[Sample], name: str = "bench") -> writes.DatasetRow:
        keyed = tuple((f"k{i}", one) for i, one in enumerate(samples))
        return writes.put_dataset(self.conn, Dataset(name, keyed))

    def model(self, name: str = "demo", weights: str = "w") -> int:
        return writes.put_model_version(
            self.conn, ModelVersion(name, "llava", f"models/{name}", declared=f"{name} {weights}")
        )

    def config(self, temperature: float = 0.2) -> int:
        value = {"dtype": "fp32", "decoding": {"temperature": temperature, "seed": 42}}
        return writes.put_config(self.conn, GenerationConfig(value))

    def answer(
        self,
        dataset: writes.DatasetRow,
        model: int,
        config: int,
        *,
        replicates: int = 1,
        failed: Iterable[str] = (),
        missing: Iterable[str] = (),
        selection: int | None = None,
        text: str = "an answer",
    ) -> Answered:
        """Run ``generate``; answers already stored are kept, as the cache does."""
        selection_id = selection or dataset.selection_id
        run = writes.RunStart(
            kind=RunKind.GENERATE,
            model_version_id=model,
            config_id=config,
            selection_id=selection_id,
            dataset_id=dataset.id,
            judge_id=None,
            environment_id=writes.put_environment(self.conn, {"python": "3"}),
            replicates=replicates,
            seed=42,
            requested={"temperature": 0.2},
            effective={"temperature": 0.2},
            options={},
            command="lam3db generate",
            host="here",
            username="somebody",
            code_commit="c0ffee",
            code_dirty=False,
        )
        run_id, uid = writes.start_run(self.conn, run)
        members = self._members(selection_id)
        left_out = {*failed, *missing}
        rows = [
            writes.GenerationIn(sample_id, replicate, self._answer(f"{text} to {key}"))
            for key, sample_id in members.items()
            for replicate in range(replicates)
            if key not in left_out
        ]
        writes.put_generations(self.conn, run_id, model, config, rows)
        failures = [
            writes.FailureIn(
                Failed("MediaError", "no image"), sample_id=members[key], replicate=replicate
            )
            for key in failed
            for replicate in range(replicates)
        ]
        writes.put_failures(self.conn, run_id, Stage.GENERATE, failures)
        counts = writes.RunCounts(len(members) * replicates, len(rows), 0, len(failures))
        writes.finish_run(self.conn, run_id, RunStatus.FINISHED, counts)
        return Answered(run_id, uid, self._stored(members, model, config, replicates))

    def judge(self, identity: JudgeIdentity, policy: JudgePolicy | None = None) -> int:
        judge_id = writes.put_judge(self.conn, identity)
        if policy is not None:
            writes.put_policy(self.conn, judge_id, policy, "test")
        return judge_id

    def score(self, answered: Answered, judge: int, said: Mapping[int, Finding | Failed]) -> None:
        """Store what a judge said, by generation id."""
        findings = [
            writes.FindingIn(next(self.numbers).to_bytes(32, "big"), finding, (generation,))
            for generation, finding in said.items()
            if isinstance(finding, Finding)
        ]
        failures = [
            writes.FailureIn(failed, generation_id=generation, judge_id=judge)
            for generation, failed in said.items()
            if isinstance(failed, Failed)
        ]
        writes.put_findings(self.conn, answered.run_id, judge, findings)
        writes.put_failures(self.conn, answered.run_id, Stage.JUDGE, failures)

    def _members(self, selection_id: int) -> dict[str, int]:
        s = t.selection_sample.c
        query = select(s.key, s.sample_id).where(s.selection_id == selection_id)
        rows = self.conn.execute(query.order_by(s.position))
        return {row.key: row.sample_id for row in rows}

    def _stored(
        self, members: Mapping[str, int], model: int, config: int, replicates: int
    ) -> dict[tuple[str, int], int]:
        g, keys = t.generation.c, {one: key for key, one in members.items()}
        rows = self.conn.execute(
            select(g.sample_id, g.replicate, g.id)
            .where(g.model_version_id == model, g.config_id == config, g.variant == 0)
            .where(g.replicate < replicates)
            .order_by(g.id)
        )
        return {(keys[one], r): i for one, r, i in rows if one in keys}

    def _answer(self, text: str) -> Answer:
        return Answer(text, text, FinishReason.STOP, 10, 5, 12.5)
