"""An API judge through the whole pipeline, against the rate that its endpoint allows.

Run by hand: ``python tests/benchmarks/bench_endpoint.py``. A stub of the moderation API in a
process of its own answers each request after 50 ms. 2,000 generations with different answers,
16 requests in flight: the endpoint allows 16 / 0.05 s = 320 per second. The whole of
``judge_pending`` (what is pending, requests, replies read, findings and scores written to
SQLite) is to keep at least 80 % of that.

On 2026-11-25, two cores, no GPU: 290 to 293 per second, 91 to 92 % (in pieces of 512;
93 % in one piece).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lam3db.config import JudgeConfig, ModelConfig, RuntimeConfig
from lam3db.judges.openai_moderation import CATEGORIES, SNAPSHOT
from lam3db.pipeline.generate import GenerateJob, generate
from lam3db.pipeline.judge import JudgeJob, judge_pending
from lam3db.records import Behavior, Dataset, Message, Sample, TextPart
from lam3db.store import writes
from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

AIM = 0.8
_RESULT = {
    "flagged": False,
    "categories": dict.fromkeys(CATEGORIES, False),
    "category_scores": {name: 0.001 * (at + 1) for at, name in enumerate(CATEGORIES)},
    "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
}
_BODY = json.dumps({"id": "modr-1", "model": SNAPSHOT, "results": [_RESULT]}).encode()
_REPLY = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_BODY)
) + _BODY


def serve(latency_s: float, tell: Connection) -> None:
    """Answer every request after ``latency_s``, whatever it asks."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                )
                await reader.readexactly(length)
                await asyncio.sleep(latency_s)
                writer.write(_REPLY)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=256)
        tell.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def fill(store: Any, count: int) -> None:
    """Store so many samples, each answered in its own words."""
    samples = [
        Sample((Message("user", (TextPart(f"prompt {at}"),)),), Behavior("b"))
        for at in range(count)
    ]
    with store.write() as conn:
        writes.put_dataset(conn, Dataset("d", tuple((f"k{at}", s) for at, s in enumerate(samples))))
    model = ModelConfig(name="null", kind="null", source="null")
    generate(store, GenerateJob(model, RuntimeConfig(), "d"))


def measure(port: int, count: int, concurrency: int) -> float:
    """Return generations judged per second."""
    block = {"url": f"http://127.0.0.1:{port}/v1", "concurrency": concurrency}
    config = JudgeConfig(name="b", kind="openai-moderation", settings={"endpoint": block})
    with (
        tempfile.TemporaryDirectory() as folder,
        open_store(f"sqlite:///{Path(folder) / 'b.db'}", mode="write") as store,
    ):
        fill(store, count)
        started = time.perf_counter()
        result = judge_pending(store, JudgeJob(config))
        seconds = time.perf_counter() - started
    if result.counts.new != count:
        raise SystemExit(f"not every generation was judged: {result}")
    return count / seconds


def main() -> None:
    """Start the stub, judge, compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--generations", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--latency-ms", type=float, default=50.0)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    here, there = multiprocessing.Pipe()
    stub = multiprocessing.Process(target=serve, args=(given.latency_ms / 1000, there), daemon=True)
    stub.start()
    port = here.recv()
    most = given.concurrency * 1000 / given.latency_ms
    rates = [measure(port, given.generations, given.concurrency) for _ in range(given.rounds)]
    stub.terminate()
    best = max(rates)
    figures = {
        "per_s": [round(rate, 1) for rate in rates],
        "allowed_per_s": most,
        "ratio": round(best / most, 3),
        "aim": AIM,
    }
    print(json.dumps(figures, indent=2))
    if best / most < AIM:
        raise SystemExit("below the aim")


if __name__ == "__main__":
    main()
