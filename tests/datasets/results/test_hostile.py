"""Whatever stands in a file: it is read, or refused in words; it never breaks the reader."""

from __future__ import annotations

import contextlib
import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent))
from breakage import broken
from reading import as_json, as_lines

from lam3db.datasets.faults import Faults
from lam3db.datasets.results.formats import ReadOptions, reader_of
from lam3db.errors import Lam3Error
from lam3db.pipeline.imports.survey import survey

ASKED = [
    {"role": "system", "content": "attachment://a"},
    {"role": "user", "content": [{"type": "text", "text": "q"}, {"type": "image", "image": "x"}]},
]
CASES: dict[str, tuple[str, Any]] = {
    "omnisafebench": (
        "x.jsonl",
        [
            {
                "test_case_id": "1",
                "model_response": "a",
                "model_name": "m",
                "judge_score": 4,
                "judge_reason": "r",
                "success": True,
                "metadata": {
                    "attack_method": "f",
                    "original_prompt": "o",
                    "jailbreak_prompt": "j",
                    "image_path": "i.png",
                    "harmfulness_score": 7,
                },
            }
        ],
    ),
    "visual-adversarial": (
        "x.jsonl",
        [
            {"args": {"model_path": "m", "image_file": "i.bmp", "seed": 1}, "prompt": "Go on: %s"},
            {
                "prompt": "p",
                "continuation": ["c"],
                "continuation_metric": {"detoxify": {"toxicity": 0.5, "insult": 0.25}},
            },
        ],
    ),
    "harmbench": (
        "x.json",
        {"b": [{"test_case": ["i.png", "t"], "generation": "g", "label": 1}], "c": []},
    ),
    "mm-safetybench": (
        "01-A_SD.json",
        {
            "0": {
                "Question": "q",
                "Key Phrase": "k",
                "Rephrased Question": "r",
                "Rephrased Question(SD)": "s",
                "ans": {"m": {"text": "t"}},
            }
        },
    ),
    "vlmevalkit": (
        "m_B.json",
        [{"index": 1, "question": "q", "prediction": "p", "hit": 1, "category": "c", "answer": 2}],
    ),
    "inspect": (
        "x.json",
        {
            "eval": {"task": "t", "model": "m", "dataset": {"name": "d"}},
            "plan": {"config": {"max_tokens": 5}},
            "samples": [
                {
                    "id": 1,
                    "epoch": 1,
                    "input": ASKED,
                    "attachments": {"a": "b"},
                    "metadata": {"category": "c"},
                    "output": {
                        "choices": [{"message": {"content": "x"}, "stop_reason": "stop"}],
                        "usage": {"input_tokens": 1},
                    },
                    "scores": {"s": {"value": {"a": 1, "b": "C"}, "explanation": "e"}},
                    "error": {"message": "e"},
                }
            ],
        },
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_reader_reads_or_refuses(name: str, tmp_path: Path) -> None:
    file, right = CASES[name]
    path = tmp_path / file

    def read(document: Any) -> None:
        if path.suffix == ".jsonl" and isinstance(document, list):
            as_lines(path, *document)
        else:
            as_json(path, document)
        faults = Faults(path)
        survey(reader_of(name)(path, faults, ReadOptions()), faults, "d")

    read(right)
    for seed in range(150):
        document = broken(right, random.Random(seed))
        try:
            with contextlib.suppress(Lam3Error):
                read(document)
        except Exception as error:
            error.add_note(f"{name}, seed {seed}: {json.dumps(document)[:500]}")
            raise
