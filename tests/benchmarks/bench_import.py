"""How fast results of others come in: 100,000 JSONL rows with a judge's label each, SQLite.

    python tests/benchmarks/bench_import.py [ROWS]

2,000 prompts of 300 characters, 50 models, answers of 400 characters, all different. Printed are
results a second, reading and storing together, and the same for the file once more; beside it what
the process alone would do, where others share the machine. Aim: at least 10,000 a second.

On 2026-11-25, two cores under a load of 5 to 8 by others: new 9,200/s of this process without the
reports' sums, 6,800 to 7,800/s with them (2,000 to 4,800/s by the clock); again 14,900/s (5,500 to
12,000/s by the clock). With the machine idle, on the clock: new 7,000/s with the sums, again
15,200/s, looking only 34,300/s. The aim is not met where results are new.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from pathlib import Path

from lam3db.datasets.results.formats import ReadOptions
from lam3db.datasets.results.map import read_map
from lam3db.pipeline.imports.results import ImportJob, import_results, look
from lam3db.store.engine import open_store

PROMPTS = 2000
MAP = """
dataset: bench
fields: {key: id, model: model, behavior: goal, category: topic, prompt: prompt, response: answer}
judges:
  - {name: judge, kind: llm, verdict: label, words: {unsafe: [1], safe: [0]}}
"""


def write(path: Path, rows: int) -> None:
    """Write the file."""
    draw = random.Random(1)
    words = ["".join(draw.choices("abcdefghij", k=7)) for _ in range(1000)]
    prompts = [" ".join(draw.choices(words, k=38)) for _ in range(PROMPTS)]
    with path.open("w") as stream:
        for at in range(rows):
            number = at % PROMPTS
            row = {
                "id": f"p{number}",
                "model": f"model-{at // PROMPTS}",
                "goal": f"aim {number // 2}",
                "topic": f"topic {number % 10}",
                "prompt": prompts[number],
                "answer": " ".join(draw.choices(words, k=50)),
                "label": at % 3 % 2,
            }
            stream.write(json.dumps(row) + "\n")


def main(rows: int) -> None:
    """Print what was measured."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, mapping = folder / "results.jsonl", folder / "map.yaml"
        write(path, rows)
        mapping.write_text(MAP)
        job = ImportJob(path, read_map(mapping).read, ReadOptions(), {}, "bench")
        began = time.process_time()
        look(job)
        print(
            f"looking only: {rows / (time.process_time() - began):,.0f} results/s of this process"
        )
        with open_store(f"sqlite:///{folder / 'lam3.db'}", mode="write") as store:
            for what in ("new", "again"):
                began, busy = time.perf_counter(), time.process_time()
                import_results(store, job)
                wall, own = time.perf_counter() - began, time.process_time() - busy
                print(f"{what}: {rows / wall:,.0f} results/s, {rows / own:,.0f} of this process")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
