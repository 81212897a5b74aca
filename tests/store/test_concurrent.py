"""Many processes at once: each fact once, no duplicate, no error, no deadlock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import stored
from sqlalchemy import text

from lam3db.store import pending
from lam3db.store.engine import open_store
from lam3db.store.pending import ScoreScope
from lam3db.store.verify import verify

WRITER = """
import random, sys
sys.path.insert(0, sys.argv[1])
import stored
from lam3db.records import RunKind
from lam3db.store import pending, writes
from lam3db.store.engine import open_store
from lam3db.store.pending import ScoreScope
rng = random.Random(sys.argv[3])
with open_store(sys.argv[2], mode="write") as store:
    with store.write() as conn:
        world = stored.build(conn, 40, 2)
        ids = stored.sample_ids(conn, world.selection)
        judge = writes.put_judge(conn, stored.judge())
    new = 0
    for replicate in (0, 1):
        rng.shuffle(ids)
        for start in range(0, 40, 8):
            rows = [
                writes.GenerationIn(one, replicate, stored.answer(f"{one % 5} {replicate}"))
                for one in ids[start:start + 8]
            ]
            with store.write() as conn:
                new += writes.put_generations(conn, world.run, world.model, world.config, rows)
    with store.read() as conn:
        todo = pending.pending_scores(conn, judge, ScoreScope())
        said = {one: text for one, text in conn.exec_driver_sql("SELECT id, text FROM generation")}
    rng.shuffle(todo)
    with store.write() as conn:
        run, _ = stored.start(conn, RunKind.JUDGE, judge_id=judge)
    for start in range(0, len(todo), 16):
        groups = {}
        for one in todo[start:start + 16]:
            groups.setdefault(stored.subject(said[one.generation_id]), []).append(one.generation_id)
        rows = [writes.FindingIn(s, stored.unsafe(), tuple(g)) for s, g in groups.items()]
        with store.write() as conn:
            writes.put_findings(conn, run, judge, rows)
    with store.write() as conn:
        pending.advance_watermark(conn, judge)
    print(new)
"""


@pytest.mark.parametrize("fresh", [True, False])
def test_eight_writers_share_the_work(store_url: str, fresh: bool) -> None:
    """Fresh: all eight meet a SQLite file that is not there yet, and one of them makes it."""
    if not fresh:
        open_store(store_url, mode="write").close()
    command = [sys.executable, "-c", WRITER, str(Path(__file__).parents[1]), store_url]
    running = [
        subprocess.Popen(
            [*command, str(at)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for at in range(8)
    ]
    ended = [process.communicate(timeout=300) for process in running]
    assert [process.returncode for process in running] == [0] * 8, [err for _, err in ended]
    assert sum(int(out) for out, _ in ended) == 80, "each answer was new for exactly one writer"
    with open_store(store_url, mode="read") as store:
        with store.read() as conn:
            assert stored.count(conn, "sample") == 40
            assert stored.count(conn, "dataset") == stored.count(conn, "model_version") == 1
            assert stored.count(conn, "generation") == stored.count(conn, "score") == 80
            assert stored.count(conn, "finding") == 10
            assert stored.count(conn, "finding_attribute") == 20
            assert pending.pending_scores(conn, 1, ScoreScope()) == []
            assert conn.execute(text("SELECT generation_id FROM judge_progress")).scalar_one() > 0
        found = [fault for one in verify(store) if one.what != "image" for fault in one.faults]
        assert found == []
