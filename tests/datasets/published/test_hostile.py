"""Whatever stands in a benchmark's file: it is taken, or refused in words."""

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
from small_files import as_json, load, picture

from lam3db.datasets.published import FORMATS
from lam3db.errors import Lam3Error

HARMBENCH = {
    "BehaviorID": "a",
    "Behavior": "b",
    "SemanticCategory": "c",
    "FunctionalCategory": "d",
}
CASES: dict[str, Any] = {
    "advbench": [{"goal": "g", "target": "t"}],
    "figstep": [
        {
            "dataset": "d",
            "category_id": 1,
            "task_id": 1,
            "category_name": "c",
            "question": "q",
            "instruction": "i",
        }
    ],
    "hades": [
        {
            "id": "a",
            "scenario": "s",
            "keywords": "w",
            "step": 0,
            "category": "object",
            "instruction": "a w b",
            "file_name": "a.png",
        }
    ],
    "harmbench": [
        {**HARMBENCH, "ContextString": "e"},
        {**HARMBENCH, "BehaviorID": "f", "ImageFileName": "a.png", "RedactedImageDescription": "r"},
    ],
    "jailbreakv": [
        {
            "id": 0,
            "jailbreak_query": "a",
            "redteam_query": "b",
            "format": "SD",
            "policy": "p",
            "image_path": "a.png",
        }
    ],
    "mm-safetybench": {
        "a": {
            "Question": "q",
            "Key Phrase": "k",
            "Rephrased Question": "r",
            "Rephrased Question(SD)": "s",
        }
    },
    "realtoxicityprompts": [
        {
            "filename": "a",
            "begin": 1,
            "end": 2,
            "challenging": True,
            "prompt": {"text": "x", "toxicity": 0.5},
        }
    ],
    "strongreject": [{"category": "c", "source": "s", "forbidden_prompt": "f"}],
    "vlguard": [
        {
            "id": "s",
            "image": "a.png",
            "safe": True,
            "harmful_category": None,
            "instr-resp": [
                {"safe_instruction": "a", "response": "b"},
                {"unsafe_instruction": "c", "response": "d"},
            ],
        }
    ],
    "xstest": [
        {"id": 1, "prompt": "p", "type": "contrast_a", "label": "unsafe", "focus": "f", "note": ""}
    ],
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_field_that_nobody_knows_is_kept_or_told(name: str, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    for kind in ("SD", "SD_TYPO", "TYPO"):
        picture(tmp_path / "01-A" / kind / "a.jpg")
    case = CASES[name]
    records = case if isinstance(case, list) else list(case.values())
    more = [record | {"surprise": "kept or told"} for record in records]
    document = more if isinstance(case, list) else dict(zip(case, more, strict=True))
    loaded = load(as_json(tmp_path / "01-A.json", document), name, skips_missing=True)
    kept = {sample.metadata.get("surprise") for _, sample in loaded.dataset.samples}
    assert kept == {"kept or told"} or "not read: surprise (1)" in loaded.notes


@pytest.mark.parametrize("name", FORMATS)
def test_a_benchmark_is_taken_or_refused(name: str, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    for kind in ("SD", "SD_TYPO", "TYPO"):
        picture(tmp_path / "01-A" / kind / "a.jpg")
    file = tmp_path / "01-A.json"
    assert load(as_json(file, CASES[name]), name, skips_missing=True).dataset.samples
    for seed in range(100):
        document = broken(CASES[name], random.Random(seed))
        as_json(file, document)
        try:
            with contextlib.suppress(Lam3Error):
                load(file, name, skips_missing=True)
        except Exception as error:
            error.add_note(f"{name}, seed {seed}: {json.dumps(document)[:500]}")
            raise
