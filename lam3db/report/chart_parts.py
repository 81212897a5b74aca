"""What all charts share: colours, fonts, labels that fit, a title that says what is shown.

What must hold: a label from a dataset or a model's name is text of bounded width, with no
control characters; colours can be told apart by people who are colour-blind (Okabe and Ito,
2008) or are one colour from light to dark, and no colour alone carries a meaning.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from lam3db.errors import MissingDependencyError
from lam3db.report.text import columns, safe_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
INK, FAINT, GRID, EMPTY = "#1f2328", "#57606a", "#d8dee4", "#eef0f2"
FONT = "Arial, Liberation Sans, Noto Sans CJK SC, Microsoft YaHei, PingFang SC, sans-serif"
SIZE = 11
_EM = 6.3  # pixels that a column of text takes at this size, on the average
_TITLE = 15


def library() -> Any:
    """Return altair; raise MissingDependencyError where the extra is not installed."""
    try:
        import altair as alt
        import vl_convert  # noqa: F401 - what draws is wanted as well as what describes
    except ImportError as error:
        raise MissingDependencyError(
            f"figures need altair and vl-convert-python ({error}): "
            "`pip install 'lam3db[figures]'`; `lam3db report --plot` draws without them"
        ) from error
    return alt


def label(text: str, most: int = 36) -> str:
    """Return a label on one line, cut to ``most`` columns, harmless."""
    return safe_text(text, most)


def labels(texts: Iterable[str], most: int = 36) -> list[str]:
    """Return labels that stay apart: those that a cut made equal get a number."""
    found: list[str] = []
    seen: dict[str, int] = {}
    for text in texts:
        short = label(text, most)
        seen[short] = seen.get(short, 0) + 1
        found.append(short if seen[short] == 1 else f"{label(text, most - 4)} ({seen[short]})")
    return found


def width_of(texts: Iterable[str], size: float = SIZE) -> float:
    """Return about how many pixels the longest text takes."""
    return max((columns(text) for text in texts), default=0) * _EM * size / SIZE


def rows(values: Sequence[dict[str, Any]]) -> Any:
    """Return rows as altair takes them without pandas."""
    return library().InlineData(values=list(values))


def finished(chart: Any, title: str, notes: Sequence[str], width: float = 640) -> Any:
    """Return the chart under its title and the lines that say what is shown."""
    lines = [line for note in notes for line in textwrap.wrap(safe_text(note), _fits(width))]
    alt = library()
    heading = alt.TitleParams(
        safe_text(title, 2 * _fits(width) // 3 + 20),
        subtitle=lines,
        anchor="start",
        frame="bounds",
        fontSize=_TITLE,
        subtitleFontSize=SIZE,
        subtitleColor=FAINT,
        subtitlePadding=4,
        offset=14,
        color=INK,
    )
    return _styled(chart.properties(title=heading, background="white", padding=12))


def _fits(width: float) -> int:
    return max(70, int(width / _EM * 1.05))


def _styled(chart: Any) -> Any:
    return (
        chart.configure(font=FONT, aria=False)
        .configure_view(stroke=None)
        .configure_axis(
            labelFontSize=SIZE,
            titleFontSize=SIZE,
            titleFontWeight="normal",
            labelColor=INK,
            titleColor=FAINT,
            gridColor=GRID,
            domainColor="#8c959f",
            tickColor="#8c959f",
            labelLimit=260,
        )
        .configure_legend(labelFontSize=SIZE, titleFontSize=SIZE, labelLimit=260)
        .configure_header(
            labelFontSize=SIZE, labelColor=INK, labelLimit=260, labelFontWeight="bold"
        )
        .configure_concat(spacing=18)
    )
