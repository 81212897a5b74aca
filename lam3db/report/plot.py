"""Figures as characters: bars with intervals and small histograms, for a terminal.

What must hold: no line is wider than asked for; no colour and no escape sequence, so a pipe
gets what a terminal does; with ``ascii_only`` every character is one of ASCII. The numbers
stand beside the drawing, which is only as fine as a terminal's columns are.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from lam3db.report.tables import footnotes
from lam3db.report.text import columns, cut, safe_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lam3db.report.build import Report
    from lam3db.report.figure_values import Bars, Distribution, Panel, Point, Values

_LEAST, _MOST = 10, 60
_LABELS = 0.4  # of the width at most
_SOLID, _SHADED, _LINE, _END = "█▓─┤"
_LEVELS = " ▁▂▃▄▅▆▇█"
_PLAIN = str.maketrans({"█": "#", "▓": "=", "─": "-", "┤": "|", "│": "|", "…": "~", "–": "-"})  # noqa: RUF001
_PLAIN_LEVELS = str.maketrans(dict(zip(_LEVELS[1:], ".:-=+*#@", strict=True)))


def plot(
    report: Report,
    bars: Bars | None,
    distribution: Distribution | None,
    width: int,
    *,
    ascii_only: bool = False,
) -> str:
    """Return the shares as bars and the values as histograms, with the report's notes."""
    lines = [f"Scope: {safe_text(', '.join(report.scope) or 'everything')}", ""]
    for panel in bars.panels if bars else ():
        lines += [*_bars(bars.labels if bars else (), panel, width), ""]
    if bars:
        key = f"{_SOLID} to the lower end of the interval, {_SHADED} to the share, {_LINE}{_END} to"
        lines += [*textwrap.wrap(f"{key} the upper end; a bar is 0 to 100 % wide.", width), ""]
    for values in distribution.panels if distribution else ():
        lines += [*_histograms(values, width), ""]
    for note in footnotes(report):
        lines += textwrap.wrap(safe_text(note), width, initial_indent="- ", subsequent_indent="  ")
    text = "\n".join(line.rstrip() for line in lines) + "\n"
    return _plain(text) if ascii_only else text


def _bars(labels: Sequence[tuple[str, ...]], panel: Panel, width: int) -> Iterator[str]:
    """Yield a bar per group; all but the last of its labels stand on a line above it."""
    yield cut(safe_text(f"{panel.what} by {panel.judge}"), width)
    indent = "  " if labels and len(labels[0]) > 1 else ""
    names = [indent + words[-1] for words in labels]
    said = [_said(point) for point in panel.points]
    left, room, right = _widths(names, said, width)
    above: tuple[str, ...] = ()
    for words, point, told in zip(labels, panel.points, said, strict=True):
        if words[:-1] != above:
            above = words[:-1]
            yield safe_text(" / ".join(above), width)
        shown = indent + _padded(words[-1], left - len(indent))
        yield f"{shown} │{_bar(point, room)}│ {told:>{right}}"


def _widths(names: Sequence[str], said: Sequence[str], width: int) -> tuple[int, int, int]:
    """Return the columns of the labels, of the drawing and of the numbers."""
    right = max(map(len, said), default=0)
    longest = max((columns(safe_text(name)) for name in names), default=0)
    left = min(longest, max(8, int(width * _LABELS), width - right - _MOST - 4))
    left = max(4, min(left, width - right - _LEAST - 4))
    return left, min(_MOST, max(1, width - left - right - 4)), right


def _bar(point: Point, room: int) -> str:
    """Return the bar: solid to the lower end, shaded to the share, a line to the upper end."""
    if point.value is None:
        return cut("no data", room).ljust(room)
    middle = _place(point.value, room)
    if point.low is None or point.high is None:
        return (_SOLID * middle).ljust(room)
    low, high = min(middle, _place(point.low, room)), max(middle, _place(point.high, room))
    drawn = _SOLID * low + _SHADED * (middle - low) + _LINE * (high - middle)
    if high > middle:
        drawn = drawn[:-1] + _END
    return drawn.ljust(room)


def _place(share: float, room: int) -> int:
    return min(room, max(0, round(share * room)))


def _said(point: Point) -> str:
    if point.value is None:
        return "nothing scored"
    return f"{100 * point.value:.1f} % (n {point.n})"


def _histograms(values: Values, width: int) -> Iterator[str]:
    low, high = values.edges[0], values.edges[-1]
    title = f"{values.measures} of {values.judge}: from {low:g} to {high:g}, heights as roots"
    yield cut(safe_text(title), width)
    names = [one.label for one in values.histograms]
    said = [f"mean {one.mean:.3f} (n {one.n})" for one in values.histograms]
    left, room, right = _widths(names, said, width)
    for one, words in zip(values.histograms, said, strict=True):
        drawn = _drawn(one.counts, room)
        yield f"{_padded(one.label, left)} │{drawn}│ {words:>{right}}"


def _drawn(counts: Sequence[int], room: int) -> str:
    """Return one character per bin (twice where there is room), its height by the root."""
    while len(counts) > room:
        counts = [sum(counts[i : i + 2]) for i in range(0, len(counts), 2)]
    most = max(counts)
    steps = [0 if not n else max(1, round((n / most) ** 0.5 * 8)) for n in counts]
    wide = min(2, room // len(counts))
    return "".join(_LEVELS[step] * wide for step in steps)


def _padded(name: str, width: int) -> str:
    shown = safe_text(name, width)
    return shown + " " * (width - columns(shown))


def _plain(text: str) -> str:
    """Return the text in ASCII; letters beyond it become question marks of the same width."""
    text = text.translate(_PLAIN_LEVELS | _PLAIN)
    return "".join(c if c.isascii() else "?" * columns(c) for c in text)
