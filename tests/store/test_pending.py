"""Pending: asking again is resuming; the watermark never skips anything."""

from __future__ import annotations

import pytest
import stored
from sqlalchemy import Connection, text

from lam3db.errors import NotFoundError
from lam3db.records import Dataset, Failed, Finding, RunKind, ScoreStatus, Stage
from lam3db.store import pending, reads, writes
from lam3db.store.engine import open_store
from lam3db.store.pending import PendingScore, ScoreScope

EVERYTHING = ScoreScope()
AGAIN = Failed("RuntimeError", "out of memory", retryable=True)
NEVER = Failed("ValueError", "two images, one marker")


def left(conn: Connection, judge: int, scope: ScoreScope = EVERYTHING, **how: bool) -> list[int]:
    return [one.generation_id for one in pending.pending_scores(conn, judge, scope, **how)]


def find(conn: Connection, world: stored.World, judge: int, generation: int, words: str) -> None:
    row = writes.FindingIn(stored.subject(words), stored.unsafe(), (generation,))
    writes.put_findings(conn, world.run, judge, [row])


def fail(conn: Connection, world: stored.World, judge: int, one: int, failed: Failed) -> None:
    row = writes.FailureIn(failed, generation_id=one, judge_id=judge)
    writes.put_failures(conn, world.run, Stage.JUDGE, [row])


def mark(conn: Connection) -> int:
    return int(conn.execute(text("SELECT max(generation_id) FROM judge_progress")).scalar() or 0)


def test_samples_are_pending_until_answered(store_url: str) -> None:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        world = stored.build(conn, 3)
        ids = stored.sample_ids(conn, world.selection)
        whole = pending.pending_samples(conn, *world.keys, 2)
        assert [(one.sample_id, one.replicate) for one in whole] == [
            (one, replicate) for replicate in (0, 1) for one in ids
        ]
        assert whole[0].input_digest == stored.sample(0).input_digest
        rows = [writes.GenerationIn(ids[1], 0, stored.answer())]
        writes.put_generations(conn, world.run, world.model, world.config, rows)
        rest = pending.pending_samples(conn, *world.keys, 1)
        assert [one.sample_id for one in rest] == [ids[0], ids[2]]
        elsewhere = writes.put_config(conn, stored.config(7))
        assert len(pending.pending_samples(conn, world.model, elsewhere, world.selection, 1)) == 3
        progress = pending.generate_progress(conn, *world.keys, 2)
        assert progress == pending.GenerateProgress(total=6, cached=1, failed=0, pending=5)
        assert pending.count_samples(conn, world.selection) == 3


@pytest.mark.parametrize(
    ("failed", "times", "given_up"), [(AGAIN, 2, 0), (AGAIN, 3, 1), (NEVER, 1, 1)]
)
def test_a_failed_sample_stays_until_it_is_given_up(
    store_url: str, failed: Failed, times: int, given_up: int
) -> None:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        world = stored.build(conn, 3)
        first, *_ = stored.sample_ids(conn, world.selection)
        row = writes.FailureIn(failed, sample_id=first)
        for _ in range(times):
            writes.put_failures(conn, world.run, Stage.GENERATE, [row])
        assert len(pending.pending_samples(conn, *world.keys, 1)) == 3 - given_up
        assert len(pending.pending_samples(conn, *world.keys, 1, retry=True)) == 3
        assert pending.generate_progress(conn, *world.keys, 1) == pending.GenerateProgress(
            3, 0, 1, 2
        )
        other = writes.put_config(conn, stored.config(7))
        assert len(pending.pending_samples(conn, world.model, other, world.selection, 1)) == 3
        stored.answer_all(conn, world)
        assert pending.generate_progress(conn, *world.keys, 1) == pending.GenerateProgress(
            3, 3, 0, 0
        )


def test_a_withheld_sample_is_neither_posed_nor_pending(store_url: str) -> None:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        world = stored.build(conn, 3)
        conn.execute(
            text(
                "INSERT INTO withholding (uid, author, reason, created_at)"
                " VALUES ('00000000-0000-0000-0000-000000000000', 'me', 'asked', 1)"
            )
        )
        first, *_ = stored.sample_ids(conn, world.selection)
        conn.execute(
            text(
                "UPDATE sample SET messages = NULL, prompt = NULL, withheld_id = 1"
                f" WHERE id = {first}"
            )
        )
        assert len(pending.pending_samples(conn, *world.keys, 1)) == 2
        assert pending.generate_progress(conn, *world.keys, 1) == pending.GenerateProgress(
            3, 0, 0, 2
        )


def test_samples_that_differ_in_labels_share_one_answer(store_url: str) -> None:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        world = stored.build(conn, 2)
        generations = stored.answer_all(conn, world)
        twin = stored.sample(0, note="another label")
        other = stored.sample(0, "another prompt")
        row = writes.put_dataset(
            conn, Dataset("twins", (("t", twin), ("o", other)), (stored.IMAGE,))
        )
        keys = (world.model, world.config, row.selection_id)
        assert pending.link_same_inputs(conn, world.run, *keys, 1) == 1
        assert pending.link_same_inputs(conn, world.run, *keys, 1) == 0
        (rest,) = pending.pending_samples(conn, *keys, 1)
        assert rest.input_digest == other.input_digest
        copy = conn.execute(
            text("SELECT text, origin_id, text_digest FROM generation WHERE origin_id IS NOT NULL")
        ).one()
        assert (copy.text, copy.origin_id) == ("answer 0", generations[0])


def test_scores_are_pending_until_there_and_the_watermark_follows(store_url: str) -> None:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        world = stored.build(conn, 4)
        ids = stored.answer_all(conn, world)
        judge = writes.put_judge(conn, stored.judge())
        assert left(conn, judge) == sorted(ids)
        for at in (0, 1, 3):
            find(conn, world, judge, ids[at], f"answer {at}")
        pending.advance_watermark(conn, judge)
        assert mark(conn) == ids[1], "it stops before what was not dealt with"
        assert left(conn, judge) == [ids[2]]
        find(conn, world, judge, ids[2], "answer 2")
        pending.advance_watermark(conn, judge)
        assert mark(conn) == ids[3]
        assert left(conn, judge) == []
        other = writes.put_judge(conn, stored.judge("other"))
        assert left(conn, other) == sorted(ids)
        digests = {one.text_digest for one in pending.pending_scores(conn, other, EVERYTHING)}
        assert len(digests) == 4


@pytest.mark.parametrize(
    ("failed", "times", "there"), [(AGAIN, 1, True), (AGAIN, 3, False), (NEVER, 1, False)]
)
def test_a_failed_score_stays_pending_below_the_watermark(
    store_url: str, failed: Failed, times: int, there: bool
) -> None:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        world = stored.build(conn, 3)
        ids = stored.answer_all(conn, world)
        judge = writes.put_judge(conn, stored.judge())
        for at in (0, 2):
            find(conn, world, judge, ids[at], f"answer {at}")
        for _ in range(times):
            fail(conn, world, judge, ids[1], failed)
        expected = [ids[1]] if there else []
        assert left(conn, judge) == expected
        pending.advance_watermark(conn, judge)
        assert mark(conn) == ids[2]
        assert left(conn, judge) == expected
        assert left(conn, judge, retry=True) == [ids[1]]
        find(conn, world, judge, ids[1], "answer 1")
        assert left(conn, judge, retry=True) == []


def test_a_scope_narrows_to_a_run_a_model_a_dataset(store_url: str) -> None:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        world = stored.build(conn, 2)
        ids = stored.answer_all(conn, world)
        second = writes.put_model_version(
            conn, type(stored.model())("big", "llava", "models/big", declared="big")
        )
        samples = stored.sample_ids(conn, world.selection)
        rows = [writes.GenerationIn(samples[0], 0, stored.answer("big says"))]
        writes.put_generations(conn, world.run, second, world.config, rows)
        extra = writes.put_dataset(conn, stored.dataset(1, "extra"))
        judge = writes.put_judge(conn, stored.judge())
        assert len(left(conn, judge)) == 3
        assert left(conn, judge, ScoreScope(run_uid=world.uid[:8])) == ids
        assert left(conn, judge, ScoreScope(model="tiny")) == ids
        assert left(conn, judge, ScoreScope(model="tiny", dataset="extra@1")) == ids[:1]
        assert len(left(conn, judge, ScoreScope(dataset=extra.name))) == 2
        for wrong in (ScoreScope("ffff"), ScoreScope(model="tyni"), ScoreScope(dataset="benhc")):
            with pytest.raises(NotFoundError):
                left(conn, judge, wrong)


def test_what_shows_the_same_is_asked_again_together_whatever_the_scope(store_url: str) -> None:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        world = stored.build(conn, 2)
        one, _ = stored.answer_all(conn, world, ["same", "other"])
        late = writes.put_dataset(conn, stored.dataset(1, "late", start=5))
        (sample,) = stored.sample_ids(conn, late.selection_id)
        row = writes.GenerationIn(sample, 0, stored.answer("same"))
        writes.put_generations(conn, world.run, world.model, world.config, [row])
        last = conn.execute(text("SELECT max(id) FROM generation")).scalar_one()
        judge = writes.put_judge(conn, stored.judge())
        mute = Finding(status=ScoreStatus.UNPARSED, raw_output="?")
        shown = writes.FindingIn(stored.subject("same"), mute, (one, last))
        writes.put_findings(conn, world.run, judge, [shown])
        scope = ScoreScope(dataset="late")
        found = pending.unscored_status(conn, judge, scope, (ScoreStatus.UNPARSED,))
        assert [score.generation_id for score in found] == [one, last]


def test_a_status_can_be_asked_again(store_url: str) -> None:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        world = stored.build(conn, 2)
        one, two = stored.answer_all(conn, world)
        judge = writes.put_judge(conn, stored.judge())
        mute = Finding(status=ScoreStatus.UNPARSED, raw_output="?")
        row = writes.FindingIn(stored.subject("answer 0"), mute, (one,))
        writes.put_findings(conn, world.run, judge, [row])
        find(conn, world, judge, two, "answer 1")

        def unparsed() -> list[PendingScore]:
            wanted = (ScoreStatus.UNPARSED, ScoreStatus.ABSTAINED)
            return pending.unscored_status(conn, judge, EVERYTHING, wanted)

        assert [found.generation_id for found in unparsed()] == [one]
        assert pending.unscored_status(conn, judge, EVERYTHING, ()) == []
        better = writes.FindingIn(stored.subject("answer 0"), stored.unsafe(), (one,))
        writes.put_revisions(conn, world.run, judge, [better], "me", "asked again")
        assert unparsed() == []


def test_a_writer_in_flight_holds_the_watermark_back(postgres_url: str) -> None:
    """On PostgreSQL a smaller id can be committed after a larger one."""
    with (
        open_store(postgres_url, mode="write") as store,
        open_store(postgres_url, mode="write") as other,
    ):
        with store.write() as conn:
            world = stored.build(conn, 2)
            judge = writes.put_judge(conn, stored.judge())
            first, second = stored.sample_ids(conn, world.selection)
        keys = (world.run, world.model, world.config)
        with other.write() as slow:
            writes.put_generations(slow, *keys, [writes.GenerationIn(first, 0, stored.answer("a"))])
            with store.write() as conn:
                rows = [writes.GenerationIn(second, 0, stored.answer("b"))]
                writes.put_generations(conn, *keys, rows)
                (late,) = left(conn, judge)
                find(conn, world, judge, late, "b")
            with store.write() as conn:
                conn.execute(text("SET LOCAL lock_timeout = '300ms'"))
                with pytest.raises(Exception, match="lock timeout"):
                    pending.advance_watermark(conn, judge)
                conn.rollback()
        with store.write() as conn:
            pending.advance_watermark(conn, judge)
            assert len(left(conn, judge)) == 1
            assert mark(conn) < late


def test_a_judge_run_is_no_scope_of_answers(store_url: str) -> None:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        world = stored.build(conn, 2)
        stored.answer_all(conn, world)
        judge = writes.put_judge(conn, stored.judge())
        _, uid = stored.start(conn, RunKind.JUDGE, judge_id=judge)
        assert left(conn, judge, ScoreScope(run_uid=uid)) == []


def test_members_are_chosen_by_label(store_url: str) -> None:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        world = stored.build(conn, 6)

        def keys(limit: int | None = None, **where: str) -> list[str]:
            wanted = {name.replace("__", "."): value for name, value in where.items()}
            chosen = reads.select_members(conn, world.selection, wanted, limit)
            return [key for key, _ in chosen]

        assert keys() == [f"k{at}" for at in range(6)]
        assert keys(2) == ["k0", "k1"]
        assert keys(category="category 1") == ["k1", "k3", "k5"]
        assert keys(1, category="category 1") == ["k1"]
        assert keys(attack="wrapper", behavior="aim 0") == ["k0"]
        assert keys(benign="yes") == ["k3"]
        assert keys(key="k4") == ["k4"]
        assert keys(target="Sure") == ["k0", "k2", "k4"]
        assert keys(metadata__at="5") == ["k5"]
        assert keys(category="nothing") == []
        for wrong in ({"categroy": "x"}, {"benign": "maybe"}, {"metadata__att": "1"}):
            with pytest.raises(Exception, match=r"did you mean|yes or benign"):
                keys(**wrong)
