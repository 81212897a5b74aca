"""VLMEvalKit sheets: predictions, the tool's own word for failure, and no pickle."""

from __future__ import annotations

import csv
import pickle
import sys
from pathlib import Path
from typing import Any

import openpyxl
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from reading import as_json, only, records, refused, remarks

from lam3db.errors import ConfigError
from lam3db.records import ScoreStatus, Verdict

NAME = "vlmevalkit"
COLUMNS = ("index", "question", "answer", "category", "image_path", "prediction", "hit", "log")
ROWS: list[tuple[Any, ...]] = [
    (0, "What is it?", "A", "signs", "0.jpg", "A sign.", 1, "right"),
    (1, "And this?", "B", "signs", "1.jpg", "Failed to obtain answer via API. ", 0, ""),
    (2, "And that?", "B", "", "", "B", "x", ""),
    (3, "Then?", "B", "", "", "B", None, ""),
]


def sheet(path: Path) -> Path:
    book = openpyxl.Workbook()
    for row in (COLUMNS, *ROWS):
        book.active.append(row)  # type: ignore[union-attr]
    book.save(path)
    return path


def test_a_sheet_in_each_kind_of_file(tmp_path: Path) -> None:
    tsv = tmp_path / "model_Bench.tsv"
    with tsv.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, delimiter="\t").writerows([COLUMNS, *ROWS])
    as_json(tmp_path / "model_Bench.json", [dict(zip(COLUMNS, row, strict=True)) for row in ROWS])
    sheet(tmp_path / "model_Bench.xlsx")
    for kind in ("tsv", "json", "xlsx"):
        first, failed, odd, bare = records(NAME, tmp_path / f"model_Bench.{kind}")
        assert (first.model.name, first.dataset) == ("model", "Bench")
        assert (first.key, first.behavior.text, first.behavior.category) == (
            "0",
            "What is it?",
            "signs",
        )
        assert first.metadata == {"index": "0", "answer": "A", "image": "0.jpg"}
        assert (only(first).value, only(first).verdict, only(first).explanation) == (
            1,
            None,
            "right",
        )
        assert first.findings[0].judge.identity.unsafe_verdicts == ()
        assert failed.response is None
        assert failed.failed is not None
        assert only(odd).status is ScoreStatus.UNPARSED
        assert bare.findings == ()


def test_a_score_is_a_verdict_only_where_the_user_says_so(tmp_path: Path) -> None:
    settings = {"unsafe": "1", "safe": "0", "judge": "gpt"}
    first, _, odd, _ = records(NAME, sheet(tmp_path / "m_B.xlsx"), settings=settings)
    assert only(first).verdict is Verdict.UNSAFE
    assert only(odd).status is ScoreStatus.UNPARSED
    judge = first.findings[0].judge.identity
    assert (judge.name, judge.unsafe_verdicts) == ("gpt-hit", (Verdict.UNSAFE,))
    with pytest.raises(ConfigError, match="--set safe= is missing"):
        records(NAME, tmp_path / "m_B.xlsx", settings={"unsafe": "1"})
    with pytest.raises(ConfigError, match="'1' is both"):
        records(NAME, tmp_path / "m_B.xlsx", settings={"unsafe": "1", "safe": "0, 1"})


def test_which_part_of_the_name_is_the_model(tmp_path: Path) -> None:
    file = sheet(tmp_path / "llava_v1.5_MM_Bench.xlsx")
    with pytest.raises(ConfigError, match="which part is the model"):
        records(NAME, file)
    for options in ({"model": "llava_v1.5"}, {"dataset": "MM_Bench"}):
        record = records(NAME, file, **options)[0]
        assert (record.model.name, record.dataset) == ("llava_v1.5", "MM_Bench")


def test_a_pickle_is_never_read(tmp_path: Path) -> None:
    marker = tmp_path / "ran"

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (marker,)

    file = tmp_path / "m_B.pkl"
    file.write_bytes(pickle.dumps(Trap()))
    assert "a pickle runs code when it is read" in refused(NAME, file)
    assert not marker.exists()


def test_a_file_without_its_columns_is_told(tmp_path: Path) -> None:
    file = as_json(tmp_path / "m_B.json", [{"index": 1, "question": "x"}])
    assert "no column 'prediction'" in refused(NAME, file)
    bad = as_json(tmp_path / "m_C.json", [{"index": [], "question": "", "prediction": {}}])
    message = refused(NAME, bad)
    for name in ("index", "question", "prediction"):
        assert f"record 1, {name}" in message


def test_a_column_is_a_score_where_it_is_named_and_is_named_where_it_is_not(tmp_path: Path) -> None:
    file = tmp_path / "acme_b.tsv"
    file.write_text("index\tquestion\tprediction\tgpt4_score\n1\tq\tA\t8\n2\tp\t\t3\n")
    assert [one.findings for one in records(NAME, file)] == [(), ()]
    assert remarks(NAME, file) == ["not read: gpt4_score (2)"]
    first, empty = records(NAME, file, settings={"column": "gpt4_score"})
    assert (only(first).value, empty.response) == (8.0, None)
    assert "no row has this column" in refused(NAME, file, settings={"column": "gpt_score"})


def test_the_label_of_a_safety_judge_is_a_verdict(tmp_path: Path) -> None:
    labels = [("safe", "safe"), ("unsafe", "unsafe"), ("unknown", "judge_error: x")]
    rows = [
        {"index": at, "question": "q", "prediction": "A", "judge_label": label, "judge_log": log}
        for at, (label, log) in enumerate([*labels, ("safe", "rule_parse_fallback")])
    ]
    safe, unsafe, unknown, rule = records(NAME, as_json(tmp_path / "m_MMSafetyBench.json", rows))
    assert [only(one).verdict for one in (safe, unsafe)] == [Verdict.SAFE, Verdict.UNSAFE]
    assert only(unknown).status is ScoreStatus.UNPARSED
    assert rule.findings == ()
    assert safe.findings[0].judge.identity.unsafe_verdicts == (Verdict.UNSAFE,)


def test_what_the_toolkit_splits_off_as_thinking_is_kept_beside_the_answer(tmp_path: Path) -> None:
    row = {"index": 1, "question": "q", "prediction": "A", "thinking": "hm"}
    failed = {**row, "index": 2, "prediction": "Failed to obtain answer via API."}
    found = records(NAME, as_json(tmp_path / "m_b.json", [row, failed]))
    assert [one.reasoning for one in found] == ["hm", None]
