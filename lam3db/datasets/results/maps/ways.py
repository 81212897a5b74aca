"""Which ways of a map have led somewhere, and where the others ended.

What must hold: a way that leads nowhere in every row is a fault, however deep it breaks off; a way
that leads somewhere in a single row is none. The fault says what there is instead. Of several files
each that lacks what others have is told.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lam3db.datasets.results.paths import steps, top_of, walk
from lam3db.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_MOST = 1000
_SHOWN = 20
_IS_NUMBER = " (a number names a column here: put a column's name in quotes)"


@dataclass(frozen=True, slots=True, eq=False)
class RowWay:
    """A way into a row; ``within`` is the list whose elements its first step names.

    ``json`` is a way into the JSON that stands there as a text. Each is itself alone: it is looked
    up a million times.
    """

    path: str
    within: str | None = None
    json: str | None = None


@dataclass(frozen=True, slots=True)
class Unread:
    """A cell that is there and cannot be read as the map says: its text, and why."""

    text: str
    why: str


@dataclass(slots=True)
class _End:
    """Where a way breaks off: how many steps it goes, and what is there."""

    depth: int = -1
    names: dict[str, None] = field(default_factory=dict)
    longest: int | None = None


class Ways:
    """The ways of one map through the rows of its files."""

    def __init__(self) -> None:
        """Begin with no row."""
        self.columns: dict[str, None] = {}
        self.met: set[RowWay] = set()
        """Of the file that is read."""
        self._ends: dict[RowWay, _End] = {}
        self._missed: set[RowWay] = set()
        self._before: set[RowWay] = set()
        self._lacking: dict[RowWay, list[str]] = {}
        self._file = ""

    def file(self, name: str) -> None:
        """Begin with the next file; '' after the last."""
        for way in self._missed - self.met:
            self._lacking.setdefault(way, []).append(self._file)
        self._before |= self.met
        self.met.clear()
        self._missed.clear()
        self._file = name

    def lacking(self) -> Iterator[tuple[str, list[str]]]:
        """Yield each way that some files have, with the files no row of which has it."""
        for way, files in self._lacking.items():
            if way in self._before:
                yield way.path if way.json is None else f"{way.path}: {way.json}", files

    def row(self, values: Mapping[str, Any]) -> None:
        """Take note of a row's columns."""
        if len(self.columns) < _MOST:
            self.columns.update(dict.fromkeys(values))

    def missed(self, way: RowWay, values: Any) -> Unread | None:
        """Take note of where a way breaks off in these values, which do not have it.

        Return the text that it breaks off at, where it is one: that is not nothing.
        """
        whole = _steps(way)
        value, left = walk(values, whole)
        depth = len(whole) - len(left)
        if way not in self.met:
            self._missed.add(way)
            self._note(way, value, depth)
        is_text = isinstance(value, str) and value.strip() and depth
        return Unread(value, f"is a text, without {left[0]!r}") if is_text else None

    def _note(self, way: RowWay, value: Any, depth: int) -> None:
        end = self._ends.setdefault(way, _End())
        if depth < end.depth:
            return
        if depth > end.depth:
            self._ends[way] = end = _End(depth)
        if isinstance(value, dict) and len(end.names) < _MOST:
            end.names.update(dict.fromkeys(map(str, value)))
        elif isinstance(value, list):
            end.longest = max(end.longest or 0, len(value))

    def faults(self, wanted: Iterable[RowWay], *, lenient: bool) -> list[str]:
        """Return a fault for each way that no row has, each once.

        ``lenient``: some rows could not be read, and may have had what seems to be absent.
        """
        faults = []
        for way in wanted:
            if way in self.met or way in self._before or way not in self._ends:
                continue
            end = self._ends[way]
            is_column = {way.path, top_of(way.path)} & self.columns.keys()
            if way.json is None and end.depth <= 0 and is_column:
                continue
            if lenient and (is_column or way.within):
                continue
            faults.append(self._fault(way, end))
        return list(dict.fromkeys(faults))

    def _fault(self, way: RowWay, end: _End) -> str:
        whole = _steps(way)
        if way.json is None and end.depth <= 0:
            hint = _IS_NUMBER if way.path.isdigit() else ""
            return f"no row has {_step(whole[0])}{_instead(whole[0], list(self.columns))}{hint}"
        owner = _owner(way, whole[: end.depth], whole[max(end.depth, 0)])
        if end.names:
            return owner + _instead(whole[end.depth], list(end.names))
        if end.longest is not None:
            return f"{owner}: the longest list there has {end.longest}"
        return f"{owner}: there is nothing to go into"


def _steps(way: RowWay) -> tuple[str | int, ...]:
    path = way.path if way.json is None else way.json
    return steps(path) or (path,)


def _owner(way: RowWay, before: Sequence[str | int], step: str | int) -> str:
    if way.json is not None:
        inner = f" in {_written(before)!r}" if before else ""
        return f"no JSON in {way.path!r} has {_step(step)}{inner}"
    if way.within is None:
        return f"no row has {_step(step)} in {_written(before)!r}"
    inner = _written(before[1:])
    return f"no element of {way.within} has {_step(step)}" + (f" in {inner!r}" if inner else "")


def _instead(step: str | int, names: Sequence[str]) -> str:
    """Return what there is, after what was probably meant."""
    hint = did_you_mean(str(step), names)
    listed = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    near = f"{hint} There are" if hint.endswith("?") else " - there are"
    return f"{near} {listed}" if names else ""


def _step(step: str | int) -> str:
    return f"element [{step}]" if isinstance(step, int) else repr(step)


def _written(way: Sequence[str | int]) -> str:
    """Return a way as a map writes it."""
    parts = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in way]
    return "".join(parts).removeprefix(".")
