"""Asking what is pending.

    python tests/benchmarks/bench_pending.py [--postgresql]

Over 1,000,000 stored generations of 100,000 samples, all of them scored: the time of
`pending_scores` when nothing is pending (aim: under 0.2 s), with 1,000 new ones, without the
watermark; and of `pending_samples` over the 100,000 (aim: 20,000 look-ups per second).

On 2026-11-23, two cores, SQLite: nothing pending 0.2 ms; 1,000 pending 9 ms, without the
watermark 538 ms; `pending_samples` over 1,000,000 answered keys 69 ms, 1.1 M look-ups/s.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import stored
from postgres import running_server
from sqlalchemy import text

from lam3db.store import migrate, pending, writes
from lam3db.store.engine import Store, open_store
from lam3db.store.pending import ScoreScope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

NUMBERS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {count})"
SAMPLES = """INSERT INTO sample (digest, input_digest, behavior_id, messages, prompt, attack,
    attack_parameters, metadata, created_at) {numbers} SELECT {digest}, {digest}, 1,
    '[]', 'a prompt of some words', 'none', '{{}}', '{{}}', 1 FROM n"""
MEMBERS = """INSERT INTO selection_sample (selection_id, sample_id, "key", position)
    SELECT :selection, id, 'k' || id, id FROM sample WHERE id > 1"""
GENERATIONS = """INSERT INTO generation (model_version_id, config_id, sample_id, replicate,
    variant, run_id, raw_text, text, text_digest, finish_reason, prompt_tokens,
    completion_tokens, latency_ms, batch_size, created_at)
    SELECT :model, :config, s.id, :replicate, 0, :run, 'an answer', 'an answer', s.digest,
    'stop', 600, 12, 8.5, 16, 1 FROM sample s WHERE s.id > 1"""
SCORES = """INSERT INTO score (judge_id, generation_id, finding_id, replicate, revision, status,
    value, run_id, created_at) SELECT :judge, id, 1, 0, 0, 'ok', 0.5, :run, 1 FROM generation"""


def fill(store: Store, count: int, replicates: int) -> tuple[stored.World, int]:
    """Write everything by INSERT ... SELECT; return the world and its judge."""
    digest = "randomblob(32)"
    if store.dialect == "postgresql":
        digest = "decode(md5(x::text || 'a') || md5(x::text || 'b'), 'hex')"
    with store.write() as conn:
        world = stored.build(conn, 1)
        judge = writes.put_judge(conn, stored.judge())
        finding = writes.FindingIn(stored.subject("x"), stored.unsafe(), ())
        writes.put_findings(conn, world.run, judge, [finding])
        numbers = NUMBERS.format(count=count)
        conn.execute(text(SAMPLES.format(numbers=numbers, digest=digest)))
        added = text(
            "INSERT INTO selection (digest, sample_count, created_at)"
            " SELECT digest, :count, 1 FROM config RETURNING id"
        )
        world.selection = conn.execute(added, {"count": count}).scalar_one()
        conn.execute(text(MEMBERS), {"selection": world.selection})
        known = {"model": world.model, "config": world.config, "run": world.run}
        for replicate in range(replicates):
            conn.execute(text(GENERATIONS), {**known, "replicate": replicate})
        conn.execute(text(SCORES), {"judge": judge, "run": world.run})
    with store.write() as conn:
        pending.advance_watermark(conn, judge)
    return world, judge


def timed(store: Store, what: str, ask: Callable[[Connection], Any]) -> float:
    """Print the median of five; the connection is there already, as in a run."""
    took = []
    for _ in range(5):
        with store.read() as conn:
            conn.execute(text("SELECT 1"))
            began = time.perf_counter()
            found = ask(conn)
            took.append(time.perf_counter() - began)
    median = sorted(took)[2]
    size = len(found) if isinstance(found, list) else found
    print(f"{what:58} {median * 1000:9.1f} ms   -> {size}")
    return median


def measure(store: Store, count: int, replicates: int) -> None:
    """Fill the database and ask."""
    began = time.perf_counter()
    world, judge = fill(store, count, replicates)
    print(f"{count * replicates:,} generations in {time.perf_counter() - began:.0f} s")
    everything = ScoreScope()
    idle = timed(
        store, "scores: nothing pending", lambda c: pending.pending_scores(c, judge, everything)
    )
    timed(
        store,
        "scores: nothing pending, of one run",
        lambda c: pending.pending_scores(c, judge, ScoreScope(run_uid=world.uid)),
    )
    timed(
        store,
        "samples: all answered",
        lambda c: pending.pending_samples(c, *world.keys, 1),
    )
    more = timed(
        store,
        "samples: a replicate to go",
        lambda c: pending.pending_samples(c, *world.keys, replicates + 1),
    )
    timed(store, "progress", lambda c: pending.generate_progress(c, *world.keys, replicates))
    with store.write() as conn:
        began = time.perf_counter()
        pending.link_same_inputs(conn, world.run, *world.keys, replicates)
        print(f"{'link same inputs':58} {(time.perf_counter() - began) * 1000:9.1f} ms")
    with store.write() as conn:
        ids = stored.sample_ids(conn, world.selection)[:1000]
        rows = [writes.GenerationIn(one, replicates, stored.answer()) for one in ids]
        writes.put_generations(conn, world.run, world.model, world.config, rows)
    timed(store, "scores: 1,000 pending", lambda c: pending.pending_scores(c, judge, everything))
    with store.write() as conn:
        conn.execute(text("DELETE FROM judge_progress"))
    timed(
        store,
        "scores: 1,000 pending, without the watermark",
        lambda c: pending.pending_scores(c, judge, everything),
    )
    rate = count * (replicates + 1) / more
    print(f"\nnothing pending: {idle * 1000:.1f} ms (aim: 200); look-ups: {rate:,.0f}/s (20,000)")


@contextlib.contextmanager
def opened(*, server: bool) -> Iterator[Store]:
    """Yield an empty store."""
    with contextlib.ExitStack() as stack:
        if server:
            running = stack.enter_context(running_server())
            running.create("bench")
            url = running.url("bench")
            migrate.upgrade(url)
        else:
            url = f"{stack.enter_context(tempfile.TemporaryDirectory())}/lam3.db"
        yield stack.enter_context(open_store(url, mode="write"))


def main() -> None:
    """Measure one engine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--replicates", type=int, default=10)
    given = parser.parse_args()
    with opened(server=given.postgresql) as store:
        measure(store, given.samples, given.replicates)


if __name__ == "__main__":
    main()
