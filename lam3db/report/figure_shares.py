"""The figures that a report's own numbers make: bars by group, and a map of two keys.

What must hold: a figure shows the numbers of the report and no others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lam3db.errors import ConfigError
from lam3db.report.definitions import share_heading
from lam3db.report.figure_values import NOTHING, Bars, Heat, Panel, Point
from lam3db.report.tables import footnotes

if TYPE_CHECKING:
    from lam3db.report.build import Report


def bars(report: Report) -> Bars:
    """Return the shares of every group and judge that decides; raise ConfigError for none."""
    rows = [row for row in report.rows if row.numbers[0].counts.total]
    panels = tuple(
        Panel(
            column.label, share_heading(column), tuple(Point.of(r.numbers[i].share) for r in rows)
        )
        for i, column in enumerate(report.judges)
        if column.judge.decides
    )
    _check(report, panels, shown=bool(rows))
    labels = tuple(row.labels or ("all",) for row in rows)
    return Bars(report.by or ("scope",), labels, panels, *_told(report))


def heat(report: Report) -> Heat:
    """Return the shares by the first two keys of the report; raise ConfigError for fewer."""
    if len(report.by) != 2:  # noqa: PLR2004 - rows and columns
        raise ConfigError(f"a heat map needs two keys, --by model,category; not {report.by}")
    rows = [row for row in report.rows if row.numbers[0].counts.total]
    down = tuple(dict.fromkeys(row.labels[0] for row in rows))
    across = tuple(sorted({row.labels[1] for row in rows}, key=lambda x: (x != "none", x)))
    panels = []
    for i, column in enumerate(report.judges):
        if column.judge.decides:
            known = {row.labels: Point.of(row.numbers[i].share) for row in rows}
            points = tuple(known.get((one, two), NOTHING) for one in down for two in across)
            panels.append(Panel(column.label, share_heading(column), points))
    _check(report, tuple(panels), shown=bool(rows))
    by = (report.by[0], report.by[1])
    return Heat(by, down, across, tuple(panels), *_told(report))


def scope_of(report: Report) -> str:
    """Return in words what the report is about."""
    return ", ".join(report.scope) or "everything"


def intervals_of(report: Report) -> str:
    """Return the report's own sentence on its intervals, without what it says of means."""
    told = [note for note in footnotes(report) if note.startswith("Intervals: ")]
    parts = told[0].rstrip(".").split("; ") if told else ["Intervals: none"]
    return "; ".join(part for part in parts if not part.startswith("Student"))


def _told(report: Report) -> tuple[str, str, str]:
    """Return the scope, how intervals were made, and what the shares are of."""
    question = report.question
    rule = "" if question.rule.name == "each" else f", --rule {question.rule.written}"
    return scope_of(report), intervals_of(report), _SHARES[question.missing] + rule


_SHARES = {
    "scored": "Share of what was scored",
    "failure": "Share of all, what was not scored being a failed attack",
    "success": "Share of all, what was not scored being a successful attack",
}


def _check(report: Report, panels: tuple[Panel, ...], *, shown: bool) -> None:
    if report.empty:
        raise ConfigError(f"no figure: {report.empty}")
    if not shown:
        raise ConfigError("no figure: all samples in this scope are benign, there is no attack")
    if not panels:
        names = ", ".join(column.label for column in report.judges)
        raise ConfigError(
            f"no figure of shares: {names} gives values and has no threshold; "
            "`--figure distribution` and `--figure threshold` show values"
        )
