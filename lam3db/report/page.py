"""A page of tables with the sentences under them, in every format: what several commands print.

What must hold: every format says the same; JSON and CSV carry raw numbers, null or an empty cell
for what is missing, never NaN; what comes from datasets is shown, never obeyed.
"""

from __future__ import annotations

import csv
import io
import json
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lam3db.errors import ConfigError, did_you_mean
from lam3db.report.formats import WIDTH, markdown_lines, markdown_text, table_lines
from lam3db.report.text import safe_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lam3db.report.tables import Table
    from lam3db.stats.intervals import Interval

FORMATS = ("table", "markdown", "csv", "json")


@dataclass(frozen=True, slots=True)
class Page:
    """What is printed. ``rows`` are the lines of the CSV, ``value`` the JSON but for the notes.

    ``empty`` says why there is nothing, and what to do.
    """

    scope: tuple[str, ...]
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    rows: tuple[Mapping[str, Any], ...] = ()
    value: Mapping[str, Any] = field(default_factory=dict)
    empty: str | None = None


def render_page(page: Page, output: str = "table", width: int = WIDTH) -> str:
    """Return the page as one of :data:`FORMATS`, ending in a line feed.

    Raises:
        ConfigError: another format.

    """
    if output not in FORMATS:
        raise ConfigError(f"--format {output}: no such format{did_you_mean(output, FORMATS)}")
    if output == "table":
        return _terminal(page, width)
    return {"markdown": _markdown, "csv": _csv, "json": _json}[output](page)


def number_fields(name: str, value: float | None, interval: Interval | None) -> dict[str, Any]:
    """Return a number with its interval as fields of a flat row."""
    return {
        name: value,
        f"{name}_low": interval.low if interval else None,
        f"{name}_high": interval.high if interval else None,
        f"{name}_method": interval.method if interval else None,
    }


def _terminal(page: Page, width: int) -> str:
    blocks = [f"Scope: {safe_text(', '.join(page.scope) or 'everything')}", ""]
    if page.empty:
        return "\n".join([*blocks, page.empty, ""])
    for table in page.tables:
        blocks += [safe_text(table.title), *table_lines(table), ""]
    for note in page.notes:
        blocks += textwrap.wrap(safe_text(note), width, initial_indent="- ", subsequent_indent="  ")
    return "\n".join([*blocks, ""])


def _markdown(page: Page) -> str:
    blocks = [f"Scope: {markdown_text(', '.join(page.scope) or 'everything')}", ""]
    if page.empty:
        return "\n".join([*blocks, page.empty, ""])
    for table in page.tables:
        blocks += [f"**{markdown_text(table.title)}**", "", *markdown_lines(table), ""]
    return "\n".join([*blocks, *(f"- {markdown_text(note)}" for note in page.notes), ""])


def _csv(page: Page) -> str:
    names = list(dict.fromkeys(name for row in page.rows for name in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(page.rows)
    return stream.getvalue()


def _json(page: Page) -> str:
    value = {"scope": page.scope, "level": 0.95, "cluster": "behavior", **page.value}
    value |= {"notes": page.notes, "empty": page.empty}
    return json.dumps(value, ensure_ascii=True, indent=2, allow_nan=False) + "\n"


def plain_table(
    title: str, left: int, header: Sequence[str], cells: Sequence[Sequence[str]]
) -> Table:
    """Return a table without groups of columns; the first ``left`` columns are labels."""
    from lam3db.report.tables import Table

    return Table(title, tuple(header), ("",) * len(header), left, tuple(map(tuple, cells)))


def aligned(cells: Sequence[str]) -> list[str]:
    """Pad what follows ``[`` to one width, so that the values before it stand in line."""
    split = [cell.partition("[") for cell in cells]
    widest = max((len(tail) for _, _, tail in split), default=0)
    return [head + mark + (f"{tail:<{widest}}" if mark else "") for head, mark, tail in split]


def percent_cell(value: float | None, interval: Interval) -> str:
    """Return `` 62.5 % [45.2,  77.1]``, or a dash."""
    if value is None:
        return MISSING
    shown = f"{100 * value:.1f} %"
    if interval.low is None or interval.high is None:
        return f"{shown} [{_short(interval.method)}]"
    return f"{shown} [{100 * interval.low:4.1f}, {100 * interval.high:5.1f}]"


def number_cell(value: float | None, interval: Interval) -> str:
    """Return ``0.742 [0.61, 0.85]``, or a dash."""
    if value is None:
        return MISSING
    if interval.low is None or interval.high is None:
        return f"{value:.3f} [{_short(interval.method)}]"
    return f"{value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _short(method: str) -> str:
    return method.removeprefix("none: ").partition(":")[0]


MISSING = "–"  # noqa: RUF001 - the dash of an empty cell, as in reports
