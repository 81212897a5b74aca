"""Files of any kind that hold rows: CSV, TSV, JSON, JSONL, Parquet and XLSX, row by row.

What must hold: what is held at once is bounded whatever the file holds; every kind gives the
same rows for the same content, but that CSV knows texts only; what a kind cannot say plainly
(a formula, a number that is none) is a fault or nothing, never a guess.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import shown
from lam3db.datasets.jsonl import parse_json, stream_jsonl
from lam3db.datasets.lines import Row
from lam3db.datasets.sheet import MIB, sheet_rows
from lam3db.datasets.table import column_name, declared_delimiter, stream_table, tell_repeated
from lam3db.errors import ConfigError, InputError, MissingDependencyError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from lam3db.datasets.faults import Faults

LARGEST_JSON = 512 * MIB
"""Bytes of a JSON document, which is parsed as a whole; JSON Lines has no such bound."""
LARGEST_XLSX = 64 * MIB
MOST_ROWS = 1_048_576
_MOST_COLUMNS = 1024
_BATCH = 1000
_AT_ONCE = 20
"""Rows of a Parquet file as Python values: a few bytes in a dictionary may stand for megabytes."""
_SNIFFED = 1 << 16
_ASSIGNED = re.compile(
    r"^\s*(?:(?://[^\n]*|/\*(?:[^*]|\*(?!/))*\*/)\s*)*(?:['\"]use strict['\"];?\s*)?"
    r"(?:export\s+default\s+|(?:export\s+)?(?:(?:var|let|const)\s+)?[\w$.]+\s*(?::\s*[\w<>\[\]]+\s*)?=\s*)",
)
"""What stands before the value of a script that only gives one value a name."""
_LIST_NAMES = ("data", "results", "records", "rows", "examples", "items", "jailbreaks")


@dataclass(frozen=True, slots=True)
class FileOptions:
    """How a file is laid out, where the file itself leaves it open.

    Args:
        encoding: Of a text file; None: UTF-8 with or without a byte order mark, or UTF-16 with one.
        delimiter: Of a CSV file; None: commas, semicolons, tabs or bars, whichever the header has.
        escape: What stands before a quote within a cell of a CSV file; None: quotes are doubled.
        header: The columns' names, for a table without a header line.
        sheet: The sheet of an XLSX file; None: the first.
        records: Where the records are in a JSON document, as names with dots; None: the document
            itself, or its only list.
        ids: What to call the key of each record, where they are an object by key, or of each
            list of records; None: ``id``, and an object of a single list is that list.

    """

    encoding: str | None = None
    delimiter: str | None = None
    escape: str | None = None
    header: tuple[str, ...] | None = None
    sheet: str | None = None
    records: str | None = None
    ids: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no file can be read with; raise ConfigError."""
        if self.encoding is not None:
            try:
                codecs.lookup(self.encoding)
                "".encode(self.encoding)
            except (LookupError, TypeError):
                raise ConfigError(f"encoding {self.encoding!r}: no such encoding") from None
        if self.delimiter is not None and len(self.delimiter) != 1:
            raise ConfigError(f"delimiter {self.delimiter!r}: one character separates cells")
        if self.escape is not None and len(self.escape) != 1:
            raise ConfigError(f"escape {self.escape!r}: one character stands before a quote")


PLAIN = FileOptions()


def read_records(
    path: Path,
    faults: Faults,
    options: FileOptions = PLAIN,
    wanted: Collection[str] | None = None,
) -> Iterator[Row]:
    """Yield the rows of a file by its kind; a faulty row is noted and left out.

    A value that the file has lost is a fault in the columns that are ``wanted`` (None: all), and
    remarked on in others.

    Raises:
        InputError: it cannot be read at all: no such file, an unknown kind, no rows where some
            are said to be.
        MissingDependencyError: Parquet without pyarrow.

    """
    kind = kind_of(path)
    faults.unit = {".xlsx": "row", ".json": "record", ".js": "record", ".parquet": "row"}.get(
        kind, "line"
    )
    try:
        for row in KINDS[kind](path, faults, options):
            for column, what in (row.lost or {}).items():
                if wanted is None or column in wanted:
                    faults.add(row.line, column, what)
                else:
                    faults.remarks.note(
                        f"{column}: cells that hold a formula or an error, not read"
                    )
            yield row
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def kind_of(path: Path) -> str:
    """Return the ending by which a file is read; raise InputError."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if path.is_dir():
        raise InputError(f"{path} is a folder: name the file")
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise InputError(f"{path}: {', '.join(KINDS)} are read, not {kind or 'this'!r}")
    if not path.is_file():
        raise InputError(f"{path} is no regular file")
    return kind


def has_empty_cells(path: Path) -> bool:
    """Tell whether an empty text in this kind of file may mean that nothing is there."""
    return path.suffix.lower() in (".csv", ".tsv", ".txt", ".xlsx")


def _csv(path: Path, faults: Faults, options: FileOptions) -> Iterator[Row]:
    encoding = options.encoding or _marked(path)
    delimiter = options.delimiter or _delimiter(path, encoding)
    return stream_table(
        path, delimiter, faults, encoding=encoding, header=options.header, escape=options.escape
    )


def _marked(path: Path) -> str | None:
    """Return the encoding that a byte order mark tells, None for UTF-8."""
    with path.open("rb") as stream:
        start = stream.read(4)
    if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    return "utf-16" if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else None


def _delimiter(path: Path, encoding: str | None) -> str:
    """Return what separates the cells: a tab by the name, else what the first line has most of."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    with path.open(encoding=encoding or "utf-8-sig", errors="replace") as stream:
        head = stream.readline(_SNIFFED)
    declared = declared_delimiter(head)
    if declared is not None:
        return declared
    bare = "".join(head.split('"')[::2])  # outside of quotes
    return max(",;\t|", key=bare.count)


def _jsonl(path: Path, faults: Faults, options: FileOptions) -> Iterator[Row]:
    return stream_jsonl(path, faults, options.encoding or _marked(path))


def _json(path: Path, faults: Faults, options: FileOptions) -> Iterator[Row]:
    """Yield the records of a document: a list, an object by key, or either below a name."""
    _refuse_large(path)
    try:
        text = path.read_text(options.encoding or _marked(path) or "utf-8-sig")
        document = parse_json(text, faults.remarks)
    except UnicodeError:
        encoding = options.encoding or "UTF-8"
        raise InputError(f"{path}: not {encoding}: say which encoding it has") from None
    except ValueError as error:
        if _looks_like_lines(path):
            yield from _jsonl(path, faults, options)
            return
        raise InputError(f"{path}: {error}") from None
    yield from _document_rows(path, document, faults, options)


def _refuse_large(path: Path) -> None:
    if path.stat().st_size > LARGEST_JSON:
        raise InputError(
            f"{path}: is larger than {LARGEST_JSON // MIB} MiB, and a JSON document is read as a "
            "whole: write one object per line (.jsonl)"
        )


def _document_rows(
    path: Path, document: Any, faults: Faults, options: FileOptions
) -> Iterator[Row]:
    """Yield the records of a document; those of the Hugging Face viewer out of their ``row``."""
    ids = options.ids or "id"
    for number, (key, value) in enumerate(_found(path, document, options), 1):
        record = _unwrapped(value)
        if record is None:
            faults.add(number, None, f"not an object but {shown(value)}")
        elif key is None:
            yield Row(number, record)
        else:
            if record.get(ids, key) != key:
                faults.remarks.note(
                    f"records with {shown(ids)} of their own, not that of their key"
                )
            yield Row(number, {ids: key, **record})


def _unwrapped(value: Any) -> Mapping[str, Any] | None:
    """Return a record, out of its ``row`` where Hugging Face's viewer wrapped it; else None."""
    if not isinstance(value, dict):
        return None
    inner = value.get("row")
    return inner if "row_idx" in value and isinstance(inner, dict) else value


def _looks_like_lines(path: Path) -> bool:
    """Tell whether the first line is a whole object: JSON Lines under the name of JSON."""
    with path.open("rb") as stream:
        first = stream.readline(_SNIFFED)
    try:
        return isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _found(path: Path, document: Any, options: FileOptions) -> Iterator[tuple[str | None, Any]]:
    """Yield (key or None, record); raise InputError where no records can be told."""
    where = options.records
    for name in where.split(".") if where else ():
        if not isinstance(document, dict) or name not in document:
            known = list(document)[:_BATCH] if isinstance(document, dict) else []
            hint = did_you_mean(name, known)
            raise InputError(f"{path}: records: there is no {name!r} in it{hint}")
        document = document[name]
    if isinstance(document, dict) and where is None and options.ids is None:
        document = _only_list(document)
    if isinstance(document, list):
        yield from ((None, value) for value in document)
    elif isinstance(document, dict):
        yield from _by_key(document)
    else:
        raise InputError(f"{path}: holds {shown(document)} where records should be")


def _by_key(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the record of each key, or each record of its list."""
    are_lists = all(isinstance(value, list) for value in document.values())
    for key, value in document.items():
        for record in value if are_lists else (value,):
            yield key, record


def _only_list(document: Mapping[str, Any]) -> Any:
    """Return the records of an object that holds them below a name; else the object."""
    lists = [name for name, value in document.items() if isinstance(value, list) and value]
    lists = [name for name in lists if all(isinstance(one, dict) for one in document[name])]
    if len(lists) == 1:
        return document[lists[0]]
    named = [name for name in _LIST_NAMES if isinstance(document.get(name), list | dict)]
    return document[named[0]] if len(named) == 1 else document


def _parquet(path: Path, faults: Faults, _options: FileOptions) -> Iterator[Row]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise MissingDependencyError(
            "Parquet is read with pyarrow: pip install 'lam3db[arrow]'"
        ) from None
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            tell_repeated(file.schema_arrow.names, faults)
            for batch in file.iter_batches(batch_size=_BATCH):
                for start in range(0, batch.num_rows, _AT_ONCE):
                    for values in batch.slice(start, _AT_ONCE).to_pylist():
                        number += 1
                        yield Row(number, {name: _plain(value) for name, value in values.items()})
    except (ArrowException, ValueError, KeyError, OverflowError) as error:
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        faults.add(number + 1, None, f"cannot be read as Parquet: {what}")


def _plain(value: Any) -> Any:
    """Return a value as JSON would have it: no number that is none, times as ISO texts."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if value is None or isinstance(value, str | int | bytes):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _xlsx(path: Path, faults: Faults, options: FileOptions) -> Iterator[Row]:
    if path.stat().st_size > LARGEST_XLSX:
        raise InputError(f"{path}: is larger than {LARGEST_XLSX // MIB} MiB")
    header: Sequence[str] | None = options.header
    rows = sheet_rows(path, path.read_bytes(), options.sheet, MOST_ROWS, _MOST_COLUMNS)
    for number, cells in enumerate(rows, 1):
        if len(cells) > _MOST_COLUMNS:
            faults.add(number, None, f"more than {_MOST_COLUMNS} columns")
            continue
        values = [_cell(cell) for cell in cells]
        while values and values[-1] in (None, ""):
            values.pop()
        if header is None:
            header = _sheet_header(values, faults)
            continue
        if len(values) > len(header):
            header = [*header, *(f"column {at + 1}" for at in range(len(header), len(values)))]
        if values:
            values += [""] * (len(header) - len(values))
            row = dict(zip(header, values, strict=True))
            lost = {name: one.what for name, one in row.items() if isinstance(one, _Lost)}
            yield Row(number, row | dict.fromkeys(lost, ""), lost=lost or None)


@dataclass(frozen=True, slots=True)
class _Lost:
    """What stands in a cell instead of a value."""

    what: str


def _sheet_header(values: Sequence[Any], faults: Faults) -> list[str]:
    for at, value in enumerate(values, 1):
        if isinstance(value, _Lost):
            faults.add(1, f"column {at}", value.what)
    texts = ["" if value is None else str(value) for value in values]
    names = [column_name(text, at, faults) for at, text in enumerate(texts, 1)]
    tell_repeated(names, faults)
    return names


def _cell(cell: Any) -> Any:
    value, kind = cell.value, getattr(cell, "data_type", "")
    if kind == "f" and value is not None:
        return _Lost("a formula: paste its value")
    if kind == "e" and value is not None:
        what = f"{shown(value)} is an error of Excel's, not a text: the value was lost when the"
        return _Lost(f"{what} sheet was saved. Take it from where the sheet was made")
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return _plain(value)


def _js(path: Path, faults: Faults, options: FileOptions) -> Iterator[Row]:
    """Yield the records of a script that gives one value a name: ``var data = [...];``."""
    _refuse_large(path)
    encoding = options.encoding or _marked(path) or "utf-8-sig"
    try:
        text = path.read_text(encoding)
        value = _ASSIGNED.sub("", text, count=1).rstrip().removesuffix(";")
        document = parse_json(value)
    except UnicodeError:
        raise InputError(f"{path}: not {encoding}: say which encoding it has") from None
    except ValueError as error:
        message = f"{path}: one value in JSON is read (`var data = [...];`), not this script: "
        raise InputError(f"{message}{error}") from None
    yield from _document_rows(path, document, faults, options)


KINDS: Mapping[str, Callable[[Path, Faults, FileOptions], Iterator[Row]]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".txt": _csv,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".json": _json,
    ".parquet": _parquet,
    ".js": _js,
    ".xlsx": _xlsx,
}
"""Ending -> how a file of this kind is read."""
