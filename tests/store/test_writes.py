"""Writing: each fact once, nothing stands in for a result, no secret in a row."""

from __future__ import annotations

import contextlib
import math

import pytest
import stored
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from lam3db.errors import ConfigError, InputError
from lam3db.records import (
    Dataset,
    Failed,
    Finding,
    GenerationConfig,
    JudgeIdentity,
    JudgeKind,
    JudgePolicy,
    RunKind,
    RunStatus,
    ScoreStatus,
    Stage,
    Subject,
    Verdict,
)
from lam3db.store import reads, writes
from lam3db.store.engine import Store, open_store

TABLES = (
    *("media", "behavior", "sample", "sample_media", "selection", "selection_sample", "dataset"),
    *("model_version", "config", "environment", "generation", "judge", "judge_verdict"),
    *("judge_policy", "finding", "finding_attribute", "score"),
)


def write_all(conn: Connection) -> None:
    """Write one of everything that is known by its content."""
    world = stored.build(conn)
    generations = stored.answer_all(conn, world, ["a", "b", "a", "c"])
    judge = writes.put_judge(conn, stored.judge())
    writes.put_policy(conn, judge, JudgePolicy(0.5), "me")
    said = {"a": (generations[0], generations[2]), "b": (generations[1],), "c": (generations[3],)}
    rows = [writes.FindingIn(stored.subject(w), stored.unsafe(), ids) for w, ids in said.items()]
    writes.put_findings(conn, world.run, judge, rows)


def counts(store: Store) -> dict[str, int]:
    with store.read() as conn:
        return {table: stored.count(conn, table) for table in TABLES}


def test_the_same_facts_twice_are_there_once(store_url: str) -> None:
    with open_store(store_url, mode="write") as store:
        with store.write() as conn:
            write_all(conn)
        before = counts(store)
        with store.write() as conn:
            write_all(conn)
        assert counts(store) == before
        assert before["finding"] == 3
        assert before["score"] == 4
        assert before["finding_attribute"] == 6


def test_put_generations_counts_what_is_new_and_keeps_the_first(store_url: str) -> None:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        world = stored.build(conn)
        first, second, *_ = stored.sample_ids(conn, world.selection)
        one = writes.GenerationIn(first, 0, stored.answer("one"))
        two = writes.GenerationIn(second, 0, stored.answer("two"))
        other = writes.GenerationIn(first, 0, stored.answer("another"))
        ids = (world.run, world.model, world.config)
        assert writes.put_generations(conn, *ids, [one]) == 1
        assert writes.put_generations(conn, *ids, [other, two]) == 1
        assert writes.put_generations(conn, *ids, [one, two]) == 0
        assert writes.put_generations(conn, *ids, []) == 0
        texts = conn.execute(text("SELECT text FROM generation ORDER BY id")).scalars().all()
        assert texts == ["one", "two"]


def test_a_changed_dataset_is_a_version_beside_the_old_one(store_url: str) -> None:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        first = writes.put_dataset(conn, stored.dataset(3))
        again = writes.put_dataset(conn, stored.dataset(3))
        longer = writes.put_dataset(conn, stored.dataset(4))
        back = writes.put_dataset(conn, stored.dataset(3))
        elsewhere = writes.put_dataset(conn, stored.dataset(3, "other"))
        assert [row.version for row in (first, again, longer, back, elsewhere)] == [1, 1, 2, 1, 1]
        assert [row.is_new for row in (first, again, longer)] == [True, False, True]
        assert first.selection_id == elsewhere.selection_id
        assert stored.count(conn, "sample") == 4
        assert stored.count(conn, "selection") == 2


def test_a_dataset_with_faults_is_refused_whole_and_tells_them_all(store_url: str) -> None:
    twin = stored.sample(1)
    lost = stored.sample(2)
    rows = (("a", stored.sample(0)), ("a", twin), ("b", twin), ("c", lost))
    with open_store(store_url, mode="write") as store:
        with pytest.raises(InputError) as caught, store.write() as conn:
            writes.put_dataset(conn, Dataset("bench", rows))
        told = str(caught.value)
        assert "key 'a' is there twice" in told
        assert "'b' is the very same sample as 'a'" in told
        assert "'c' shows image abab" in told
        assert set(counts(store).values()) == {0}


def test_an_unnamed_selection_is_known_by_its_members(store_url: str) -> None:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        row = writes.put_dataset(conn, stored.dataset(4))
        members = reads.select_members(conn, row.selection_id, {}, None)
        assert writes.put_selection(conn, members) == row.selection_id
        assert writes.put_selection(conn, list(reversed(members))) == row.selection_id
        part = writes.put_selection(conn, members[:2])
        assert part != row.selection_id
        assert reads.select_members(conn, part, {}, None) == members[:2]


@pytest.mark.parametrize(
    "words",
    ["nul \x00 in it", "half \ud83d of one", "escape \ue000 itself", "é e\u0301 中文 🙂", ""],
)
def test_odd_texts_come_back_as_they_were(store_url: str, words: str) -> None:
    with open_store(store_url, mode="write") as store:
        with store.write() as conn:
            whole = Dataset(
                "odd", ((f"k{words}", stored.sample(0, words, note=words)),), (stored.IMAGE,)
            )
            row = writes.put_dataset(conn, whole)
            world = stored.build(conn)
            (one,) = stored.sample_ids(conn, row.selection_id)
            rows = [writes.GenerationIn(one, 0, stored.answer(words))]
            writes.put_generations(conn, world.run, world.model, world.config, rows)
        with store.read() as conn:
            assert reads.select_members(conn, row.selection_id, {}, None) == [(f"k{words}", one)]
            sample = whole.samples[0][1]
            assert reads.load_messages(conn, [one]) == {one: sample.messages}
            (judged,) = reads.load_judged(conn, [1]).values()
            assert (judged.text, judged.prompt) == (words, words)
            assert judged.images == (stored.IMAGE.sha256,)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_refused(store_url: str, number: float) -> None:
    with open_store(store_url, mode="write") as store:
        with store.write() as conn:
            world = stored.build(conn)
            (one, *_) = stored.answer_all(conn, world)
            judge = writes.put_judge(conn, stored.judge())
        bare = Finding(value=0.5)
        object.__setattr__(bare, "value", number)  # a record refuses it by itself
        spoilt = Finding(verdict=Verdict.SAFE, attributes={"insult": 0.5})
        object.__setattr__(spoilt, "attributes", {"insult": number})
        for finding in (bare, spoilt):
            rows = [writes.FindingIn(stored.subject("answer 0"), finding, (one,))]
            with pytest.raises(ValueError, match="a missing number is None"), store.write() as conn:
                writes.put_findings(conn, world.run, judge, rows)
        assert counts(store)["score"] == counts(store)["finding"] == 0


def test_a_score_agrees_with_the_finding_that_is_stored(store_url: str) -> None:
    """Of two processes that judge one subject, the first finding is everybody's."""
    with open_store(store_url, mode="write") as store, store.write() as conn:
        world = stored.build(conn)
        one, two, *_ = stored.answer_all(conn, world, ["same", "same", "b", "c"])
        judge = writes.put_judge(conn, stored.judge())
        same = stored.subject("same")
        late = Finding(value=0.2, verdict=Verdict.SAFE, attributes={"other": 1.0})
        writes.put_findings(
            conn, world.run, judge, [writes.FindingIn(same, stored.unsafe(), (one,))]
        )
        writes.put_findings(conn, world.run, judge, [writes.FindingIn(same, late, (two,))])
        rows = conn.execute(text("SELECT value, verdict FROM score ORDER BY id")).all()
        assert [tuple(row) for row in rows] == [(0.9, "unsafe"), (0.9, "unsafe")]
        names = conn.execute(text("SELECT attribute FROM finding_attribute ORDER BY 1")).scalars()
        assert list(names) == ["insult", "threat"]


def test_known_subjects_are_linked_and_counted(store_url: str) -> None:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        world = stored.build(conn)
        one, two, three, _ = stored.answer_all(conn, world, ["same", "same", "b", "c"])
        judge = writes.put_judge(conn, stored.judge())
        same, other = stored.subject("same"), stored.subject("b")
        writes.put_findings(
            conn, world.run, judge, [writes.FindingIn(same, stored.unsafe(), (one,))]
        )
        pairs = [(same, one), (same, two), (other, three)]
        assert writes.link_findings(conn, world.run, judge, pairs) == 1
        assert writes.link_findings(conn, world.run, judge, pairs) == 0


def test_a_revision_stands_beside_what_was_said(store_url: str) -> None:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        world = stored.build(conn)
        one, two, *_ = stored.answer_all(conn, world, ["same", "same", "b", "c"])
        judge = writes.put_judge(conn, stored.judge())
        same = stored.subject("same")
        mute = Finding(status=ScoreStatus.UNPARSED, raw_output="?")
        writes.put_findings(conn, world.run, judge, [writes.FindingIn(same, mute, (one,))])
        row = writes.FindingIn(same, stored.unsafe(), (one, two))
        writes.put_revisions(conn, world.run, judge, [row], "me", "asked again")
        kept = conn.execute(
            text("SELECT generation_id, revision, status, author FROM score ORDER BY id")
        ).all()
        assert [tuple(found) for found in kept] == [
            (one, 0, "unparsed", None),
            (one, 1, "ok", "me"),
            (two, 0, "ok", None),
        ]
        with pytest.raises(ValueError, match="author and a reason"):
            writes.put_revisions(conn, world.run, judge, [row], "me", "")


def test_a_threshold_has_versions_and_changes_no_score(store_url: str) -> None:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        write_all(conn)
        (judge,) = conn.execute(text("SELECT id FROM judge")).scalars()
        for policy in (JudgePolicy(0.5), JudgePolicy(0.5, ">"), JudgePolicy(0.5, ">")):
            writes.put_policy(conn, judge, policy, "me")
        versions = conn.execute(text("SELECT version, operator FROM judge_policy ORDER BY 1")).all()
        assert [tuple(row) for row in versions] == [(1, ">="), (2, ">")]
        assert stored.count(conn, "score") == 4
        for wrong in (JudgePolicy(math.nan), JudgePolicy(0.5, "<")):
            with pytest.raises(ConfigError, match="> or >="):
                writes.put_policy(conn, judge, wrong, "me")


def test_any_other_part_makes_another_judge_and_the_name_does_not(store_url: str) -> None:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        one = JudgeIdentity("a", JudgeKind.LLM, "1", {"prompt": "x"})
        assert writes.put_judge(conn, one) == writes.put_judge(
            conn, JudgeIdentity("b", JudgeKind.LLM, "1", {"prompt": "x"}, heading="other")
        )
        others = {
            writes.put_judge(conn, JudgeIdentity("a", JudgeKind.LLM, "1", {"prompt": "y"})),
            writes.put_judge(conn, JudgeIdentity("a", JudgeKind.LLM, "2", {"prompt": "x"})),
            writes.put_judge(conn, stored.judge("a")),
        }
        assert len(others) == 3
        assert [info.name for info in reads.list_judges(conn)] == ["a"] * 4


def test_failures_are_numbered_and_never_scores(store_url: str) -> None:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        world = stored.build(conn)
        one, two, *_ = stored.sample_ids(conn, world.selection)
        failed = Failed("RuntimeError", "CUDA out of memory at 0x7f0012345678", retryable=True)
        rows = [writes.FailureIn(failed, sample_id=one), writes.FailureIn(failed, sample_id=two)]
        for _ in range(2):
            writes.put_failures(conn, world.run, Stage.GENERATE, rows)
        other, _ = stored.start(
            conn,
            model_version_id=world.model,
            config_id=writes.put_config(conn, stored.config(7)),
            selection_id=world.selection,
        )
        writes.put_failures(conn, other, Stage.GENERATE, rows[:1])
        attempts = conn.execute(text("SELECT attempt FROM failure ORDER BY id")).scalars().all()
        assert attempts == [1, 1, 2, 2, 1]
        assert len(set(conn.execute(text("SELECT fingerprint FROM failure")).scalars())) == 1
        assert stored.count(conn, "generation") == stored.count(conn, "score") == 0


def test_no_secret_reaches_a_row(store_url: str) -> None:
    key = "sk-abcdefghijklmnop1234"
    with open_store(store_url, mode="write") as store, store.write() as conn:
        world = stored.build(conn)
        run = writes.RunStart(
            RunKind.SMOKE, None, None, None, None, None, world.environment, 1, None,
            requested={"api_key": "hidden-value", "url": f"https://me:{key}@host/x"},
            effective={"nested": [{"token": "hidden-value"}]},
            options={"note": f"Bearer {key}"},
            command=f"lam3db generate --api-key {key}",
            host="h", username="u", code_commit=None, code_dirty=None,
        )  # fmt: skip
        writes.start_run(conn, run)
        writes.put_environment(conn, {"HF_TOKEN": "hidden-value", "path": key})
        failed = Failed("HTTPError", f"401 for key {key}")
        writes.put_failures(conn, world.run, Stage.GENERATE, [writes.FailureIn(failed)])
        with pytest.raises(ConfigError, match="looks like a key"):
            writes.put_config(conn, GenerationConfig({"x": key}))
        with pytest.raises(ConfigError, match="looks like a key"):
            writes.put_judge(conn, JudgeIdentity("a", JudgeKind.API, "1", {"header": key}))
        everything = [
            str(tuple(row))
            for table in ("run", "environment", "failure", "config", "judge")
            for row in conn.execute(text(f"SELECT * FROM {table}"))
        ]
        assert not [row for row in everything if key in row or "hidden-value" in row]


def test_a_run_tells_how_it_goes(store_url: str) -> None:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        world = stored.build(conn)
        writes.beat(conn, world.run, writes.RunCounts(4, 1, 0, 0))
        assert reads.find_run(conn, world.uid[:6]).status == "running"
        writes.finish_run(conn, world.run, RunStatus.FINISHED, writes.RunCounts(4, 3, 1, 0))
        run = reads.find_run(conn, world.uid)
        assert (run.status, run.planned, run.new, run.cached, run.failed) == (
            "finished",
            4,
            3,
            1,
            0,
        )
        assert run.finished_at is not None
        assert run.finished_at >= run.started_at


# invariant 1: the schema itself refuses a stand-in
FORBIDDEN = {
    "a score that is ok without value or verdict": "UPDATE score SET value = NULL, verdict = NULL",
    "a value beside another status": "UPDATE score SET status = 'unparsed'",
    "a verdict nobody knows": "UPDATE score SET verdict = 'maybe'",
    "a status nobody knows": "UPDATE finding SET status = 'error'",
    "an infinite value": "UPDATE score SET value = 9e999",
    "an answer without a text": "UPDATE generation SET text = NULL",
    "a digest of another length": "UPDATE generation SET text_digest = {digest}",
    "a negative replicate": "UPDATE generation SET replicate = -1",
    "a finish reason nobody knows": "UPDATE generation SET finish_reason = 'error'",
    "a revision without an author": "UPDATE score SET revision = 1",
    "an author without a revision": "UPDATE score SET author = 'me', reason = 'so'",
    "a sample without messages": "UPDATE sample SET messages = NULL",
    "a behavior without a text": "UPDATE behavior SET text = NULL",
    "a withheld text that is still there": "UPDATE generation SET withheld_id = 1",
    "a run that ended while running": "UPDATE run SET finished_at = 1",
    "a flag that is neither": "UPDATE behavior SET is_benign = 2",
    "a policy with another operator": "UPDATE judge_policy SET operator = '<'",
    "a score of no generation": "UPDATE score SET generation_id = 999",
    "a generation that is scored, deleted": "DELETE FROM generation",
    "a second score under one key": (
        "INSERT INTO score (judge_id, generation_id, finding_id, replicate, revision, status,"
        " value, run_id, created_at) SELECT judge_id, generation_id, finding_id, 0, 0, 'ok', 0.0,"
        " run_id, 0 FROM score"
    ),
}


def test_the_schema_refuses_a_stand_in(store_url: str) -> None:
    with open_store(store_url, mode="write") as store:
        with store.write() as conn:
            write_all(conn)
            conn.execute(
                text(
                    "INSERT INTO withholding (uid, author, reason, created_at)"
                    " VALUES ('00000000-0000-0000-0000-000000000000', 'me', 'asked', 1)"
                )
            )
        short = "x'00'" if store.dialect == "sqlite" else r"'\x00'::bytea"
        taken = []
        for what, statement in FORBIDDEN.items():
            with contextlib.suppress(DBAPIError), store.write() as conn:
                conn.execute(text(statement.replace("{digest}", short)))
                taken.append(what)
        assert taken == []


def test_what_is_withheld_is_left_out_and_nothing_breaks(store_url: str) -> None:
    with open_store(store_url, mode="write") as store:
        with store.write() as conn:
            world = stored.build(conn)
            one, two, *_ = stored.answer_all(conn, world)
            conn.execute(
                text(
                    "INSERT INTO withholding (uid, author, reason, created_at)"
                    " VALUES ('00000000-0000-0000-0000-000000000000', 'me', 'asked', 1)"
                )
            )
            conn.execute(
                text(
                    "UPDATE generation SET text = NULL, raw_text = NULL, reasoning = NULL,"
                    " withheld_id = 1"
                    f" WHERE id = {one}"
                )
            )
            samples = stored.sample_ids(conn, world.selection)
            conn.execute(
                text(
                    "UPDATE sample SET messages = NULL, prompt = NULL, withheld_id = 1"
                    f" WHERE id = {samples[1]}"
                )
            )
        with store.read() as conn:
            assert set(reads.load_judged(conn, [one, two, two + 1])) == {two + 1}
            assert set(reads.load_messages(conn, samples)) == set(samples) - {samples[1]}
            rows = conn.execute(text("SELECT text, is_withheld FROM v_generation")).all()
            assert (None, 1) in [tuple(row) for row in rows]


def test_a_subject_is_what_the_judge_is_shown() -> None:
    assert stored.subject("a") == Subject("a").digest != Subject("a", prompt="p").digest
