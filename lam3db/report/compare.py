"""Models side by side: every pair of them, under every judge, on what both were asked.

What must hold: a difference is taken over pairs and never over two reports' numbers; what
cannot be compared is a line that says why; every test of one invocation is in one Holm
correction; judges of one name with two digests are two judges.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

from lam3db.errors import ConfigError
from lam3db.metrics.compare import PAIRINGS, Options, compare_units
from lam3db.metrics.question import MISSING
from lam3db.report.build import choose_judges
from lam3db.report.lenses import with_thresholds
from lam3db.report.scope import resolve
from lam3db.report.sides import find_sides, meet
from lam3db.stats.paired import holm
from lam3db.store import overview
from lam3db.store.subjects import sample_keys
from lam3db.store.units import load_units

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from lam3db.metrics import Scope, Threshold
    from lam3db.metrics.compare import Comparison
    from lam3db.report.build import JudgeColumn
    from lam3db.report.sides import Meeting, Side
    from lam3db.store.aggregates import Frame
    from lam3db.store.units import Unit


@dataclass(frozen=True, slots=True)
class Line:
    """One number of one judge, or (``comparison`` None) why there is none.

    ``adjusted`` is Holm's p-value over all tests of the invocation.
    """

    judge: JudgeColumn
    comparison: Comparison | None
    reason: str | None = None
    adjusted: float | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sides, where they meet, and their lines; none where ``refused`` says why.

    ``marked`` are differences that forbid comparing, and were overruled by ``--anyway``.
    """

    a: Side
    b: Side
    datasets: tuple[str, ...]
    lines: tuple[Line, ...]
    refused: tuple[str, ...] = ()
    marked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Compared:
    """All pairs of an invocation; ``keys`` are the samples' keys by id, for what was dropped."""

    scope: tuple[str, ...]
    sides: tuple[Side, ...]
    judges: tuple[JudgeColumn, ...]
    options: Options
    pairs: tuple[Pair, ...]
    tests: int
    keys: Mapping[int, str]

    @property
    def compared(self) -> int:
        """How many pairs of sides have a number."""
        return sum(any(line.comparison for line in pair.lines) for pair in self.pairs)


def build_comparison(
    conn: Connection,
    selectors: Sequence[str],
    scope: Scope,
    judges: Sequence[str] = (),
    options: Options | None = None,
    *,
    thresholds: Sequence[Threshold] = (),
    anyway: bool = False,
) -> Compared:
    """Return every pair of these selectors (see :mod:`lam3db.report.sides`) under the judges.

    ``scope`` may name a dataset and fields; ``thresholds`` take the place of the judges' own.
    With ``anyway`` sides are compared on what they have in common though their dataset version
    or system prompt differs.

    Raises:
        ConfigError: an unknown rule or field, a selector that means several.
        NotFoundError: no such model, digest, run, dataset or judge.

    """
    options = options or Options()
    for option, given, known in (
        ("--pair", options.pair, PAIRINGS),
        ("--missing", options.missing, MISSING),
    ):
        if given not in known:
            raise ConfigError(f"{option} {given}: write one of {', '.join(known)}")
    if scope.run is not None or scope.models:
        raise ConfigError("the models and runs are the ones compared: name them as A, B ...")
    sides = find_sides(conn, selectors)
    columns = with_thresholds(conn, choose_judges(conn, judges), thresholds)
    versions = overview.dataset_versions(conn)
    words: tuple[str, ...] = tuple(f"{name}={value}" for name, value in scope.where.items())
    if scope.dataset is not None:
        frame, words = resolve(conn, scope)
        versions = [version for version in versions if version.id in frame.datasets]
    units = _Units(conn)
    pairs = []
    for a, b in combinations(sides, 2):
        met = meet(a, b, versions, scope, conn.dialect.name)
        names = tuple(f"{v.name}@{v.version}" for v in versions if v.id in met.datasets)
        if met.obstacles and not anyway:
            pairs.append(Pair(a, b, names, (), met.obstacles, (), met.notes))
            continue
        lines = tuple(_lines(units, a, b, met, columns, options, asked=bool(judges)))
        pairs.append(Pair(a, b, names, lines, (), met.obstacles, met.notes))
    adjusted, tests = _adjusted(pairs)
    dropped = _dropped(adjusted)
    keys: Mapping[int, str] = (
        sample_keys(conn, dropped, [version.id for version in versions])
        if options.pair == "sample"
        else overview.behavior_texts(conn, dropped)
    )
    return Compared(words, sides, columns, options, adjusted, tests, keys)


class _Units:
    """Units of a side under a judge, read once each."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._known: dict[tuple[object, ...], list[Unit]] = {}

    def of(self, side: Side, frame: Frame, column: JudgeColumn) -> list[Unit]:
        who = (side.subject.model_version_id, side.subject.config_id)
        key = (who, frame.datasets, frame.runs, column.judge)
        if key not in self._known:
            units = load_units(self._conn, frame, (), column.judge)
            self._known[key] = [u for u in units if (u.model_version_id, u.config_id) == who]
        return self._known[key]


def _lines(
    units: _Units,
    a: Side,
    b: Side,
    met: Meeting,
    columns: Sequence[JudgeColumn],
    options: Options,
    *,
    asked: bool,
) -> Iterator[Line]:
    """Yield the lines of a pair; a judge that knows neither side is left out unless asked for."""
    found = {
        c.label: [units.of(s, f, c) for s, f in zip((a, b), met.frames, strict=True)]
        for c in columns
    }
    scored = {label: [any(map(_is_scored, side)) for side in pair] for label, pair in found.items()}
    told: set[tuple[str, str | None, str]] = set()
    for column in columns:
        if not any(scored[column.label]) and not asked:
            continue
        units_a, units_b = found[column.label]
        reason = _obstacle(column, a, b, columns, scored)
        reason = reason or _no_common(units_a, units_b, options.pair)
        if reason is not None:
            yield Line(column, None, reason)
            continue
        for comparison in compare_units(units_a, units_b, column.judge, options):
            same = (column.judge.digest, column.judge.attribute, comparison.metric)
            if comparison.metric != "share" and same in told:
                continue  # it does not depend on the threshold, and is no second test
            told.add(same)
            if comparison.n:
                yield Line(column, comparison)
            elif comparison.metric != "benign_refused":
                yield Line(column, None, f"no pair has a {comparison.metric} on both sides")


def _is_scored(unit: Unit) -> bool:
    return unit.outcome == "ok"


def _obstacle(
    column: JudgeColumn,
    a: Side,
    b: Side,
    columns: Sequence[JudgeColumn],
    scored: Mapping[str, Sequence[bool]],
) -> str | None:
    """Return why this judge cannot compare: it has scored one side only, or none."""
    for i, side in enumerate((a, b)):
        if scored[column.label][i]:
            continue
        others = [
            c.label
            for c in columns
            if c.judge.name == column.judge.name and scored[c.label][i] and c is not column
        ]
        if others:
            return f"the judge differs: {side.label} was scored by {', '.join(others)}, not by it"
        return f"it has scored no answer of {side.label} here"
    return None


def _no_common(a: Sequence[Unit], b: Sequence[Unit], pair: str) -> str | None:
    def of(unit: Unit) -> object:
        return (unit.sample_id, unit.replicate) if pair == "sample" else unit.behavior_id

    asked = [{of(unit) for unit in side} for side in (a, b)]
    if asked[0] & asked[1]:
        return None
    told = f"no {pair} in common: {len(a)} answers of A, {len(b)} of B"
    behaviors = [{unit.behavior_id for unit in side} for side in (a, b)]
    shared = len(behaviors[0] & behaviors[1])
    hint = f" (but {shared} behaviors: --pair behavior compares on those)" if shared else ""
    return told + hint


def _adjusted(pairs: Sequence[Pair]) -> tuple[tuple[Pair, ...], int]:
    """Return the pairs with Holm's p-values over all their tests, and how many those are."""
    lines = [line for pair in pairs for line in pair.lines]
    ps = [line.comparison.test.p for line in lines if line.comparison and line.comparison.test]
    left = iter(holm(ps))

    def told(line: Line) -> Line:
        tested = line.comparison is not None and line.comparison.test is not None
        return replace(line, adjusted=next(left)) if tested else line

    return tuple(replace(p, lines=tuple(map(told, p.lines))) for p in pairs), len(ps)


def _dropped(pairs: Sequence[Pair]) -> set[int]:
    found: set[int] = set()
    for comparison in (line.comparison for pair in pairs for line in pair.lines):
        if comparison is not None:
            one = comparison.dropped
            for keys in (
                one.only_a,
                one.only_b,
                *one.unscored_a.values(),
                *one.unscored_b.values(),
            ):
                found.update(key.id for key in keys)
    return found
