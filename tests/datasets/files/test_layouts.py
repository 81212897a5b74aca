"""Tables as people have them: the real fault is named, and every kind gives the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from openpyxl import Workbook

from lam3db.datasets.faults import Faults
from lam3db.datasets.lines import likely_encoding
from lam3db.datasets.results.files import FileOptions, read_records
from lam3db.datasets.results.formats import ReadOptions
from lam3db.datasets.results.map import read_map
from lam3db.errors import InputError
from lam3db.pipeline.imports.survey import survey

if TYPE_CHECKING:
    from pathlib import Path

MAP = "dataset: d\nfields: {model: model, key: id, prompt: question, response: answer}\n"


def _read(path: Path, **options: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the rows of a file and its faults."""
    faults = Faults(path)
    found = [dict(row.values) for row in read_records(path, faults, FileOptions(**options))]
    try:
        faults.raise_if_any()
    except InputError as error:
        return found, list(error.faults)
    return found, []


def _import_faults(folder: Path, data: bytes, name: str = "r.csv") -> list[str]:
    path, mapping = folder / name, folder / "m.yaml"
    path.write_bytes(data)
    mapping.write_text(MAP)
    faults = Faults(path)
    with pytest.raises(InputError) as caught:
        survey(read_map(mapping).read(path, faults, ReadOptions()), faults, "d")
    return list(caught.value.faults)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("id,model,question,answer\n1,m,q,caf\xe9\n".encode("cp1252"), "not UTF-8 at byte 10"),
        (b'id,model,question,answer\n1,m,q,"a \\"b\\" c"\n', "escaped with a backslash"),
        (b"id,model,question,answer\n1,m,q\n", "line 2: 3 cells under a header of 4"),
        (b"id,model,question,answer\n1,m,q,a,b\n", "line 2: 5 cells under a header of 4"),
    ],
)
def test_the_files_own_fault_comes_first_and_alone(tmp_path: Path, data: bytes, said: str) -> None:
    (fault,) = _import_faults(tmp_path, data)
    assert said in fault
    assert "no row has" not in fault


def test_what_no_row_has_is_told_after_the_rows_that_cannot_be_read(tmp_path: Path) -> None:
    data = b'{"id": 1, "model": "m", "question": "q"}\n{'
    first, last = _import_faults(tmp_path, data, "r.jsonl")
    assert first.startswith("line 2: no JSON")
    assert last.startswith("the map: no row has 'answer'")


def test_a_quote_may_be_escaped_where_a_person_says_so(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(b'id,answer\n1,"a \\"b\\" c"\n')
    assert _read(path, escape="\\") == ([{"id": "1", "answer": 'a "b" c'}], [])


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
@pytest.mark.parametrize("encoding", [None, "cp1252", "utf-16"])
def test_lines_end_as_any_system_ends_them(tmp_path: Path, end: str, encoding: str | None) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(end.join(["id,answer", "1,yes", "2,n\xf6", ""]).encode(encoding or "utf-8"))
    rows = [{"id": "1", "answer": "yes"}, {"id": "2", "answer": "n\xf6"}]
    assert _read(path, encoding=encoding) == (rows, [])
    lines = tmp_path / "r.jsonl"
    lines.write_bytes(end.join(['{"id": 1}', '{"id": 2}']).encode())
    assert _read(lines) == ([{"id": 1}, {"id": 2}], [])


def test_excels_own_line_says_what_separates_the_cells(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("sep=;\r\nid;answer\r\n1;a,b\r\n2\r\n")
    found, faults = _read(path)
    assert found == [{"id": "1", "answer": "a,b"}]
    assert faults == ["line 4: 1 cells under a header of 2"]


CONTENT: list[list[Any]] = [
    ["id ", "answer", "cafe\N{COMBINING ACUTE ACCENT}", None],
    ["1", "yes", "", None],
    [None, None, None, None],
    ["2", "", "x", None],
    [None, "a\nb", None, "beyond"],
    ["", "", "", ""],
]


def test_a_table_and_a_sheet_of_one_content_give_the_same_rows(tmp_path: Path) -> None:
    book = Workbook()
    for row in CONTENT:
        book.active.append(row)
    book.save(tmp_path / "r.xlsx")
    cells = ('"' + (cell or "") + '"' for row in CONTENT for cell in row)
    lines = [",".join(some) for some in zip(*[cells] * 4, strict=True)]
    (tmp_path / "r.csv").write_text("\n".join(lines) + "\n\n,,,\n")
    name = "caf\N{LATIN SMALL LETTER E WITH ACUTE}"
    expected = [
        {"id": "1", "answer": "yes", name: ""},
        {"id": "2", "answer": "", name: "x"},
        {"id": "", "answer": "a\nb", name: "", "column 4": "beyond"},
    ]
    assert _read(tmp_path / "r.xlsx") == (expected, [])
    found, faults = _read(tmp_path / "r.csv")
    assert [{k: v for k, v in row.items() if k != "column 4" or v} for row in found] == expected
    assert not faults


@pytest.mark.parametrize("word", ["#NAME?", "#N/A", "#DIV/0!"])
def test_an_error_of_excels_is_no_value(tmp_path: Path, word: str) -> None:
    book = Workbook()
    book.active.append(["id", "answer"])
    book.active.append([1, word])
    book.active.cell(2, 2).data_type = "e"
    book.save(tmp_path / "r.xlsx")
    _, (fault,) = _read(tmp_path / "r.xlsx")
    assert fault.startswith(f"row 2, answer: '{word}' is an error of Excel's, not a text")


def test_a_formula_in_a_column_that_no_map_names_is_a_remark(tmp_path: Path) -> None:
    book = Workbook()
    book.active.append(["id", "model", "question", "answer", "total"])
    book.active.append([1, "m", "q", "a", "=SUM(A1:A2)"])
    book.save(tmp_path / "r.xlsx")
    (tmp_path / "m.yaml").write_text(MAP)
    path = tmp_path / "r.xlsx"
    faults = Faults(path)
    read = read_map(tmp_path / "m.yaml").read
    seen = survey(read(path, faults, ReadOptions()), faults, "d")
    assert seen.count == 1
    assert seen.remarks == ["total: cells that hold a formula or an error, not read (1)"]
    (tmp_path / "m.yaml").write_text(MAP + "metadata: [total]\n")
    faults = Faults(path)
    read = read_map(tmp_path / "m.yaml").read
    with pytest.raises(InputError, match="row 2, total: a formula"):
        survey(read(path, faults, ReadOptions()), faults, "d")


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "r\xe9sum\xe9 na\xefve d\xe9j\xe0"),
        ("gb18030", "对不起我不能帮助你做这件事"),
        ("shift_jis", "申し訳ありませんが、お手伝いできません。"),
        ("cp1251", "Извините, я не могу помочь"),
        ("euc-kr", "죄송합니다 도와드릴 수 없습니다"),
    ],
)
def test_the_encoding_that_a_text_seems_to_have_is_proposed(encoding: str, text: str) -> None:
    assert likely_encoding(text.encode(encoding)) == encoding
