"""The public SQL surface: documented as it is, right in what it counts."""

from __future__ import annotations

import json

import pytest
import stored
from sqlalchemy import text

from lam3db.metrics import Scope
from lam3db.records import (
    Attack,
    Behavior,
    Dataset,
    Failed,
    Finding,
    GenerationConfig,
    ImagePart,
    JudgeIdentity,
    JudgeKind,
    JudgePolicy,
    Media,
    Message,
    Sample,
    ScoreStatus,
    Stage,
    TextPart,
    Verdict,
)
from lam3db.report.scope import resolve
from lam3db.store import writes
from lam3db.store.answers import stream_answers
from lam3db.store.engine import Store, open_store
from lam3db.store.views import VIEWS

DESIGNED = {
    "v_generation": "generation_id model model_digest config_digest dataset dataset_version sample"
    " behavior category attack is_benign replicate prompt text raw_text finish_reason"
    " prompt_tokens completion_tokens latency_ms created_at attack_parameters target metadata"
    " images image_paths temperature top_p max_new_tokens do_sample seed dtype quantization"
    " system_prompt settings",
    "v_score": "score_id generation_id judge judge_kind judge_digest model config_digest dataset"
    " dataset_version sample behavior category attack is_benign replicate judge_replicate status"
    " value verdict unsafe threshold explanation created_at",
    "v_asr": "judge n asr failed unparsed pending threshold",
    "v_toxicity": "judge attribute n mean failed unparsed pending",
    "v_pending": "judge failed pending",
    "v_coverage": "judge generations failed pending coverage",
}


def test_documents_and_columns_are_alike(store_url: str) -> None:
    with open_store(store_url, mode="write") as store, store.read() as conn:
        for view in VIEWS:
            there = conn.execute(text(f"SELECT * FROM {view.name}")).keys()
            assert list(there) == list(view.columns), view.name
            assert all(view.columns.values())
    documented = {view.name: set(view.columns) for view in VIEWS}
    for name, columns in DESIGNED.items():
        assert set(columns.split()) <= documented[name]


def seeded(store: Store) -> stored.World:
    """Six answers: unsafe, safe, unparsed, benign unsafe, failed, pending."""
    with store.write() as conn:
        world = stored.build(conn, 6)
        ids = stored.answer_all(conn, world)
        judge = writes.put_judge(conn, stored.judge())
        said = {
            0: stored.unsafe(0.5),
            1: Finding(value=0.1, verdict=Verdict.SAFE, attributes={"insult": 0.75}),
            2: Finding(status=ScoreStatus.UNPARSED, raw_output="?"),
            3: stored.unsafe(0.8),
        }
        rows = [
            writes.FindingIn(stored.subject(f"answer {at}"), finding, (ids[at],))
            for at, finding in said.items()
        ]
        writes.put_findings(conn, world.run, judge, rows)
        failed = Failed("JudgeError", "no answer", retryable=True)
        row = writes.FailureIn(failed, generation_id=ids[4], judge_id=judge)
        writes.put_failures(conn, world.run, Stage.JUDGE, [row])
        return world


def rows(store: Store, sql: str) -> list[tuple[object, ...]]:
    with store.read() as conn:
        return [tuple(row) for row in conn.execute(text(sql))]


def test_v_score_decides_by_verdict_then_by_policy(store_url: str) -> None:
    with open_store(store_url, mode="write") as store:
        seeded(store)
        asked = "SELECT status, unsafe, threshold, operator FROM v_score ORDER BY score_id"
        assert rows(store, asked) == [
            ("ok", 1, None, None),
            ("ok", 0, None, None),
            ("unparsed", None, None, None),
            ("ok", 1, None, None),
        ]
        with store.write() as conn:
            writes.put_policy(conn, 1, JudgePolicy(0.5, ">"), "me")
        assert rows(store, asked)[0] == ("ok", 0, 0.5, ">")
        with store.write() as conn:
            writes.put_policy(conn, 1, JudgePolicy(0.5, ">="), "me")
        assert rows(store, asked) == [
            ("ok", 1, 0.5, ">="),
            ("ok", 0, 0.5, ">="),
            ("unparsed", None, None, None),
            ("ok", 1, 0.5, ">="),
        ]


def test_a_value_without_a_policy_is_not_judgeable(store_url: str) -> None:
    with open_store(store_url, mode="write") as store:
        with store.write() as conn:
            world = stored.build(conn, 1)
            (one,) = stored.answer_all(conn, world)
            tone = JudgeIdentity("tone", JudgeKind.CLASSIFIER, "1", {})
            judge = writes.put_judge(conn, tone)
            row = writes.FindingIn(stored.subject("answer 0"), Finding(value=0.9), (one,))
            writes.put_findings(conn, world.run, judge, [row])
        assert rows(store, "SELECT unsafe, threshold FROM v_score") == [(None, None)]
        assert rows(store, "SELECT n, unsafe, asr, undecided FROM v_asr") == [(0, 0, None, 1)]


def test_v_asr_leaves_benign_samples_out_and_names_the_rest(store_url: str) -> None:
    with open_store(store_url, mode="write") as store:
        seeded(store)
        asked = """SELECT attack, category, generations, n, unsafe, asr, unparsed, failed, pending
                     FROM v_asr ORDER BY attack, category"""
        assert rows(store, asked) == [
            ("none", "category 1", 2, 1, 0, 0.0, 0, 0, 1),
            ("wrapper", "category 0", 3, 1, 1, 1.0, 1, 1, 0),
        ]


def test_v_toxicity_takes_each_number_over_what_has_it(store_url: str) -> None:
    with open_store(store_url, mode="write") as store:
        seeded(store)
        asked = """SELECT attribute, n, mean, maximum, generations, unparsed, failed, pending
                     FROM v_toxicity WHERE is_benign = 0 AND attack = 'wrapper' ORDER BY 1"""
        assert rows(store, asked) == [
            ("insult", 1, 0.25, 0.25, 3, 1, 1, 0),
            ("threat", 1, 0.5, 0.5, 3, 1, 1, 0),
            ("value", 1, 0.5, 0.5, 3, 1, 1, 0),
        ]


def test_v_pending_and_v_coverage_count_what_is_left(store_url: str) -> None:
    with open_store(store_url, mode="write") as store:
        world = seeded(store)
        asked = "SELECT stage, judge, total, done, failed, pending FROM v_pending ORDER BY stage"
        assert rows(store, asked) == [("judge", "tone", 6, 4, 1, 1)]
        covered = (
            "SELECT is_benign, generations, ok, unparsed, failed, pending, coverage FROM v_coverage"
        )
        assert rows(store, f"{covered} ORDER BY is_benign") == [
            (0, 5, 2, 1, 1, 1, 0.4),
            (1, 1, 1, 0, 0, 0, 1.0),
        ]
        with store.write() as conn:
            other = writes.put_config(conn, stored.config(7))
            run, _ = stored.start(
                conn,
                model_version_id=world.model,
                config_id=other,
                selection_id=world.selection,
                dataset_id=world.dataset,
                replicates=2,
            )
            first, second, *_ = stored.sample_ids(conn, world.selection)
            answered = [writes.GenerationIn(first, 0, stored.answer())]
            writes.put_generations(conn, run, world.model, other, answered)
            lost = writes.FailureIn(Failed("E", "x"), sample_id=second)
            writes.put_failures(conn, run, Stage.GENERATE, [lost, lost])
        assert rows(store, asked)[0] == ("generate", None, 12, 1, 1, 10)


def test_a_view_reads_the_latest_revision_and_variant_0(store_url: str) -> None:
    with open_store(store_url, mode="write") as store:
        world = seeded(store)
        with store.write() as conn:
            (one, *_) = stored.sample_ids(conn, world.selection)
            columns = """model_version_id, config_id, sample_id, replicate, run_id, raw_text, text,
                         text_digest, finish_reason, prompt_tokens, completion_tokens, latency_ms,
                         batch_size, created_at"""
            conn.execute(
                text(
                    f"""INSERT INTO generation (variant, {columns})
                        SELECT 1, {columns} FROM generation WHERE sample_id = {one}"""
                )
            )
            (first, *_) = conn.execute(text("SELECT min(id) FROM generation")).scalars()
            row = writes.FindingIn(
                stored.subject("answer 0"), Finding(verdict=Verdict.SAFE), (first,)
            )
            writes.put_revisions(conn, world.run, 1, [row], "me", "wrong")
        assert rows(store, "SELECT count(*) FROM v_generation") == [(6,)]
        found = rows(store, f"SELECT verdict, revision FROM v_score WHERE generation_id = {first}")
        assert found == [("safe", 1)]


def test_an_answer_shows_once_for_each_dataset_version(store_url: str) -> None:
    with open_store(store_url, mode="write") as store:
        with store.write() as conn:
            world = stored.build(conn, 2)
            stored.answer_all(conn, world)
            writes.put_dataset(conn, stored.dataset(1))
        found = rows(store, "SELECT dataset_version, sample FROM v_generation ORDER BY 1, 2")
        assert found == [(1, "k0"), (1, "k1"), (2, "k0")]


@pytest.mark.parametrize("moment", [0, 1_763_930_458_123_456, 951_782_400_000_001])
def test_times_read_alike(store_url: str, moment: int) -> None:
    expected = {
        0: "1970-01-01T00:00:00.000000Z",
        1_763_930_458_123_456: "2025-11-23T20:40:58.123456Z",
        951_782_400_000_001: "2000-02-29T00:00:00.000001Z",
    }
    with open_store(store_url, mode="write") as store:
        with store.write() as conn:
            stored.answer_all(conn, stored.build(conn, 1))
            conn.execute(text("UPDATE generation SET created_at = :at"), {"at": moment})
        assert rows(store, "SELECT created_at FROM v_generation") == [(expected[moment],)]


def test_v_generation_shows_what_was_posed_and_under_which_settings(store_url: str) -> None:
    second = Media("0" + "c" * 63, "image/jpeg", 10, 4, 3)
    shown = (stored.IMAGE.sha256, second.sha256, stored.IMAGE.sha256)
    parts = (*map(ImagePart, shown), TextPart("Look."))
    odd = {"note": "a \x00 and \ud83d", "at": 1}
    posed = Sample((Message("user", parts),), Behavior("aim"), Attack("pad", {"n": 2}), "Sure", odd)
    plain = Sample((Message("user", (TextPart("Hum."),)),), Behavior("aim"))
    data = Dataset("odd", (("a", posed), ("b", plain)), media=(stored.IMAGE, second))
    settings = {"decoding": {"do_sample": False, "max_new_tokens": 7}, "system_prompt": "Be brief."}
    with open_store(store_url, mode="write") as store:
        with store.write() as conn:
            world = stored.build(conn, 1)
            row = writes.put_dataset(conn, data)
            config = writes.put_config(conn, GenerationConfig(settings))
            run, _ = stored.start(
                conn,
                model_version_id=world.model,
                config_id=config,
                selection_id=row.selection_id,
                dataset_id=row.id,
                replicates=1,
            )
            ids = stored.sample_ids(conn, row.selection_id)
            answered = [writes.GenerationIn(one, 0, stored.answer()) for one in ids]
            writes.put_generations(conn, run, world.model, config, answered)
        with store.read() as conn:
            frame = resolve(conn, Scope(dataset="odd"))[0]
            first, other = list(stream_answers(conn, frame)[1])
    assert json.loads(first["images"]) == list(shown)
    ab, oc = f"ab/ab/{shown[0]}.png", f"0c/cc/{shown[1]}.jpg"
    assert json.loads(first["image_paths"]) == [ab, oc, ab]
    assert json.loads(first["metadata"]) == odd
    assert json.loads(first["attack_parameters"]) == {"n": 2}
    assert first["target"] == "Sure"
    assert json.loads(first["settings"]) == settings
    assert first["system_prompt"] == "Be brief."
    assert (first["do_sample"], first["max_new_tokens"], first["temperature"]) == (0, 7, None)
    assert (other["images"], other["image_paths"], other["target"]) == ("[]", "[]", None)
    assert json.loads(other["metadata"]) == {}


def test_v_generation_names_no_path_of_an_image_that_is_withheld(store_url: str) -> None:
    with open_store(store_url, mode="write") as store:
        with store.write() as conn:
            stored.answer_all(conn, stored.build(conn, 1))
            conn.execute(
                text(
                    "INSERT INTO withholding (uid, author, reason, created_at) "
                    "VALUES ('00000000-0000-0000-0000-000000000001', 'me', 'x', 1)"
                )
            )
            conn.execute(text("UPDATE media SET withheld_id = (SELECT min(id) FROM withholding)"))
        ((images, paths),) = rows(store, "SELECT images, image_paths FROM v_generation")
    assert json.loads(str(images)) == [stored.IMAGE.sha256]
    assert json.loads(str(paths)) == [None]
