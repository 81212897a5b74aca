"""Judging through an endpoint: whatever it does, each answer ends with one score or one failure."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from faulty_server import Asked, FaultyServer, Play, error
from sqlalchemy import func, select
from stub_apis import moderate, moderation

sys.path.insert(0, str(Path(__file__).parent))
from jobs import job, model, put, sample

from lam3db.config import JudgeConfig
from lam3db.endpoints import retry
from lam3db.pipeline.generate import generate
from lam3db.pipeline.judge import JudgeJob, judge_pending
from lam3db.pipeline.judge_todo import SHARED
from lam3db.pipeline.watch import Silence
from lam3db.records import RunStatus
from lam3db.store import tables as t
from lam3db.store.engine import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "sk-loopback-0123456789abcdef"
KIND = "openai-moderation"
ANSWERS = 30


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "BASE_S", 0.001)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url, mode="write") as opened:
        put(opened, [sample(number) for number in range(ANSWERS)])
        generate(opened, job())
        yield opened


def judging(server: FaultyServer, ends_on: date | None = None, **options: Any) -> JudgeConfig:
    block = {
        "url": server.url,
        "key_env": "OPENAI_API_KEY",
        "attempts": 3,
        "timeout_s": 1.0,
        "concurrency": 4,
    }
    return JudgeConfig(
        name="mod",
        kind="openai-moderation",
        settings={"endpoint": block | options},
        ends_on=ends_on,
    )


def count(store: Store, table: object) -> int:
    with store.read() as conn:
        return conn.execute(select(func.count()).select_from(table)).scalar_one()


FAULTS: tuple[Callable[[Asked], Play], ...] = (
    lambda _: error(429, "slow down", "rate_limit_exceeded", Retry_After="0.05"),
    lambda _: error(500, f"oops {KEY}"),
    lambda _: error(503, "busy"),
    lambda _: Play(body={}, wait_s=1.5),
    lambda _: Play(drop=True),
    lambda asked: Play(body=moderate(asked).body, cut=40),
    lambda _: Play(body='{"results": ['),
    lambda _: Play(body={"results": []}),
    lambda _: Play(body=b"\xff" * 100),
    lambda _: Play(302, "", {"Location": "http://elsewhere.invalid/"}),
    lambda _: error(400, "cannot read this"),
    lambda asked: Play(body=moderation(asked.body["input"], model="omni-moderation-latest")),
    lambda asked: Play(body=_with_unknown(asked)),
)


def _with_unknown(asked: Asked) -> dict[str, Any]:
    body = moderation(asked.body["input"])
    body["results"][0]["category_scores"]["new"] = 0.5
    return body


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_answer_ends_with_one_score_or_one_failure(store: Store, seed: int) -> None:
    dice = random.Random(seed)

    def misbehave(asked: Asked) -> Play:
        return dice.choice(FAULTS)(asked) if dice.random() < 0.6 else moderate(asked)

    with FaultyServer(misbehave) as server:
        result = judge_pending(store, JudgeJob(judging(server)))
    assert result.error is None
    assert result.counts.new + result.counts.failed == ANSWERS
    with store.read() as conn:
        scored = conn.execute(select(t.score.c.generation_id)).scalars().all()
        failed = (
            conn.execute(select(t.failure.c.generation_id).where(t.failure.c.stage == "judge"))
            .scalars()
            .all()
        )
        wanted = conn.execute(select(t.generation.c.id)).scalars().all()
    assert set(Counter([*scored, *failed]).values()) == {1}
    assert sorted([*scored, *failed]) == sorted(wanted)
    assert failed, "the schedule was too kind to show anything"
    # and once it behaves, what is left is judged, none of it twice
    with FaultyServer(moderate) as server:
        judge_pending(store, JudgeJob(judging(server), retry=True))
        assert len(server.asked) == len(failed)
    assert count(store, t.score) == ANSWERS


def test_an_exhausted_quota_ends_the_run_and_fails_no_answer(store: Store) -> None:
    def spent(asked: Asked) -> Play:
        full = error(429, "You exceeded your quota", "insufficient_quota")
        return moderate(asked) if asked.number < 10 else full

    with FaultyServer(spent) as server:
        result = judge_pending(store, JudgeJob(judging(server, concurrency=1)))
    assert (result.status, result.counts.new, result.counts.failed) == (RunStatus.FAILED, 10, 0)
    assert "insufficient_quota" in str(result.error)
    with store.read() as conn:
        rows = conn.execute(select(t.failure.c.generation_id)).scalars().all()
    assert rows == [None], "one failure, of the run and of no answer"
    with FaultyServer(moderate) as server:
        assert judge_pending(store, JudgeJob(judging(server))).counts.new == ANSWERS - 10


def test_a_spent_budget_ends_the_run_without_a_failure(store: Store) -> None:
    with FaultyServer(moderate) as server:
        result = judge_pending(store, JudgeJob(judging(server, max_requests=7)))
        assert len(server.asked) == 7
        assert (result.status, result.counts.new) == (RunStatus.FAILED, 7)
        assert "max_requests" in str(result.error)
        assert count(store, t.failure) == 0
        again = judge_pending(store, JudgeJob(judging(server)))
    assert (again.counts.new, again.status) == (ANSWERS - 7, RunStatus.FINISHED)


def test_the_key_is_in_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["lam3db", "judge", "--pending"])

    def parrot(asked: Asked) -> Play:
        said = asked.headers["Authorization"]
        if asked.number % 3 == 0:
            return error(400, f"what is {said}?", said)
        body = moderation(asked.body["input"])
        body["results"][0]["category_scores"][KEY] = 0.5
        return Play(body=body) if asked.number % 3 == 1 else error(500, said)

    path = tmp_path / "keys.db"
    with open_store(f"sqlite:///{path}", mode="write") as opened:
        put(opened, [sample(number) for number in range(ANSWERS)])
        generate(opened, job())
        with FaultyServer(parrot) as server:
            result = judge_pending(opened, JudgeJob(judging(server)))
            assert result.counts.new
            assert result.counts.failed
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    assert b"***" in stored
    assert KEY.encode() not in stored


class _Ears(Silence):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


LAST = date(2026, 12, 31)


def test_a_judge_says_when_its_service_ends(store: Store) -> None:
    for today, said in ((date(2026, 11, 25), "in 36 days"), (LAST, "today")):
        ears = _Ears()
        with FaultyServer(moderate) as server:
            judge_pending(store, JudgeJob(judging(server, LAST), today=today), ears)
        assert ears.notes == [f"mod ends on 2026-12-31 ({said})"]


def test_a_judge_whose_service_has_ended_links_what_it_said_and_asks_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultyServer(moderate) as server:
        judge_pending(store, JudgeJob(judging(server, LAST, max_requests=12), today=LAST))
        assert count(store, t.score) == 12
        # another model gave the same answers: their findings are there, their scores are not
        generate(store, job(model=model(name="other")))
        monkeypatch.delenv("OPENAI_API_KEY")
        asked = len(server.asked)
        result = judge_pending(store, JudgeJob(judging(server, LAST), today=date(2027, 1, 1)))
        assert len(server.asked) == asked
    assert result.counts.planned == 2 * ANSWERS - 12
    assert (result.counts.cached, result.counts.new, result.counts.failed) == (12, 0, 0)
    assert (result.ended_on, result.status, result.error) == (LAST, RunStatus.FAILED, None)
    assert (count(store, t.score), count(store, t.failure)) == (24, 0)


@pytest.mark.timeout(120)
def test_two_processes_do_not_pay_for_the_same_answers(store_url: str, tmp_path: Path) -> None:
    many = 1200
    with open_store(store_url, mode="write") as opened:
        put(opened, [sample(number) for number in range(many)])
        generate(opened, job())

    def slow(asked: Asked) -> Play:
        return Play(body=moderate(asked).body, wait_s=0.01)

    with FaultyServer(slow) as server:
        config = tmp_path / "mod.yaml"
        settings = dict(judging(server, timeout_s=30.0).settings)
        config.write_text(json.dumps({"name": "mod", "kind": KIND, "settings": settings}))
        words = ["judge", "--pending", "-j", str(config), "--db", store_url]
        command = [sys.executable, "-m", "lam3db", *words]
        both = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
        for process in both:
            _, errors = process.communicate(timeout=100)
            assert process.returncode == 0, errors
        twice = len(server.asked) - many
    with open_store(store_url, mode="read") as opened:
        assert count(opened, t.score) == count(opened, t.finding) == many
    assert twice <= 2 * SHARED, f"{twice} of {many} answers were asked for twice"
