"""Merging: each fact once, whichever way and however often; nothing overwritten or brought back."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import merging
import pytest
import stored
from sqlalchemy import text

from lam3db.pipeline.log_import import import_page
from lam3db.pipeline.log_page import read_page
from lam3db.pipeline.merge import merge_database
from lam3db.records import Dataset, JudgeIdentity, JudgeKind, RunKind, RunStatus, Sees, Subject
from lam3db.store import pending, writes
from lam3db.store.engine import open_store
from lam3db.store.merge import MERGED, NOT_MERGED, merge
from lam3db.store.pending import ScoreScope
from lam3db.store.source import open_source
from lam3db.store.tables import metadata

if TYPE_CHECKING:
    from pathlib import Path


def test_every_table_has_its_place() -> None:
    assert set(metadata.tables) == MERGED | NOT_MERGED


def test_an_empty_database_takes_over_everything(sides: tuple[str, str], target: str) -> None:
    report = merge_database(target, sides[0])
    assert merging.numbered(target) == merging.numbered(sides[0])
    assert merging.faults(target) == []
    assert not report.counts.keys() - {"judge"}
    assert sum(report.known.values()) == 0


def test_again_changes_nothing(sides: tuple[str, str], target: str) -> None:
    for side in sides:
        merge_database(target, side)
    once = merging.numbered(target)
    for side in (*sides, sides[0]):
        assert merge_database(target, side).changes == 0
    assert merging.numbered(target) == once


def test_both_ways_give_the_same_facts(
    sides: tuple[str, str], target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for side in sides:
        merge_database(target, side)
    monkeypatch.delenv("LAM3DB_MEDIA")
    ab = merging.copy(sides[0], tmp_path / "ab.db")
    merge_database(ab, sides[1])
    ba = merging.copy(sides[1], tmp_path / "ba.db")
    merge_database(ba, sides[0])
    assert merging.facts(ab) == merging.facts(target)
    assert merging.numbered(ab) == merging.numbered(target), "engines give the same numbers"
    one, other = merging.facts(ab), merging.facts(ba)
    backfilled = one.pop("score"), other.pop("score")
    assert one == other
    assert {row[:12] for row in backfilled[0]} == {row[:12] for row in backfilled[1]}
    assert merging.faults(ab) == merging.faults(ba) == []


def test_merged_into_each_other_they_agree(sides: tuple[str, str], tmp_path: Path) -> None:
    ab = merging.copy(sides[0], tmp_path / "ab.db")
    merge_database(ab, sides[1])
    merge_database(sides[1], ab)
    assert merging.facts(sides[1]) == merging.facts(ab)
    assert merge_database(ab, sides[1]).changes == 0


def test_what_is_stored_stays_in_front(sides: tuple[str, str], tmp_path: Path) -> None:
    ab = merging.copy(sides[0], tmp_path / "ab.db")
    before = merging.numbered(ab)
    report = merge_database(ab, sides[1])
    after = merging.numbered(ab)
    for name in ("generation numbers", "dataset numbers", "issue numbers", "run", "behavior"):
        assert set(before[name]) <= set(after[name]), name
    assert report.counts["variant"] == 1
    assert "tiny [" in report.notes["variant"][0]
    assert "on k2, replicate 0: another text, kept as variant 1" in report.notes["variant"][0]
    assert report.counts["opinion"] == 1
    assert report.counts["dataset"] == 1
    assert report.notes["dataset"] == ["clash@1 is another selection there: it is clash@2 here"]
    assert report.notes["issue"] == ["R1 is another issue here: the one from there is R1-2"]
    assert report.notes["review"] == ["round is another review here: the one from there is round-2"]
    assert ">= 0.7 stays in force here, >= 0.3 is there" in report.notes["policy"][0]
    with open_store(ab, mode="read") as store, store.read() as conn:
        thresholds = conn.execute(
            text(
                "SELECT threshold, author FROM judge_policy p JOIN judge j ON j.id = p.judge_id"
                " WHERE j.name = 'tone' ORDER BY p.version"
            )
        ).all()
        assert [tuple(row) for row in thresholds] == [
            (0.5, "me a"), (0.7, "me a"), (0.3, "me b"), (0.7, "lam3db merge"),
        ]  # fmt: skip


def test_a_variant_has_its_own_scores_and_reports_read_the_first(
    sides: tuple[str, str], tmp_path: Path
) -> None:
    ab = merging.copy(sides[0], tmp_path / "ab.db")
    merge_database(ab, sides[1])
    with open_store(ab, mode="read") as store, store.read() as conn:
        rows = conn.execute(
            text(
                "SELECT g.variant, g.text, count(x.id) AS n FROM generation g"
                " LEFT JOIN score x ON x.generation_id = g.id AND x.replicate = 0"
                " WHERE g.text LIKE 'different%' GROUP BY g.id, g.variant, g.text ORDER BY 1"
            )
        ).all()
        assert [tuple(row) for row in rows] == [(0, "different a", 3), (1, "different b", 3)]
        shown = conn.execute(text("SELECT text FROM v_generation WHERE text LIKE 'different%'"))
        assert shown.scalars().all() == ["different a"]


def test_revisions_of_both_are_one_history_in_time(sides: tuple[str, str], tmp_path: Path) -> None:
    ab = merging.copy(sides[0], tmp_path / "ab.db")
    report = merge_database(ab, sides[1])
    ba = merging.copy(sides[1], tmp_path / "ba.db")
    back = merge_database(ba, sides[0])
    asked = """SELECT x.revision, x.verdict, x.author, f.revision, f.explanation, g.id
                 FROM score x JOIN finding f ON f.id = x.finding_id
                 JOIN generation g ON g.id = x.generation_id JOIN judge j ON j.id = x.judge_id
                WHERE j.name = 'tone' AND g.text LIKE 'alike%' ORDER BY x.revision"""
    for url in (ab, ba):
        with open_store(url, mode="read") as store, store.read() as conn:
            rows = [tuple(row)[:5] for row in conn.execute(text(asked))]
        assert rows == [
            (0, None, None, 0, None),
            (1, "safe", "reader a", 1, "a0"),
            (2, "refused", "reader b", 2, "b1"),
            (3, "unsafe", "reader a", 3, "a2"),
        ]
    assert report.counts["revision"] == 0, "the last word was here already"
    assert back.counts["revision"] == 1


def test_another_opinion_leaves_the_number_as_it_was(
    sides: tuple[str, str], tmp_path: Path
) -> None:
    ab = merging.copy(sides[0], tmp_path / "ab.db")
    merge_database(ab, sides[1])
    with open_store(ab, mode="read") as store, store.read() as conn:
        rows = conn.execute(
            text(
                "SELECT DISTINCT x.replicate, x.value FROM score x JOIN judge j"
                " ON j.id = x.judge_id JOIN generation g ON g.id = x.generation_id"
                " WHERE j.name = 'tone' AND g.text = 'same' ORDER BY 1"
            )
        ).all()
        assert [tuple(row) for row in rows] == [(0, 0.75), (1, 0.1)]


def test_an_answer_scored_there_is_not_pending_here(sides: tuple[str, str], tmp_path: Path) -> None:
    """Its subject has another opinion here, which replicate 0 is made of."""
    with open_store(sides[1], mode="write") as store, store.write() as conn:
        more = writes.put_config(conn, stored.config(7))
        one = conn.execute(text("SELECT sample_id, model_version_id FROM generation")).first()
        run = conn.execute(text("SELECT min(id) FROM run")).scalar_one()
        same = [writes.GenerationIn(one.sample_id, 0, stored.answer("same"))]
        writes.put_generations(conn, run, one.model_version_id, more, same)
        tone = conn.execute(text("SELECT id FROM judge WHERE name = 'tone'")).scalar_one()
        new = conn.execute(text("SELECT max(id) FROM generation")).scalar_one()
        writes.link_findings(conn, run, tone, [(stored.subject("same"), new)])
    ab = merging.copy(sides[0], tmp_path / "ab.db")
    merge_database(ab, sides[1])
    with open_store(ab, mode="read") as store, store.read() as conn:
        tone = conn.execute(text("SELECT id FROM judge WHERE name = 'tone'")).scalar_one()
        assert pending.pending_scores(conn, tone, ScoreScope()) == []
        values = conn.execute(
            text(
                "SELECT replicate, value FROM score WHERE generation_id ="
                " (SELECT max(generation_id) FROM score WHERE replicate = 1) ORDER BY 1"
            )
        ).all()
        assert [tuple(row) for row in values] == [(0, 0.75), (1, 0.1)]
    assert merging.faults(ab) == []


def test_nothing_pending_is_hidden(sides: tuple[str, str], target: str) -> None:
    """Answers that come in after a judge's watermark are found by it."""
    with open_store(target, mode="write") as store:
        merging.populate(store, "a")
    merge_database(target, sides[1])
    with open_store(target, mode="read") as store, store.read() as conn:
        own = conn.execute(text("SELECT id FROM judge WHERE name = 'own-a'")).scalar_one()
        left = pending.pending_scores(conn, own, ScoreScope(), retry=True)
        texts = conn.execute(
            text("SELECT id, text FROM generation WHERE text LIKE '%b' ORDER BY id")
        ).all()
        assert {one for one, _ in texts} <= {row.generation_id for row in left}
    assert merging.faults(target) == []


def test_an_answer_drawn_for_the_other_part_here_is_left_out(
    sides: tuple[str, str], target: str
) -> None:
    """What numbers are estimated from is never what a judge was fitted on, merged or not."""
    with open_store(sides[1], mode="write") as store, store.write() as conn:
        conn.execute(text("DELETE FROM review_item"))
        conn.execute(text("DELETE FROM review_part"))
        conn.execute(text("DELETE FROM review"))
        merging.review(conn, "b", same="training")
    merge_database(target, sides[0])
    report = merge_database(target, sides[1])
    assert "1 answers of round-2 belong to the other part here: left out" in report.notes["review"]
    with open_store(target, mode="read") as store, store.read() as conn:
        asked = """SELECT r.name, g.text, i.part FROM review_item i JOIN review r
                       ON r.id = i.review_id JOIN generation g ON g.id = i.generation_id"""
        assert sorted(map(tuple, conn.execute(text(asked)))) == [
            ("round", "only a", "training"),
            ("round", "same", "estimation"),
            ("round-2", "only b", "training"),
        ]
    assert merge_database(target, sides[1]).changes == 0


def test_a_run_that_has_moved_on_moves_on(tmp_path: Path) -> None:
    one = merging.make(tmp_path / "a.db", "a")
    with open_store(one, mode="write") as store, store.write() as conn:
        run, uid = stored.start(conn, model_version_id=1, config_id=1, selection_id=1, replicates=1)
        writes.beat(conn, run, writes.RunCounts(6, 1, 0, 0))
    other = merging.copy(one, tmp_path / "copy.db")
    with open_store(one, mode="write") as store, store.write() as conn:
        writes.finish_run(conn, run, RunStatus.FINISHED, writes.RunCounts(6, 6, 0, 0))
    ended = merging.copy(one, tmp_path / "ended.db")
    assert merge_database(one, other).changes == 0, "what has ended never starts again"
    report = merge_database(other, one)
    assert report.notes["run"] == [f"run {uid[:8]} is further there: finished"]
    assert merging.facts(other) == merging.facts(one) == merging.facts(ended)


def test_a_judge_at_work_meanwhile_is_waited_for(sides: tuple[str, str], target: str) -> None:
    """What it says of a subject just before the merge is another opinion, not overwritten."""
    with open_store(target, mode="write") as store, ThreadPoolExecutor() as pool:
        with store.write() as conn:
            world = stored.build(conn)
            judge = writes.put_judge(conn, stored.judge("tone"))
        with store.write() as conn:
            said = writes.FindingIn(stored.subject("same"), stored.unsafe(0.5), ())
            writes.put_findings(conn, world.run, judge, [said])
            merging_now = pool.submit(merge_database, target, sides[0])
            time.sleep(1.5)
            assert not merging_now.done()
        report = merging_now.result(timeout=60)
        assert report.counts["opinion"] == 1
        with store.read() as conn:
            asked = """SELECT f.replicate, f.value, count(a.attribute) FROM finding f
                         JOIN finding_attribute a ON a.finding_id = f.id
                        WHERE f.subject_digest = :subject GROUP BY f.id, f.replicate, f.value
                        ORDER BY 1"""
            rows = conn.execute(text(asked), {"subject": stored.subject("same")}).all()
            assert [tuple(row) for row in rows if row[1] != 0.25] == [(0, 0.5, 2), (1, 0.75, 2)]


def test_a_dry_run_tells_and_writes_nothing(
    sides: tuple[str, str], target: str, tmp_path: Path
) -> None:
    told = merge_database(target, sides[0], dry_run=True)
    assert all(rows == [] for rows in merging.facts(target).values())
    assert not (tmp_path / "target-media").exists()
    done = merge_database(target, sides[0])
    assert told.to_json() == done.to_json()
    assert merge_database(target, sides[0], dry_run=True).changes == 0


def test_postgresql_is_merged_into_a_file(
    sides: tuple[str, str], postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAM3DB_MEDIA", str(tmp_path / "shared"))
    for side in sides:
        merge_database(postgres_url, side, media=side.removeprefix("sqlite:///")[:-3] + "_media")
    back = f"sqlite:///{tmp_path / 'back.db'}"
    merge_database(back, postgres_url)
    assert merging.numbered(back) == merging.numbered(postgres_url)
    assert merge_database(postgres_url, back).changes == 0
    assert merging.faults(back) == []


def ensemble(path: Path, links: int) -> str:
    """Make a database in which an ensemble's members changed their minds, and back again."""
    url = f"sqlite:///{path}"
    with open_store(url, mode="write") as store, store.write() as conn:
        world = stored.build(conn, 1)
        (one,) = stored.answer_all(conn, world, ["same"])
        sees = (Sees.FINDINGS,)
        judge = writes.put_judge(conn, JudgeIdentity("all", JudgeKind.ENSEMBLE, "1", {}, sees))
        for number, name in enumerate(("first", "then")):
            row = writes.FindingIn(stored.subject(name), stored.unsafe(number / 2), ())
            writes.put_findings(conn, world.run, judge, [row])
        for at, finding in enumerate((1, 2, 1)[:links]):
            signed = {"author": "lam3db", "reason": "a member says something else"} if at else {}
            conn.execute(
                metadata.tables["score"].insert(),
                {
                    "judge_id": judge,
                    "generation_id": one,
                    "finding_id": finding,
                    "replicate": 0,
                    "revision": at,
                    "status": "ok",
                    "verdict": "unsafe",
                    "value": (finding - 1) / 2,
                    "run_id": world.run,
                    "created_at": at,
                    **signed,
                },
            )
    return url


@pytest.mark.parametrize("here", [1, 2, 3])
def test_an_ensemble_that_came_back_to_its_first_word_has_said_it_twice(
    tmp_path: Path, here: int
) -> None:
    target, source = ensemble(tmp_path / "a.db", here), ensemble(tmp_path / "b.db", 3)
    for again in (False, True):
        with (
            open_source(source) as opened,
            open_store(target, mode="write") as store,
            store.write() as conn,
        ):
            report = merge(conn, opened)
        assert report.new["score"] == (0 if again else 3 - here)
        with open_store(target, mode="read") as store, store.read() as conn:
            asked = "SELECT revision, value, author FROM score ORDER BY revision"
            rows = [tuple(row) for row in conn.execute(text(asked))]
        assert rows == [(0, 0.0, None), (1, 0.5, "lam3db"), (2, 0.0, "lam3db")]


def test_one_page_read_in_two_databases_is_one_after_a_merge(tmp_path: Path, target: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# 2026-01-02 log\n\n## 1. Plan\n\n* rest\n* rest\n\n## 2. Issues\n\n"
        "| ID | Description | Severity | Status | Note |\n|---|---|---|---|---|\n"
        "| X-1 | broken | high | new | soon |\n",
        encoding="utf-8",
    )
    for name in ("one.db", "two.db"):
        with open_store(str(tmp_path / name), mode="write") as store:
            import_page(store, read_page(page), "ana")
    merge_database(target, str(tmp_path / "one.db"))
    report = merge_database(target, str(tmp_path / "two.db"))
    assert report.changes == 0
    with open_store(target, mode="read") as store, store.read() as conn:
        counts = [
            conn.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            for table in ("issue", "issue_event", "log_entry")
        ]
    assert counts == [1, 4, 2]


def test_the_same_text_after_other_thoughts_is_another_variant(tmp_path: Path, target: str) -> None:
    """A judge that sees the reasoning of one would seem to have judged the other's."""
    said: list[str] = []
    for at, thoughts in enumerate(("first", "second", None)):
        said.append(str(tmp_path / f"{at}.db"))
        with open_store(said[-1], mode="write") as store, store.write() as conn:
            rows = (("k", stored.sample(0, image=False)),)
            selection = writes.put_dataset(conn, Dataset("bench", rows)).selection_id
            model = writes.put_model_version(conn, stored.model())
            config = writes.put_config(conn, stored.config())
            asked = {"model_version_id": model, "config_id": config, "selection_id": selection}
            run, _ = stored.start(conn, **asked)
            answer = replace(stored.answer("same"), reasoning=thoughts)
            row = writes.GenerationIn(stored.sample_ids(conn, selection)[0], 0, answer)
            writes.put_generations(conn, run, model, config, [row])
            judge = writes.put_judge(conn, stored.judge(sees=(Sees.RESPONSE, Sees.REASONING)))
            run, _ = stored.start(conn, RunKind.JUDGE, judge_id=judge)
            subject = Subject("same", reasoning=thoughts).digest
            generations = tuple(conn.execute(text("SELECT id FROM generation")).scalars())
            writes.put_findings(
                conn, run, judge, [writes.FindingIn(subject, stored.unsafe(0.5), generations)]
            )
    for one in (*said, *said):
        merge_database(target, one)
    with open_store(target, mode="read") as store, store.read() as conn:
        asked = "SELECT variant, text, reasoning FROM generation ORDER BY variant"
        assert [tuple(row) for row in conn.execute(text(asked))] == [
            (0, "same", "first"), (1, "same", "second"), (2, "same", None),
        ]  # fmt: skip
    assert merging.faults(target) == []
