"""What tools write in the place of an answer is an answer in no format."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from reading import as_json, as_lines, records

from lam3db.datasets.faults import Faults
from lam3db.datasets.results.formats import FORMATS, ReadOptions
from lam3db.datasets.results.map import read_map
from lam3db.datasets.results.stand_ins import PANDAS_BLANKS, STAND_INS, stand_in

QUESTION = {"Question": "q", "Rephrased Question": "q", "Rephrased Question(SD)": "q"}
OMNI = {"test_case_id": "1", "original_prompt": "q", "attack_method": "a", "model_name": "m"}
TEXTS = {"goal": "q", "category": "c", "prompt": "p"}


def file_with(name: str, folder: Path, text: str) -> Path:
    """Write the smallest file of a format whose only answer is a text."""
    choice = {"message": {"role": "assistant", "content": text}, "stop_reason": "stop"}
    sample = {"id": 1, "epoch": 1, "input": "q", "output": {"choices": [choice]}}
    record = {"index": 0, **TEXTS, "response": text, "jailbroken": False}
    parameters = {"method": "PAIR", "model": "m"}
    documents: dict[str, Any] = {
        "harmbench": {"b": [{"generation": text, "label": 0}]},
        "inspect": {"version": 2, "eval": {"task": "t", "model": "m"}, "samples": [sample]},
        "jailbreakbench": {"parameters": parameters, "jailbreaks": [record]},
        "mm-safetybench": {"0": {**QUESTION, "ans": {"m": {"text": text}}}},
        "vlmevalkit": [{"index": 1, "question": "q", "prediction": text}],
        "omnisafebench": [{**OMNI, "model_response": text}],
    }
    if name in documents:
        return as_json(folder / "SD" / "m_b.json", documents[name])
    if name == "visual-adversarial":
        run = {"args": {"model_path": "m"}, "prompt": "%s"}
        return as_lines(folder / "x.jsonl", run, {"prompt": "q", "continuation": text})
    file = folder / "t.csv"
    file.write_text(f'question,answer,label\nq,"{text}",0\n', encoding="utf-8")
    return file


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_no_format_takes_a_stand_in_for_an_answer(tmp_path: Path, name: str) -> None:
    for start in STAND_INS:
        text = f"{start}: and more"
        (record,) = records(name, file_with(name, tmp_path, text))
        assert record.response is None
        assert record.failed == stand_in(text)
    (record,) = records(name, file_with(name, tmp_path, "An answer of $ERROR$ codes"))
    assert record.response == "An answer of $ERROR$ codes"


def test_a_map_tells_of_it(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("m,q,a\nm,q,$ERROR$\n", encoding="utf-8")
    shape = tmp_path / "t.yaml"
    shape.write_text("fields: {model: m, prompt: q, response: a}\n", encoding="utf-8")
    faults = Faults(file)
    (record,) = read_map(shape).read(file, faults, ReadOptions())
    assert record.response is None
    assert faults.remarks.lines() == ["a: '$ERROR$' is an attempt without an answer (1)"]


@pytest.mark.parametrize("name", sorted(FORMATS))
@pytest.mark.parametrize("word", sorted(PANDAS_BLANKS))
def test_what_pandas_writes_for_nothing_is_no_answer(tmp_path: Path, name: str, word: str) -> None:
    (record,) = records(name, file_with(name, tmp_path, word))
    assert record.response is None
    (record,) = records(name, file_with(name, tmp_path, f"{word} is what I say"))
    assert record.response == f"{word} is what I say"
