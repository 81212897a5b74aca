"""A run whose process is gone is marked by the next one that writes; one that lives never is."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import stored
from sqlalchemy import select, text, update

from lam3db.records import RunKind, RunStatus
from lam3db.store import lost_runs, writes
from lam3db.store import tables as t
from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNNER = """
import sys
sys.path.insert(0, sys.argv[1])
import stored
from lam3db.records import RunKind
from lam3db.store import writes
from lam3db.store.engine import open_store
with open_store(sys.argv[2], mode="write") as store:
    with store.write() as conn:
        judge = writes.put_judge(conn, stored.judge())
        _, uid = stored.start(conn, RunKind.JUDGE, judge_id=judge)
print(uid, flush=True)
sys.stdin.read()
"""
MINUTE = 60 * 1_000_000
DAY = 24 * 60 * MINUTE


@pytest.fixture
def runner(store_url: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that has begun a run and goes on."""
    open_store(store_url, mode="write").close()
    tests = str(__file__).rpartition("/store/")[0]
    command = [sys.executable, "-c", RUNNER, tests, store_url]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdout is not None
        process.uid = process.stdout.readline().strip()  # type: ignore[attr-defined]
        yield process
        process.kill()


def row(url: str) -> Any:
    """Return the one run, as a reader sees it."""
    with open_store(url, mode="read") as store, store.read() as conn:
        return conn.execute(select(t.run)).one()


def change(url: str, silent: int, process: dict[str, Any] | None) -> None:
    """Let the run be silent for so long, as the run of this process (None: not known)."""
    options = "{}" if process is None else json.dumps({"process": process})
    beat = lost_runs.now() - silent
    with open_store(url, mode="write") as store, store.write() as conn:
        values = {"heartbeat_at": beat, "started_at": beat, "options": options}
        conn.execute(update(t.run).values(values))


def opened(url: str) -> Any:
    """Open to write, as any command does that writes; return the run."""
    open_store(url, mode="write").close()
    return row(url)


def test_a_run_whose_process_is_gone_is_marked_and_told(
    store_url: str, runner: subprocess.Popen[str], caplog: pytest.LogCaptureFixture
) -> None:
    process = json.loads(row(store_url).options)["process"]
    assert process["pid"] == runner.pid
    runner.kill()
    runner.wait()
    assert opened(store_url).status == "running"  # silent for a second: it may be on its way out
    change(store_url, 3 * MINUTE, process)
    assert row(store_url).status == "running"  # a reader writes nothing
    with caplog.at_level(logging.WARNING, "lam3db"):
        marked = opened(store_url)
    assert marked.status == "interrupted"
    assert marked.finished_at == marked.heartbeat_at
    (told,) = caplog.messages
    assert told.startswith(f"run {runner.uid[:8]} (judge, on ")  # type: ignore[attr-defined]
    assert "its process is gone" in told
    caplog.clear()
    assert opened(store_url) == marked
    assert not caplog.messages


def test_a_run_that_lives_is_left_alone(store_url: str, runner: subprocess.Popen[str]) -> None:
    process = json.loads(row(store_url).options)["process"]
    for silent in (3 * MINUTE, 3 * DAY):
        change(store_url, silent, process)
        assert opened(store_url).status == "running"
    change(store_url, 3 * MINUTE, {**process, "start": "1"})  # its number is another's now
    assert opened(store_url).status == "interrupted"
    assert runner.poll() is None


@pytest.mark.parametrize("what", ["host", "container", "unknown", "odd"])
def test_what_cannot_be_looked_for_is_given_a_day(store_url: str, what: str) -> None:
    process: dict[str, Any] | None = {"pid": 2**22 + 1, "start": "5", **lost_runs._here()}
    assert process is not None
    if what in ("host", "container"):
        process |= {"boot": "other"} if what == "host" else {"space": "pid:[1]"}
    else:
        process = None if what == "unknown" else {"pid": "7"}
    with open_store(store_url, mode="write") as store, store.write() as conn:
        judge = writes.put_judge(conn, stored.judge())
        run, _ = stored.start(conn, RunKind.JUDGE, judge_id=judge)
    change(store_url, 23 * 60 * MINUTE, process)
    assert opened(store_url).status == "running"
    change(store_url, 25 * 60 * MINUTE, process)
    assert opened(store_url).status == "interrupted"
    with open_store(store_url, mode="write") as store, store.write() as conn:  # it lived after all
        writes.finish_run(conn, run, RunStatus.FINISHED, writes.RunCounts(1, 1, 0, 0))
    assert row(store_url).status == "finished"


def test_a_busy_database_is_left_to_the_next(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lam3db.store import sqlite

    with open_store(sqlite_url, mode="write") as store, store.write() as conn:
        stored.start(conn, RunKind.JUDGE, judge_id=writes.put_judge(conn, stored.judge()))
    change(sqlite_url, 2 * DAY, None)
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.1)
    with open_store(sqlite_url, mode="read") as reader:
        assert reader.mode == "read"
    with open_store(sqlite_url, mode="write") as store, store.write() as conn:
        conn.execute(text("UPDATE run SET status = 'running', finished_at = NULL"))
        open_store(sqlite_url, mode="write").close()
    assert opened(sqlite_url).status == "interrupted"
