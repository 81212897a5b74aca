"""Printing for the commands: data on stdout, everything else on stderr.

What must hold: texts from models and datasets are shown on a terminal, never obeyed (see
:mod:`lam3db.report.text`); rich markup inside them stays text; JSON and CSV carry texts exactly,
but for lone surrogates, which no output encoding has: they appear as their escapes.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import re
import sys
from datetime import date, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from rich.cells import cell_len
from rich.console import Console

from lam3db.excel import ExcelWriter
from lam3db.report.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.table import Table

__all__ = ["err", "out", "print_json", "print_rows", "safe_text", "steps"]

out = Console(highlight=False, markup=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
_WIDE = 10_000
_GAP = 3
_FOLDED = 0.3  # of the terminal's width is the least that a folded column needs to be read
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


@contextlib.contextmanager
def steps(doing: str) -> Iterator[Callable[[str], None]]:
    """Yield what tells of each step on stderr: in one line that changes, on a terminal."""
    if not err.is_terminal:
        yield lambda what: err.print(f"{doing}: {what}")
        return
    with err.status(doing) as line:
        yield lambda what: line.update(f"{doing}: {what}")


def print_json(value: Any) -> None:
    """Print JSON on stdout, readable in any script; controls are escaped, so nothing is lost."""
    text = json.dumps(_finite(value), ensure_ascii=False, indent=2, allow_nan=False)
    _write(_UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n")


def _finite(value: Any) -> Any:
    """Return a value as JSON has it: numbers are numbers, but NaN and infinities are texts.

    A statement may give decimals and times of the database.
    """
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, Decimal) and value.is_finite():
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Decimal) or (isinstance(value, float) and not math.isfinite(value)):
        return str(value)
    return value.isoformat() if isinstance(value, date | time) else value


def print_rows(
    rows: Sequence[Sequence[Any]], columns: Sequence[str], output: str, *, excel: bool = False
) -> None:
    """Print rows as ``table``, ``csv`` or ``json`` (a list of objects by column).

    A table is as wide as it needs where there is no terminal. On a terminal one column may be
    folded to fit; where more would have to be, each row is a block of lines instead. None is
    an empty cell, null in JSON. Numbers stand to the right in a table.
    """
    if output == "json":
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif output == "csv":
        _print_csv(rows, columns, excel=excel)
    else:
        _print_table(rows, columns)


def _print_csv(rows: Sequence[Sequence[Any]], columns: Sequence[str], *, excel: bool) -> None:
    shown = safe_text if sys.stdout.isatty() else _encodable
    writer = ExcelWriter(sys.stdout) if excel else csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([shown(cell) if isinstance(cell, str) else cell for cell in row])


def _print_table(rows: Sequence[Sequence[Any]], columns: Sequence[str]) -> None:
    cells = [[_cell(value) for value in row] for row in rows]
    if not out.is_terminal:
        wide = Console(highlight=False, markup=False, width=_WIDE, file=io.StringIO())
        wide.print(_table(rows, cells, columns, None))
        lines = wide.file.getvalue().splitlines()  # type: ignore[attr-defined] # our StringIO
        _write("".join(f"{line.rstrip()}\n" for line in lines if line.strip()))
        return
    widths = [max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)]
    widest = max(range(len(widths)), key=widths.__getitem__)
    left = out.width - sum(widths) - _GAP * (len(widths) - 1) + widths[widest]
    if left >= min(widths[widest], _FOLDED * out.width):
        out.print(_table(rows, cells, columns, (widest, min(left, widths[widest]))))
    else:
        _print_blocks(cells, columns)
    if not rows:
        out.print("none")


def _table(
    rows: Sequence[Sequence[Any]],
    cells: Sequence[Sequence[str]],
    columns: Sequence[str],
    folded: tuple[int, int] | None,
) -> Table:
    """Return the table; ``folded`` is the column that may take several lines, and its width."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for index, name in enumerate(columns):
        values = [row[index] for row in rows if row[index] is not None]
        is_number = bool(values) and all(_is_number(value) for value in values)
        justify: Literal["left", "right"] = "right" if is_number else "left"
        may_fold = folded is None or index == folded[0]
        table.add_column(
            Text(name),
            justify=justify,
            overflow="fold",
            no_wrap=not may_fold,
            width=folded[1] if folded is not None and may_fold else None,
        )
    for row in cells:
        table.add_row(*map(Text, row))
    return table


def _print_blocks(cells: Sequence[Sequence[str]], columns: Sequence[str]) -> None:
    """Print each row as its first cell, with a line for each of the others that is not empty."""
    from rich.table import Table
    from rich.text import Text

    for row in cells:
        out.print(Text(row[0], style="bold"))
        grid = Table.grid(padding=(0, 2, 0, 2), collapse_padding=True)
        grid.add_column(width=max(map(cell_len, columns[1:])) + 2)
        grid.add_column(overflow="fold")
        for name, cell in zip(columns[1:], row[1:], strict=True):
            if cell:
                grid.add_row(Text(f"  {name}", style="dim"), Text(cell))
        out.print(grid)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return safe_text(value if isinstance(value, str) else str(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _encodable(text: str) -> str:
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _write(text: str) -> None:
    sys.stdout.write(text)
