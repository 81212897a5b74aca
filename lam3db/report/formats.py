"""A report as text: for a terminal, Markdown, CSV or JSON.

What must hold: every format says the same; JSON and CSV carry raw numbers, null or an empty
cell for what is missing, never NaN. Labels come from datasets: on a terminal they are shown,
never obeyed. CSV carries labels exactly, also those that begin with ``=``: quoting them for
spreadsheets would change the data.
"""

from __future__ import annotations

import csv
import io
import json
import textwrap
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

from lam3db.errors import ConfigError, did_you_mean
from lam3db.report.tables import Table, footnotes, tables
from lam3db.report.text import columns, safe_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from lam3db.metrics import Counts, Estimate, Number
    from lam3db.report.build import JudgeColumn, Report, Row

WIDTH = 120
_LABEL = 40
_GAP = "  "


def render(report: Report, output: str = "table", width: int = WIDTH) -> str:
    """Return the report as ``table``, ``markdown``, ``csv`` or ``json``, ending in a line feed.

    Raises:
        ConfigError: another format.

    """
    if output not in FORMATS:
        raise ConfigError(f"--format {output}: no such format{did_you_mean(output, list(FORMATS))}")
    if output == "table":
        return _terminal(report, width)
    return FORMATS[output](report)


def _terminal(report: Report, width: int) -> str:
    blocks = [f"Scope: {safe_text(', '.join(report.scope) or 'everything')}", ""]
    if report.empty:
        return "\n".join([*blocks, report.empty, ""])
    for table in tables(report, width):
        blocks += [table.title, *table_lines(table), ""]
    for note in footnotes(report):
        blocks += textwrap.wrap(safe_text(note), width, initial_indent="- ", subsequent_indent="  ")
    return "\n".join([*blocks, ""])


def table_lines(table: Table) -> list[str]:
    """Return a table as aligned lines; a label that repeats the line above is left out."""
    labels = [tuple(safe_text(cell, _LABEL) for cell in row[: table.left]) for row in table.cells]
    rows = [(*label, *row[table.left :]) for label, row in zip(labels, table.cells, strict=True)]
    widths = [max(map(columns, cells)) for cells in zip(table.header, *rows, strict=True)]
    found = _group_line(table, widths)
    found.append(_line(list(table.header), widths, table.left))
    found.append(_GAP.join("─" * width for width in widths))
    previous: tuple[str, ...] = ()
    for row in rows:
        found.append(_line(_without_repeats(row, previous, table.left), widths, table.left))
        previous = row
    return found


def _group_line(table: Table, widths: list[int]) -> list[str]:
    """Return the line that names the judge over its columns, if there is one to name."""
    if not any(table.groups):
        return []
    parts = []
    for label, members in groupby(range(len(widths)), key=lambda i: table.groups[i]):
        indices = list(members)
        width = sum(widths[i] for i in indices) + len(_GAP) * (len(indices) - 1)
        shown = safe_text(label, width)
        space = width - columns(shown)
        if label and space > 1:
            shown, space = f" {shown} ", space - 2
            parts.append("─" * (space // 2) + shown + "─" * (space - space // 2))
        else:
            parts.append(shown + " " * space)
    return [_GAP.join(parts).rstrip()]


def _without_repeats(row: tuple[str, ...], previous: tuple[str, ...], left: int) -> list[str]:
    shown = list(row)
    for i in range(left - 1):
        if previous[: i + 1] == row[: i + 1]:
            shown[i] = ""
    return shown


def _line(cells: list[str], widths: list[int], left: int) -> str:
    padded = [
        cell + " " * (width - columns(cell)) if i < left else " " * (width - columns(cell)) + cell
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return _GAP.join(padded).rstrip()


def _markdown(report: Report) -> str:
    scope = markdown_cell(", ".join(report.scope) or "everything")
    blocks = [f"Scope: {scope}", ""]
    if report.empty:
        return "\n".join([*blocks, report.empty, ""])
    for table in tables(report):
        rule = ["---"] * table.left + ["---:"] * (len(table.header) - table.left)
        names = [f"{g} {h}".strip() for g, h in zip(table.groups, table.header, strict=True)]
        blocks += [f"**{table.title}**", "", _pipe([markdown_cell(name) for name in names])]
        blocks += [_pipe(rule), *(_markdown_row(row, table.left) for row in table.cells), ""]
    blocks += [f"- {markdown_cell(note)}" for note in footnotes(report)]
    return "\n".join([*blocks, ""])


def _markdown_row(row: tuple[str, ...], left: int) -> str:
    """Return a line of a table; numbers are ours and need no escaping, only less padding."""
    numbers = [" ".join(cell.split()).replace("[ ", "[") for cell in row[left:]]
    return _pipe([*(markdown_cell(cell) for cell in row[:left]), *numbers])


def _pipe(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def markdown_cell(text: str) -> str:
    """Return text for Markdown: one line, with nothing that could become markup."""
    return " ".join(safe_text(text).split()).translate(_ESCAPES)


_ESCAPES = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_|<["})


def _csv(report: Report) -> str:
    """One line per group and judge."""
    stream = io.StringIO()
    lines = [_flat(report, row, i) for row in report.rows for i in range(len(report.judges))]
    names = list(lines[0]) if lines else [*report.by, "judge"]
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return stream.getvalue()


def _flat(report: Report, row: Row, i: int) -> dict[str, Any]:
    number, column = row.numbers[i], report.judges[i]
    judge = column.judge
    found: dict[str, Any] = dict(zip(report.by, row.labels, strict=True)) | row.digests
    found |= {"judge": judge.name, "judge_version": judge.version, "judge_digest": judge.digest}
    found |= {"heading": judge.heading, "threshold": judge.threshold, "operator": judge.operator}
    found["rule"] = report.rule
    for prefix, estimate in (("share", number.share), ("mean", number.mean)):
        found |= _named(prefix, estimate)
    found |= _counts("", number.counts)
    found |= _named("benign_refused", number.benign_refused)
    return found | _counts("benign_", number.benign)


def _named(prefix: str, estimate: Estimate | None) -> dict[str, Any]:
    interval = estimate.interval if estimate else None
    return {
        prefix: estimate.value if estimate else None,
        f"{prefix}_low": interval.low if interval else None,
        f"{prefix}_high": interval.high if interval else None,
        f"{prefix}_method": interval.method if interval else None,
        f"{prefix}_n": estimate.n if estimate else None,
        f"{prefix}_behaviors": estimate.clusters if estimate else None,
    }


def _counts(prefix: str, counts: Counts) -> dict[str, Any]:
    found = {"total": counts.total, "coverage": counts.coverage, **asdict(counts)}
    return {prefix + name: value for name, value in found.items()}


def _json(report: Report) -> str:
    value = {
        "by": report.by,
        "rule": report.rule,
        "scope": report.scope,
        "level": 0.95,
        "cluster": "behavior",
        "judges": [_judge(column) for column in report.judges],
        "rows": [
            {
                "group": dict(zip(report.by, row.labels, strict=True)),
                "digests": row.digests,
                "numbers": [
                    {"judge": column.label, **_number(number)}
                    for column, number in zip(report.judges, row.numbers, strict=True)
                ],
            }
            for row in report.rows
        ],
        "notes": footnotes(report),
        "empty": report.empty,
    }
    return json.dumps(value, ensure_ascii=True, indent=2, allow_nan=False) + "\n"


def _judge(column: JudgeColumn) -> dict[str, Any]:
    found = {"label": column.label, **asdict(column.judge)}
    del found["id"]
    return found


def _number(number: Number) -> dict[str, Any]:
    return {
        "share": asdict(number.share) if number.share else None,
        "mean": asdict(number.mean) if number.mean else None,
        "counts": _counts("", number.counts),
        "benign_refused": asdict(number.benign_refused) if number.benign_refused else None,
        "benign": _counts("", number.benign),
    }


FORMATS: dict[str, Callable[[Report], str]] = {
    "table": lambda report: _terminal(report, WIDTH),
    "markdown": _markdown,
    "csv": _csv,
    "json": _json,
}
