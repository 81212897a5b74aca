"""What a map says of a judge, read from rows.

What must hold: no label is no finding; a word without a meaning, and a value that is no number,
are ``unparsed`` with what stood there, and are counted; a value that is not on the judge's scale is
a fault; one judge of a file is one object, whatever columns it stood in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import shown
from lam3db.datasets.results.cells import number_of, text_of_value, word_of
from lam3db.datasets.results.maps.fields import is_true, plain
from lam3db.datasets.results.maps.ways import Unread
from lam3db.datasets.results.record import SEEN, VERSION, Said, imported_judge
from lam3db.errors import InputError
from lam3db.hashing import canonical_json
from lam3db.records import LONGEST_ATTRIBUTE, Finding, ScoreStatus, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lam3db.datasets.faults import Faults
    from lam3db.datasets.results.maps.lookup import Cells
    from lam3db.datasets.results.maps.map_shape import FieldSource, JudgeMap
    from lam3db.datasets.results.record import ImportedJudge

MOST_JUDGES = 10_000
_LONGEST_NAME = 200
_SHOWN = 20
_MISSING = "missing"


class Judges:
    """The judges of one file, each one object."""

    def __init__(self, source: str, faults: Faults) -> None:
        """Take whose results they are."""
        self._source, self._faults = source, faults
        self._judges: dict[tuple[str, str, bool], ImportedJudge] = {}
        self._texts: dict[int, tuple[object, str]] = {}

    def get(self, entry: JudgeMap, name: str, *, adjudicates: bool) -> ImportedJudge:
        """Return the judge of this name as an entry reads it."""
        written = entry.origin_of(name)
        key = (self._text(written), name, adjudicates)
        if key not in self._judges:
            if len(self._judges) >= MOST_JUDGES:
                path = self._faults.path
                raise InputError(f"{path}: more than {MOST_JUDGES:,} judges in one file")
            self._judges[key] = self._made(entry, name, written, adjudicates=adjudicates)
        return self._judges[key]

    def _text(self, written: Mapping[str, Any]) -> str:
        stored = self._texts.get(id(written))
        if stored is None:
            stored = self._texts[id(written)] = written, canonical_json(written)
        return stored[1]

    def _made(
        self, entry: JudgeMap, name: str, written: Mapping[str, Any], *, adjudicates: bool
    ) -> ImportedJudge:
        verdicts = set(entry.words.meanings())
        unsafe = [Verdict.UNSAFE] if Verdict.UNSAFE in verdicts else []
        if not unsafe and verdicts & {Verdict.REFUSED, Verdict.NOT_REFUSED}:
            unsafe = [Verdict.NOT_REFUSED]
        heading = "non-refusal" if unsafe == [Verdict.NOT_REFUSED] else "ASR"
        return imported_judge(
            name,
            entry.kind,
            {"source": self._source, "read": dict(written)},
            version=entry.version or VERSION,
            sees=entry.sees or SEEN,
            unsafe=unsafe,
            heading=entry.heading or heading,
            policy=entry.policy,
            scale=entry.scale,
            adjudicates=adjudicates,
        )


class JudgeReader:
    """Reads what one entry of a map names: one judge, or one per name in a column."""

    def __init__(self, entry: JudgeMap, judges: Judges, faults: Faults) -> None:
        """Take an entry, and where the judges of the file are kept."""
        self.entry = entry
        self.met: set[str] = set()
        self._judges, self._faults = judges, faults

    def read(self, row: int, cells: Cells) -> Iterator[Said]:
        """Yield what is said of this attempt."""
        for element in self._elements(row, cells):
            name = self._name(row, element)
            final = self._is_final(row, element)
            finding = self._finding(row, element)
            if finding is None:
                continue
            if not name:
                self._faults.add(row, f"{self.entry.place}.name", "the judge has no name here")
            else:
                yield Said(self._judges.get(self.entry, name, adjudicates=final), finding)

    def _elements(self, row: int, cells: Cells) -> Sequence[Cells]:
        if self.entry.list is None:
            return [cells]
        items = cells.items(self.entry.list)
        if isinstance(items, Unread):
            self._faults.add(row, self.entry.list.path, f"{shown(items.text)} {items.why}")
        if not isinstance(items, list):
            return ()
        return [cells.within(said=item) for item in items]

    def _name(self, row: int, cells: Cells) -> str | None:
        value = plain(cells, self.entry.name, row, "name", self._faults)
        name = text_of_value(value)
        if value is not None and (name is None or not name.strip() or len(name) > _LONGEST_NAME):
            self._faults.add(row, "name", f"{shown(value)} is no name of a judge")
            return None
        return name

    def _is_final(self, row: int, cells: Cells) -> bool:
        source = self.entry.adjudicates
        final = is_true(source, plain(cells, source, row, "adjudicates", self._faults))
        if isinstance(final, str):
            self._faults.add(row, f"{self.entry.place}.adjudicates", final)
        return final is True

    def _finding(self, row: int, cells: Cells) -> Finding | None:
        """Return what is said; every source is looked up, whatever comes of the others."""
        raw, explanation = self._text(row, cells, "raw"), self._text(row, cells, "explanation")
        attributes = self._attributes(row, cells)
        labelled = self._label(cells)
        value, word = self._value(row, cells)
        if labelled is None and word is not None:
            labelled = word
        if labelled is not None and not isinstance(labelled, Verdict):
            status, text = labelled
            return Finding(status, raw_output=raw or text, explanation=explanation)
        if labelled is None and value is None:
            return None
        return Finding(
            value=value,
            verdict=labelled,
            explanation=explanation,
            raw_output=raw,
            attributes=attributes,
        )

    def _label(self, cells: Cells) -> Verdict | tuple[ScoreStatus, str] | None:
        """Return the verdict of a cell, or how it is none with what stood there."""
        source = self.entry.verdict
        cell = cells.get(source)
        if cell is None or source is None:
            return None
        meaning = None if isinstance(cell, Unread) else self._meaning(cell)
        if meaning == _MISSING:
            return None
        if isinstance(meaning, Verdict):
            return meaning
        status = meaning if isinstance(meaning, ScoreStatus) else None
        return self._unscored(source, cell, status)

    def _meaning(self, cell: Any) -> Verdict | ScoreStatus | str | None:
        """Return what a cell means, and take note of its word."""
        word = word_of(cell)
        if word is not None and word in self.entry.words.exact:
            self.met.add(word)
        return self.entry.words.meaning(cell)

    def _value(
        self, row: int, cells: Cells
    ) -> tuple[float | None, Verdict | tuple[ScoreStatus, str] | None]:
        """Return the number of a cell, or what a word there says, or how it says nothing."""
        source = self.entry.value
        cell = cells.get(source)
        if cell is None or source is None:
            return None, None
        meaning = None if isinstance(cell, Unread) else self._meaning(cell)
        if meaning == _MISSING:
            return None, None
        number = number_of(cell)
        if isinstance(meaning, Verdict) and number is None:
            return None, meaning
        if isinstance(meaning, ScoreStatus) or number is None:
            status = meaning if isinstance(meaning, ScoreStatus) else None
            return None, self._unscored(source, cell, status)
        scale = self.entry.scale
        if scale is not None and not scale[0] <= number <= scale[1]:
            what = f"{number:g} is not on the scale of {scale[0]:g} to {scale[1]:g}"
            self._faults.add(row, source.name, what)
        return number, None

    def _unscored(
        self, source: FieldSource, cell: Any, status: ScoreStatus | None
    ) -> tuple[ScoreStatus, str]:
        text = cell.text if isinstance(cell, Unread) else text_of_value(cell)
        text = shown(cell) if text is None else text
        if status is None:
            self._faults.remarks.unparsed(source.name, text.strip())
        return status or ScoreStatus.UNPARSED, text

    def _text(self, row: int, cells: Cells, name: str) -> str | None:
        value = cells.get(getattr(self.entry, name))
        if value is None or isinstance(value, str | Unread):
            return None if isinstance(value, Unread) else value
        text = text_of_value(value)
        if text is None:
            try:
                text = canonical_json(value)
            except (TypeError, ValueError):
                self._faults.add(row, name, f"{shown(value)} is no text")
        return text

    def _attributes(self, row: int, cells: Cells) -> dict[str, float]:
        attributes = {}
        for name, source in self.entry.attributes.items():
            cell = cells.get(source)
            if cell is None or cell == "":
                continue
            number = None if isinstance(cell, Unread) else number_of(cell)
            if number is not None and len(name) <= LONGEST_ATTRIBUTE:
                attributes[name] = number
            elif isinstance(cell, Unread):
                self._faults.remarks.unparsed(source.name, cell.text.strip())
            else:
                self._faults.add(row, source.name, f"{shown(cell)} is no number")
        return attributes


def once(row: int, findings: Iterator[Said], faults: Faults) -> tuple[Said, ...]:
    """Return what each judge said, once; a judge that says two things of one answer is a fault."""
    by_judge: dict[int, Said] = {}
    for said in findings:
        before = by_judge.setdefault(id(said.judge), said)
        if before is said:
            continue
        name = said.judge.identity.name
        if before.finding == said.finding:
            faults.remarks.note(f"{name} says the same of one answer twice: taken once")
        else:
            faults.add(row, "name", f"{shown(name)} says two things of one answer")
    return tuple(by_judge.values())


def tell_unmet(readers: Sequence[JudgeReader], faults: Faults) -> None:
    """Remark on the words that a map gives a meaning and no cell has, entry by entry."""
    unmet: dict[str, set[str]] = {}
    for reader in readers:
        meanings = reader.entry.words.exact.items()
        words = {word for word, meaning in meanings if isinstance(meaning, Verdict)}
        rest = words - reader.met
        unmet[reader.entry.place] = unmet.get(reader.entry.place, rest) & rest
    for place, words in unmet.items():
        if words:
            listed = ", ".join(map(repr, sorted(words)[:_SHOWN]))
            faults.remarks.note(f"{place}: words that no cell has: {listed}", len(words))
