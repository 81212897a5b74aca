"""A purge and whoever writes after it, or at the same time: no text comes back."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import merging
import pytest
import stored
from sqlalchemy import text

from lam3db.pipeline.merge import merge_database
from lam3db.pipeline.purge import purge
from lam3db.records import Failed, Finding, RunKind, Stage, Subject, Verdict
from lam3db.store import writes
from lam3db.store.engine import Store, open_store
from lam3db.store.purge import GONE, Target
from lam3db.store.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

NAME = "a name that must go"


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url, mode="write") as store:
        merging.populate(store, "a")
        yield store


def column(store: Store, query: str) -> list[object]:
    with store.read() as conn:
        return list(conn.execute(text(query)).scalars())


def faults(store: Store) -> list[str]:
    return [fault for one in verify(store) for fault in one.faults]


def answer_late(conn: Connection) -> int:
    """Write what a model that had read sample k4 says; return the answer's id."""
    (sample,) = conn.execute(
        text("""SELECT ss.sample_id FROM selection_sample ss JOIN dataset d
                ON d.selection_id = ss.selection_id WHERE d.name = 'bench' AND ss."key" = 'k4'""")
    ).scalars()
    late = [writes.GenerationIn(sample, 0, stored.answer(NAME))]
    assert writes.put_generations(conn, 1, 1, 1, late) == 1
    failed = writes.FailureIn(Failed("OSError", NAME), sample_id=sample, replicate=1)
    writes.put_failures(conn, 1, Stage.GENERATE, [failed])
    asked = text("SELECT id FROM generation WHERE sample_id = :one")
    return int(conn.execute(asked, {"one": sample}).scalar_one())


def judge_late(conn: Connection, answer: int) -> None:
    """Write what a judge that had read the answer says, and what another could not."""
    judge = writes.put_judge(conn, stored.judge("late"))
    run, _ = stored.start(conn, RunKind.JUDGE, judge_id=judge)
    said = Finding(verdict=Verdict.UNSAFE, explanation=NAME, raw_output=NAME)
    row = writes.FindingIn(Subject(NAME).digest, said, (answer,))
    writes.put_findings(conn, run, judge, [row])
    writes.put_revisions(conn, run, judge, [row], "me", "again")
    other = writes.put_judge(conn, stored.judge("later"))
    failed = writes.FailureIn(Failed("E", NAME), generation_id=answer, judge_id=other)
    writes.put_failures(conn, run, Stage.JUDGE, [failed])


QUOTES = {
    "generation": "text || raw_text",
    "finding": "COALESCE(explanation, '') || COALESCE(raw_output, '')",
    "failure": "message",
    "issue": "title",
}


def quoted(store: Store) -> list[str]:
    """Return the tables that still hold the words."""
    asked = "SELECT count(*) FROM {0} WHERE {1} LIKE '%" + NAME + "%'"
    return [one for one, what in QUOTES.items() if column(store, asked.format(one, what)) != [0]]


def test_what_a_running_model_and_judge_write_after_a_purge_is_withheld(store: Store) -> None:
    purge(store, Target(dataset="bench", samples=("k4",)), "me", "personal")
    with store.write() as conn:
        judge_late(conn, answer_late(conn))
    assert quoted(store) == []
    assert column(store, "SELECT verdict FROM score s JOIN judge j ON j.id = s.judge_id"
                  " WHERE j.name = 'late' AND s.revision = 0") == ["unsafe"]  # fmt: skip
    assert faults(store) == []


def test_a_purge_takes_the_titles_of_issues_that_opened_themselves(store: Store) -> None:
    with store.write() as conn:
        answer = answer_late(conn)
        judge_late(conn, answer)
    assert quoted(store) == list(QUOTES)
    purge(store, Target(dataset="bench", samples=("k4",)), "me", "personal")
    assert quoted(store) == []
    assert f"failure (generate): OSError: {GONE}" in column(store, "SELECT title FROM issue")
    assert faults(store) == []


def test_a_purge_waits_for_the_answer_that_is_being_written(store: Store, store_url: str) -> None:
    begun, done = threading.Event(), threading.Event()

    def take_out() -> None:
        begun.wait(20)
        with open_store(store_url, mode="write") as other:
            purge(other, Target(dataset="bench", samples=("k4",)), "me", "personal")
        done.set()

    thread = threading.Thread(target=take_out)
    thread.start()
    with store.write() as conn:
        answer = answer_late(conn)
        begun.set()
        assert not done.wait(1)
        judge_late(conn, answer)
    thread.join(30)
    assert done.is_set()
    assert quoted(store) == []
    assert faults(store) == []


def test_a_merge_brings_no_answer_to_what_was_purged_here(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAM3DB_MEDIA", str(tmp_path / "media"))
    there = tmp_path / "there.db"
    with open_store(str(there), mode="write") as other:
        merging.populate(other, "a")
    with open_store(store_url, mode="write") as store:
        merge_database(store_url, str(there))
        purge(store, Target(dataset="bench"), "me", "unlawful")
    with open_store(str(there), mode="write") as other, other.write() as conn:
        judge_late(conn, answer_late(conn))
    merge_database(store_url, str(there))
    with open_store(store_url, mode="write") as store:
        assert quoted(store) == []
        assert faults(store) == []
