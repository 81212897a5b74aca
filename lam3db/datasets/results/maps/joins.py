"""Rows of another file beside those of this one.

What must hold: a row stands beside those that its keys name and no others; a key that two rows of
the other file have is refused unless the map wants many; what has no partner is counted, and where
nothing has one the map is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import Faults, shown
from lam3db.datasets.results.cells import same_number, text_of_value
from lam3db.datasets.results.files import has_empty_cells, read_records
from lam3db.datasets.results.paths import ABSENT, value_at
from lam3db.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lam3db.datasets.results.maps.map_shape import Join
    from lam3db.datasets.results.maps.ways import Ways

    Key = tuple[str, ...]

_MOST = 5_000_000


@dataclass(frozen=True, slots=True)
class Joined:
    """A file that was read for a join: its rows by key, or in their order."""

    join: Join
    path: Path
    by_key: Mapping[Key, list[Mapping[str, Any]]]
    rows: Sequence[Mapping[str, Any]]


def read_join(join: Join, path: Path) -> Joined:
    """Read the other file; raise InputError for everything that is wrong with it."""
    faults = Faults(path)
    empty = has_empty_cells(path)
    rows: list[Mapping[str, Any]] = []
    for row in read_records(path, faults, join.options):
        if len(rows) == _MOST:
            raise InputError(f"{path}: more than {_MOST:,} rows, which are held at once")
        rows.append(_without_empty(row.values) if empty else row.values)
    faults.raise_if_any()
    if not rows:
        raise InputError(f"{path}: there is no row in it")
    return Joined(join, path, _by_key(join, path, rows), rows)


class Joiner:
    """Puts the rows of one other file beside those of one file, and counts what has no partner."""

    def __init__(self, joined: Joined, ways: Ways, faults: Faults) -> None:
        """Take what was read, and where to tell what is wrong."""
        self._joined, self._ways, self._faults = joined, ways, faults
        self._used: set[Key] = set()
        self._count = self._alone = 0

    def partner(self, values: Mapping[str, Any]) -> Any:
        """Return what stands beside a row: an object, or a list; ABSENT for none.

        Raises:
            InputError: a column has the name that the other file's rows have here.

        """
        join, number = self._joined.join, self._count
        self._count += 1
        if join.name in values:
            what = f"{join.name!r} is a column here, and a joined file is called so"
            raise InputError(f"{self._faults.path}: join: {what}: choose another name, as: ...")
        if not join.by:
            return self._joined.rows[number] if number < len(self._joined.rows) else ABSENT
        key = self._key(values)
        rows = () if key is None else self._joined.by_key.get(key, ())
        if not rows or key is None:
            self._alone += 1
            return ABSENT
        self._used.add(key)
        return list(rows) if join.many else rows[0]

    def finish(self) -> None:
        """Tell what has no partner; raise InputError where nothing has one."""
        join, path = self._joined.join, self._joined.path
        if not join.by:
            if self._count != len(self._joined.rows):
                counts = f"{self._count:,} rows beside {len(self._joined.rows):,} of {path.name}"
                raise InputError(f"join: {counts}: row by row they must be equally many")
            return
        if self._count and self._alone == self._count:
            keys = ", ".join(way.path for way, _ in join.by)
            raise InputError(f"join: no row has a partner in {path} by {keys}: are the keys alike?")
        remarks, left = self._faults.remarks, len(self._joined.by_key) - len(self._used)
        if self._alone:
            remarks.note(f"rows without a partner in {path.name}", self._alone)
        if left:
            remarks.note(f"keys of {path.name} that no row has", left)

    def _key(self, values: Mapping[str, Any]) -> Key | None:
        texts = []
        for way, _ in self._joined.join.by:
            value = value_at(values, way.path)
            if value is ABSENT:
                self._ways.missed(way, values)
                return None
            self._ways.met.add(way)
            texts.append(text_of_value(value))
        return _key(texts)


def path_of(join: Join, folders: Sequence[Path]) -> Path:
    """Return where the other file lies: by its whole path, or in one of these folders.

    Raises:
        InputError: it is not there, or leads out of the folder.

    """
    name = join.file
    given = Path(name).expanduser()
    if given.is_absolute():
        return given
    for folder in folders:
        path = folder / given
        if not path.resolve().is_relative_to(folder.resolve()):
            raise InputError(f"join: {name} leads out of {folder}: name it by its whole path")
        if path.exists():
            return path
    tried = " or ".join(dict.fromkeys(map(str, folders)))
    raise InputError(f"join: there is no {name} in {tried}")


def _by_key(
    join: Join, path: Path, rows: Sequence[Mapping[str, Any]]
) -> dict[Key, list[Mapping[str, Any]]]:
    """Return the rows by key; raise InputError for a column that is not there, or a key twice."""
    columns = dict.fromkeys(name for row in rows for name in row)
    for _, column in join.by:
        if column not in columns and all(value_at(row, column) is ABSENT for row in rows):
            hint = did_you_mean(column, list(columns))
            raise InputError(f"{path}: join: no row has {column!r}{hint}")
    by_key: dict[Key, list[Mapping[str, Any]]] = {}
    for row in rows if join.by else ():
        key = _key([_text(row, column) for _, column in join.by])
        if key is not None:
            by_key.setdefault(key, []).append(row)
    twice = next((key for key, some in by_key.items() if len(some) > 1 and not join.many), None)
    if twice is not None:
        what = "two rows have the key " + ", ".join(map(shown, twice))
        raise InputError(f"{path}: join: {what}: name more columns, or say many: true")
    return by_key


def _text(row: Mapping[str, Any], column: str) -> str | None:
    value = value_at(row, column)
    return None if value is ABSENT else text_of_value(value)


def _key(texts: Sequence[str | None]) -> Key | None:
    """Return a key; a part that is not there, or empty, makes none."""
    parts = [same_number(text.strip()) for text in texts if text is not None and text.strip()]
    return tuple(parts) if len(parts) == len(texts) else None


def _without_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if value == "" else value for name, value in values.items()}
