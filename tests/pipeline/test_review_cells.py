"""Hostile texts through both kinds of files: nothing is a formula, nothing is lost."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import random
import sys
import time
import zipfile
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from lam3db.datasets import sheet
from lam3db.errors import InputError
from lam3db.pipeline import review_files
from lam3db.pipeline.review_cells import (
    LONGEST_CELL,
    from_csv,
    from_xlsx,
    same_text,
    to_csv,
    to_xlsx,
)
from lam3db.pipeline.review_files import csv_bytes, read_sheet, xlsx_bytes
from lam3db.pipeline.review_labels import guideline_digest
from lam3db.weightfiles import read_object

COLUMNS = ("item", "response", "label", "confidence", "comment")
odd_text = st.text(
    st.one_of(
        st.sampled_from("=+-@'\t\r\n\x00\x07\x1f_x0041\\ud83d\ue000\uffff\ud800 \",;"),
        st.characters(),
        st.characters(categories=["Cs"]),
    ),
    max_size=30,
)
HOSTILE = [
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "'=quoted",
    "''",
    "_x0041_",
    "_x000D_\r\n",
    "nul \x00 bell \x07 half \ud83d",
    "\\ud83d and \\\\ud83d",
    '=HYPERLINK("http://x.example","click")',
    "one\ntwo\r\nthree\rfour",
    " spaces ",
    "不，🙂 e\u0301",  # noqa: RUF001 - that is how it is written
    "1e5",
    "TRUE",
    "2026-12-31",
    "#REF!",
    ",;\"'",
]


@given(odd_text)
def test_reading_undoes_writing(text: str) -> None:
    assert from_csv(to_csv(text)) == text
    assert from_xlsx(to_xlsx(text)) == text


@given(odd_text)
def test_no_cell_of_csv_begins_as_a_formula(text: str) -> None:
    assert not to_csv(text).startswith(("=", "+", "-", "@", "\t", "\r"))
    to_csv(text).encode()


def table(rows: list[str]) -> list[list[str]]:
    return [[f"{at:016x}", text, "", "", ""] for at, text in enumerate(rows)]


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_file_holds_every_text(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"items.{kind}"
    rows = table(HOSTILE)
    made = csv_bytes(COLUMNS, rows) if kind == "csv" else xlsx_bytes(COLUMNS, rows, ["a", "b"])
    path.write_bytes(made)
    read = read_sheet(path)
    assert read.columns == COLUMNS
    assert [cells["response"] for _, cells in read.rows] == HOSTILE
    assert [number for number, _ in read.rows] == list(range(2, len(HOSTILE) + 2))


def test_an_xlsx_has_no_formula_and_a_list_of_labels(tmp_path: Path) -> None:
    path = tmp_path / "items.xlsx"
    path.write_bytes(xlsx_bytes(COLUMNS, table(HOSTILE), ["safe", "unsafe"]))
    sheet = openpyxl.load_workbook(path).active
    assert sheet is not None
    for row in sheet.iter_rows(min_row=2):
        assert row[1].data_type == "s", row[1].value
        assert row[1].quotePrefix
    (offered,) = sheet.data_validations.dataValidation
    assert offered.formula1 == '"safe,unsafe"'
    assert str(offered.sqref) == f"C2:C{len(HOSTILE) + 1}"
    with zipfile.ZipFile(path) as archive:
        body = archive.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in body


def test_a_text_too_long_for_a_cell_is_told_with_the_way_out() -> None:
    fits, too_long = "x" * LONGEST_CELL, "🙂" * (LONGEST_CELL // 2 + 1)
    xlsx_bytes(COLUMNS, table([fits]), ["a"])
    with pytest.raises(InputError, match="write CSV") as told:
        xlsx_bytes(COLUMNS, table([fits, too_long, "\x00" * 5000]), ["a"])
    assert len(told.value.faults) == 2
    assert "item 0000000000000001, column response: 32,768 characters" in told.value.faults[0]
    assert len(csv_bytes(COLUMNS, table([too_long]))) > LONGEST_CELL


def test_line_ends_and_space_at_the_end_are_the_programs_business() -> None:
    assert same_text("a\r\nb\rc ", "a\nb\nc")
    assert not same_text("a b", "a  b")
    assert not same_text("a", "A")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_programs_save_csv_in_their_own_way(delimiter: str, tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
    writer.writerows([[*COLUMNS, ""], *table(["a;b,c", "d\te"]), [""] * 6])
    path.write_text(stream.getvalue(), encoding="utf-8")
    read = read_sheet(path)
    assert [cells["response"] for _, cells in read.rows] == ["a;b,c", "d\te"]


def book(tmp_path: Path, rows: list[list[object]]) -> Path:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    path = tmp_path / "made.xlsx"
    workbook.save(path)
    return path


def test_numbers_of_a_spreadsheet_read_as_they_look(tmp_path: Path) -> None:
    path = book(tmp_path, [list(COLUMNS), ["i", "r", 3, 0.5, True], ["j", "r", 3.0, 1, None]])
    cells = [row for _, row in read_sheet(path).rows]
    assert [(row["label"], row["confidence"], row["comment"]) for row in cells] == [
        ("3", "0.5", "true"),
        ("3", "1", ""),
    ]


def test_a_formula_is_no_label(tmp_path: Path) -> None:
    path = book(tmp_path, [list(COLUMNS), ["i", "r", "=1+1"]])
    with pytest.raises(InputError, match="row 2, column 3: a formula"):
        read_sheet(path)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.txt", b"", "ends in .csv or .xlsx"),
        ("x.csv", b"", "its first row must name"),
        ("x.csv", b"item,item\n", "each column once"),
        ("x.csv", b"label\nsafe\n", "`item` first"),
        ("x.csv", b"item,label\na,safe,more\n", "row 2 has more cells"),
        ("x.csv", b"item,label\n\xff\xfe,safe\n", "is not UTF-8"),
        ("x.csv", b'item,label\n"a,safe\n', "is no CSV"),
        ("x.xlsx", b"item,label\na,safe\n", "is no XLSX"),
        ("x.xlsx", b"PK\x05\x06" + b"\0" * 18, "no XLSX that can be read"),
    ],
)
def test_what_is_no_table_is_told(name: str, content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as told:
        read_sheet(path)
    assert says in str(told.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_sheet(tmp_path / "gone.csv")


def rezipped(path: Path, changes: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()} | changes
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)


def test_an_archive_that_would_fill_the_memory_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = book(tmp_path, [list(COLUMNS)])
    monkeypatch.setattr(sheet, "LARGEST_UNPACKED", 4 * sheet.MIB)
    rezipped(path, {"xl/media/bomb.bin": b"\0" * (8 * sheet.MIB)})
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match="would unpack to 8 MiB"):
        read_sheet(path)
    many = {f"xl/media/{at}": b"" for at in range(300)}
    rezipped(path, many | {"xl/media/bomb.bin": b""})
    with pytest.raises(InputError, match=r"in 3\d\d parts"):
        read_sheet(path)


@pytest.mark.parametrize(
    ("part", "root"), [("xl/worksheets/sheet1.xml", "<worksheet"), ("xl/workbook.xml", "<workbook")]
)
def test_entities_in_its_xml_are_refused(part: str, root: str, tmp_path: Path) -> None:
    path = book(tmp_path, [list(COLUMNS), ["i", "r", "safe"]])
    with zipfile.ZipFile(path) as archive:
        plain = archive.read(part).decode()
    evil = plain.replace(root, f'<!DOCTYPE a [<!ENTITY b "c">]>{root}', 1)
    assert evil != plain
    rezipped(path, {part: evil.encode()})
    with pytest.raises(InputError, match="no XLSX that can be read") as told:
        read_sheet(path)
    causes, error = [], told.value.__cause__
    while error is not None:
        causes.append(type(error).__name__)
        error = error.__cause__ or error.__context__
    assert "EntitiesForbidden" in causes


def test_what_a_file_says_of_its_size_is_not_believed(tmp_path: Path) -> None:
    path = book(tmp_path, [list(COLUMNS), ["i", "r", "safe"]])
    with zipfile.ZipFile(path) as archive:
        body = archive.read("xl/worksheets/sheet1.xml").decode()
    huge = body.replace('ref="A1:E2"', 'ref="A1:XFD1048576"')
    assert huge != body
    rezipped(path, {"xl/worksheets/sheet1.xml": huge.encode()})
    assert len(read_sheet(path).rows) == 1


def test_rows_and_bytes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(csv_bytes(COLUMNS, table(["a"] * 20)))
    monkeypatch.setattr(review_files, "MOST_ROWS", 10)
    with pytest.raises(InputError, match="more than 10 rows"):
        read_sheet(path)
    monkeypatch.setattr(review_files, "LARGEST_FILE", 100)
    with pytest.raises(InputError, match="is larger than"):
        read_sheet(path)


def test_a_damaged_archive_is_read_or_refused_and_nothing_else(tmp_path: Path) -> None:
    whole = book(tmp_path, [list(COLUMNS), *([f"i{at}", "text " * 9, "safe"] for at in range(9))])
    original = whole.read_bytes()
    path = tmp_path / "damaged.xlsx"
    lots = random.Random(5)
    refused = 0
    for _ in range(300):
        data = bytearray(original)
        for _ in range(lots.randint(1, 8)):
            data[lots.randrange(len(data))] = lots.randrange(256)
        path.write_bytes(data)
        try:
            read_sheet(path)
        except InputError:
            refused += 1
    assert refused > 100


def test_rubbish_inside_the_xml_is_refused(tmp_path: Path) -> None:
    path = book(tmp_path, [list(COLUMNS), ["i", "r", "safe"]])
    with zipfile.ZipFile(path) as archive:
        body = archive.read("xl/worksheets/sheet1.xml").decode()
    lots = random.Random(7)
    for _ in range(200):
        data = list(body)
        for _ in range(lots.randint(1, 5)):
            data[lots.randrange(len(data))] = lots.choice('<>"&0Ax/;\x01é')
        rezipped(path, {"xl/worksheets/sheet1.xml": "".join(data).encode()})
        with contextlib.suppress(InputError):
            read_sheet(path)


def test_a_head_of_a_million_empty_cells_costs_a_moment(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_bytes(b"item" + b"," * 1_000_000 + b"\r\na\r\n")
    started = time.monotonic()
    with pytest.raises(InputError, match="row 1 has more than 64 columns"):
        read_sheet(path)
    path.write_bytes(b"item" + b"," * 40 + b"\r\na\r\n")
    assert read_sheet(path).columns == ("item",)
    assert time.monotonic() - started < 20


def test_a_pipe_is_no_file_to_wait_for(tmp_path: Path) -> None:
    for name in ("labels.csv", "labels.xlsx", "guide.md", "config.json"):
        os.mkfifo(tmp_path / name)
    for name in ("labels.csv", "labels.xlsx"):
        with pytest.raises(InputError, match="no regular file"):
            read_sheet(tmp_path / name)
    with pytest.raises(InputError, match="no regular file"):
        guideline_digest(tmp_path / "guide.md")
    with pytest.raises(ValueError, match="no regular file"):
        read_object(tmp_path / "config.json")
