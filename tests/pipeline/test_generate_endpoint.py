"""Generating through an endpoint: each sample ends with one answer or one failure, none twice."""

from __future__ import annotations

import random
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from faulty_server import Asked, FaultyServer, Play, error
from sqlalchemy import select

sys.path.insert(0, str(Path(__file__).parent))
from jobs import put, sample

from lam3db.config import ModelConfig, RuntimeConfig
from lam3db.config_shapes import EndpointOptions
from lam3db.endpoints import retry
from lam3db.pipeline.generate import GenerateJob, GenerateResult, generate
from lam3db.records import RunStatus
from lam3db.store import tables as t
from lam3db.store.engine import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SAMPLES = 30
KEY = "sk-loopback-0123456789abcdef"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "BASE_S", 0.001)
    monkeypatch.setenv("STUB_KEY", KEY)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url, mode="write") as opened:
        put(opened, [sample(number) for number in range(SAMPLES)])
        yield opened


def run(store: Store, server: FaultyServer, *, again: bool = False, **more: Any) -> GenerateResult:
    options = {"url": server.url, "key_env": "STUB_KEY", "attempts": 3, "timeout_s": 1.0} | more
    replicates = options.pop("replicates", 1)
    model = ModelConfig(
        name="far",
        kind="endpoint",
        family="endpoint",
        source="some/model",
        endpoint=EndpointOptions(**options),
    )
    runtime = RuntimeConfig(max_new_tokens=16)
    return generate(store, GenerateJob(model, runtime, "many", replicates=replicates, retry=again))


def answer(asked: Asked, **choice: Any) -> Play:
    prompt, seed = asked.body["messages"][-1]["content"], asked.body["seed"]
    message = {"role": "assistant", "content": f"{prompt} / {seed}"}
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    choices = [{"message": message, "finish_reason": "stop"} | choice]
    return Play(body={"model": "some/model", "choices": choices, "usage": usage})


FAULTS: tuple[Callable[[Asked], Play], ...] = (
    lambda _: error(429, "slow down", Retry_After="0.05"),
    lambda _: error(500, f"oops {KEY}"),
    lambda _: Play(body={}, wait_s=1.5),
    lambda _: Play(drop=True),
    lambda asked: Play(body=answer(asked).body, cut=20),
    lambda _: Play(body='{"choices": ['),
    lambda _: Play(body={"choices": []}),
    lambda _: error(400, "a prompt I do not take"),
    lambda asked: answer(asked, finish_reason="content_filter"),
    lambda asked: answer(asked, message={"role": "assistant", "content": None}),
)


@pytest.mark.parametrize("seed", [1, 2])
def test_every_sample_ends_with_one_answer_or_one_failure(store: Store, seed: int) -> None:
    dice = random.Random(seed)

    def misbehave(asked: Asked) -> Play:
        return dice.choice(FAULTS)(asked) if dice.random() < 0.6 else answer(asked)

    with FaultyServer(misbehave) as server:
        result = run(store, server)
    assert result.error is None
    with store.read() as conn:
        answered = conn.execute(select(t.generation.c.sample_id)).scalars().all()
        failed = conn.execute(select(t.failure.c.sample_id)).scalars().all()
    assert sorted([*answered, *failed]) == sorted({*answered, *failed})
    assert len(answered) + len(failed) == SAMPLES
    assert failed
    with FaultyServer(answer) as server:
        run(store, server, again=True)
        asked = Counter(one.body["messages"][-1]["content"] for one in server.asked)
        assert len(asked) == len(failed)
        assert set(asked.values()) == {1}


def test_replicates_differ_by_their_seed_and_say_what_was_sent(store: Store) -> None:
    with FaultyServer(answer) as server:
        run(store, server, replicates=3)
    with store.read() as conn:
        rows = conn.execute(
            select(t.generation.c.text, t.generation.c.replicate, t.generation.c.prompt_tokens)
        ).all()
    assert len({row.text for row in rows}) == 3 * SAMPLES
    assert all(row.text.endswith(f"/ {42 + row.replicate}") for row in rows)
    assert {row.prompt_tokens for row in rows} == {10}


def test_the_cost_ends_the_run_and_the_rest_stays_pending(store: Store) -> None:
    # a request is 10 + 5 tokens as told; before that, one per byte and all that may be answered
    prices = {"input_price": 1000.0, "output_price": 1000.0}
    with FaultyServer(answer) as server:
        result = run(store, server, max_cost=0.25, **prices)
        assert result.status is RunStatus.FAILED
        assert "max_cost" in str(result.error)
        assert 0.015 * len(server.asked) <= 0.25
        assert result.counts.new == len(server.asked) > 5
        with store.read() as conn:
            assert not conn.execute(select(t.failure.c.id)).all()
        assert run(store, server).counts.new == SAMPLES - result.counts.new
