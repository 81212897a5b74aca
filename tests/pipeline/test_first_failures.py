"""What is set up wrongly ends with its first failures; what fails for one sample does not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from faulty_server import Asked, FaultyServer, Play, error
from sqlalchemy import select

sys.path.insert(0, str(Path(__file__).parent))
from jobs import job, put, sample

from lam3db.config import JudgeConfig, ModelConfig, RuntimeConfig
from lam3db.config_shapes import EndpointOptions
from lam3db.endpoints import retry
from lam3db.judges.blank import BLANK
from lam3db.models.reasoning import unended
from lam3db.pipeline.first_failures import FirstFailures
from lam3db.pipeline.generate import GenerateJob, GenerateResult, generate
from lam3db.pipeline.judge import JudgeJob, judge_pending
from lam3db.records import Failed, RunStatus
from lam3db.store import tables as t
from lam3db.store.engine import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SAMPLES = 60


@pytest.fixture
def store(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(retry, "BASE_S", 0.001)
    with open_store(store_url, mode="write") as opened:
        put(opened, [sample(number) for number in range(SAMPLES)])
        yield opened


def failed(text: str, *, of_sample: bool = False) -> tuple[int, Failed]:
    return 0, Failed("SomeError", text, of_sample=of_sample)


def test_failures_alike_end_the_run_whatever_their_numbers() -> None:
    first = FirstFailures(3, "lam3db doctor")
    for number in range(3):
        assert first.message is None
        ((_, stored),) = first.see([failed(f"step {number} gave NaN")])
        assert stored.retryable  # nobody knows yet whose fault it is
    assert first.message is not None
    assert "3 failures alike" in first.message
    assert "step 2 gave NaN" in first.message
    assert "`lam3db doctor`" in first.message


def test_thoughts_without_an_answer_are_cured_by_room() -> None:
    first = FirstFailures(1, "lam3db doctor")
    first.see([(0, unended("length"))])
    assert first.message is not None
    assert "cure: --set max_new_tokens=" in first.message


def test_what_is_of_one_sample_or_differs_ends_nothing() -> None:
    first = FirstFailures(2, "doctor")
    batch = [failed("too long", of_sample=True)] * 9 + [failed("a"), failed("b"), (0, BLANK)]
    stored = first.see(batch)
    assert first.message is None
    assert not first.works  # a blank answer is abstained from without asking anybody
    assert [one.retryable for _, one in stored if isinstance(one, Failed)] == [False] * 9 + [
        True,
        True,
    ]


def test_a_success_ends_the_counting() -> None:
    first = FirstFailures(2, "doctor")
    first.see([failed("same")])
    batch = [failed("same"), (0, "an answer")]
    assert first.see(batch) == batch
    for _ in range(9):
        first.see([failed("same")])
    assert first.message is None


def test_zero_never_ends_and_changes_nothing() -> None:
    first = FirstFailures(0, "doctor")
    assert first.see([failed("same")] * 9) == [failed("same")] * 9
    assert first.message is None


def far(server: FaultyServer, **more: Any) -> ModelConfig:
    options = EndpointOptions(url=server.url, concurrency=2, attempts=1)
    given = {"name": "far", "kind": "endpoint", "family": "endpoint", "source": "some/model"}
    return ModelConfig(**given | {"endpoint": options} | more)


def run(
    store: Store, server: FaultyServer, limit: int = 5, *, again: bool = False
) -> GenerateResult:
    runtime = RuntimeConfig(max_new_tokens=16)
    asked = GenerateJob(far(server), runtime, "many", retry=again, max_same_failures=limit)
    return generate(store, asked)


def says(text: str = "fine") -> Play:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return Play(body={"model": "some/model", "choices": [choice]})


def always(play: Play) -> Callable[[Asked], Play]:
    return lambda _: play


REFUSED = error(400, "invalid temperature: only 1 is allowed for this model")


def test_a_service_that_refuses_every_request_is_asked_a_few_times(store: Store) -> None:
    with FaultyServer(always(REFUSED)) as server:
        result = run(store, server)
        assert len(server.asked) <= 20
    assert result.status is RunStatus.FAILED
    assert result.error is not None
    assert "only 1 is allowed" in result.error
    assert "--set temperature=null" in result.error
    assert "--max-same-failures 0" in result.error
    assert 5 <= result.counts.failed <= 20
    with store.read() as conn:
        rows = conn.execute(select(t.failure)).all()
        (status,) = conn.execute(select(t.run.c.status)).scalars()
    assert len(rows) == result.counts.failed
    assert status == "failed"
    with FaultyServer(always(says())) as server:  # what was wrong is put right, over there
        result = run(store, server)
        assert len(server.asked) == SAMPLES
    assert (result.status, result.counts.new) == (RunStatus.FINISHED, SAMPLES)


@pytest.mark.parametrize("code", ["context_length_exceeded", "content_filter"])
def test_samples_that_are_refused_one_by_one_end_nothing(store: Store, code: str) -> None:
    with FaultyServer(always(error(400, "not this one", code))) as server:
        result = run(store, server)
        assert len(server.asked) == SAMPLES
    assert (result.counts.failed, result.error) == (SAMPLES, None)


def test_without_a_limit_everything_is_asked(store: Store) -> None:
    with FaultyServer(always(REFUSED)) as server:
        result = run(store, server, limit=0)
        assert len(server.asked) == SAMPLES
    assert (result.counts.failed, result.error) == (SAMPLES, None)


def test_what_an_earlier_run_has_answered_shows_that_the_set_up_works(store: Store) -> None:
    def script(asked: Asked) -> Play:
        text = asked.body["messages"][-1]["content"]
        return REFUSED if int(text.split()[-1]) % 2 else says(text)

    with FaultyServer(script) as server:
        run(store, server, limit=0)
        again = run(store, server, again=True)
    assert (again.counts.cached, again.counts.failed, again.error) == (30, 30, None)


def test_a_judge_that_is_refused_everywhere_is_ended_alike(store: Store) -> None:
    generate(store, job())
    with FaultyServer(always(REFUSED)) as server:
        model = {"source": "some/judge", "family": "endpoint", "kind": "endpoint"}
        model |= {"endpoint": {"url": server.url, "concurrency": 2, "attempts": 1}}
        settings = {
            "model": model,
            "template": ({"role": "user", "text": "{response}"},),
            "output": {
                "by": "text", "parser": "lines", "keys": ("verdict",), "verdict": "verdict",
                "verdicts": {"safe": "safe", "unsafe": "unsafe"},
            },
        }  # fmt: skip
        judge = JudgeConfig(name="far", kind="llm", settings=settings)
        result = judge_pending(store, JudgeJob(judge))
        assert len(server.asked) <= 20
        assert result.status is RunStatus.FAILED
        assert result.error is not None
        assert "only 1 is allowed" in result.error
        whole = judge_pending(store, JudgeJob(judge, max_same_failures=0))
    assert (whole.counts.failed, whole.error) == (SAMPLES, None)
