"""CSV and TSV with a header line.

What must hold: every row has the header's cells, no more and no fewer, and a cell is what was
written (RFC 4180 quoting, strictly read, or with an escape character where a person says so). A
missing quote is a fault, not a huge cell. Like in a sheet, a row of empty cells is no row and
empty cells beyond the header are none. A first line ``sep=;``, which Excel writes and reads, says
what separates the cells.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING

from lam3db.datasets.faults import shown
from lam3db.datasets.lines import MAX_LINE, Row, read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from lam3db.datasets.faults import Faults


_DECLARED = re.compile(r'"?sep=(.)"?')
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff"))


def read_table(path: Path, delimiter: str, faults: Faults) -> list[Row]:
    """Return the rows below the header; cells are text, an empty cell is ``""``."""
    return list(stream_table(path, delimiter, faults))


def stream_table(
    path: Path,
    delimiter: str,
    faults: Faults,
    *,
    encoding: str | None = None,
    header: Sequence[str] | None = None,
    escape: str | None = None,
) -> Iterator[Row]:
    """Yield the rows below the header one by one; ``header`` names columns that have none.

    ``escape`` is the character that stands before a quote within a cell, where quotes are not
    doubled.
    """
    before = csv.field_size_limit(MAX_LINE)
    try:
        lines = read_lines(path, faults, encoding)
        yield from _rows(_Records(lines, delimiter, escape, faults), faults, header)
    finally:
        csv.field_size_limit(before)


def declared_delimiter(line: str) -> str | None:
    """Return what a first line ``sep=;`` says separates the cells; None for any other line."""
    found = _DECLARED.fullmatch(line.strip("\r\n"))
    return found[1] if found else None


def column_name(name: str, index: int, faults: Faults) -> str:
    """Return a column's name without outer blanks and in one Unicode form, ``index`` from 1."""
    plain = unicodedata.normalize("NFC", name.translate(_INVISIBLE).strip())
    if plain != name.strip():
        faults.remarks.note(f"the column {shown(name)} is read as {shown(plain)}")
    return plain or f"column {index}"


def tell_repeated(names: Sequence[str], faults: Faults) -> None:
    """Note as a fault each column that stands twice in the header."""
    for name in sorted(name for name, count in Counter(names).items() if count > 1):
        faults.add(1, None, f"the column {shown(name)} stands twice in the header")


def _rows(records: _Records, faults: Faults, header: Sequence[str] | None) -> Iterator[Row]:
    """Yield the rows that fit the header; of the others nothing is kept, whatever their size."""
    cells = iter(records)
    if header is None:
        first = next(cells, None)
        if first is None:
            return
        header = _header(first[1], records.delimiter, faults)
    for line, values in cells:
        while len(values) > len(header) and not values[-1]:
            values.pop()
        if len(values) == len(header):
            yield Row(line, dict(zip(header, values, strict=True)))
        else:
            faults.add(line, None, f"{len(values)} cells under a header of {len(header)}")


class _Records:
    """The records of a table with the line on which each begins.

    Reading ends at the first broken quotation: where the next record begins nobody knows.
    """

    def __init__(
        self,
        lines: Iterator[tuple[int, str]],
        delimiter: str,
        escape: str | None,
        faults: Faults,
    ) -> None:
        self.delimiter, self._lines, self._escape, self._faults = delimiter, lines, escape, faults
        self._line, self._text = 0, ""

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        texts = self._texts()
        first = next(texts, None)
        if first is None:
            return
        declared = declared_delimiter(first)
        if declared is not None:
            self.delimiter = declared
        else:
            texts = chain((first,), texts)
        reader = csv.reader(
            texts,
            delimiter=self.delimiter,
            escapechar=self._escape,
            doublequote=self._escape is None,
            strict=True,
        )
        start = 1 if declared is None else 2
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                self._faults.add(start, None, self._broken(str(error)))
                return
            if any(cells) and (len(cells) > 1 or cells[0].strip()):
                yield start, cells
            start = self._line + 1

    def _texts(self) -> Iterator[str]:
        for number, text in self._lines:
            self._line, self._text = number, text
            yield text

    def _broken(self, error: str) -> str:
        if self._escape is None and '\\"' in self._text:
            what = f"{error}: a quote inside is escaped with a backslash and not doubled: say"
            what += " `file: {escape: '\\'}` in a map, or double it."
        else:
            what = f"{error}: is a closing quote missing, or a quote inside not doubled?"
        return f"{what} What follows was not read."


def _header(cells: list[str], delimiter: str, faults: Faults) -> list[str]:
    names = [column_name(cell, index, faults) for index, cell in enumerate(cells, 1)]
    tell_repeated(names, faults)
    if len(names) == 1:
        for other, word in ((";", "semicolons"), ("\t", "tabs"), (",", "commas")):
            if other != delimiter and other in names[0]:
                faults.add(1, None, f"one column {shown(names[0])}: separated by {word}?")
    return names
