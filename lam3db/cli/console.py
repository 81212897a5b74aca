"""Printing for the commands: data on stdout, everything else on stderr.

What must hold: texts from models and datasets are shown on a terminal, never obeyed (see
:mod:`lam3db.report.text`); rich markup inside them stays text; JSON and CSV carry texts exactly,
but for lone surrogates, which no output encoding has: they appear as their escapes.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console

from lam3db.report.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["err", "out", "print_json", "print_rows", "safe_text"]

out = Console(highlight=False, markup=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
_WIDE = 10_000
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def print_json(value: Any) -> None:
    """Print JSON on stdout, readable in any script; controls are escaped, so nothing is lost."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    _write(_UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n")


def print_rows(rows: Sequence[Sequence[Any]], columns: Sequence[str], output: str) -> None:
    """Print rows as ``table``, ``csv`` or ``json`` (a list of objects by column).

    A table is as wide as the terminal, and as wide as it needs where there is none. None is
    an empty cell, null in JSON. Numbers stand to the right in a table.
    """
    if output == "json":
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif output == "csv":
        _print_csv(rows, columns)
    else:
        _print_table(rows, columns)


def _print_csv(rows: Sequence[Sequence[Any]], columns: Sequence[str]) -> None:
    shown = safe_text if sys.stdout.isatty() else _encodable
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([shown(cell) if isinstance(cell, str) else cell for cell in row])


def _print_table(rows: Sequence[Sequence[Any]], columns: Sequence[str]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for index, name in enumerate(columns):
        cells = [row[index] for row in rows if row[index] is not None]
        is_number = bool(cells) and all(_is_number(cell) for cell in cells)
        table.add_column(Text(name), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(cell)) for cell in row))
    if out.is_terminal:
        out.print(table)
        return
    wide = Console(highlight=False, markup=False, width=_WIDE, file=io.StringIO())
    wide.print(table)
    lines = wide.file.getvalue().splitlines()  # type: ignore[attr-defined] # our StringIO
    _write("".join(f"{line.rstrip()}\n" for line in lines if line.strip()))


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
