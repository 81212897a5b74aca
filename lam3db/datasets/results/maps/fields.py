"""The fields of one attempt, each read strictly or told as a fault.

What must hold: a field that is not there is None; a word without a meaning is a fault that says
which words have one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import shown
from lam3db.datasets.results.cells import number_of, text_of_value
from lam3db.datasets.results.endings import Endings
from lam3db.datasets.results.maps.meanings import WordMeanings, known_words
from lam3db.datasets.results.maps.ways import Unread
from lam3db.datasets.results.paths import opened
from lam3db.datasets.results.stand_ins import stand_in
from lam3db.hashing import canonical_json
from lam3db.records import Attack, Failed, FinishReason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lam3db.datasets.faults import Faults
    from lam3db.datasets.results.endings import Ended
    from lam3db.datasets.results.maps.lookup import Cells
    from lam3db.datasets.results.maps.map_shape import FieldSource

_LARGEST = 2**31
_PARAMETERS = "attack_parameters."
_CURE = "fields.finish_reason: {column: ..., words: {stop: [%s]}}, or under length or failed"
_BOOLEANS: WordMeanings[bool] = WordMeanings(
    {
        **dict.fromkeys(("1", "true", "yes"), True),
        **dict.fromkeys(("0", "false", "no"), False),
    }
)


@dataclass(frozen=True, slots=True)
class Given:
    """What a row gives as an answer: its text, why there is none, or that it is not published."""

    text: str | None
    failed: Failed | None = None
    finish_reason: FinishReason = FinishReason.STOP
    is_absent: bool = False


class Fields:
    """The fields of one attempt, by name."""

    def __init__(
        self, row: int, cells: Cells, fields: Mapping[str, FieldSource], faults: Faults
    ) -> None:
        """Take the row's number as faults name it, and its values."""
        self.row, self._cells, self._fields, self._faults = row, cells, fields, faults

    def column(self, name: str) -> str:
        """Return how a fault names a field: by its column."""
        source = self._fields.get(name)
        return name if source is None else source.name or name

    def fault(self, name: str, what: str) -> None:
        """Note what is wrong with a field."""
        self._faults.add(self.row, self.column(name), what)

    def value(self, name: str) -> Any:
        """Return what is there; what cannot be read as the map says is a fault."""
        return plain(self._cells, self._fields.get(name), self.row, name, self._faults)

    def text(self, name: str) -> str | None:
        """Return a text; a number is its text."""
        value = self.value(name)
        if value is None or isinstance(value, str):
            return value
        text = text_of_value(value)
        if text is None:
            self.fault(name, f"{shown(value)} is no text")
        return text

    def number(self, name: str) -> float | None:
        """Return a number, from a number or the text of one."""
        value = self.value(name)
        if value is None or value == "":
            return None
        number = number_of(value)
        if number is None:
            self.fault(name, f"{shown(value)} is no number")
        return number

    def count(self, name: str) -> int | None:
        """Return a whole number from 0 on."""
        number = self.number(name)
        if number is not None and (not number.is_integer() or not 0 <= number <= _LARGEST):
            self.fault(name, f"{shown(number)} is no whole number from 0 on")
            return None
        return None if number is None else int(number)

    def is_true(self, name: str) -> bool:
        """Return what a word says that is true or false; not true where nothing is there."""
        source = self._fields.get(name)
        truth = is_true(source, self.value(name))
        if isinstance(truth, str):
            self.fault(name, truth)
        return truth is True

    def attack(self) -> Attack:
        """Return the attack with its parameters."""
        parameters = {
            name.removeprefix(_PARAMETERS): value
            for name in self._fields
            if name[0] == "a" and name.startswith(_PARAMETERS)
            if (value := self.value(name)) is not None
        }
        return Attack(self.text("attack") or "none", parameters)

    def answer(self) -> Given:
        """Return the answer and how it ended, or what stands in its place."""
        source = self._fields.get("response")
        text = self.text("response") if source is not None and not source.is_absent else None
        if source is None:
            return Given(None)
        is_absent = source.is_absent or bool(source.absent.meaning(text or ""))
        if text is not None and not is_absent:
            for start in source.failures:
                if _begins(text, start):
                    return Given(None, Failed("ReportedFailure", text))
            failed = stand_in(text)
            if failed is not None:
                what = f"{self.column('response')}: {shown(text)} is an attempt without an answer"
                self._faults.remarks.note(what)
                return Given(None, failed)
        end = self._fields.get("finish_reason")
        if end is None:
            return Given(None if is_absent else text, is_absent=is_absent)
        ended = self._ended(end, "" if is_absent else text)
        if is_absent:
            is_absent = ended.response is not None
            return Given(None, ended.failed, ended.finish_reason, is_absent=is_absent)
        return Given(ended.response, ended.failed, ended.finish_reason)

    def _ended(self, source: FieldSource, text: str | None) -> Ended:
        word = self.value("finish_reason")
        meaning = source.words.meaning(word) if source.words else None
        meanings = {} if meaning is None else {str(word).strip().casefold(): str(meaning)}
        endings = Endings(self._faults, meanings, _CURE)
        return endings.read(self.row, self.column("finish_reason"), word, text)

    def images(self) -> Iterator[tuple[str, str]]:
        """Yield (column, name) of each image."""
        for name in self._fields:
            if name != "image" and name.partition(".")[0] != "images":
                continue
            value = self.value(name)
            if isinstance(value, str) and value.startswith("["):
                value = opened(value)  # a list in a cell
            items = value if isinstance(value, list) else [] if value in (None, "") else [value]
            for item in items:
                if isinstance(item, str):
                    yield self.column(name), item
                else:
                    self.fault(name, f"{shown(item)} is no name of a file")


def plain(cells: Cells, source: FieldSource | None, row: int, name: str, faults: Faults) -> Any:
    """Return what a source says; what cannot be read as the map says is a fault."""
    value = cells.get(source)
    if isinstance(value, Unread):
        column = (source.name if source is not None else "") or name
        faults.add(row, column, f"{shown(value.text)} {value.why}")
        return None
    if not isinstance(value, str | bool | None):
        try:
            canonical_json(value)
        except (ValueError, TypeError) as error:
            column = (source.name if source is not None else "") or name
            faults.add(row, column, str(error))
            return None
    return value


def is_true(source: FieldSource | None, value: Any) -> bool | str:
    """Return whether a cell says true or false; what is wrong with it as a text."""
    if source is None or value is None or value == "":
        return False
    words = source.words or _BOOLEANS
    meaning: bool | None = words.meaning(value)
    if meaning is None:
        what = f"{shown(value)} is neither true nor false: give its words a meaning"
        return f"{what} (known: {known_words(words)})"
    return meaning


def _begins(text: str, start: Any) -> bool:
    """Tell whether a text is an error message: it begins so as written, or a rule fits it."""
    if isinstance(start, str):
        return text.startswith(start)
    return bool(start.fits(text, text.strip().casefold()))
