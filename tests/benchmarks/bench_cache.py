"""A repeated ``generate`` over 100,000 stored samples: look-ups per second.

Run by hand: ``python tests/benchmarks/bench_cache.py [SAMPLES]``. Everything goes through the
pipeline with the null model on a SQLite file in a temporary folder: the first run stores the
answers, the second finds every one. Aim: at least 20,000 look-ups per second.

On 2026-11-23, two cores, no GPU: first run 40,200 answers/s, second 167,400 look-ups/s.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from lam3db.config import ModelConfig, RuntimeConfig
from lam3db.pipeline.generate import GenerateJob, generate
from lam3db.records import Behavior, Dataset, Message, Sample, TextPart
from lam3db.store import writes
from lam3db.store.engine import open_store

SAMPLES = 100_000


def dataset(count: int) -> Dataset:
    """Return a dataset of ``count`` short prompts over 100 behaviors."""
    samples = []
    for number in range(count):
        message = Message("user", (TextPart(f"prompt number {number}"),))
        samples.append((f"k{number}", Sample((message,), Behavior(f"behavior {number % 100}"))))
    return Dataset("many", tuple(samples))


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES
    model = ModelConfig(name="null", kind="null", source="null")
    job = GenerateJob(model=model, runtime=RuntimeConfig(), dataset="many")
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'bench.db'}"
        with open_store(url, mode="write") as store:
            with store.write() as conn:
                writes.put_dataset(conn, dataset(count))
            started = time.perf_counter()
            first = generate(store, job)
            middle = time.perf_counter()
            second = generate(store, job)
            ended = time.perf_counter()
    if (first.counts.new, second.counts.cached) != (count, count):
        raise SystemExit(f"not what was to be measured: {first.counts}, {second.counts}")
    print(f"first run   {count / (middle - started):10,.0f} answers/s  ({middle - started:.2f} s)")
    print(f"second run  {count / (ended - middle):10,.0f} look-ups/s ({ended - middle:.2f} s)")
    print(f"ratio       {(middle - started) / (ended - middle):10.1f} x   (aim: 20,000 look-ups/s)")


if __name__ == "__main__":
    main()
