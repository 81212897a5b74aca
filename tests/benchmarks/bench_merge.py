"""Merging a database of many scores: into an empty one, and again into the same.

    python tests/benchmarks/bench_merge.py --scores 100000

Each score is an answer, a finding with six attributes and the link between them, under one
judge; everything is verified on the way, as always. The memory is the process's largest.

On 2026-11-25, two cores, other work on them, 100,000 scores in a file of 64 MiB, scores/s:
SQLite 6,460 all new and 7,190 all known, PostgreSQL 1,750 and 3,090; 230 MiB at most.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import stored
from postgres import running_server
from sqlalchemy import text

from lam3db.pipeline.merge import merge_database
from lam3db.records import Behavior, Dataset, Finding, Message, RunKind, Sample, Subject, TextPart
from lam3db.store import migrate, pending, writes
from lam3db.store.engine import open_store

NAMES = ("toxicity", "severe_toxicity", "obscene", "threat", "insult", "identity_attack")
WORDS = "Sure, here is what you asked for, told as a story about number"
REPLICATES = 10
BATCH = 2000


def sample(at: int) -> Sample:
    """Return a sample of text alone."""
    return Sample((Message("user", (TextPart(f"prompt {at}"),)),), Behavior(f"aim {at % 200}"))


def build(path: Path, count: int) -> None:
    """Write a database of ``count`` scores, ten answers to each sample."""
    samples = tuple((f"k{at}", sample(at)) for at in range(count // REPLICATES))
    with open_store(str(path), mode="write") as store:
        with store.write() as conn:
            row = writes.put_dataset(conn, Dataset("many", samples))
            model = writes.put_model_version(conn, stored.model())
            config = writes.put_config(conn, stored.config())
            asked = {"model_version_id": model, "config_id": config}
            run, _ = stored.start(conn, selection_id=row.selection_id, **asked)
            judge = writes.put_judge(conn, stored.judge())
            judging, _ = stored.start(conn, RunKind.JUDGE, judge_id=judge)
            ids = stored.sample_ids(conn, row.selection_id)
        keys = [(one, replicate) for replicate in range(REPLICATES) for one in ids]
        for start in range(0, len(keys), BATCH):
            part = list(enumerate(keys[start : start + BATCH], start))
            with store.write() as conn:
                rows = [
                    writes.GenerationIn(*key, stored.answer(f"{WORDS} {at}")) for at, key in part
                ]
                writes.put_generations(conn, run, model, config, rows)
                said = [
                    writes.FindingIn(Subject(f"{WORDS} {at}").digest, finding(at), (at + 1,))
                    for at, _ in part
                ]
                writes.put_findings(conn, judging, judge, said)
        with store.write() as conn:
            pending.advance_watermark(conn, judge)


def finding(at: int) -> Finding:
    """Return a classifier's finding."""
    return Finding(value=at / 1e6, attributes=dict.fromkeys(NAMES, at / 1000000.0))


def timed(what: str, target: str, source: Path, count: int) -> None:
    """Merge and print how fast that was."""
    began = time.perf_counter()
    report = merge_database(target, str(source))
    took = time.perf_counter() - began
    with open_store(target, mode="read") as store, store.read() as conn:
        if conn.execute(text("SELECT count(*) FROM score")).scalar_one() != count:
            raise SystemExit("scores are missing")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{what}: {took:.1f} s, {count / took:,.0f} scores/s, {report.changes:,} rows new,"
        f" largest memory so far {peak:.0f} MiB"
    )


def main() -> None:
    """Build, then merge into each engine twice."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scores", type=int, default=100_000)
    count = parser.parse_args().scores
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        os.environ["LAM3DB_MEDIA"] = f"{name}/media"
        source = Path(name) / "source.db"
        began = time.perf_counter()
        build(source, count)
        size = source.stat().st_size >> 20
        print(f"source: {count:,} scores, {size} MiB, {time.perf_counter() - began:.1f} s")
        target = f"sqlite:///{name}/target.db"
        timed("SQLite, all new", target, source, count)
        timed("SQLite, all known", target, source, count)
        try:
            server = stack.enter_context(running_server())
        except Exception as error:  # noqa: BLE001 - a machine without PostgreSQL
            print(f"no PostgreSQL: {error}")
            return
        server.create("bench")
        migrate.upgrade(server.url("bench"))
        timed("PostgreSQL, all new", server.url("bench"), source, count)
        timed("PostgreSQL, all known", server.url("bench"), source, count)


if __name__ == "__main__":
    main()
