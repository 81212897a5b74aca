"""CSV and TSV with a header line.

What must hold: every row has the header's cells, no more and no fewer, and a cell is what was
written (RFC 4180 quoting, strictly read). A missing quote is a fault, not a huge cell.
"""

from __future__ import annotations

import csv
from collections import Counter
from typing import TYPE_CHECKING

from lam3db.datasets.faults import shown
from lam3db.datasets.lines import MAX_LINE, Row, read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from lam3db.datasets.faults import Faults


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
) -> Iterator[Row]:
    """Yield the rows below the header one by one; ``header`` names columns that have none."""
    before = csv.field_size_limit(MAX_LINE)
    try:
        yield from _rows(_records(path, delimiter, faults, encoding), delimiter, faults, header)
    finally:
        csv.field_size_limit(before)


def _rows(
    records: Iterator[tuple[int, list[str]]],
    delimiter: str,
    faults: Faults,
    header: Sequence[str] | None,
) -> Iterator[Row]:
    """Yield the rows that fit the header; of the others nothing is kept, whatever their size."""
    if header is None:
        first = next(records, None)
        if first is None:
            return
        header = _header(first[1], delimiter, faults)
    for line, cells in records:
        if len(cells) == len(header):
            yield Row(line, dict(zip(header, cells, strict=True)))
        else:
            faults.add(line, None, f"{len(cells)} cells under a header of {len(header)}")


def _records(
    path: Path, delimiter: str, faults: Faults, encoding: str | None
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line it begins on, cells); reading ends at the first broken quotation."""
    current = 0

    def texts() -> Iterator[str]:
        nonlocal current
        for number, text in read_lines(path, faults, encoding):
            current = number
            yield text

    reader = csv.reader(texts(), delimiter=delimiter, strict=True)
    while True:
        last = current
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            what = f"{error}: is a closing quote missing, or a quote inside not doubled?"
            faults.add(last + 1, None, f"{what} What follows was not read.")
            return
        if cells:
            yield last + 1, cells


def _header(cells: list[str], delimiter: str, faults: Faults) -> list[str]:
    names = [cell.strip() or f"column {index}" for index, cell in enumerate(cells, 1)]
    for name in sorted(name for name, count in Counter(names).items() if count > 1):
        faults.add(1, None, f"the column {shown(name)} stands twice in the header")
    if len(names) == 1:
        for other, word in ((";", "semicolons"), ("\t", "tabs"), (",", "commas")):
            if other != delimiter and other in names[0]:
                faults.add(1, None, f"one column {shown(names[0])}: separated by {word}?")
    return names
