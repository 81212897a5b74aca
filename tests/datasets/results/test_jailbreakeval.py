"""JailbreakEval's tables: labels by people, rows without one, and other columns."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from reading import only, records, refused, remarks

from lam3db.records import Verdict

NAME = "jailbreakeval"


def table(folder: Path, text: str) -> Path:
    file = folder / "t.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_row_may_be_without_a_label_or_without_an_answer(tmp_path: Path) -> None:
    file = table(tmp_path, "question,answer,label\nsing,La.,1\nhum,Mm.,\nbuzz,,0\n")
    first, bare, empty = records(NAME, file)
    assert (only(first).verdict, bare.findings) == (Verdict.UNSAFE, ())
    assert (bare.response, empty.response) == ("Mm.", None)
    (unlabelled,) = records(NAME, table(tmp_path, "question,answer\nsing,La.\n"))
    assert unlabelled.findings == ()


def test_other_columns_are_told_and_no_question_is_a_fault(tmp_path: Path) -> None:
    file = table(tmp_path, "question,answer,label,gpt4_label\nsing,La.,1,0\n")
    assert remarks(NAME, file) == [
        "gpt4_label: kept as a label of the sample, not read as a judge's (1)"
    ]
    assert "question: is missing" in refused(NAME, table(tmp_path, "question,answer\n,La.\n"))
