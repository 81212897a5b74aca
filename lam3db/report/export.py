r"""Rows to files or to standard output.

What must hold: texts are exact. JSON Lines hold every text exactly (a lone surrogate as its JSON
escape). CSV does too, but for lone surrogates, which no encoding has: the stream writes them as
``\udXXX`` (:mod:`lam3db.escaping`). Cells that a spreadsheet takes for formulas are left as they
are, because an apostrophe before them would change the data: :mod:`lam3db.excel` is for that.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, TextIO

from lam3db.atomic_files import new_file
from lam3db.errors import ConfigError
from lam3db.excel import ExcelWriter
from lam3db.report.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

FORMATS = ("jsonl", "csv")
OTHER_ENDINGS = (
    *(".parquet", ".feather", ".arrow", ".xlsx", ".xls", ".ods", ".tsv"),
    *(".gz", ".bz2", ".xz", ".zip"),
)
"""What names a format that is not written here: JSON Lines under such a name mislead."""


def export_format(asked: str | None, path: str, *, excel: bool = False) -> str:
    """Return the format asked for, or the one the file's name tells; raise ConfigError."""
    if excel and (asked == "jsonl" or (asked is None and path.lower().endswith(".jsonl"))):
        raise ConfigError("--excel is a way of CSV, not of JSON Lines")
    if asked is None and path.lower().endswith(OTHER_ENDINGS):
        ending = PurePath(path).suffix
        raise ConfigError(f"-o {path}: {ending} is not written here: .jsonl or .csv, or --format")
    if asked is None:
        return "csv" if excel or path.lower().endswith(".csv") else "jsonl"
    if asked not in FORMATS:
        raise ConfigError(f"--format {asked}: write one of {', '.join(FORMATS)}")
    return asked


def write_rows(
    stream: TextIO,
    columns: Sequence[str],
    rows: Iterable[Mapping[str, Any]],
    output: str,
    *,
    excel: bool = False,
) -> int:
    """Write rows as they come and return how many there were.

    On a terminal, and only there, texts are made harmless first.
    """
    if stream.isatty():
        rows = ({name: _safe(value) for name, value in row.items()} for row in rows)
    count = 0
    if output == "csv":
        writer = ExcelWriter(stream) if excel else csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        for count, row in enumerate(rows, 1):  # noqa: B007 - the number is the result
            writer.writerow([row[name] for name in columns])
        return count
    for count, row in enumerate(rows, 1):  # noqa: B007 - the number is the result
        stream.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
    return count


def with_json(
    rows: Iterable[Mapping[str, Any]], columns: Collection[str]
) -> Iterator[dict[str, Any]]:
    """Yield the rows with what these columns hold as JSON texts as values."""
    for row in rows:
        yield {
            name: json.loads(value) if name in columns and value is not None else value
            for name, value in row.items()
        }


def _safe(value: Any) -> Any:
    """Return a value whose texts, at every depth, are harmless on a terminal."""
    if isinstance(value, str):
        return safe_text(value)
    if isinstance(value, list):
        return [_safe(item) for item in value]
    if isinstance(value, dict):
        return {safe_text(name): _safe(item) for name, item in value.items()}
    return value


def export_rows(
    file: str,
    columns: Sequence[str],
    rows: Iterable[Mapping[str, Any]],
    output: str,
    *,
    force: bool,
    excel: bool = False,
) -> int:
    """Write rows to a new file, or to standard output for ``-``; return how many there were.

    Raises:
        InputError: as :func:`lam3db.atomic_files.new_file`.

    """
    if file == "-":
        return write_rows(sys.stdout, columns, rows, output, excel=excel)
    with new_file(Path(file), force=force) as stream:
        return write_rows(stream, columns, rows, output, excel=excel)
