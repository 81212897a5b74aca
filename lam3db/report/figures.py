"""The figures by name: from a database to numbers, from numbers to a chart.

    value = figure(conn, "asr")            # plain numbers, no figure library needed
    chart = chart_of(value)                # an altair chart, as notebooks show it
    svg(chart); png(chart)

What must hold: numbers and drawing are apart; importing this imports no figure library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lam3db.errors import ConfigError, did_you_mean
from lam3db.report import figure_shares, figure_units
from lam3db.report.build import DEFAULT_BY, build_report
from lam3db.report.figure_values import Agreement, Bars, Curves, Distribution, Figure, Heat
from lam3db.report.scope import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from lam3db.metrics import Scope
    from lam3db.report.build import Report
    from lam3db.store.aggregates import Frame

    Ask = Callable[[Sequence[str]], Report]

NAMES = {
    "asr": "shares with intervals by model and attack (or --by)",
    "heatmap": "shares by model and category (or --by with two keys)",
    "threshold": "share over each threshold, by model",
    "distribution": "histograms of values, by model",
    "agreement": "how far every two judges agree",
}
_HEAT = ("model", "category")
_PAIR = 2


def figure(
    conn: Connection,
    name: str,
    scope: Scope | None = None,
    by: Sequence[str] = DEFAULT_BY,
    judges: Sequence[str] = (),
    ask: Ask | None = None,
) -> Figure:
    """Return the numbers of the figure ``name`` (one of :data:`NAMES`).

    ``ask`` builds the report for a grouping; without one it is :func:`build_report` on
    ``scope`` and ``judges``.

    Raises:
        ConfigError: no such figure, or nothing in scope that it could show.
        NotFoundError: no such run, model, dataset or judge.

    """
    if name not in NAMES:
        raise ConfigError(f"no figure {name!r}{did_you_mean(name, list(NAMES))}")
    ask = ask or (lambda keys: build_report(conn, scope, keys, judges))
    by = tuple(key for key in by if key != "judge")
    if name == "asr":
        return figure_shares.bars(ask(by))
    if name == "heatmap":
        chosen = len(by) == _PAIR and tuple(by) != DEFAULT_BY
        return figure_shares.heat(ask(by if chosen else _HEAT))
    frame, _ = resolve(conn, _everything() if scope is None else scope)
    make: dict[str, Callable[[Connection, Frame, Report], Figure]] = {
        "threshold": figure_units.curves,
        "distribution": figure_units.distribution,
        "agreement": figure_units.agreement,
    }
    return make[name](conn, frame, ask(["model"]))


def chart_of(value: Figure) -> Any:
    """Return the altair chart of these numbers.

    Raises:
        MissingDependencyError: the extra ``figures`` is not installed.

    """
    from lam3db.report import chart_shares, chart_values

    match value:
        case Bars():
            return chart_shares.bars_chart(value)
        case Heat():
            return chart_shares.heat_chart(value)
        case Curves():
            return chart_values.curves_chart(value)
        case Distribution():
            return chart_values.distribution_chart(value)
        case Agreement():
            return chart_values.agreement_chart(value)


def report_chart(report: Report) -> Any:
    """Return the altair chart of a report's shares, as a notebook shows it; as `chart_of`."""
    return chart_of(figure_shares.bars(report))


def _everything() -> Scope:
    from lam3db.metrics import Scope

    return Scope()
