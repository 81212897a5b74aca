"""Processes on one database share the work: no error, no duplicate, every fact once."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select

sys.path.insert(0, str(Path(__file__).parent))
from jobs import job, judging, put, sample

from lam3db.pipeline.generate import generate
from lam3db.pipeline.judge import judge_pending
from lam3db.pipeline.watch import Silence
from lam3db.store import tables as t
from lam3db.store.engine import open_store
from lam3db.store.writes import RunCounts

PROCESSES, SAMPLES = 4, 300


@pytest.mark.timeout(300)
def test_four_processes_generate_and_judge_together(store_url: str, tmp_path: Path) -> None:
    with open_store(store_url, mode="write") as store:
        put(store, [sample(number) for number in range(SAMPLES)])
    (tmp_path / "slow.yaml").write_text("name: slow\nkind: 'null'\nsource: 'null?delay_ms=30'\n")
    (tmp_path / "judge.yaml").write_text("name: j\nkind: 'null'\nsettings: {delay_ms: 100}\n")
    words = ["generate", "-m", "slow.yaml", "-d", "many", "--batch-size", "10"]
    printed = together([*words, "--db", store_url], tmp_path)
    made = [int(re.findall(r"(\d+) new", text)[0]) for text in printed]
    assert sum(made) == SAMPLES, "an answer was counted as new by two processes, or by none"
    together(["judge", "--pending", "-j", "judge.yaml", "--db", store_url], tmp_path)
    with open_store(store_url, mode="read") as store, store.read() as conn:
        for table in (t.generation, t.score, t.finding):
            assert conn.execute(select(func.count()).select_from(table)).scalar_one() == SAMPLES
        statuses = conn.execute(select(t.run.c.status).distinct()).scalars().all()
        assert statuses == ["finished"]
        judged = select(func.sum(t.run.c.new_count)).where(t.run.c.kind == "judge")
        assert conn.execute(judged).scalar_one() == SAMPLES, "a score was counted as new twice"


class Meanwhile(Silence):
    """Lets another process's worth of work happen once it is known what is to be judged."""

    def __init__(self, url: str) -> None:
        self.url = url

    def begin(self, title: str, total: int, done: int, failed: int, unit: str = "new") -> None:
        super().begin(title, total, done, failed, unit)
        with open_store(self.url, mode="write") as other:
            assert judge_pending(other, judging()).counts.new == total


def test_what_another_process_has_scored_meanwhile_is_left_to_it(store_url: str) -> None:
    with open_store(store_url, mode="write") as store:
        put(store, [sample(number) for number in range(20)])
        generate(store, job())
        late = judge_pending(store, judging(), Meanwhile(store_url))
        assert late.counts == RunCounts(planned=20, new=0, cached=20, failed=0)
        with store.read() as conn:
            rows = conn.execute(select(t.run.c.new_count, t.run.c.cached_count)).all()
            scores = conn.execute(select(func.count()).select_from(t.score)).scalar_one()
    assert scores == 20
    assert sorted(map(tuple, rows)) == [(0, 20), (20, 0), (20, 0)]


def together(words: list[str], folder: Path) -> list[str]:
    """Start the same command several times at once; return what each printed."""
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "lam3db", *words],
            cwd=folder,
            env=dict(os.environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    printed = []
    for process in running:
        out, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors
        printed.append(out)
    return printed


def test_a_reader_is_not_disturbed_by_a_writer(sqlite_url: str) -> None:
    with open_store(sqlite_url, mode="write") as store:
        put(store, [sample(number) for number in range(5)])
        with open_store(sqlite_url, mode="read") as reader, store.write() as conn:
            conn.execute(t.log_entry.insert().values(_entry()))
            with reader.read() as looking:
                seen = looking.execute(select(func.count()).select_from(t.log_entry))
                assert seen.scalar_one() == 0


def _entry() -> dict[str, object]:
    return {
        "uid": "0" * 36,
        "day": "2026-11-23",
        "text": json.dumps("x"),
        "section": "progress",
        "heading": "",
        "position": 0,
        "author": "a",
        "created_at": 0,
    }
