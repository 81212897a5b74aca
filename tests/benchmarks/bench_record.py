"""Recording against plain sqlite3 writing the same rows.

    python tests/benchmarks/bench_record.py

One sample is a generation, a finding and a score (a null model and a null judge: only the
tracker's own cost). Both sides write batches of 256 in one transaction each, with the same
PRAGMAs, tables and indices. The plain side is given its digests ready-made; lam3db escapes,
hashes, sorts, asks for ids and counts. PostgreSQL is measured too where there is a server.

On 2026-11-23, two cores: plain sqlite3 55,400 samples/s, lam3db 29,500 (0.53 of it; aim: half);
on PostgreSQL 4,200.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import stored
from postgres import running_server

from lam3db.hashing import text_digest
from lam3db.records import Answer, Finding, FinishReason, RunKind, Subject, Verdict
from lam3db.store import migrate, writes
from lam3db.store.engine import Store, open_store

BATCH = 256
WORDS = "Sure, here is what you asked for, told as a story about number"
VERDICTS = (Verdict.SAFE, Verdict.UNSAFE)


def prepare(store: Store, count: int) -> tuple[stored.World, list[int], int, int]:
    """Write what the answers stand on."""
    with store.write() as conn:
        world = stored.build(conn, count)
        judge = writes.put_judge(conn, stored.judge())
        run, _ = stored.start(conn, RunKind.JUDGE, judge_id=judge)
        return world, stored.sample_ids(conn, world.selection), judge, run


def ours(store: Store, count: int) -> float:
    """Return samples per second through the store, digests included."""
    world, samples, judge, judge_run = prepare(store, count)
    answers = [
        Answer(f" {WORDS} {at}", f"{WORDS} {at}", FinishReason.STOP, 600, 12, 8.5, 16)
        for at in range(count)
    ]
    findings = [Finding(value=at / count, verdict=VERDICTS[at % 2]) for at in range(count)]
    first = 1
    began = time.perf_counter()
    for start in range(0, count, BATCH):
        part = range(start, min(start + BATCH, count))
        with store.write() as conn:
            rows = [writes.GenerationIn(samples[at], 0, answers[at]) for at in part]
            writes.put_generations(conn, world.run, world.model, world.config, rows)
        said = [
            writes.FindingIn(Subject(answers[at].text).digest, findings[at], (first + at,))
            for at in part
        ]
        with store.write() as conn:
            writes.put_findings(conn, judge_run, judge, said)
    return count / (time.perf_counter() - began)


GENERATION = (
    "INSERT INTO generation (model_version_id, config_id, sample_id, replicate, variant, run_id,"
    " raw_text, text, text_digest, finish_reason, prompt_tokens, completion_tokens, latency_ms,"
    " batch_size, created_at) VALUES (?,?,?,0,0,?,?,?,?,'stop',600,12,8.5,16,1)"
)
FINDING = (
    "INSERT INTO finding (id, judge_id, subject_digest, replicate, revision, status, value,"
    " verdict, run_id, created_at) VALUES (?,?,?,0,0,'ok',?,?,?,1)"
)
SCORE = (
    "INSERT INTO score (judge_id, generation_id, finding_id, replicate, revision, status, value,"
    " verdict, run_id, created_at) VALUES (?,?,?,0,0,'ok',?,?,?,1)"
)


def plain(store: Store, count: int, *, together: bool) -> float:
    """Return samples per second of sqlite3 alone, with all rows made beforehand.

    ``together`` writes generation, finding and score in one transaction, which is what a
    tracker cannot do (the judge comes after the model): half as many commits.
    """
    world, samples, judge, run = prepare(store, count)
    texts = [f"{WORDS} {at}" for at in range(count)]
    key = (world.model, world.config)
    generations = [
        (*key, samples[at], world.run, f" {text}", text, text_digest(text))
        for at, text in enumerate(texts)
    ]
    findings = [
        (at + 1, judge, Subject(text).digest, at / count, str(VERDICTS[at % 2]), run)
        for at, text in enumerate(texts)
    ]
    scores = [(judge, one, one, value, verdict, run) for one, _, _, value, verdict, _ in findings]
    conn = sqlite3.connect(store.address.path, isolation_level=None)
    for pragma in ("synchronous = NORMAL", "foreign_keys = 1", "wal_autocheckpoint = 4000"):
        conn.execute(f"PRAGMA {pragma}")
    began = time.perf_counter()
    for start in range(0, count, BATCH):
        part = slice(start, start + BATCH)
        conn.execute("BEGIN IMMEDIATE")
        conn.executemany(GENERATION, generations[part])
        if not together:
            conn.execute("COMMIT")
            conn.execute("BEGIN IMMEDIATE")
        conn.executemany(FINDING, findings[part])
        conn.executemany(SCORE, scores[part])
        conn.execute("COMMIT")
    took = time.perf_counter() - began
    conn.close()
    return count / took


def main() -> None:
    """Measure, alternating, and print the best of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=25_600)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    best = {"plain": 0.0, "together": 0.0, "lam3db": 0.0}
    for _ in range(given.rounds):
        for name in ("plain", "together", "lam3db"):
            with (
                tempfile.TemporaryDirectory() as folder,
                open_store(f"{folder}/lam3.db", mode="write") as store,
            ):
                rate = (
                    ours(store, given.samples)
                    if name == "lam3db"
                    else plain(store, given.samples, together=name == "together")
                )
                best[name] = max(best[name], rate)
    for name, rate in best.items():
        print(f"{name:9} {rate:10,.0f} samples/s")
    print(f"ratio to plain sqlite3, same transactions: {best['lam3db'] / best['plain']:.2f}")
    print(f"ratio to plain sqlite3, half as many:      {best['lam3db'] / best['together']:.2f}")
    if os.environ.get("LAM3DB_NO_POSTGRES") != "1":
        with running_server() as server, contextlib.ExitStack() as stack:
            server.create("bench")
            migrate.upgrade(server.url("bench"))
            store = stack.enter_context(open_store(server.url("bench"), mode="write"))
            print(f"postgresql {ours(store, given.samples):9,.0f} samples/s")


if __name__ == "__main__":
    main()
