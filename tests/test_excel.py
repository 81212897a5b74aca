"""CSV for Excel: marked, guarded, and otherwise the same."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from lam3db.excel import MARK, ExcelWriter, guarded, write_for_excel


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "=HYPERLINK(0)",
        "+49 30",
        "-1+1",
        "- item",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "\uff1d1",
        "'=1",
        "-",
        "+1 ",
    ],
)
def test_a_text_that_would_be_computed_gets_an_apostrophe(text: str) -> None:
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize(
    "cell",
    ["", "x", "1", "-1", "+0.5", "-1e-05", "-.5", "'tis", "a=b", " x", -1, 0.5, None, True],
)
def test_any_other_cell_stays_as_it_is(cell: Any) -> None:
    assert guarded(cell) is cell


def test_texts_that_differ_are_written_differently() -> None:
    texts = ["=1", "'=1", "''=1", "1", "'1", "-1", "'-1"]
    assert len({guarded(text) for text in texts}) == len(texts)


def test_csv_is_marked_and_its_lines_end_as_excel_writes_them() -> None:
    stream = io.StringIO(newline="")
    long = "x" * 200_000
    text = f'a,b\n"=1 ""quoted""\nline",-0.5\n{long},\n'
    write_for_excel(stream, text)
    written = stream.getvalue()
    assert written.startswith(f"{MARK}a,b\r\n")
    rows = list(csv.reader(io.StringIO(written.removeprefix(MARK)[:1000], newline="")))
    assert rows[1] == ['\'=1 "quoted"\nline', "-0.5"]
    assert written.endswith(f"\r\n{long},\r\n")


def test_a_target_without_unicode_gets_no_mark() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="cp1252", newline="")
    ExcelWriter(stream).writerow(["caf\u00e9"])
    stream.flush()
    assert raw.getvalue() == b"caf\xe9\r\n"
