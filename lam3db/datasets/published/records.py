"""The records of a benchmark's file: rows of any kind of table, or one JSON value.

What must hold: a file without the columns of its format is refused with what it has instead;
a whole JSON file is bounded before it is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import shown
from lam3db.datasets.jsonl import parse_json
from lam3db.datasets.results.files import LARGEST_JSON, has_empty_cells
from lam3db.datasets.results.files import read_records as rows_of
from lam3db.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from lam3db.datasets.faults import Faults
    from lam3db.datasets.lines import Row


def read_records(file: Path, needed: Sequence[str], faults: Faults) -> Iterator[Row]:
    """Yield the records of a file by its suffix; those without a needed column are faults."""
    is_table = has_empty_cells(file)
    for row in rows_of(file, faults):
        missing = [name for name in needed if name not in row.values]
        if not missing:
            yield row
            continue
        known = ", ".join(map(shown, row.values))
        what = f"no {', '.join(map(repr, missing))}: there are {known}"
        faults.add(1 if is_table else row.line, None, what)
        if is_table:
            return  # the header is the same for every row


def read_json(file: Path, faults: Faults) -> Any:
    """Return the value of a JSON file, None where it has a fault."""
    if not file.is_file():
        raise InputError(f"{file} is no regular file")
    try:
        if file.stat().st_size > LARGEST_JSON:
            faults.add(None, file.name, f"larger than {LARGEST_JSON >> 20} MiB")
            return None
        return parse_json(file.read_bytes().decode("utf-8-sig"), faults.remarks)
    except ValueError as error:  # UnicodeDecodeError is one
        faults.add(None, file.name, str(error))
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from error
    return None


def text_of(row: Row, name: str, faults: Faults) -> str:
    """Return a text cell, ``""`` where it is missing; numbers are taken as they are written."""
    value = row.values.get(name)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    faults.add(row.line, name, f"text is wanted, not {shown(value)}", row.place)
    return ""


def note_unread(record: Mapping[str, Any], read: Sequence[str], faults: Faults) -> None:
    """Record each field that has a value and is not read, so that the user is told of it."""
    for name, value in record.items():
        if name not in read and value not in (None, "", [], {}):
            faults.remarks.unread(name)


def rest_of(row: Row, used: Sequence[str]) -> dict[str, Any]:
    """Return the values of the columns that are not used: what goes along as metadata."""
    return {name: value for name, value in row.values.items() if name not in used}
