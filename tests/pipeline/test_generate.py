"""Generate: only what is missing, each fact once, failures as failures. On both engines."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select

sys.path.insert(0, str(Path(__file__).parent))
from typing import TYPE_CHECKING

from jobs import job, put, sample

from lam3db.config import RuntimeConfig
from lam3db.errors import ConfigError
from lam3db.models.null import NullModel
from lam3db.pipeline.generate import Shard, generate, preview
from lam3db.records import Request, RunStatus
from lam3db.store import tables as t
from lam3db.store.engine import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url, mode="write") as opened:
        put(opened, [sample(number) for number in range(40)])
        yield opened


def count(store: Store, table: object) -> int:
    with store.read() as conn:
        return conn.execute(select(func.count()).select_from(table)).scalar_one()


def test_the_second_run_finds_everything_and_loads_no_model(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = generate(store, job())
    assert (first.counts.new, first.counts.cached, first.status) == (40, 0, RunStatus.FINISHED)

    def refuse(*_: object) -> None:
        raise AssertionError("a model was loaded although every answer is stored")

    monkeypatch.setattr(NullModel, "answer", refuse)
    second = generate(store, job())
    assert (second.counts.new, second.counts.cached) == (0, 40)
    assert count(store, t.generation) == 40
    assert count(store, t.run) == 2


def test_preview_writes_nothing_and_counts_right(store: Store) -> None:
    assert preview(store, job()).new == 40
    assert count(store, t.run) == count(store, t.model_version) == 0
    generate(store, job(limit=10))
    found = preview(store, job())
    assert (found.planned, found.cached, found.new) == (40, 10, 30)


def test_replicates_and_seeds_are_part_of_the_key(store: Store) -> None:
    assert generate(store, job()).counts.new == 40
    assert generate(store, job(replicates=3)).counts.new == 80
    other = generate(store, job(runtime=RuntimeConfig(seed=7)))
    assert other.counts.new == 40


def test_shards_part_the_work_without_overlap_or_gap(store: Store) -> None:
    parts = [generate(store, job(shard=Shard(index, 3))) for index in (1, 2, 3)]
    assert [part.counts.cached for part in parts] == [0, 0, 0]
    assert sum(part.counts.new for part in parts) == 40
    assert generate(store, job()).counts.cached == 40


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3", ""])
def test_a_senseless_shard_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="I/N"):
        Shard.parse(text)


def test_equal_inputs_with_other_labels_are_answered_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    twins = [sample(number, prompt=f"the same {number % 4}", attack="x") for number in range(12)]
    put(store, [*twins, sample(0)], name="twins")
    asked: list[Request] = []
    answer = NullModel.answer

    def listen(self: NullModel, requests: list[Request]) -> object:
        asked.extend(requests)
        return answer(self, requests)

    monkeypatch.setattr(NullModel, "answer", listen)
    generate(store, job())
    asked.clear()
    done = generate(store, job(dataset="twins"))
    # 12 samples are 4 behaviors x ... inputs; `sample(0)` was answered with the first dataset.
    assert len({request.input_digest for request in asked}) == len(asked) == 4
    assert (done.counts.planned, done.missing) == (13, 0)


def test_a_failure_is_a_row_of_its_own_and_is_tried_three_times(store: Store) -> None:
    failing = job("null?fail=3")
    first = generate(store, failing)
    failed = first.counts.failed
    assert failed > 3
    assert first.status is RunStatus.FAILED
    assert count(store, t.generation) == 40 - failed
    assert count(store, t.failure) == failed
    for _ in range(2):
        assert generate(store, failing).counts.failed == failed
    assert count(store, t.failure) == 3 * failed
    given_up = generate(store, failing)
    assert count(store, t.failure) == 3 * failed, "a fourth attempt without --retry"
    assert (given_up.counts.failed, given_up.status) == (failed, RunStatus.FAILED)
    generate(store, job("null?fail=3", retry=True))
    assert count(store, t.failure) == 4 * failed


def test_a_model_that_raises_loses_nothing_that_was_written(store: Store) -> None:
    broken = generate(store, job("null?raise_at=20"))
    assert broken.status is RunStatus.FAILED
    assert "told to raise" in str(broken.error)
    assert broken.counts.new == 16, "the two batches before it are stored"
    assert count(store, t.generation) == 16
    assert count(store, t.failure) == 1


def test_ctrl_c_finishes_the_batch_and_the_next_run_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = NullModel.answer

    def interrupted(self: NullModel, requests: list[Request]) -> object:
        for number, batch in enumerate(answer(self, requests)):
            if number == 1:
                os.kill(os.getpid(), signal.SIGINT)
            yield batch

    monkeypatch.setattr(NullModel, "answer", interrupted)
    stopped = generate(store, job())
    assert (stopped.status, stopped.counts.new) == (RunStatus.INTERRUPTED, 16)
    monkeypatch.setattr(NullModel, "answer", answer)
    rest = generate(store, job())
    assert (rest.counts.cached, rest.counts.new) == (16, 24)


def test_a_run_that_breaks_off_keeps_the_counts_of_its_last_batch(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = NullModel.answer

    def killed(self: NullModel, requests: list[Request]) -> object:
        for number, batch in enumerate(answer(self, requests)):
            if number == 2:
                raise KeyboardInterrupt
            yield batch

    monkeypatch.setattr(NullModel, "answer", killed)
    with pytest.raises(KeyboardInterrupt):
        generate(store, job())
    with store.read() as conn:
        row = conn.execute(select(t.run.c.status, t.run.c.planned_count, t.run.c.new_count)).one()
    assert tuple(row) == ("interrupted", 40, 16)


def test_an_unknown_where_names_the_fields(store: Store) -> None:
    with pytest.raises(ConfigError):
        generate(store, job(where={"colour": "red"}))
    with pytest.raises(ConfigError, match="no sample"):
        generate(store, job(where={"category": "nowhere"}))
    assert count(store, t.run) == 0
