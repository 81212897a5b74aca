"""A report as text: for a terminal, Markdown, CSV, JSON or LaTeX.

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
from lam3db.metrics import Counts
from lam3db.report.definitions import unsafe_event
from lam3db.report.latex import latex
from lam3db.report.tables import Table, footnotes, tables
from lam3db.report.text import columns, safe_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lam3db.metrics import Estimate, Number
    from lam3db.report.build import AttributeTable, Report, Row
    from lam3db.report.lenses import JudgeColumn

WIDTH = 120
_LABEL = 40
_GAP = "  "


def render(report: Report, output: str = "table", width: int = WIDTH) -> str:
    """Return the report in one of :data:`FORMATS`, ending in a line feed.

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
        return "\n".join([*blocks, safe_text(report.empty), ""])
    for table in tables(report, width):
        blocks += [safe_text(table.title), *table_lines(table), ""]
    for note in footnotes(report):
        blocks += wrapped_note(note, width)
    return "\n".join([*blocks, ""])


def wrapped_note(note: str, width: int) -> list[str]:
    """Return a sentence under a table as lines; what is to be copied is not broken."""
    return textwrap.wrap(
        safe_text(note),
        width,
        initial_indent="- ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def table_lines(table: Table) -> list[str]:
    """Return a table as aligned lines; a label that repeats the line above is left out."""
    header = [_one_line(name) for name in table.header]
    rows = [
        (
            *(safe_text(cell, _LABEL) for cell in row[: table.left]),
            *(_one_line(cell) for cell in row[table.left :]),
        )
        for row in table.cells
    ]
    widths = [max(map(columns, cells)) for cells in zip(header, *rows, strict=True)]
    found = _group_line(table, widths)
    found.append(_line(header, widths, table.left))
    found.append(_GAP.join("─" * width for width in widths))
    previous: tuple[str, ...] = ()
    for row in rows:
        found.append(_line(_without_repeats(row, previous, table.left), widths, table.left))
        previous = row
    return found


def _one_line(text: str) -> str:
    """Return a cell that a terminal shows as it is: aligned numbers keep their blanks."""
    return safe_text(text).replace("\n", " ")


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
    scope = markdown_text(", ".join(report.scope) or "everything")
    blocks = [f"Scope: {scope}", ""]
    if report.empty:
        return "\n".join([*blocks, markdown_text(report.empty), ""])
    for table in tables(report):
        blocks += [f"**{markdown_text(table.title)}**", "", *markdown_lines(table), ""]
    blocks += [f"- {markdown_text(note)}" for note in footnotes(report)]
    return "\n".join([*blocks, ""])


def markdown_lines(table: Table) -> list[str]:
    """Return a table as lines of Markdown, without its title."""
    rule = ["---"] * table.left + ["---:"] * (len(table.header) - table.left)
    names = [f"{g} {h}".strip() for g, h in zip(table.groups, table.header, strict=True)]
    rows = (_markdown_row(row, table.left) for row in table.cells)
    return [_pipe([markdown_text(name) for name in names]), _pipe(rule), *rows]


def _markdown_row(row: tuple[str, ...], left: int) -> str:
    """Return a line of a table; numbers are ours and need no escaping, only less padding."""
    numbers = [" ".join(cell.split()).replace("[ ", "[") for cell in row[left:]]
    return _pipe([*(markdown_text(cell) for cell in row[:left]), *numbers])


def _pipe(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def markdown_text(text: str) -> str:
    """Return text for Markdown: one line, with nothing that could become markup."""
    return " ".join(safe_text(text).split()).translate(_ESCAPES)


_ESCAPES = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_|<["})


def _csv(report: Report) -> str:
    """One line per group and judge."""
    stream = io.StringIO()
    lines = flat_rows(report)
    writer = csv.DictWriter(stream, flat_names(report.by), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return stream.getvalue()


def flat_names(by: Sequence[str]) -> list[str]:
    """Return the names that :func:`flat_rows` gives its rows, the same where there is no row."""
    digests = {"model_digest": {"model"}, "config_digest": {"model", "config"}}
    return [*by, *(name for name, keys in digests.items() if keys & set(by)), *FLAT]


def flat_rows(report: Report) -> list[dict[str, Any]]:
    """Return the numbers of a report, one row per group and judge, all with the same names."""
    return [
        _flat(report, row, column, number)
        for at, row in enumerate(report.rows)
        for column, number in _every(report, at)
    ]


def _every(report: Report, at: int) -> list[tuple[JudgeColumn, Number]]:
    """Return the numbers of a row with their judges, those of attributes after the others."""
    found = list(zip(report.judges, report.rows[at].numbers, strict=True))
    for table in report.attributes:
        found += zip(table.columns, table.numbers[at], strict=True)
    return found


def _flat(report: Report, row: Row, column: JudgeColumn, number: Number) -> dict[str, Any]:
    judge, question = column.judge, report.question
    found: dict[str, Any] = dict(zip(report.by, row.labels, strict=True)) | row.digests
    found |= {"judge": judge.name, "judge_version": judge.version, "judge_digest": judge.digest}
    found |= {"heading": judge.heading, "attribute": judge.attribute}
    found |= {"threshold": judge.threshold, "operator": judge.operator}
    found |= {"unsafe_if": unsafe_event(column), "rule": report.rule}
    found |= {"denominator": question.missing, "cluster": question.cluster}
    found |= {"interval": question.interval, "level": question.level}
    found |= _named("share", number.share)
    found["share_best"] = number.extremes.best if number.extremes else None
    found["share_worst"] = number.extremes.worst if number.extremes else None
    found |= _named("mean", number.mean)
    found |= _counts("", number.counts)
    found |= _named("refused", number.refused)
    found |= _named("benign_refused", number.benign_refused)
    found |= _counts("benign_", number.benign)
    repeated = number.repeated
    found["k"] = repeated.k if repeated else question.rule.k
    found |= _named("expected_maximum", repeated.maximum if repeated else None)
    found |= _named("any_of_k", repeated.probability if repeated else None)
    return found | {"ref": report.ref(row, column)}


def _estimate_names(prefix: str) -> tuple[str, ...]:
    return tuple(_named(prefix, None))


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


FLAT = (
    *("judge", "judge_version", "judge_digest", "heading", "attribute", "threshold", "operator"),
    *("unsafe_if", "rule", "denominator", "cluster", "interval", "level"),
    *(*_estimate_names("share"), "share_best", "share_worst", *_estimate_names("mean")),
    *_counts("", Counts()),
    *(*_estimate_names("refused"), *_estimate_names("benign_refused")),
    *_counts("benign_", Counts()),
    *("k", *_estimate_names("expected_maximum"), *_estimate_names("any_of_k"), "ref"),
)
"""The columns of a flat row after its labels and digests, in order."""


def _json(report: Report) -> str:
    value = {
        "by": report.by,
        "rule": report.rule,
        "scope": report.scope,
        "level": report.question.level,
        "cluster": report.question.cluster,
        "denominator": report.question.missing,
        "definitions": [asdict(one) for one in report.definitions],
        "judges": [_judge(column) for column in report.judges],
        "rows": [
            {
                "group": dict(zip(report.by, row.labels, strict=True)),
                "digests": row.digests,
                "numbers": [
                    {
                        "judge": column.label,
                        "ref": report.ref(row, column),
                        **named_number(number),
                    }
                    for column, number in zip(report.judges, row.numbers, strict=True)
                ],
            }
            for row in report.rows
        ],
        "attributes": [_attributes(report, table) for table in report.attributes],
        "notes": footnotes(report),
        "empty": report.empty,
    }
    return json.dumps(value, ensure_ascii=True, indent=2, allow_nan=False) + "\n"


def _judge(column: JudgeColumn) -> dict[str, Any]:
    found = {"label": column.label, **asdict(column.judge)}
    del found["id"]
    return found


def _attributes(report: Report, table: AttributeTable) -> dict[str, Any]:
    return {
        "judge": table.label,
        "attributes": [column.judge.attribute for column in table.columns],
        "rows": [
            {
                "group": dict(zip(report.by, row.labels, strict=True)),
                "numbers": [
                    {
                        "attribute": column.judge.attribute,
                        "ref": report.ref(row, column),
                        **named_number(number),
                    }
                    for column, number in zip(table.columns, numbers, strict=True)
                ],
            }
            for row, numbers in zip(report.rows, table.numbers, strict=True)
        ],
    }


def named_number(number: Number) -> dict[str, Any]:
    """Return a number as JSON."""
    return {
        "share": asdict(number.share) if number.share else None,
        "extremes": asdict(number.extremes) if number.extremes else None,
        "mean": asdict(number.mean) if number.mean else None,
        "counts": _counts("", number.counts),
        "benign_refused": asdict(number.benign_refused) if number.benign_refused else None,
        "benign": _counts("", number.benign),
        "refused": asdict(number.refused) if number.refused else None,
        "repeated": asdict(number.repeated) if number.repeated else None,
    }


FORMATS: dict[str, Callable[[Report], str]] = {
    "table": lambda report: _terminal(report, WIDTH),
    "markdown": _markdown,
    "csv": _csv,
    "json": _json,
    "latex": latex,
}
