"""Shares drawn: bars with intervals by group, and a map of two keys.

What must hold: every bar and cell shows its n; where nothing was scored there is no bar and
no colour, but words; the scale is 0 to 100 %, so lengths and colours compare between figures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lam3db.report.chart_parts import (
    EMPTY,
    FAINT,
    GRID,
    INK,
    PALETTE,
    SIZE,
    finished,
    label,
    labels,
    library,
    rows,
    width_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lam3db.report.figure_values import Bars, Heat, Panel, Point

_STEP, _APART, _PANEL = 18, 7, 200
_LINE, _CELL = 34, 58
DARK = 0.6  # of the scale: from here white is easier to read than black


def bars_chart(bars: Bars) -> Any:
    """Return bars with intervals: a line per group, a panel per judge."""
    alt = library()
    places, height = _places(bars)
    names = [_names(bars, key, places, height) for key in range(len(bars.by))]
    panels = [_bar_panel(bars, i, places, height) for i in range(len(bars.panels))]
    chart = alt.hconcat(*names, *panels, spacing=10)
    whose = ", ".join(f"{p.what} by {p.judge}" for p in bars.panels)
    title = (
        f"{whose}, by {' and '.join(bars.by)}"
        if len(bars.panels) == 1
        else (f"Shares by {' and '.join(bars.by)}, judge by judge")
    )
    width = sum(name.width for name in names) + 330 * len(panels)
    notes = [f"{bars.share_of}, in %. {bars.intervals}.", f"Scope: {bars.scope}."]
    return finished(chart, title, notes, width)


def _places(bars: Bars) -> tuple[list[float], float]:
    """Return the middle of each line; where the first label changes there is some space."""
    found, y = [], 0.0
    for i, words in enumerate(bars.labels):
        if i and len(words) > 1 and words[0] != bars.labels[i - 1][0]:
            y += _APART
        found.append(y + _STEP / 2)
        y += _STEP
    return found, y


def _names(bars: Bars, key: int, places: list[float], height: float) -> Any:
    """Return a column of labels; one that repeats the line above is left out."""
    alt = library()
    said = labels(dict.fromkeys(words[key] for words in bars.labels))
    short = dict(zip(dict.fromkeys(words[key] for words in bars.labels), said, strict=True))
    values = [
        {"y": y, "text": short[words[key]], "whole": label(words[key], 200)}
        for i, (words, y) in enumerate(zip(bars.labels, places, strict=True))
        if key == len(bars.by) - 1 or not i or words[: key + 1] != bars.labels[i - 1][: key + 1]
    ]
    width = width_of(said) + 8
    last = key == len(bars.by) - 1
    chart = alt.Chart(rows(values)).mark_text(
        align="left",
        baseline="middle",
        fontSize=SIZE,
        color=INK if not last else FAINT,
        fontWeight="normal" if last and key else "bold",
        limit=width + 30,
    )
    return chart.encode(
        x=alt.value(0), y=_y(height), text="text:N", tooltip=[alt.Tooltip("whole:N", title="name")]
    ).properties(width=width, height=height)


def _y(height: float, name: str = "y") -> Any:
    alt = library()
    return alt.Y(f"{name}:Q", scale=alt.Scale(domain=[height, 0], nice=False), axis=None)


def _bar_panel(bars: Bars, i: int, places: list[float], height: float) -> Any:
    alt = library()
    panel = bars.panels[i]
    values = [_bar(bars, panel, k, y) for k, y in enumerate(places)]
    base = alt.Chart(rows(values))
    scale = alt.Scale(domain=[0, 1], nice=False)
    axis = alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1], title=panel_title(panel))
    x = alt.X("value:Q", scale=scale, axis=axis)
    tips = [alt.Tooltip(f"{name}:N") for name in ("group", "share", "interval", "n")]
    some = base.transform_filter("datum.value !== null")
    ends = base.transform_filter("datum.low !== null")
    drawn = alt.layer(
        base.mark_rule(color=GRID, strokeWidth=1).encode(y=_y(height), x=alt.value(0)),
        some.mark_rect(color=PALETTE[0], opacity=0.75).encode(
            x=x,
            x2=alt.datum(0),
            y=_y(height, "top"),
            y2="bottom:Q",
            tooltip=tips,
        ),
        ends.mark_rule(color=INK, strokeWidth=1.3).encode(
            x=alt.X("low:Q", scale=scale), x2="high:Q", y=_y(height)
        ),
        *(
            ends.mark_tick(color=INK, thickness=1.3, size=7, orient="vertical").encode(
                x=alt.X(f"{end}:Q", scale=scale), y=_y(height)
            )
            for end in ("low", "high")
        ),
        base.mark_text(align="left", baseline="middle", fontSize=10, color=FAINT).encode(
            x=alt.value(_PANEL + 8), y=_y(height), text="told:N"
        ),
    )
    return drawn.properties(width=_PANEL, height=height)


def _bar(bars: Bars, panel: Panel, k: int, y: float) -> dict[str, Any]:
    point = panel.points[k]
    return {
        "group": label(" / ".join(bars.labels[k]), 200),
        "y": y,
        "top": y - _STEP * 0.36,
        "bottom": y + _STEP * 0.36,
        "value": point.value,
        "low": point.low,
        "high": point.high,
        "n": point.n,
        "share": share_words(point),
        "interval": interval_words(point),
        "told": f"{share_words(point)} (n {point.n})" if point.n else "nothing scored",
    }


def share_words(point: Point) -> str:
    """Return a share as words."""
    return "no data" if point.value is None else f"{100 * point.value:.1f} %"


def interval_words(point: Point) -> str:
    """Return the ends of the interval, or why there is none."""
    if point.low is None or point.high is None:
        return f"none ({point.why})"
    return f"{100 * point.low:.1f} to {100 * point.high:.1f} %"


def panel_title(panel: Panel) -> list[str]:
    """Return two lines: what the numbers are, and whose."""
    return [label(panel.what, 34), f"by {label(panel.judge, 31)}"]


def heat_chart(heat: Heat) -> Any:
    """Return a map: a row and a column per label, a panel per judge."""
    alt = library()
    down, across = labels(heat.rows), labels(heat.columns, 24)
    panels = [_heat_panel(heat, panel, down, across) for panel in heat.panels]
    one = heat.panels[0]
    title = f"{one.what} by {one.judge}, by {heat.by[0]} and {heat.by[1]}"
    if len(panels) > 1:
        title = f"Shares by {heat.by[0]} and {heat.by[1]}, judge by judge"
    chart = alt.vconcat(*panels, spacing=26)
    width = width_of(down) + _CELL * len(across)
    notes = [
        (
            f"{heat.share_of}, in %, with n under it; a grey cell has no data: that is not "
            f"0 %. Intervals are in the report's table. Scope: {heat.scope}."
        )
    ]
    return finished(chart, title, notes, width)


def _heat_panel(heat: Heat, panel: Panel, down: Sequence[str], across: Sequence[str]) -> Any:
    alt = library()
    places = [(one, two) for one in down for two in across]
    values = [
        {
            "row": one,
            "column": two,
            "value": point.value,
            "share": "–" if point.value is None else f"{100 * point.value:.0f} %",  # noqa: RUF001
            "n": f"n {point.n}" if point.n else "",
            "interval": interval_words(point),
            "dark": point.value is not None and point.value > DARK,
        }
        for (one, two), point in zip(places, panel.points, strict=True)
    ]
    base = alt.Chart(rows(values)).encode(
        x=alt.X(
            "column:N",
            sort=list(across),
            title=heat.by[1],
            axis=alt.Axis(orient="top", labelAngle=-35, labelAlign="left", ticks=False),
        ),
        y=alt.Y("row:N", sort=list(down), title=None, axis=alt.Axis(ticks=False)),
        tooltip=[alt.Tooltip(f"{n}:N") for n in ("row", "column", "share", "interval", "n")],
    )
    legend = alt.Legend(title="share", format="%", gradientLength=110, values=[0, 0.5, 1])
    ink = alt.condition("datum.dark", alt.value("white"), alt.value(INK))
    drawn = alt.layer(
        base.transform_filter("datum.value === null").mark_rect(
            color=EMPTY, stroke="white", strokeWidth=1.5
        ),
        base.transform_filter("datum.value !== null")
        .mark_rect(stroke="white", strokeWidth=1.5)
        .encode(color=alt.Color("value:Q", scale=shades(), legend=legend)),
        base.mark_text(fontSize=SIZE, dy=-6, baseline="middle").encode(text="share:N", color=ink),
        base.mark_text(fontSize=8.5, dy=8, baseline="middle").encode(text="n:N", color=ink),
    )
    title = alt.TitleParams(" ".join(panel_title(panel)), fontSize=12, anchor="start", color=INK)
    return drawn.properties(width=alt.Step(_CELL), height=alt.Step(_LINE), title=title)


def shades() -> Any:
    """Return one scale of one colour for shares from 0 to 1, dark where the share is high."""
    return library().Scale(domain=[0, 1], range=["#dcebf7", "#6baed6", "#08306b"])
