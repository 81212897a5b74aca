"""The values of one row or attempt, looked up as a map says.

What must hold: a cell that is missing is None, and never an answer, a verdict or a number; a text
that cannot be read as the map says is handed on as :class:`Unread`, and never as nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lam3db.datasets.results.cells import text_of_value
from lam3db.datasets.results.maps.map_shape import NO_WORDS
from lam3db.datasets.results.maps.patterns import taken
from lam3db.datasets.results.maps.ways import Unread
from lam3db.datasets.results.paths import ABSENT, as_list, json_in, steps, value_at, walk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lam3db.datasets.results.maps.map_shape import FieldSource
    from lam3db.datasets.results.maps.meanings import WordMeanings
    from lam3db.datasets.results.maps.ways import RowWay, Ways


@dataclass(frozen=True, slots=True)
class Cells:
    """What there is to look up.

    ``number`` is the row's, from 0; ``names`` are what the sources take from the file's name;
    ``empty``: in this kind of file an empty text may be nothing.
    """

    values: Mapping[str, Any]
    ways: Ways
    missing: WordMeanings[bool]
    empty: bool
    number: int
    names: Mapping[str, str]

    def get(self, source: FieldSource | None) -> Any:
        """Return what a source says; None where nothing is there."""
        if source is None:
            return None
        way = source.way
        if way is None:
            return self._beside(source)
        path, values = way.path, self.values
        value = values[path] if path in values else value_at(values, path)
        if value is ABSENT:
            return self.ways.missed(way, values)
        self.ways.met.add(way)
        if isinstance(value, str) and self._is_nothing(value, source):
            return None
        if value is None or (source.json is None and source.pattern is None):
            return value
        return self._taken(source, value)

    def items(self, way: RowWay) -> Any:
        """Return the list at a way, None where nothing is; :class:`Unread` where it is no list."""
        value = value_at(self.values, way.path.removesuffix("[]"))
        if value is ABSENT:
            return self.ways.missed(way, self.values)
        self.ways.met.add(way)
        if value is None or value == "" or (isinstance(value, str) and self.missing.meaning(value)):
            return None
        items = as_list(value)
        return (
            Unread(text_of_value(value) or repr(value), "is not a list") if items is None else items
        )

    def within(self, **elements: Any) -> Cells:
        """Return the same values with an element of a list beside them."""
        return replace(self, values={**self.values, **elements})

    def _is_nothing(self, value: str, source: FieldSource) -> bool:
        if not value:
            return self.empty and not source.empty_is_answer
        if self.missing is NO_WORDS and source.missing is NO_WORDS:  # as nearly always
            return False
        return bool(self.missing.meaning(value) or source.missing.meaning(value))

    def _beside(self, source: FieldSource) -> Any:
        if source.row is not None:
            return self.number + source.row
        return source.constant if source.file is None else self.names[source.file.pattern]

    def _taken(self, source: FieldSource, value: Any) -> Any:
        """Return what is in the JSON of a text, or what a pattern takes of it."""
        if source.json is not None:
            value = self._in_json(source.json, value)
        if source.pattern is None or value is None or isinstance(value, Unread):
            return value
        text = text_of_value(value)
        part = None if text is None else taken(source.pattern, text)
        if part is not None:
            return part
        return Unread(repr(value) if text is None else text, f"has no {source.pattern.pattern!r}")

    def _in_json(self, way: RowWay, value: Any) -> Any:
        document = json_in(value) if isinstance(value, str) else value
        if document is ABSENT:
            return Unread(str(value), "holds no JSON")
        found, rest = walk(document, steps(way.json or "") or ())
        if rest:
            self.ways.missed(way, document)
            return Unread(str(value), f"has no {way.json!r}")
        self.ways.met.add(way)
        return found
