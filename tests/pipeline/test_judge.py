"""Judge: what has no score is judged, identical subjects once, failures never as scores."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest
import stored
from sqlalchemy import func, select, text

sys.path.insert(0, str(Path(__file__).parent))
from typing import TYPE_CHECKING

from jobs import job, judging, put, sample

from lam3db.judges.null import NullJudge
from lam3db.models.null import NullModel
from lam3db.pipeline import judge_todo
from lam3db.pipeline.generate import generate
from lam3db.pipeline.judge import judge_pending
from lam3db.records import Answer, FinishReason, Request, RunStatus, ScoreStatus, Subject
from lam3db.store import tables as t
from lam3db.store.engine import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url, mode="write") as opened:
        put(opened, [sample(number) for number in range(40)])
        generate(opened, job())
        yield opened


def count(store: Store, table: object) -> int:
    with store.read() as conn:
        return conn.execute(select(func.count()).select_from(table)).scalar_one()


def test_pending_is_drained_once(store: Store) -> None:
    first = judge_pending(store, judging())
    assert (first.counts.planned, first.counts.new, first.status) == (40, 40, RunStatus.FINISHED)
    again = judge_pending(store, judging())
    assert (again.counts.planned, again.run_uid) == (0, None)
    generate(store, job(replicates=2))
    assert judge_pending(store, judging()).counts.planned == 40
    assert count(store, t.score) == 80


def test_another_digest_is_another_judge_and_old_scores_stay(store: Store) -> None:
    judge_pending(store, judging())
    other = judge_pending(store, judging(unparsed=1000003))
    assert other.counts.new == 40
    assert (count(store, t.judge), count(store, t.score)) == (2, 80)


def test_identical_answers_are_judged_once_and_linked_everywhere(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def same(_self: NullModel, request: Request) -> Answer:
        text = f"answer {request.input_digest[0] % 3}"
        return Answer(text, text, FinishReason.STOP, 1, 1, 0.0)

    shown: Counter[bytes] = Counter()
    judge = NullJudge.judge

    def listen(self: NullJudge, subjects: Sequence[Subject]) -> object:
        shown.update(subject.digest for subject in subjects)
        return judge(self, subjects)

    monkeypatch.setattr(NullModel, "_outcome", same)
    monkeypatch.setattr(NullJudge, "judge", listen)
    generate(store, job("null?delay_ms=0", runtime=job().runtime, model=_other()))
    judge_pending(store, judging())
    assert set(shown.values()) == {1}
    assert len(shown) == 43
    assert (count(store, t.finding), count(store, t.score)) == (43, 80)


def _other():  # noqa: ANN202 - a model config
    from jobs import model

    return model(name="other")


def test_a_failing_judge_leaves_failures_and_never_scores(store: Store) -> None:
    result = judge_pending(store, judging(fail=3))
    assert result.status is RunStatus.FAILED
    assert result.counts.failed > 3
    assert count(store, t.score) == 40 - result.counts.failed
    assert count(store, t.failure) == result.counts.failed
    again = judge_pending(store, judging(fail=3))
    assert again.counts.planned == result.counts.failed, "failed ones stay pending"
    judge_pending(store, judging(fail=3))
    last = judge_pending(store, judging(fail=3))
    assert (last.counts.planned, last.given_up) == (0, result.counts.failed)
    assert last.status is RunStatus.FAILED, "what was given up must not read as all is well"


def test_a_judge_that_raises_loses_nothing(store: Store) -> None:
    broken = judge_pending(store, judging(raise_at=1))
    assert (broken.status, broken.counts.new) == (RunStatus.FAILED, 0)
    assert "told to raise" in str(broken.error)
    assert count(store, t.score) == 0
    assert judge_pending(store, judging()).counts.new == 40


def test_unparsed_is_asked_again_as_a_revision(store: Store) -> None:
    first = judge_pending(store, judging(unparsed=4))
    assert first.counts.new == 40
    with store.read() as conn:
        odd = conn.execute(select(func.count()).where(t.score.c.status == "unparsed")).scalar_one()
    assert odd > 2
    again = judge_pending(store, judging(unparsed=4, retry_status=(ScoreStatus.UNPARSED,)))
    assert (again.counts.planned, again.counts.new) == (odd, odd)
    assert count(store, t.score) == 40 + odd
    with store.read() as conn:
        authors = conn.execute(
            select(t.score.c.author, t.score.c.reason).where(t.score.c.revision == 1).distinct()
        ).all()
    assert len(authors) == 1
    assert all(authors[0])


def test_what_shows_the_same_is_asked_again_once_in_however_many_pieces(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = judging(unparsed=1, retry_status=(ScoreStatus.UNPARSED,))
    with open_store(store_url, mode="write") as store:
        with store.write() as conn:
            stored.answer_all(conn, stored.build(conn, 3), ["same"] * 3)
        judge_pending(store, judging(unparsed=1))
        monkeypatch.setattr(judge_todo, "WINDOW", 1)
        done = judge_pending(store, again)
        assert (done.counts.new, done.counts.cached) == (1, 2)
        with store.read() as conn:
            findings = conn.execute(text("SELECT revision FROM finding ORDER BY 1")).scalars().all()
            latest = "SELECT finding_id FROM score WHERE revision = 1"
            linked = conn.execute(text(latest)).scalars().all()
    assert findings == [0, 1]
    assert len(linked) == 3
    assert len(set(linked)) == 1
