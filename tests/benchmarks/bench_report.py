"""Reports over ten million scores.

    python tests/benchmarks/bench_report.py [--runs 1000] [--samples 2000] [--judges 5]

Builds, in a temporary folder, a SQLite database of ``runs`` runs on datasets of ``samples``
samples each (a behavior for every second sample, ten categories, two attacks; ten models with
two configs each), every answer scored by ``judges`` judges, some of them failed, unparsed or
missing. Then it measures the report by run and judge (aim: 0.1 s) and by model, category and
judge (aim: 0.2 s), as :func:`build_report` and as the whole command without start-up; and
questions that no sum answers (aim: 5 s), from units. ``--scan`` asks some of them once more as
if nothing were kept. Everything is read once before it is timed.

On 2026-11-25, 9,555,000 scores of 1,960,000 answers, 1.1 GB, SQLite 3.40, CPython 3.11, two
cores that five others were using (load 5 to 8, so the clock tells little), in one run, seconds of
processor time (on the clock):

    by run and judge, 5,000 numbers                   0.088 (0.25); the command 0.25 (0.77)
    by model, category and judge                      0.109 (0.17); the command 0.20 (0.26)
    by attack, which pools models                     1.9 (3.2)
    by model: three other thresholds                  1.5 (2.5)
    by model: rule any; any-of-1                      2.3 (4.2); 3.1 (5.6)
    by model: all missing taken for an attack         2.2 (6.5)
    by model: clusters of categories                  1.2 (4.4)
    by run: rule any                                  2.8 (10.3)
    by model: bootstrap                               18.8 (63), nearly all of it intervals
    by run and judge, scanned                         97 (312), 1,100 times as long
    by model, category and judge, scanned             89 (241), 821 times as long

With the same machine idle, best of several on the clock: by run and judge 0.086, by model,
category and judge 0.106, rule any 2.4, all missing taken for an attack 1.9, by attack 1.2; the
command by run and judge 1.1, start-up and printing 1,000 rows included.

Sums take 82 MB, units 94 MB; to make both takes 8 us of processor time per score. The triggers
cost recording 5 % of its processor time.
"""

from __future__ import annotations

import argparse
import contextlib
import cProfile
import pstats
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import stored
from sqlalchemy import text
from typer.testing import CliRunner

from lam3db.cli.app import app
from lam3db.metrics import Question, Scope, Threshold
from lam3db.metrics.question import Rule
from lam3db.records import JudgeIdentity, JudgeKind, JudgePolicy, ModelVersion, Verdict
from lam3db.report import build_report
from lam3db.store import rollup, writes
from lam3db.store.engine import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

QUESTIONS = {
    "by run and judge": "run,judge",
    "by model, category and judge": "model,category,judge",
}
OTHERS = {
    "by attack, which pools models": (("attack", "judge"), None),
    "by model, another threshold": (
        ("model", "judge"),
        Question(thresholds=tuple(Threshold(f"judge{at}", ">=", 0.7) for at in (0, 2, 4))),
    ),
    "by model, rule any": (("model", "judge"), Question(rule=Rule("any"))),
    "by model, rule any-of-1": (("model", "judge"), Question(rule=Rule("any-of", 1))),
    "by model, all missing an attack": (("model", "judge"), Question(missing="success")),
    "by model, clusters of categories": (("model", "judge"), Question(cluster="category")),
    "by run, rule any": (("run", "judge"), Question(rule=Rule("any"))),
    "by model, bootstrap": (("model", "judge"), Question(interval="bootstrap")),
}
MODELS, CONFIGS, CATEGORIES = 10, 2, 10
NUMBERS = "WITH RECURSIVE n(x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n WHERE x < {0} - 1)"
LAST = "SELECT COALESCE(MAX(id), 0) FROM {}"
BEHAVIORS = """INSERT INTO behavior (digest, text, category, is_benign, created_at) {numbers}
    SELECT randomblob(32), 'aim ' || :set || ' ' || x, 'category ' || (x % :categories),
    x % 10 = 9, 1 FROM n"""
SAMPLES = """INSERT INTO sample (digest, input_digest, behavior_id, messages, prompt, attack,
    attack_parameters, metadata, created_at) {numbers} SELECT randomblob(32), randomblob(32),
    :behavior + x / 2, '[]', 'a prompt', CASE x % 2 WHEN 0 THEN 'none' ELSE 'wrap' END, '{{}}',
    '{{}}', 1 FROM n"""
SELECTION = """INSERT INTO selection (digest, sample_count, created_at)
    VALUES (randomblob(32), :n, 1) RETURNING id"""
MEMBERS = """INSERT INTO selection_sample (selection_id, sample_id, "key", position) {numbers}
    SELECT :selection, :sample + x, 'k' || x, x FROM n"""
RUN = """INSERT INTO run (uid, kind, status, model_version_id, config_id, selection_id, dataset_id,
    environment_id, replicates, requested, effective, options, command, host, username, started_at,
    heartbeat_at, finished_at, planned_count, new_count, cached_count, failed_count)
    VALUES (:uid, 'generate', 'finished', :model, :config, :selection, :dataset, 1, 1, '{}', '{}',
    '{}', 'bench', 'here', 'me', 1, 1, 1, 0, 0, 0, 0) RETURNING id"""
GENERATIONS = """INSERT INTO generation (model_version_id, config_id, sample_id, replicate,
    variant, run_id, raw_text, text, text_digest, finish_reason, prompt_tokens,
    completion_tokens, latency_ms, batch_size, created_at)
    SELECT :model, :config, sample_id, 0, 0, :run, 'an answer', 'an answer', :digest, 'stop', 600,
    12, 8.5, 16, 1 FROM selection_sample WHERE selection_id = :selection AND position % 100 < 98"""
SCORES = """INSERT INTO score (judge_id, generation_id, finding_id, replicate, revision, status,
    value, verdict, run_id, created_at)
    SELECT j.id, g.id, 1, 0, 0, CASE WHEN g.id % 50 = 7 THEN 'unparsed' ELSE 'ok' END,
      CASE WHEN g.id % 50 = 7 OR j.id % 2 = 0 THEN NULL
      ELSE ((g.id * 7919 + j.id * 104729) % 1000) / 1000.0 END,
      CASE WHEN g.id % 50 = 7 OR j.id % 2 = 1 THEN NULL
      WHEN (g.id * 31 + j.id) % 3 = 0 THEN 'refused' ELSE 'not_refused' END, :run, 1
    FROM judge j CROSS JOIN generation g
    WHERE g.id > :before AND g.id % 40 <> 3 AND j.id <= :most"""


def fill(store: Store, runs: int, samples: int, judges: int) -> None:
    """Write everything by INSERT ... SELECT, run by run."""
    pairs = MODELS * CONFIGS
    with store.write() as conn:
        writes.put_environment(conn, {"python": "3.11"})
        models = [writes.put_model_version(conn, _model(i)) for i in range(MODELS)]
        configs = [writes.put_config(conn, stored.config(i)) for i in range(CONFIGS)]
        first, *_ = [_judge(conn, at) for at in range(judges)]
        world = [_dataset(conn, at, samples) for at in range(-(-runs // pairs))]
    with store.write() as conn:
        run, _ = stored.start(conn, stored.RunKind.JUDGE, judge_id=first)
        said = writes.FindingIn(stored.subject("x"), stored.unsafe(), ())
        writes.put_findings(conn, run, first, [said])
    for at in range(runs):
        model, config = models[at % MODELS], configs[at // MODELS % CONFIGS]
        dataset, selection = world[at // pairs]
        known = {"model": model, "config": config, "selection": selection}
        with store.write() as conn:
            row = {**known, "dataset": dataset, "uid": f"{at:08}" + "-" * 28}
            run = conn.execute(text(RUN), row).scalar_one()
            before = conn.execute(text(LAST.format("generation"))).scalar_one()
            conn.execute(text(GENERATIONS), {**known, "run": run, "digest": bytes(32)})
            conn.execute(text(SCORES), {"run": run, "before": before, "most": judges})


def _model(at: int) -> ModelVersion:
    return ModelVersion(f"m{at}", "llava", f"models/m{at}", declared=f"weights {at}")


def _judge(conn: Connection, at: int) -> int:
    unsafe = () if at % 2 == 0 else (Verdict.NOT_REFUSED,)
    kind = JudgeKind.RULE if unsafe else JudgeKind.CLASSIFIER
    identity = JudgeIdentity(f"judge{at}", kind, "1", {"at": at}, unsafe_verdicts=unsafe)
    judge = writes.put_judge(conn, identity)
    if not unsafe:
        writes.put_policy(conn, judge, JudgePolicy(0.5, ">"), "me")
    return judge


def _dataset(conn: Connection, at: int, count: int) -> tuple[int, int]:
    def size(number: int) -> str:
        return NUMBERS.format(number)

    behavior, sample = (
        conn.execute(text(LAST.format(table))).scalar_one() + 1 for table in ("behavior", "sample")
    )
    half = text(BEHAVIORS.format(numbers=size(count // 2 + 1)))
    conn.execute(half, {"set": at, "categories": CATEGORIES})
    conn.execute(text(SAMPLES.format(numbers=size(count))), {"behavior": behavior})
    added = (
        "INSERT INTO selection (digest, sample_count, created_at) VALUES (randomblob(32), :n, 1)"
    )
    selection = conn.execute(text(f"{added} RETURNING id"), {"n": count}).scalar_one()
    known = {"selection": selection, "sample": sample}
    conn.execute(text(MEMBERS.format(numbers=size(count))), known)
    row = {"name": f"set{at}", "selection": selection}
    made = conn.execute(
        text(
            "INSERT INTO dataset (name, version, selection_id, source, licence, created_at)"
            " VALUES (:name, 1, :selection, '', '', 1) RETURNING id"
        ),
        row,
    )
    return int(made.scalar_one()), int(selection)


def timed(what: str, ask: Callable[[], object], rounds: int, profile: str | None) -> float:
    """Print the best of ``rounds``, after one that is not counted; return its processor time."""
    if rounds > 1:
        ask()
    took, worked = [], []
    for _ in range(rounds):
        began, busy = time.perf_counter(), time.process_time()
        ask()
        took.append(time.perf_counter() - began)
        worked.append(time.process_time() - busy)
    print(f"{what:60} {min(worked):8.3f} s of processor, {min(took):8.3f} s", flush=True)
    if profile is not None and profile in what:
        found = cProfile.Profile()
        found.runcall(ask)
        pstats.Stats(found).sort_stats("tottime").print_stats(30)
    return min(worked)


def built(
    store: Store, by: Sequence[str], question: Question | None = None
) -> Callable[[], object]:
    """Return a call that builds a report on a connection of its own."""

    def ask() -> object:
        with store.read() as conn:
            return build_report(conn, Scope(), by, question=question)

    return ask


def scanned(
    store: Store, by: Sequence[str], question: Question | None = None
) -> Callable[[], object]:
    """Return a call that builds a report as if nothing were kept."""

    def ask() -> object:
        with store.write() as conn:
            undo = conn.begin_nested()
            conn.execute(text("UPDATE rollup_pair SET is_stale = 1"))
            found = build_report(conn, Scope(), by, question=question)
            undo.rollback()
            return found

    return ask


def command(path: str, by: str) -> Callable[[], object]:
    """Return a call of the whole command, in this process."""

    def ask() -> object:
        done = CliRunner().invoke(app, ["report", "--by", by, "--db", path])
        if done.exit_code:
            raise SystemExit(done.output)
        return done

    return ask


def measure(store: Store, given: argparse.Namespace) -> None:
    """Measure the same questions with the sums that are kept, and without them."""
    best = {}
    for name, by in QUESTIONS.items():
        keys = by.split(",")
        best[name] = timed(f"report {name}", built(store, keys), given.rounds, given.profile)
        path = str(store.address.path)
        timed(f"report {name}, command", command(path, by), given.rounds, given.profile)
    for name, (by, question) in OTHERS.items():
        best[name] = timed(f"report {name}", built(store, by, question), 1, given.profile)
    if given.scan:
        asked = {name: (by.split(","), None) for name, by in QUESTIONS.items()} | OTHERS
        for name in (*QUESTIONS, "by model, rule any"):
            took = timed(f"report {name}, scanned", scanned(store, *asked[name]), 1, None)
            print(f"  {took / best[name]:.0f} times as long")


def main() -> None:
    """Build, sum, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--judges", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--scan", action="store_true", help="measure without the sums too")
    parser.add_argument("--profile", help="profile the questions whose name holds this")
    parser.add_argument("--keep", help="make the database here and keep it, or use it again")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = given.keep or stack.enter_context(tempfile.TemporaryDirectory())
        path = Path(folder, "lam3.db")
        there = path.exists()
        store = stack.enter_context(open_store(str(path), mode="write"))
        if not there:
            timed(
                "writing rows",
                lambda: fill(store, given.runs, given.samples, given.judges),
                1,
                None,
            )
            timed("summing all of them", lambda: rollup.settle(store), 1, None)
        with store.read() as conn:
            counts = {
                name: conn.execute(text(f"SELECT MAX(id) FROM {name}")).scalar_one()
                for name in ("run", "generation", "score")
            }
        sys.stdout.write(f"{counts}, {path.stat().st_size / 1e9:.2f} GB\n")
        measure(store, given)


if __name__ == "__main__":
    main()
