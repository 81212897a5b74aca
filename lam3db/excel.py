"""CSV as Excel opens it: UTF-8 by its mark, and texts that it does not take for formulas.

Excel reads a CSV file without a byte order mark in the system's own encoding, and computes a cell
that begins with ``=``, ``+``, ``-``, ``@``, a tab or a line break (or one of the full-width forms,
in some languages): such a text gets an apostrophe before it. What must hold: numbers stay numbers;
two texts that differ are written differently. A file for Excel is for looking at: what is read
back by a program is written without this.
"""

from __future__ import annotations

import contextlib
import csv
import io
import re
import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MARK = "\ufeff"
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a text begins with that a spreadsheet takes for a formula."""
_GUARDED = re.compile(f"'*[{re.escape(''.join(FORMULA))}]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_LONGEST_CELL = 2**31 - 1


def guarded(cell: Any) -> Any:
    """Return a text that is no formula to a spreadsheet; a number, or the text of one, as it is."""
    if not isinstance(cell, str) or _GUARDED.match(cell) is None or _NUMBER.fullmatch(cell):
        return cell
    return f"'{cell}"


class ExcelWriter:
    """Writes rows as a :func:`csv.writer` does, guarded, after the mark."""

    def __init__(self, stream: TextIO) -> None:
        """Write the mark, where the stream's encoding has one."""
        if "utf" in (getattr(stream, "encoding", None) or "utf").lower():
            stream.write(MARK)
        self._writer = csv.writer(stream, lineterminator="\r\n")

    def writerow(self, row: Sequence[Any]) -> None:
        """Write one row."""
        self._writer.writerow([guarded(cell) for cell in row])


def write_for_excel(stream: TextIO, text: str) -> None:
    """Write CSV text as Excel opens it."""
    writer = ExcelWriter(stream)
    with _any_length():
        for row in csv.reader(io.StringIO(text, newline="")):
            writer.writerow(row)


@contextlib.contextmanager
def _any_length() -> Iterator[None]:
    before = csv.field_size_limit(min(_LONGEST_CELL, sys.maxsize))
    try:
        yield
    finally:
        csv.field_size_limit(before)
