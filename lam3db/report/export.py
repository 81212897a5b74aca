r"""Rows to files: whole or not at all.

What must hold: a file appears under its name only when it is complete, and nothing that is
there is replaced unless asked; texts are exact. JSON Lines hold every text exactly (a lone
surrogate as its JSON escape). CSV does too, but for lone surrogates, which no encoding has:
they stand as ``\udXXX``. Cells that begin with ``=``, ``+``, ``-`` or ``@`` are left as they
are, because a quote before them would change the data: import such a file as text.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

from lam3db.errors import ConfigError, InputError
from lam3db.report.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

FORMATS = ("jsonl", "csv")
_SURROGATE = re.compile("[\ud800-\udfff]")


def export_format(asked: str | None, path: str) -> str:
    """Return the format asked for, or the one the file's name tells; raise ConfigError."""
    if asked is None:
        return "csv" if path.lower().endswith(".csv") else "jsonl"
    if asked not in FORMATS:
        raise ConfigError(f"--format {asked}: write one of {', '.join(FORMATS)}")
    return asked


def write_rows(
    stream: TextIO, columns: Sequence[str], rows: Iterable[Mapping[str, Any]], output: str
) -> int:
    """Write rows as they come and return how many there were.

    On a terminal, and only there, texts are made harmless first.
    """
    if stream.isatty():
        rows = (
            {n: safe_text(v) if isinstance(v, str) else v for n, v in row.items()} for row in rows
        )
    count = 0
    if output == "csv":
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        for count, row in enumerate(rows, 1):  # noqa: B007 - the number is the result
            writer.writerow([encodable(row[name]) for name in columns])
        return count
    for count, row in enumerate(rows, 1):  # noqa: B007 - the number is the result
        line = json.dumps(row, ensure_ascii=False, allow_nan=False)
        stream.write(_SURROGATE.sub(_escape, line) + "\n")
    return count


def export_rows(
    file: str,
    columns: Sequence[str],
    rows: Iterable[Mapping[str, Any]],
    output: str,
    *,
    force: bool,
) -> int:
    """Write rows to a new file, or to standard output for ``-``; return how many there were.

    Raises:
        InputError: as :func:`new_file`.

    """
    if file == "-":
        return write_rows(sys.stdout, columns, rows, output)
    with new_file(Path(file), force=force) as stream:
        return write_rows(stream, columns, rows, output)


@contextlib.contextmanager
def new_file(path: Path, *, force: bool) -> Iterator[TextIO]:
    """Open a file that takes its name only when the block ends well.

    Raises:
        InputError: there is a file of this name (and not ``force``), no such folder, or no
            permission or space to write there.

    """
    with new_binary(path, force=force) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
        try:
            yield text
        finally:
            text.detach()  # writes what is left, and leaves the file open


@contextlib.contextmanager
def new_binary(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """Open a file of bytes as :func:`new_file` does one of text."""
    _check(path, force=force)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with part.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        _check(path, force=force)
        part.replace(path)
    except OSError as error:
        raise InputError(f"-o {path} cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):  # a folder that is read-only holds no part of ours
            part.unlink(missing_ok=True)


def _check(path: Path, *, force: bool) -> None:
    if path.is_dir():
        raise InputError(f"-o {path} is a folder: name a file in it")
    if not path.parent.is_dir():
        raise InputError(f"-o {path}: the folder {path.parent} is not there")
    if path.exists() and not force:
        raise InputError(f"-o {path} exists already: add --force to replace it")


def encodable(value: Any) -> Any:
    r"""Return a text with its lone surrogates as ``\\udXXX``; anything else as it is."""
    return _SURROGATE.sub(_escape, value) if isinstance(value, str) else value


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
