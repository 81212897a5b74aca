"""What a figure shows, as plain numbers: apart from how it is drawn.

What must hold: each share or mean stands with its n and its interval, or says why it has
none; a cell without data is told from one of 0 %; whose number it is (judge) and what it is
(non-refusal, ASR, a value over a threshold) go along.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lam3db.metrics import Estimate


@dataclass(frozen=True, slots=True)
class Point:
    """A share or a mean of ``n`` items; ``value`` is None where there is nothing to take it of.

    ``low`` and ``high`` are None where there is no interval, and ``why`` then says why.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    why: str = ""

    @classmethod
    def of(cls, estimate: Estimate | None) -> Point:
        """Return the point of an estimate, or of none."""
        if estimate is None or estimate.value is None:
            return NOTHING
        interval = estimate.interval
        why = interval.method.removeprefix("none: ") if interval.low is None else ""
        return cls(estimate.value, interval.low, interval.high, estimate.n, why)


NOTHING = Point(None, None, None, 0, "nothing scored")


@dataclass(frozen=True, slots=True)
class Panel:
    """One judge's points, in the order of the figure's labels. ``what`` is what they are."""

    judge: str
    what: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Bars:
    """Shares of groups: a label per group (a word per key of ``by``), a panel per judge.

    ``share_of`` names the denominator and the rule over replicates.
    """

    by: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]
    panels: tuple[Panel, ...]
    scope: str
    intervals: str
    share_of: str


@dataclass(frozen=True, slots=True)
class Heat:
    """Shares of the pairs of two keys; points lie row by row, :data:`NOTHING` where none is."""

    by: tuple[str, str]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    panels: tuple[Panel, ...]
    scope: str
    intervals: str
    share_of: str


@dataclass(frozen=True, slots=True)
class Line:
    """The share of values over each threshold of the curve's grid, for one model."""

    label: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """A judge's shares by threshold. ``current`` is its policy's threshold, if it has one."""

    judge: str
    measures: str
    operator: str
    current: float | None
    grid: tuple[float, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Curves:
    """One curve per judge that gives values."""

    panels: tuple[Curve, ...]
    scope: str
    intervals: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values of one model lie between each two neighbours of the edges.

    A value on an edge belongs to the bin above it, but for the last edge.
    """

    label: str
    counts: tuple[int, ...]
    mean: float

    @property
    def n(self) -> int:
        """Return how many values there are."""
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class Values:
    """The values of one judge, by model."""

    judge: str
    measures: str
    edges: tuple[float, ...]
    histograms: tuple[Histogram, ...]


@dataclass(frozen=True, slots=True)
class Distribution:
    """One panel of histograms per judge that gives values."""

    panels: tuple[Values, ...]
    scope: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Two judges on the answers that both decided; ``kappa`` is None where it is undefined."""

    one: int
    other: int
    agreement: Point
    kappa: float | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Every two judges, by their place among ``judges``; ``people`` if any of them is one."""

    judges: tuple[str, ...]
    what: tuple[str, ...]
    pairs: tuple[Pair, ...]
    scope: str
    intervals: str
    people: bool


Figure = Bars | Heat | Curves | Distribution | Agreement
