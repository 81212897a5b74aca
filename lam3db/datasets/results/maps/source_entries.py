"""Where a field comes from, as a map writes it: a column's name, or an object that says more.

What must hold: a number names a column where only a column makes sense; a setting that would have
no effect on a field is refused there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.datasets.results.maps.map_shape import NO_WORDS, FieldSource
from lam3db.datasets.results.maps.ways import RowWay
from lam3db.datasets.results.paths import steps, top_of
from lam3db.finish_reasons import MEANINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lam3db.config_files import Place
    from lam3db.datasets.results.maps.checks import Checks
    from lam3db.datasets.results.maps.meanings import WordMeanings

ORIGINS = ("column", "constant", "file", "row", "absent")
COLUMN = (*ORIGINS, "json", "pattern", "words", "empty", "missing", "failures")
NUMBERS = ("replicate", "prompt_tokens", "completion_tokens", "latency_ms")
FLAG = ("true", "false")
_EMPTY = ("response", "prompt", "system", "target")


@dataclass(frozen=True, slots=True)
class FieldKind:
    """What a field may say: ``constants`` of its own, and which settings beside its column.

    ``bare``: a column alone, which holds a list.
    """

    constants: bool = False
    numbers: bool = False
    flags: bool = False
    settings: tuple[str, ...] = ()
    meanings: tuple[str, ...] = ()
    bare: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that an object may have."""
        if self.bare:
            return ("column",)
        origins = ("column", "file", "row", *(("constant",) if self.constants else ()))
        return (*origins, "json", "pattern", "missing", *self.settings)


SETTING = FieldKind(constants=True, numbers=True, flags=True)
"""A setting, a fact or a label: whatever is no text is the value itself."""
COLUMNS = FieldKind()
TEXT = FieldKind(constants=True)


def kind_of_field(name: str) -> FieldKind:
    """Return what a field of an attempt may say."""
    if name == "benign":
        return FieldKind(constants=True, flags=True, settings=("words",), meanings=FLAG)
    if name == "messages":
        return FieldKind(bare=True)
    if name == "finish_reason":
        return FieldKind(constants=True, settings=("words",), meanings=MEANINGS)
    settings: tuple[str, ...] = ("empty",) if name in _EMPTY else ()
    if name == "response":
        settings = ("empty", "failures", "absent")
    return FieldKind(constants=True, numbers=name in NUMBERS, settings=settings)


class Sources:
    """Reads sources; ``lists`` say which list the elements called ``item`` and ``said`` are of."""

    def __init__(self, checks: Checks, lists: Mapping[str, str]) -> None:
        """Take where faults go."""
        self._checks, self._lists = checks, lists

    def of_list(self, path: str) -> Sources:
        """Return the reading inside of a list whose elements are ``said``."""
        return Sources(self._checks, {**self._lists, "said": path})

    def way(self, path: str) -> RowWay:
        """Return a way into the row."""
        return RowWay(path, self._lists.get(top_of(path)))

    def named(self, value: Any, place: Place) -> RowWay | None:
        """Return the way that a column's name is, which may be a number."""
        if isinstance(value, int) and not isinstance(value, bool):
            return self.way(str(value))
        if isinstance(value, str) and value:
            return self.way(value)
        self._checks.fault(place, f"{value!r} is no column: put its name in quotes")
        return None

    def several(self, values: Any, place: Place) -> dict[str, FieldSource]:
        """Read ``name: source`` lines, or a list of columns."""
        if isinstance(values, list):  # metadata: [column, column]
            return {
                str(name): self.source(name, (*place, at), COLUMNS)
                for at, name in enumerate(values)
            }
        if not isinstance(values, dict):
            self._checks.fault(place, "is no list of `name: column` lines")
            return {}
        return {name: self.source(one, (*place, name), SETTING) for name, one in values.items()}

    def source(self, value: Any, place: Place, kind: FieldKind = TEXT) -> FieldSource:
        """Read a column's name, a constant, or an object with either."""
        if isinstance(value, dict):
            return self._object(value, place, kind)
        if isinstance(value, str) and value:
            return FieldSource(self.way(value))
        whole = value if isinstance(value, int) and not isinstance(value, bool) else None
        if whole is not None and not kind.numbers:
            return FieldSource(self.way(str(whole)), number=whole)
        if not _is_constant(value, kind):
            what = f"{value!r} is no column: put its name in quotes"
            if value is None or value == "":
                what = "is empty: name a column, or leave the line out"
            self._checks.fault(place, what + ", or say {constant: ...}" * kind.constants)
        return FieldSource(constant=value, number=whole)

    def _object(self, value: Mapping[str, Any], place: Place, kind: FieldKind) -> FieldSource:
        for name in value:
            if name in COLUMN and name not in kind.keys:
                what = "a constant is no finding" if name == "constant" else "has no effect here"
                self._checks.fault((*place, name), what)
        self._checks.known({name: 0 for name in value if name not in COLUMN}, kind.keys, place)
        origins = [name for name in ORIGINS if name in value]
        origins = [name for name in origins if name != "absent" or value[name] is True]
        if len(origins) != 1:
            self._checks.fault(place, "say either column or constant (or file, row, absent: true)")
        way = self.named(value["column"], place) if "column" in value else None
        json = self._checks.text(value, "json", place)
        if json is not None and (not json or steps(json) is None):
            self._checks.fault((*place, "json"), f"{json!r} is no way into an object, as a.b[0]")
            json = None
        has_pattern = value.get("pattern") is not None
        return FieldSource(
            way=way,
            constant=value.get("constant"),
            json=None if json is None or way is None else RowWay(way.path, way.within, json),
            pattern=self._checks.pattern(value["pattern"], (*place, "pattern"))
            if has_pattern
            else None,
            file=self._checks.pattern(value["file"], (*place, "file")) if "file" in value else None,
            row=self._row(value, place),
            words=self._meanings(value, place, kind),
            missing=self._set(value, "missing", place),
            failures=self._failures(value, place),
            absent=NO_WORDS if value.get("absent") is True else self._set(value, "absent", place),
            is_absent=value.get("absent") is True,
            empty_is_answer=self._empty(value, place),
        )

    def _row(self, value: Mapping[str, Any], place: Place) -> int | None:
        number = value.get("row")
        if "row" in value and (isinstance(number, bool) or number not in (0, 1)):
            what = f"{number!r}: write 0 or 1, the number of the first row"
            self._checks.fault((*place, "row"), what)
            return 0
        return number

    def _meanings(
        self, value: Mapping[str, Any], place: Place, kind: FieldKind
    ) -> WordMeanings[Any]:
        if "words" not in value or not kind.meanings:
            return NO_WORDS
        here, listed = (*place, "words"), self._checks.mapping(value, "words", place)
        for meaning in listed:
            if meaning not in kind.meanings:
                self._checks.fault(here, f"{meaning!r} is none of {', '.join(kind.meanings)}")
        is_flag = kind.meanings == FLAG
        return self._checks.words(
            {
                (meaning == "true" if is_flag else meaning): (words, here)
                for meaning, words in listed.items()
            }
        )

    def _set(self, value: Mapping[str, Any], name: str, place: Place) -> WordMeanings[bool]:
        return self._checks.word_set(value.get(name), (*place, name)) or NO_WORDS

    def _empty(self, value: Mapping[str, Any], place: Place) -> bool:
        empty = value.get("empty", "missing")
        if empty not in ("answer", "missing"):
            self._checks.fault((*place, "empty"), f"{empty!r} is neither answer nor missing")
        return bool(empty == "answer")

    def _failures(self, value: Mapping[str, Any], place: Place) -> tuple[Any, ...]:
        """Return how error messages begin: texts as they are written, and rules."""
        here = (*place, "failures")
        listed = value.get("failures")
        if listed is not None and not isinstance(listed, list):
            self._checks.fault(here, "is no list of texts")
            return ()
        texts = [one for one in listed or () if not isinstance(one, dict)]
        if not all(isinstance(one, str) and one for one in texts):
            self._checks.fault(here, "is no list of texts")
            return ()
        rules = [one for one in listed or () if isinstance(one, dict)]
        return (*texts, *self._checks.word_set(rules, here).rules)


def _is_constant(value: Any, kind: FieldKind) -> bool:
    """Tell whether a value that is no text may stand for itself."""
    if value is None or value == "":
        return False
    if isinstance(value, bool):
        return kind.flags
    return kind.numbers and (kind.flags or isinstance(value, int | float))
