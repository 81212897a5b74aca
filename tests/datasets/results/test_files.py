"""One content in every kind of file gives the same rows; what cannot be read says why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lam3db.datasets.faults import Faults
from lam3db.datasets.jsonl import parse_json
from lam3db.datasets.results.files import FileOptions, read_records
from lam3db.errors import ConfigError, InputError

if TYPE_CHECKING:
    from pathlib import Path

KEYLESS = ("prompt", "answer")
ROWS = [
    {"id": "a", "prompt": 'say, "it"\nplease', "answer": "né ✓"},
    {"id": "b", "prompt": "x;y", "answer": ""},
]


def _read(path: Path, **options: Any) -> tuple[list[dict[str, Any]], Faults]:
    faults = Faults(path)
    rows = [dict(row.values) for row in read_records(path, faults, FileOptions(**options))]
    return rows, faults


def _csv(delimiter: str = ",") -> str:
    import csv
    import io

    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(ROWS[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(ROWS)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "options"),
    [
        ("a.csv", _csv().encode(), {}),
        ("a.csv", b"\xef\xbb\xbf" + _csv().encode(), {}),
        ("a.csv", _csv(";").encode(), {}),
        ("a.txt", _csv("|").encode(), {}),
        ("a.tsv", _csv("\t").encode(), {}),
        ("a.csv", _csv().encode("utf-16"), {}),
        ("a.csv", _csv().replace("✓", "x").encode("cp1252"), {"encoding": "cp1252"}),
        ("a.jsonl", "\n".join(map(json.dumps, ROWS)).encode(), {}),
        ("a.json", "\n".join(map(json.dumps, ROWS)).encode(), {}),
        ("a.json", json.dumps(ROWS).encode(), {}),
        ("a.json", json.dumps({"n": 2, "data": ROWS}).encode(), {}),
        ("a.json", json.dumps({"x": [{}], "y": {"z": ROWS}}).encode(), {"records": "y.z"}),
        ("a.json", json.dumps({r["id"]: {k: r[k] for k in KEYLESS} for r in ROWS}).encode(), {}),
    ],
)  # fmt: skip
def test_every_kind_gives_the_same_rows(
    tmp_path: Path, name: str, data: bytes, options: dict[str, Any]
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    rows, faults = _read(path, **options)
    assert not faults.count
    expected = [dict(row) for row in ROWS]
    if options.get("encoding"):
        expected[0]["answer"] = "né x"
    assert rows == expected


def test_a_sheet_and_a_parquet_file_give_the_same_rows(tmp_path: Path) -> None:
    import openpyxl

    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    import pyarrow as pa

    book = openpyxl.Workbook()
    for row in ([*ROWS[0]], *([*row.values()] for row in ROWS)):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    parquet.write_table(pa.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    assert _read(tmp_path / "a.xlsx")[0] == ROWS
    assert _read(tmp_path / "a.parquet")[0] == ROWS


def test_a_table_without_a_header_is_named_by_the_user(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,x\n2,y\n")
    rows, _ = _read(tmp_path / "a.csv", header=("n", "t"))
    assert rows == [{"n": "1", "t": "x"}, {"n": "2", "t": "y"}]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.csv", b"p,q\n\xff\xfe,1\n", "line 2: not UTF-8"),
        ("a.csv", b'p,q\n"open,1\n', "closing quote missing"),
        ("a.jsonl", b'{"a": Infinity}\n', "line 1: Infinity is no JSON"),
        ("a.json", b'[{"a": 1}, 7]', "record 2: not an object but 7"),
    ],
)
def test_a_faulty_row_is_told_by_its_place(
    tmp_path: Path, name: str, data: bytes, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    _, faults = _read(path)
    with pytest.raises(InputError, match=said):
        faults.raise_if_any()


def test_a_formula_is_no_text(tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    for row in (["p"], ["=1+1"]):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    _, faults = _read(tmp_path / "a.xlsx")
    with pytest.raises(InputError, match="row 2, p: a formula"):
        faults.raise_if_any()


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.json", b"{", "no JSON"),
        ("a.json", b"7", "holds 7 where records should be"),
        ("a.xlsx", b"PK", "is no XLSX"),
        ("a.pkl", b"x", "are read, not '.pkl'"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(InputError, match=said):
        _read(path)


def test_a_broken_parquet_file_is_a_fault(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 nothing PAR1")
    _, faults = _read(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        faults.raise_if_any()


@pytest.mark.parametrize("options", [{"encoding": "base64"}, {"encoding": "x"}, {"delimiter": ""}])
def test_options_nobody_can_read_with_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"encoding|delimiter"):
        FileOptions(**options)


def test_a_parquet_file_with_a_column_twice_is_refused(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["answer", "answer"])
    pq.write_table(table, tmp_path / "a.parquet")
    _, faults = _read(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="nothing was imported") as refused:
        faults.raise_if_any()
    assert "stands twice" in str(refused.value)


def test_a_time_that_no_calendar_has_is_a_fault(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"t": pa.array([2**62], pa.timestamp("us"))}), tmp_path / "a.parquet")
    rows, faults = _read(tmp_path / "a.parquet")
    assert (rows, faults.count) == ([], 1)


def _sheet(path: Path, body: str) -> Path:
    import zipfile

    import openpyxl

    openpyxl.Workbook().save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {one: archive.read(one) for one in archive.namelist()}
    name = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    sheet = f'<worksheet xmlns="{name}"><sheetData>{body}</sheetData></worksheet>'
    parts["xl/worksheets/sheet1.xml"] = sheet.encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for one, data in parts.items():
            archive.writestr(one, data)
    return path


def _row(number: int, *cells: str) -> str:
    said = "".join(f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in cells)
    return f'<row r="{number}">{said}</row>'


def test_a_stray_cell_a_million_rows_below_costs_nothing(tmp_path: Path) -> None:
    body = _row(1, "id", "answer") + _row(2, "a", "yes") + _row(1_048_570, "b", "no")
    rows, faults = _read(_sheet(tmp_path / "far.xlsx", body))
    assert rows == [{"id": "a", "answer": "yes"}, {"id": "b", "answer": "no"}]
    assert faults.count == 0


def test_a_sheet_wider_than_any_is_a_fault_and_not_cut(tmp_path: Path) -> None:
    rows, faults = _read(_sheet(tmp_path / "wide.xlsx", _row(1, *["x"] * 1100)))
    assert (rows, faults.count) == ([], 1)


def test_a_sheet_of_millions_of_empty_cells_is_a_bomb(tmp_path: Path) -> None:
    path = _sheet(tmp_path / "bomb.xlsx", ("<row>" + "<c/>" * 1000 + "</row>") * 6000)
    with pytest.raises(InputError, match="would unpack to"):
        _read(path)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl", b'{"a": NaN, "b": [1, NaN]}\n'),
        ("a.json", b'[{"a": NaN, "b": [1, NaN]}]'),
        ("a.json", b'{"data": [{"a": NaN, "b": [1, NaN]}]}'),
    ],
)
def test_a_missing_number_as_pandas_writes_it_is_null_and_is_told(
    tmp_path: Path, name: str, data: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    faults = Faults(path)
    assert [row.values for row in read_records(path, faults)] == [{"a": None, "b": [1, None]}]
    faults.raise_if_any()
    assert faults.remarks.lines() == ["NaN, which is not JSON, is read as null (2)"]


def test_not_a_number_stays_a_fault_where_nobody_could_tell() -> None:
    with pytest.raises(ValueError, match="NaN is no JSON"):
        parse_json('{"a": NaN}')
