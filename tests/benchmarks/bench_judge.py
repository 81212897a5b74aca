"""The Detoxify judge against the package itself, on a checkpoint of bert-base size.

Run by hand: ``python tests/benchmarks/bench_judge.py`` (some minutes on two cores). Random
weights, 96 texts of 10 to 400 tokens (evenly spread on a logarithmic scale, as answers are:
many short, few long), in random order; the scores of all three must agree to 1e-4.

Rivals: ``Detoxify.predict`` on chunks of 32 in arrival order (padding eats the batch) and one
text at a time. Aims: 3 times the first, no slower than the second, 1.4 times both when 40 %
of the texts are repetitions. Rounds alternate and the best of each counts.

On 2026-11-23, two threads, two cores, no GPU (``--rounds 1``), texts/s. Without repetitions:
chunks 1.51, one by one 6.99, judge 8.56, so 5.7 and 1.22 times (CPU time: 3.6 and 1.24). With
40 % repeated, other work on one core: 1.43, 1.14, 12.3; in CPU time 5.4 and 4.2 times. Scores
agree to 2e-7.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import random
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from detoxify import Detoxify
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer
from transformers.utils import logging

from lam3db.config import JudgeConfig
from lam3db.judges.detoxify import MAKER
from lam3db.records import Finding, Subject

if TYPE_CHECKING:
    from collections.abc import Callable

CLASSES = ["toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate"]
CHUNK = 32
TOLERANCE = 1e-4
Scores = list[dict[str, float]]


def save(folder: Path) -> Path:
    """Build a checkpoint of bert-base size whose base model is the folder itself."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{n}" for n in range(30517))]
    tokenizer = BertTokenizer(vocab={word: n for n, word in enumerate(words)}, model_max_length=512)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(3)
    config = BertConfig(num_labels=len(CLASSES))
    config.save_pretrained(folder)
    arguments = {
        "num_classes": len(CLASSES),
        "model_type": str(folder),
        "model_name": "BertForSequenceClassification",
        "tokenizer_name": "BertTokenizer",
    }
    raw = folder / "raw.ckpt"
    state = BertForSequenceClassification(config).state_dict()
    described = {"arch": {"args": arguments}, "dataset": {"args": {"classes": CLASSES}}}
    torch.save({"config": described, "state_dict": state}, raw)
    return raw.rename(folder / f"bench-{hashlib.sha256(raw.read_bytes()).hexdigest()[:8]}.ckpt")


def make_texts(count: int, repeated: float) -> list[str]:
    """Return texts of 10 to 400 tokens, of which a share is a repetition of another."""
    rng = random.Random(11)
    distinct = round(count * (1 - repeated))
    low, high = math.log(10), math.log(400)
    lengths = [round(math.exp(low + (high - low) * n / (distinct - 1))) for n in range(distinct)]
    texts = [" ".join(f"w{rng.randrange(30000)}" for _ in range(n - 2)) for n in lengths]
    texts += rng.choices(texts, k=count - distinct)
    rng.shuffle(texts)
    return texts


def in_chunks(package: Any, texts: list[str], size: int) -> Scores:
    """Score as the package does it, ``size`` texts at a time."""
    found: Scores = []
    for start in range(0, len(texts), size):
        chunk = texts[start : start + size]
        columns = package.predict(chunk)
        if len(chunk) == 1:  # the package gives numbers then, not lists
            columns = {name: [value] for name, value in columns.items()}
        found += [{name: column[n] for name, column in columns.items()} for n in range(len(chunk))]
    return found


def by_judge(judge: Any, texts: list[str]) -> Scores:
    """Score as lam3db does it."""
    subjects = [Subject(text) for text in texts]
    found: dict[int, Finding] = {}
    for batch in judge.judge(subjects):
        for subject, outcome in batch:
            if not isinstance(outcome, Finding):
                raise TypeError(outcome)
            found[id(subject)] = outcome
    return [dict(found[id(subject)].attributes) for subject in subjects]


def furthest(one: Scores, other: Scores) -> float:
    """Return the largest difference between two sets of scores."""
    pairs = zip(one, other, strict=True)
    return max(abs(a[name] - b[name]) for a, b in pairs for name in a)


def clocks() -> tuple[float, float]:
    """Return wall time and the CPU time of this process; the second minds no neighbours."""
    return time.perf_counter(), time.process_time()


def compare(ways: dict[str, Callable[[list[str]], Scores]], texts: list[str], rounds: int) -> Any:
    """Time each way in turn, round by round; return texts per second, ratios, difference."""
    best = dict.fromkeys(ways, (math.inf, math.inf))
    scores: dict[str, Scores] = {}
    for _ in range(rounds):
        for name, way in ways.items():
            started = clocks()
            scores[name] = way(texts)
            spent = [end - start for start, end in zip(started, clocks(), strict=True)]
            best[name] = min(best[name][0], spent[0]), min(best[name][1], spent[1])
    apart = max(furthest(scores["judge"], scores[name]) for name in ways)
    if apart > TOLERANCE:
        raise SystemExit(f"the scores differ by {apart}")
    ratios = {
        name: {
            clock: round(best[name][place] / best["judge"][place], 2)
            for place, clock in enumerate(("wall", "cpu"))
        }
        for name in ways
        if name != "judge"
    }
    speed = {name: round(len(texts) / wall, 2) for name, (wall, _) in best.items()}
    return {"texts_per_s": speed, "judge_is_faster_than": ratios, "largest_difference": apart}


def main() -> None:
    """Build, warm up, compare, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--texts", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as name:
        path = save(Path(name))
        package = Detoxify(checkpoint=str(path), device=given.device)
        settings = {"checkpoint": str(path), "device": given.device}
        config = JudgeConfig(name="bench", kind="detoxify", settings=settings)
        identity = MAKER.describe(config, lambda *_: None)
        judge = MAKER.load(config, identity, lambda sha256: sha256)  # type: ignore[arg-type]
        ways = {
            "chunks_of_32": lambda texts: in_chunks(package, texts, CHUNK),
            "one_by_one": lambda texts: in_chunks(package, texts, 1),
            "judge": lambda texts: by_judge(judge, texts),
        }
        for way in ways.values():
            way(make_texts(4, 0))
        for repeated in (0.0, 0.4):
            figures = compare(ways, make_texts(given.texts, repeated), given.rounds)
            print(json.dumps({"texts": given.texts, "repeated": repeated, **figures}, indent=2))


if __name__ == "__main__":
    main()
