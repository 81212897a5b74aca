"""Values drawn: shares by threshold, histograms, and how far judges agree.

What must hold: each model's panel says its n; bands are intervals; a root scale says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lam3db.report.chart_parts import (
    EMPTY,
    INK,
    PALETTE,
    finished,
    label,
    labels,
    library,
    rows,
    width_of,
)
from lam3db.report.chart_shares import DARK, interval_words, shades

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lam3db.report.figure_values import Agreement, Curve, Curves, Distribution, Pair, Values

_FEW = 3
_CELL = 104
_DRAWN = " People saw what was drawn for them, in part because judges disagreed on it."
_LINES = "split(datum.value, '\\n')"  # the name, and under it n


def curves_chart(curves: Curves) -> Any:
    """Return the share over each threshold with its band: a small panel per model."""
    alt = library()
    panels = [_curve_panel(curve) for curve in curves.panels]
    title = "Share of answers over a threshold, by threshold and model"
    notes = [
        (
            f"Bands: {curves.intervals}. Dashed line: the judge's threshold in use. "
            f"Every replicate counts as an answer of its own. Scope: {curves.scope}."
        )
    ]
    return finished(alt.vconcat(*panels, spacing=24), title, notes, 620)


def _curve_panel(curve: Curve) -> Any:
    alt = library()
    names = _sized(curve.lines, [line.points[0].n for line in curve.lines])
    values = [
        {"model": name, "threshold": x, "share": p.value, "low": p.low, "high": p.high, "n": p.n}
        for name, line in zip(names, curve.lines, strict=True)
        for x, p in zip(curve.grid, line.points, strict=True)
    ]
    said = f"threshold on {label(curve.measures, 24)} of {label(curve.judge, 30)}"
    x = alt.X("threshold:Q", title=None, scale=alt.Scale(domain=[curve.grid[0], curve.grid[-1]]))
    y = alt.Y(
        "share:Q",
        title=f"share {curve.operator} threshold",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format="%", tickCount=5),
    )
    base = alt.Chart()
    layers = [
        base.mark_area(color=PALETTE[0], opacity=0.25).encode(
            x=x, y=alt.Y("low:Q", scale=alt.Scale(domain=[0, 1])), y2="high:Q"
        ),
        base.mark_line(color=PALETTE[0], strokeWidth=1.8).encode(
            x=x, y=y, tooltip=["model:N", "threshold:Q", "share:Q", "low:Q", "high:Q", "n:Q"]
        ),
    ]
    if curve.current is not None:
        layers.append(
            base.mark_rule(color=PALETTE[1], strokeDash=[4, 3], strokeWidth=1.3).encode(
                x=alt.datum(curve.current)
            )
        )
    return _faceted(alt.layer(*layers, data=rows(values)), names, said, 110)


def distribution_chart(distribution: Distribution) -> Any:
    """Return a histogram per model of each judge's values, the mean marked."""
    alt = library()
    panels = [_values_panel(values) for values in distribution.panels]
    title = "Distribution of values, by model"
    notes = [
        (
            "Share of answers by value; the scale is a square root, so that rare high values are "
            f"seen. Dashed line: the mean. Scope: {distribution.scope}."
        )
    ]
    return finished(alt.vconcat(*panels, spacing=24), title, notes, 620)


def _values_panel(values: Values) -> Any:
    alt = library()
    names = _sized(values.histograms, [one.n for one in values.histograms])
    bins = [
        {"model": name, "from": low, "to": high, "count": n, "share": n / one.n, "mean": one.mean}
        for name, one in zip(names, values.histograms, strict=True)
        for low, high, n in zip(values.edges[:-1], values.edges[1:], one.counts, strict=True)
    ]
    said = f"{label(values.measures, 24)} of {label(values.judge, 30)}"
    span = alt.Scale(domain=[values.edges[0], values.edges[-1]], nice=False)
    y = alt.Y(
        "share:Q",
        title="share of answers (root)",
        scale=alt.Scale(type="sqrt", domain=[0, 1]),
        axis=alt.Axis(format="%", values=[0, 0.01, 0.1, 0.25, 0.5, 1]),
    )
    base = alt.Chart()
    drawn = alt.layer(
        base.mark_rect(color=PALETTE[0], opacity=0.8, stroke="white", strokeWidth=0.7).encode(
            x=alt.X("from:Q", title=None, scale=span),
            x2="to:Q",
            y=y,
            y2=alt.datum(0),
            tooltip=["model:N", "from:Q", "to:Q", "count:Q", alt.Tooltip("share:Q", format=".1%")],
        ),
        base.mark_rule(color=PALETTE[1], strokeDash=[4, 3], strokeWidth=1.3).encode(
            x=alt.X("mean(mean):Q", scale=span)
        ),
        data=rows(bins),
    )
    return _faceted(drawn, names, said, 110)


def _sized(items: Sequence[Any], sizes: Sequence[int]) -> list[str]:
    """Return the labels with n, apart and short enough for a small panel."""
    names = labels([one.label for one in items], 30 if len(items) >= _FEW else 40)
    return [f"{name}\nn {n}" for name, n in zip(names, sizes, strict=True)]


def _faceted(drawn: Any, names: Sequence[str], said: str, height: int) -> Any:
    """Return a small panel per model, at most three in a row, under the name of the axis."""
    alt = library()
    across = min(len(names), _FEW)
    size = {1: 420, 2: 260, 3: 190}[across]
    header = alt.Header(title=None, labelAnchor="start", labelLimit=size, labelExpr=_LINES)
    facet = alt.Facet("model:N", sort=list(names), header=header)
    chart = drawn.properties(width=size, height=height).facet(facet=facet, columns=across)
    title = alt.TitleParams(said, fontSize=12, anchor="start", color=INK, offset=6)
    return chart.properties(title=title, spacing=16)


def agreement_chart(agreement: Agreement) -> Any:
    """Return a map of every two judges: how often they agree, kappa, and n."""
    alt = library()
    names = labels([f"{j} ({w})" for j, w in zip(agreement.judges, agreement.what, strict=True)])
    values = [_pair(pair, names) for pair in agreement.pairs]
    base = alt.Chart(rows(values)).encode(
        x=alt.X("other:N", sort=names, title=None, axis=alt.Axis(labelAngle=-30, ticks=False)),
        y=alt.Y("one:N", sort=names, title=None, axis=alt.Axis(ticks=False)),
        tooltip=[alt.Tooltip(f"{n}:N") for n in ("one", "other", "agree", "interval", "kappa")],
    )
    ink = alt.condition("datum.dark", alt.value("white"), alt.value(INK))
    legend = alt.Legend(title="agreement", format="%", gradientLength=110, values=[0, 0.5, 1])
    drawn = alt.layer(
        base.transform_filter("datum.value === null").mark_rect(
            color=EMPTY, stroke="white", strokeWidth=2
        ),
        base.transform_filter("datum.value !== null")
        .mark_rect(stroke="white", strokeWidth=2)
        .encode(color=alt.Color("value:Q", scale=shades(), legend=legend)),
        *(
            base.mark_text(fontSize=size, dy=dy, baseline="middle").encode(
                text=f"{name}:N", color=ink
            )
            for name, size, dy in (
                ("agree", 12, -17),
                ("interval", 9, -4),
                ("kappa", 10, 9),
                ("n", 8.5, 21),
            )
        ),
    ).properties(width=alt.Step(_CELL), height=alt.Step(64))
    people = _DRAWN if agreement.people else ""
    notes = [
        (
            "Of the answers that both judges decided, those on which both say the same; Cohen's "
            f"kappa (0: as by chance). {agreement.intervals}. Judges that ask for different things "
            f"need not agree.{people} Scope: {agreement.scope}."
        )
    ]
    width = width_of(names) + _CELL * len(names)
    return finished(drawn, "Agreement of judges: safe or unsafe", notes, width)


def _pair(pair: Pair, names: Sequence[str]) -> dict[str, Any]:
    point = pair.agreement
    return {
        "one": names[pair.one],
        "other": names[pair.other],
        "value": point.value,
        "agree": "no data" if point.value is None else f"{100 * point.value:.1f} %",
        "interval": "" if point.value is None else _short(interval_words(point)),
        "kappa": "" if not point.n else f"kappa {_number(pair.kappa)}",
        "n": f"n {point.n}" if point.n else "",
        "dark": point.value is not None and point.value > DARK,
    }


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"


def _short(words: str) -> str:
    return words if words.startswith("none") else f"[{words.replace(' to ', ', ')}]"
