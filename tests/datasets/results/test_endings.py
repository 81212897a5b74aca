"""How answers ended, in maps and in Inspect's logs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from reading import as_json, records, refused

from lam3db.datasets.faults import Faults
from lam3db.datasets.results.formats import ReadOptions
from lam3db.datasets.results.map import read_map
from lam3db.errors import ConfigError, InputError
from lam3db.records import FinishReason

if TYPE_CHECKING:
    from lam3db.datasets.results.record import ResultRecord

FIELDS = "fields: {model: m, key: id, prompt: q, response: a, finish_reason: "
ROWS = (
    ("1", "whole", "stop"),
    ("2", "The service blocked this.", "content_filter"),
    ("3", "half", "MAX_TOKENS"),
    ("4", "half", "abort"),
    ("5", "whole", ""),
)


def table(folder: Path, *rows: tuple[str, str, str]) -> Path:
    file = folder / "t.csv"
    lines = [f'{key},m,q{key},"{answer}",{end}' for key, answer, end in rows]
    file.write_text("\n".join(["id,m,q,a,end", *lines]) + "\n", encoding="utf-8")
    return file


def mapped(file: Path, finish_reason: str) -> tuple[list[ResultRecord], Faults]:
    shape = file.with_suffix(".yaml")
    shape.write_text(FIELDS + finish_reason + "}\n", encoding="utf-8")
    faults = Faults(file)
    found = list(read_map(shape).read(file, faults, ReadOptions()))
    faults.raise_if_any()
    return found, faults


def test_an_answer_that_a_filter_or_an_error_ended_is_a_failure(tmp_path: Path) -> None:
    found, faults = mapped(table(tmp_path, *ROWS), "end")
    assert [one.response for one in found] == ["whole", None, "half", None, "whole"]
    assert [one.finish_reason for one in found][2] is FinishReason.LENGTH
    filtered = found[1].failed
    assert filtered is not None
    assert (filtered.error_class, filtered.message) == (
        "ContentFilterError",
        "The service blocked this.",
    )
    assert faults.remarks.lines() == [
        "end: 'content_filter' is an attempt without an answer (1)",
        "end: 'abort' is an attempt without an answer (1)",
    ]


def test_a_word_without_a_meaning_is_a_fault_until_it_has_one(tmp_path: Path) -> None:
    file = table(tmp_path, ("1", "half", "odd"), ("2", "whole", "fine"), ("3", "?", "lost"))
    with pytest.raises(InputError) as error:
        mapped(file, "end")
    assert "3 faults" in str(error.value)
    assert "stopped for 'odd'" in str(error.value)
    assert "words: {stop: [odd]}" in str(error.value)
    words = "{column: end, words: {length: [odd], stop: [fine], failed: [lost]}}"
    found, _ = mapped(file, words)
    assert [one.response for one in found] == ["half", "whole", None]
    assert [one.finish_reason for one in found][:2] == [FinishReason.LENGTH, FinishReason.STOP]


def test_a_meaning_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'over' is none of stop, length, failed"):
        mapped(table(tmp_path, *ROWS), "{column: end, words: {over: [odd]}}")


def log(folder: Path, *ends: str) -> Path:
    def sample(at: int, end: str) -> dict[str, Any]:
        choice = {"message": {"role": "assistant", "content": "text"}, "stop_reason": end}
        return {"id": at, "epoch": 1, "input": f"q{at}", "output": {"choices": [choice]}}

    header = {"version": 2, "status": "success", "eval": {"task": "t", "model": "m"}}
    samples = [sample(at, end) for at, end in enumerate(ends)]
    return as_json(folder / "log.json", {**header, "samples": samples})


def test_inspect_knows_the_same_words(tmp_path: Path) -> None:
    ends = ("stop", "max_tokens", "model_length", "length", "content_filter", "tool_calls")
    found = records("inspect", log(tmp_path, *ends))
    assert [one.response for one in found] == ["text"] * 4 + [None, None]
    assert [one.finish_reason for one in found][1:4] == [FinishReason.LENGTH] * 3
    assert [one.failed.message for one in found if one.failed] == ["text", "text"]


def test_inspects_own_unknown_is_no_ordinary_end(tmp_path: Path) -> None:
    file = log(tmp_path, "stop", "unknown")
    assert "say --set ends=unknown:stop (length, failed)" in refused("inspect", file)
    (_, other) = records("inspect", file, settings={"ends": "unknown:length"})
    assert (other.response, other.finish_reason) == ("text", FinishReason.LENGTH)
    with pytest.raises(ConfigError, match="WORD:MEANING"):
        records("inspect", file, settings={"ends": "unknown:over"})
