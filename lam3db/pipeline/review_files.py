"""Files of items for people: CSV and XLSX, written blind and read with suspicion.

What must hold: what is read is bounded in bytes, rows and columns before it is parsed; an
archive that would unpack to much more than it weighs is refused; XML goes through defusedxml; a
formula is never computed and never taken for a text.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.datasets.sheet import MIB, sheet_rows
from lam3db.errors import InputError
from lam3db.pipeline.review_cells import from_csv, from_xlsx, to_csv, to_xlsx

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

LARGEST_FILE = 64 * MIB
MOST_ROWS = 100_000
_MOST_COLUMNS = 64
_SHOWN = 1000
_SHEET = "items"
_WIDE, _NARROW = 80, 16
_DECODED = "utf-8-sig"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table as it was read: the columns, and each row's number in the file with its cells."""

    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]
    is_xlsx: bool


def file_kind(path: Path) -> str:
    """Return ``csv`` or ``xlsx`` by the file's name; raise InputError."""
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("csv", "xlsx"):
        raise InputError(f"{path}: name a file that ends in .csv or .xlsx")
    return kind


def csv_bytes(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """Return a CSV file; it begins with the mark by which Excel knows UTF-8."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([to_csv(cell) for cell in row])
    return stream.getvalue().encode(_DECODED)


def xlsx_bytes(
    columns: Sequence[str], rows: Sequence[Sequence[str]], labels: Sequence[str]
) -> bytes:
    """Return an XLSX file whose column ``label`` offers these labels.

    Raises:
        InputError: texts that no cell holds; all of them are named.

    """
    from openpyxl import Workbook
    from openpyxl.worksheet.datavalidation import DataValidation

    book = Workbook()
    book.properties.creator = "lam3db"
    sheet: Any = book.active
    sheet.title = _SHEET
    sheet.freeze_panes = "B2"
    faults: list[str] = []
    for number, row in enumerate((columns, *rows), 1):
        for at, cell in enumerate(row, 1):
            try:
                _write_cell(sheet.cell(number, at), to_xlsx(cell))
            except ValueError as error:
                faults.append(f"item {row[0]}, column {columns[at - 1]}: {error}")
    if faults:
        raise InputError("XLSX cannot hold these texts: write CSV (-o FILE.csv)", faults)
    for at, name in enumerate(columns):
        wide = name not in ("item", "label", "confidence")
        sheet.column_dimensions[_letter(at)].width = _WIDE if wide else _NARROW
    offered = DataValidation("list", formula1=f'"{",".join(labels)}"', allow_blank=True)
    offered.error = f"one of {', '.join(labels)}"
    sheet.add_data_validation(offered)
    letter = _letter(columns.index("label"))
    offered.add(f"{letter}2:{letter}{max(2, len(rows) + 1)}")
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _write_cell(cell: Any, text: str) -> None:
    """Write a text as a text, whatever it looks like."""
    from openpyxl.styles import Alignment

    if not text:
        return
    cell.value = text
    cell.data_type = "s"  # a text that begins with = would be a formula
    cell.quotePrefix = True  # and would become one when it is edited
    cell.alignment = Alignment(wrap_text=True, vertical="top")


def _letter(at: int) -> str:
    from openpyxl.utils import get_column_letter

    return get_column_letter(at + 1)


def read_sheet(path: Path) -> Sheet:
    """Return the table of a CSV or XLSX file, its texts as they were before they were written.

    Raises:
        InputError: it cannot be read, is too large, or is no table with a column ``item``.

    """
    kind = file_kind(path)
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: is no regular file")
    try:
        with path.open("rb") as stream:
            raw = stream.read(LARGEST_FILE + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if len(raw) > LARGEST_FILE:
        raise InputError(f"{path}: is larger than {LARGEST_FILE // MIB} MiB")
    lines = _csv_lines(path, raw) if kind == "csv" else _xlsx_lines(path, raw)
    return _table(path, lines, is_xlsx=kind == "xlsx")


def _table(path: Path, lines: Iterator[list[str]], *, is_xlsx: bool) -> Sheet:
    columns = [cell.strip().casefold() for cell in next(lines, [])]
    while columns and not columns[-1]:
        columns.pop()
    if "item" not in columns or len(set(columns)) < len(columns):
        shown = ", ".join(columns)[:_SHOWN] or "nothing"
        raise InputError(f"{path}: its first row must name each column once, `item` first: {shown}")
    rows: list[tuple[int, dict[str, str]]] = []
    for number, line in enumerate(lines, 2):
        if number > MOST_ROWS:
            raise InputError(f"{path}: has more than {MOST_ROWS:,} rows")
        cells = [*line, *[""] * (len(columns) - len(line))]
        if any(cell.strip() for cell in cells[len(columns) :]):
            raise InputError(f"{path}: row {number} has more cells than there are columns")
        if any(cell.strip() for cell in cells):
            rows.append((number, dict(zip(columns, cells, strict=False))))
    return Sheet(tuple(columns), tuple(rows), is_xlsx)


def _csv_lines(path: Path, raw: bytes) -> Iterator[list[str]]:
    """Yield the rows of a CSV file that was saved with commas, semicolons or tabs."""
    try:
        text = raw.decode(_DECODED)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: is not UTF-8 (byte {error.start}): save it as `CSV UTF-8`"
        ) from None
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    _refuse_wide(path, text, delimiter)
    limit = csv.field_size_limit(LARGEST_FILE)
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            yield [from_csv(cell) for cell in row]
    except csv.Error as error:
        raise InputError(f"{path}: is no CSV: {error}") from None
    finally:
        csv.field_size_limit(limit)


def _refuse_wide(path: Path, text: str, delimiter: str) -> None:
    """Count each row's cells before the parser makes a list of them all; raise InputError."""
    cell = re.compile(rf'(?:"(?:[^"]++|"")*+"?)?[^{delimiter}\r\n]*+({delimiter}|\r\n?|\n|\Z)')
    row = cells = 1
    for found in cell.finditer(text):
        if found[1] == delimiter:
            cells += 1
        else:
            row, cells = row + 1, 1
        if cells > _MOST_COLUMNS:
            raise InputError(
                f"{path}: row {row} has more than {_MOST_COLUMNS} columns, empty ones counted"
            )
        if row > MOST_ROWS:
            return  # whoever reads the rows says so


def _xlsx_lines(path: Path, raw: bytes) -> Iterator[list[str]]:
    """Yield the rows of the sheet ``items``, or of the first one."""
    for row in sheet_rows(path, raw, _SHEET, MOST_ROWS + 1, _MOST_COLUMNS, or_first=True):
        yield [_read_cell(path, cell) for cell in row]


def _read_cell(path: Path, cell: Any) -> str:
    value = cell.value
    if value is None:
        return ""
    if cell.data_type == "f":
        raise InputError(
            f"{path}: row {cell.row}, column {cell.column}: a formula, where a text or a number "
            "belongs: paste its value"
        )
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return from_xlsx(value) if isinstance(value, str) else str(value)
