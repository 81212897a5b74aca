"""All faults of all models and judges at once, before anything is started."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from faulty_server import FaultyServer, Play
from sqlalchemy import func, select

sys.path.insert(0, str(Path(__file__).parent))
from jobs import job, put, sample

from lam3db import plugins
from lam3db.config import (
    EndpointOptions,
    JudgeConfig,
    ModelConfig,
    RuntimeConfig,
    load_judge_config,
    load_model_config,
)
from lam3db.errors import ConfigError, Lam3Error, MissingDependencyError
from lam3db.pipeline import preflight as checks
from lam3db.pipeline.generate import generate
from lam3db.pipeline.judge import JudgeJob, judge_pending
from lam3db.pipeline.judge_todo import check_ways, survey
from lam3db.pipeline.preflight import preflight
from lam3db.pipeline.smoke import smoke
from lam3db.pipeline.watch import Silence
from lam3db.store import tables as t
from lam3db.store.engine import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOD, BAD = (
    JudgeConfig(name="a", kind="null"),
    JudgeConfig(name="b", kind="null", settings={"dealy_ms": 1}),
)


def test_what_can_be_had_passes() -> None:
    preflight([job()], [GOOD], Silence())


def test_one_fault_is_told_as_it_is() -> None:
    with pytest.raises(Lam3Error, match="did you mean 'delay_ms'") as caught:
        preflight([job()], [GOOD, BAD], Silence())
    assert "faults" not in str(caught.value)


def test_several_faults_are_told_together() -> None:
    with pytest.raises(Lam3Error, match="2 faults; nothing was started") as caught:
        preflight([job("null?speed=9"), job()], [BAD], Silence())
    assert "speed" in str(caught.value)
    assert "dealy_ms" in str(caught.value)


def test_a_key_is_missed_before_anything_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("A_KEY", raising=False)
    asks = JudgeConfig(
        name="c",
        kind="openai-moderation",
        settings={"endpoint": {"url": "https://api.example/v1", "key_env": "A_KEY"}},
    )
    with pytest.raises(Lam3Error, match="set A_KEY in the environment"):
        preflight([job()], [asks], Silence())
    ended = asks.model_copy(update={"ends_on": date(2020, 1, 1)})
    preflight([job()], [ended], Silence())
    monkeypatch.setenv("A_KEY", "sk-some-key")
    preflight([job()], [asks], Silence())


MODERATION = JudgeConfig(
    name="c",
    kind="openai-moderation",
    settings={
        "model": "omni-moderation-2024-09-26",
        "endpoint": {"url": "https://api.example/v1", "key_env": "A_KEY"},
    },
)
FAR = ModelConfig(
    name="far",
    kind="endpoint",
    family="endpoint",
    source="some/model",
    endpoint=EndpointOptions(url="https://api.example/v1", key_env="A_KEY"),
)


@pytest.fixture
def store(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.delenv("A_KEY", raising=False)
    with open_store(store_url, mode="write") as opened:
        put(opened, [sample(number) for number in range(3)])
        yield opened


def counts(store: Store) -> dict[str, int]:
    tables = (t.run, t.judge, t.judge_policy, t.model_version, t.config, t.failure)
    with store.read() as conn:
        return {
            str(one.name): conn.execute(select(func.count()).select_from(one)).scalar_one()
            for one in tables
        }


def test_without_a_key_nothing_is_written(store: Store) -> None:
    before = counts(store)
    with pytest.raises(ConfigError, match="set A_KEY in the environment"):
        generate(store, job(model=FAR))
    with pytest.raises(ConfigError, match="set A_KEY in the environment"):
        smoke(store, FAR, job().runtime)
    assert counts(store) == before
    generate(store, job())
    before = counts(store)
    with pytest.raises(ConfigError, match="set A_KEY in the environment"):
        judge_pending(store, JudgeJob(MODERATION))
    assert counts(store) == before


def test_who_has_nothing_to_ask_needs_no_key(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    generate(store, job())
    monkeypatch.setenv("A_KEY", "sk-some-key")
    describe = plugins.judge_maker(MODERATION.kind).describe
    identity = describe(MODERATION, Silence().hashing)
    survey(store, JudgeJob(MODERATION), identity, Silence())
    monkeypatch.delenv("A_KEY")
    with pytest.raises(ConfigError, match="A_KEY"):
        check_ways(store, [JudgeJob(MODERATION), JudgeJob(GOOD)], Silence())
    check_ways(store, [JudgeJob(MODERATION, only=frozenset())], Silence())
    other = JudgeJob(MODERATION.model_copy(update={"name": "d"}))
    with pytest.raises(Lam3Error, match="2 faults; nothing was started"):
        check_ways(store, [JudgeJob(MODERATION), other], Silence())


def test_stored_answers_are_found_without_a_key(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice = {"message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    reply = Play(body={"model": "some/model", "choices": [choice]})
    with FaultyServer(lambda _: reply) as server:
        options = EndpointOptions(url=server.url, key_env="A_KEY")
        here = FAR.model_copy(update={"endpoint": options})
        monkeypatch.setenv("A_KEY", "sk-some-key")
        assert generate(store, job(model=here)).counts.new == 3
        monkeypatch.delenv("A_KEY")
        assert generate(store, job(model=here)).counts.cached == 3


def test_a_missing_model_stack_is_told_before_a_row_is_written(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate(store, job())
    before = counts(store)
    monkeypatch.setattr(checks, "find_spec", lambda name: None if name == "torch" else name)
    for name in ("detoxify-demo", "classifier-demo", "llm-demo"):
        with pytest.raises(MissingDependencyError, match="needs torch: pip install"):
            judge_pending(store, JudgeJob(load_judge_config(name)))
    local = job(model=load_model_config("demo-llava"), runtime=RuntimeConfig(precision="fp32"))
    with pytest.raises(MissingDependencyError, match="demo-llava needs torch"):
        generate(store, local)
    assert counts(store) == before
    assert checks.way_fault(GOOD) is None
