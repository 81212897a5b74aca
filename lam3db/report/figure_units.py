"""The figures that need single answers: curves over thresholds, histograms, agreement.

What must hold: the same answers as in the report (not benign, variant 0, latest revision);
each replicate is an answer of its own; a share at the current threshold is the report's.
Memory grows with models, behaviors and thresholds, and with a byte per answer and judge.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from lam3db.errors import ConfigError
from lam3db.records import JudgeKind
from lam3db.report.definitions import share_heading, value_name
from lam3db.report.figure_shares import scope_of
from lam3db.report.figure_values import (
    Agreement,
    Curve,
    Curves,
    Distribution,
    Histogram,
    Line,
    Pair,
    Point,
    Values,
)
from lam3db.stats.agreement import cohen_kappa
from lam3db.stats.intervals import ShareTally, share_interval
from lam3db.store.lookup import config_id, model_version_id
from lam3db.store.units import load_units

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from lam3db.report.build import JudgeColumn, Report
    from lam3db.store.aggregates import Frame
    from lam3db.store.units import Unit

_STEPS = 50
_BINS = 20
_INTERVALS = "95 % intervals, clustered by behavior"
_Values = dict[str, dict[int, list[float]]]


def curves(conn: Connection, frame: Frame, report: Report) -> Curves:
    """Return the share of values over each threshold, by model, for judges that give values.

    ``report`` is grouped by model and names the models. Raises ConfigError where no judge
    gives values.
    """
    panels = [
        _curve(column, values)
        for column in _once(report)
        if (values := _by_model(conn, frame, report, column))
    ]
    _check(report, panels)
    return Curves(tuple(panels), scope_of(report), _INTERVALS)


def distribution(conn: Connection, frame: Frame, report: Report) -> Distribution:
    """Return histograms of the values, by model, for judges that give values; as `curves`."""
    panels = [
        _histograms(column, values)
        for column in _once(report)
        if (values := _by_model(conn, frame, report, column))
    ]
    _check(report, panels)
    return Distribution(tuple(panels), scope_of(report))


def agreement(conn: Connection, frame: Frame, report: Report) -> Agreement:
    """Return how often every two judges call the same answer safe or unsafe.

    Raises:
        ConfigError: fewer than two judges that decide.

    """
    columns = [column for column in report.judges if column.judge.decides]
    if len(columns) < 2:  # noqa: PLR2004 - a pair
        raise ConfigError("agreement needs two judges that call answers safe or unsafe")
    said, behaviors = [], np.zeros(0, dtype=np.int64)
    for column in columns:
        units = [(u.unsafe, u.behavior_id) for u in _attacks(conn, frame, column)]
        said.append(np.array([-1 if u is None else int(u) for u, _ in units], dtype=np.int8))
        behaviors = np.array([behavior for _, behavior in units], dtype=np.int64)
    pairs = tuple(
        _pair(i, j, said, behaviors) for i in range(len(columns)) for j in range(i + 1, len(said))
    )
    names = tuple(column.label for column in columns)
    what = tuple(share_heading(column) for column in columns)
    people = any(column.judge.kind == JudgeKind.HUMAN for column in columns)
    return Agreement(names, what, pairs, scope_of(report), _INTERVALS, people)


def kappa(both: int, neither: int, first: int, second: int) -> float | None:
    """Return Cohen's kappa of two judges from counts of unsafe by both, neither, one only.

    None where it is not defined: nothing to compare, or chance alone agrees always.
    """
    said = [(0, 1, 1), (0, 0, 0), (0, 1, 0), (0, 0, 1)]
    counted = [(one, float(n)) for one, n in zip(said, (both, neither, first, second), strict=True)]
    some = [(one, n) for one, n in counted if n]
    return cohen_kappa([one for one, _ in some], [n for _, n in some]).value if some else None


def _pair(i: int, j: int, said: Sequence[NDArray[np.int8]], behaviors: NDArray[np.int64]) -> Pair:
    shared = (said[i] >= 0) & (said[j] >= 0)
    one, other, where = said[i][shared], said[j][shared], behaviors[shared]
    same = one == other
    ids, place = np.unique(where, return_inverse=True)
    sizes = np.bincount(place, minlength=len(ids))
    hits = np.bincount(place, weights=same, minlength=len(ids))
    point = _share([ShareTally(int(n), int(h)) for n, h in zip(sizes, hits, strict=True)])
    both, first = int((one & other).sum()), int((one > other).sum())
    second = int((other > one).sum())
    return Pair(i, j, point, kappa(both, point.n - both - first - second, first, second))


def _curve(column: JudgeColumn, values: _Values) -> Curve:
    judge = column.judge
    operator = judge.operator or ">"
    low, high = _range(values)
    grid = {float(x) for x in np.linspace(low, high, _STEPS + 1)}
    grid |= {judge.threshold} if judge.threshold is not None else set()
    steps = tuple(sorted(grid))
    lines = tuple(Line(label, _over(steps, operator, known)) for label, known in values.items())
    return Curve(column.label, value_name(column), operator, judge.threshold, steps, lines)


def _over(grid: Sequence[float], operator: str, known: dict[int, list[float]]) -> tuple[Point, ...]:
    """Return the share of values over each threshold, with its interval over behaviors."""
    side: Any = "right" if operator == ">" else "left"
    hits = []
    for values in known.values():
        ordered = np.sort(np.array(values))
        hits.append(len(values) - np.searchsorted(ordered, np.array(grid), side=side))
    sizes = [len(values) for values in known.values()]
    return tuple(
        _share([ShareTally(n, int(h[k])) for n, h in zip(sizes, hits, strict=True)])
        for k in range(len(grid))
    )


def _histograms(column: JudgeColumn, values: _Values) -> Values:
    low, high = _range(values)
    edges = np.linspace(low, high, _BINS + 1)
    found = []
    for label, known in values.items():
        every = np.concatenate([np.array(one) for one in known.values()])
        counts, _ = np.histogram(every, edges)
        found.append(Histogram(label, tuple(int(n) for n in counts), float(every.mean())))
    where = tuple(float(edge) for edge in edges)
    return Values(column.label, value_name(column), where, tuple(found))


def _range(values: _Values) -> tuple[float, float]:
    """Return the ends of the axis: 0 and 1, or further out where values lie there."""
    every = [x for known in values.values() for one in known.values() for x in (min(one), max(one))]
    return min(0.0, *every), max(1.0, *every)


def _by_model(conn: Connection, frame: Frame, report: Report, column: JudgeColumn) -> _Values:
    """Return the values of a judge by the model's label and by behavior, models in order."""
    labels = _labels(conn, report)
    found: _Values = {row.labels[0]: defaultdict(list) for row in report.rows}
    for unit in _attacks(conn, frame, column):
        if unit.value is not None:
            label = labels[unit.model_version_id, unit.config_id]
            found[label][unit.behavior_id].append(unit.value)
    return {label: dict(known) for label, known in found.items() if known}


def _labels(conn: Connection, report: Report) -> dict[tuple[int, int], str]:
    """Return the report's label of each model version and config."""
    found = {}
    for row in report.rows:
        model = model_version_id(conn, bytes.fromhex(row.digests["model_digest"]))
        config = config_id(conn, bytes.fromhex(row.digests["config_digest"]))
        if model is not None and config is not None:
            found[model, config] = row.labels[0]
    return found


def _attacks(conn: Connection, frame: Frame, column: JudgeColumn) -> Iterator[Unit]:
    return (unit for unit in load_units(conn, frame, (), column.judge) if not unit.is_benign)


def _once(report: Report) -> list[JudgeColumn]:
    """Return each judge once, also where a report looks at it under several thresholds."""
    return list({column.judge.id: column for column in reversed(report.judges)}.values())[::-1]


def _share(tallies: Sequence[ShareTally]) -> Point:
    n, hits = sum(t.n for t in tallies), sum(t.hits for t in tallies)
    if not n:
        return Point(None, None, None, 0, "nothing scored")
    interval = share_interval(tallies)
    why = interval.method.removeprefix("none: ") if interval.low is None else ""
    return Point(hits / n, interval.low, interval.high, n, why)


def _check(report: Report, panels: Sequence[object]) -> None:
    if report.empty:
        raise ConfigError(f"no figure: {report.empty}")
    if not panels:
        raise ConfigError("no figure: none of these judges gives values (a classifier does)")
