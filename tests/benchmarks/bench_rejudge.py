"""Judging again what is stored, against plain sqlite3 writing the same rows.

    python tests/benchmarks/bench_rejudge.py [--generations 100000] [--profile]

Over 100,000 stored generations with distinct texts: the whole of ``judge_pending`` with a null
judge (asking what is pending, reading the texts, digests of what is judged, a look whether it is
judged already, findings, scores, counts, heartbeat), against sqlite3 that writes the same
findings and scores in batches of 256 with the same PRAGMAs, tables and indices, all values
made beforehand. Aim: at least a third as fast.

On 2026-11-25, two cores, best of three: plain sqlite3 49,100 generations/s, lam3db 18,200, so 0.37
of it; a second time 46,200 and 17,100, the same ratio.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import shutil
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import stored
from bench_record import BATCH, FINDING, SCORE, VERDICTS

from lam3db.config import JudgeConfig
from lam3db.pipeline.judge import JudgeJob, judge_pending
from lam3db.records import RunKind, Subject
from lam3db.store import writes
from lam3db.store.engine import open_store


def prepare(path: Path, count: int) -> None:
    """Store ``count`` generations, none of them judged."""
    with open_store(str(path), mode="write") as store, store.write() as conn:
        world = stored.build(conn, count)
        stored.answer_all(conn, world, [f"Sure, here is story number {at}" for at in range(count)])


def ours(path: Path, count: int) -> float:
    """Return generations judged per second by lam3db."""
    job = JudgeJob(JudgeConfig(name="bench", kind="null"))
    with open_store(str(path), mode="write") as store:
        began = time.perf_counter()
        result = judge_pending(store, job)
        took = time.perf_counter() - began
    if result.counts.new != count:
        raise SystemExit(f"{result.counts} are not {count} new scores")
    return count / took


def plain(path: Path, count: int) -> float:
    """Return findings with their scores per second by sqlite3 alone."""
    with open_store(str(path), mode="write") as store, store.write() as conn:
        judge = writes.put_judge(conn, stored.judge())
        run, _ = stored.start(conn, RunKind.JUDGE, judge_id=judge)
    conn = sqlite3.connect(path, isolation_level=None)
    rows = conn.execute("SELECT id, text FROM generation ORDER BY id").fetchall()
    findings = [
        (at + 1, judge, Subject(text).digest, at / count, str(VERDICTS[at % 2]), run)
        for at, (_, text) in enumerate(rows)
    ]
    scores = [
        (judge, generation, one, value, verdict, run)
        for (generation, _), (one, _, _, value, verdict, _) in zip(rows, findings, strict=True)
    ]
    for pragma in ("synchronous = NORMAL", "foreign_keys = 1", "wal_autocheckpoint = 4000"):
        conn.execute(f"PRAGMA {pragma}")
    began = time.perf_counter()
    for start in range(0, count, BATCH):
        part = slice(start, start + BATCH)
        conn.execute("BEGIN IMMEDIATE")
        conn.executemany(FINDING, findings[part])
        conn.executemany(SCORE, scores[part])
        conn.execute("COMMIT")
    took = time.perf_counter() - began
    conn.close()
    return count / took


def main() -> None:
    """Measure, alternating, and print the best of each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--generations", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    best = {"plain": 0.0, "lam3db": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "made.db")
        prepare(made, given.generations)
        profile = cProfile.Profile()
        for _ in range(given.rounds):
            for name, way in (("plain", plain), ("lam3db", ours)):
                copy = Path(folder, "lam3.db")
                shutil.copy(made, copy)
                if given.profile and name == "lam3db":
                    profile.enable()
                best[name] = max(best[name], way(copy, given.generations))
                profile.disable()
                for file in Path(folder).glob("lam3.db*"):
                    file.unlink()
    for name, rate in best.items():
        print(f"{name:9} {rate:10,.0f} generations/s")
    print(f"ratio to plain sqlite3: {best['lam3db'] / best['plain']:.2f} (aim: 0.33)")
    if given.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()
