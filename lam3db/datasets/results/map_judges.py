"""What a map says of a judge, read from rows.

What must hold: no label is no finding; a word without a meaning, and a value that is no number,
are ``unparsed`` with what stood there; one judge of a file is one object, by its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import shown
from lam3db.datasets.results.cells import Labels, number_of, text_of_value
from lam3db.datasets.results.paths import top_of
from lam3db.datasets.results.record import SEEN, VERSION, Said, imported_judge
from lam3db.records import LONGEST_ATTRIBUTE, Finding, ScoreStatus, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lam3db.datasets.faults import Faults
    from lam3db.datasets.results.map_rows import Cells
    from lam3db.datasets.results.map_shape import JudgeMap
    from lam3db.datasets.results.record import ImportedJudge

MOST_JUDGES = 10_000
_LONGEST_NAME = 200
_INNER = "said"


class JudgeReader:
    """Reads what one entry of a map names: one judge, or one per name in a column."""

    def __init__(self, entry: JudgeMap, source: str, faults: Faults) -> None:
        """Take an entry; ``source`` is whose results they are."""
        self._entry, self._source, self._faults = entry, source, faults
        self._labels = Labels(entry.words, entry.unscored, entry.missing)
        self._judges: dict[str, ImportedJudge] = {}

    def paths(self) -> set[str]:
        """Return the ways into the row that it follows."""
        one = self._entry
        sources = [one.name, one.value, one.verdict, one.raw, one.explanation]
        found = {s.path for s in (*sources, *one.attributes.values()) if s is not None and s.path}
        if one.list is None:
            return found
        return {path for path in found if top_of(path) != _INNER} | {one.list}

    def read(self, row: int, cells: Cells) -> Iterator[Said]:
        """Yield what is said of this attempt; each judge once."""
        if self._entry.list is None:
            elements = [cells]
        else:
            found = cells.items(self._entry.list)
            elements = [cells.within(_INNER, one) for one in found or ()]
        seen: set[str] = set()
        for element in elements:
            finding = self._finding(row, element)
            if finding is None:
                continue
            name = text_of_value(element.get(self._entry.name))
            if not name or not name.strip() or len(name) > _LONGEST_NAME:
                self._faults.add(row, "name", f"{shown(name)} is no name of a judge")
            elif name in seen:
                self._faults.add(row, "name", f"{shown(name)} says two things of one answer")
            else:
                seen.add(name)
                yield Said(self._judge(row, name), finding)

    def _finding(self, row: int, cells: Cells) -> Finding | None:
        entry = self._entry
        details: dict[str, Any] = {
            "raw_output": self._text(row, cells, "raw"),
            "explanation": self._text(row, cells, "explanation"),
        }
        labelled = None
        if entry.verdict is not None:
            labelled = self._labels.finding(cells.get(entry.verdict))
        value, unread = self._value(cells)
        if labelled is None and value is None and unread is None:
            return None
        if labelled is not None and labelled.status is not ScoreStatus.OK:
            said = details["raw_output"] or labelled.raw_output
            return Finding(labelled.status, raw_output=said, explanation=details["explanation"])
        if unread is not None and labelled is None:
            status, text = unread
            return Finding(
                status,
                raw_output=details["raw_output"] or text,
                explanation=details["explanation"],
            )
        return Finding(
            value=value,
            verdict=None if labelled is None else labelled.verdict,
            attributes=self._attributes(row, cells),
            **details,
        )

    def _value(self, cells: Cells) -> tuple[float | None, tuple[ScoreStatus, str] | None]:
        """Return the number, or how it could not be read with what stood there."""
        entry = self._entry
        cell = cells.get(entry.value)
        if cell is None:
            return None, None
        text = text_of_value(cell)
        word = "" if text is None else text.strip().casefold()
        if text is not None and word in entry.missing:
            return None, None
        number = number_of(cell)
        if word in entry.unscored or number is None:
            status = entry.unscored.get(word, ScoreStatus.UNPARSED)
            return None, (status, text if text is not None else shown(cell))
        return number, None

    def _text(self, row: int, cells: Cells, name: str) -> str | None:
        value = cells.get(getattr(self._entry, name))
        if value is None or isinstance(value, str):
            return value
        text = text_of_value(value)
        if text is None:
            from lam3db.hashing import canonical_json

            try:
                text = canonical_json(value)
            except (TypeError, ValueError):
                self._faults.add(row, name, f"{shown(value)} is no text")
        return text

    def _attributes(self, row: int, cells: Cells) -> dict[str, float]:
        found = {}
        for name, source in self._entry.attributes.items():
            cell = cells.get(source)
            if cell is None or cell == "":
                continue
            number = number_of(cell)
            if number is None or len(name) > LONGEST_ATTRIBUTE:
                self._faults.add(row, source.path, f"{shown(cell)} is no number")
            else:
                found[name] = number
        return found

    def _judge(self, row: int, name: str) -> ImportedJudge:
        if name not in self._judges:
            if len(self._judges) == MOST_JUDGES:
                self._faults.add(row, "name", f"more than {MOST_JUDGES:,} judges in one file")
            entry = self._entry
            verdicts = set(entry.words.values())
            unsafe = [Verdict.UNSAFE] if Verdict.UNSAFE in verdicts else []
            if not unsafe and verdicts & {Verdict.REFUSED, Verdict.NOT_REFUSED}:
                unsafe = [Verdict.NOT_REFUSED]
            heading = "non-refusal" if unsafe == [Verdict.NOT_REFUSED] else "ASR"
            self._judges[name] = imported_judge(
                name,
                entry.kind,
                {"source": self._source, "read": dict(entry.written)},
                version=entry.version or VERSION,
                sees=entry.sees or SEEN,
                unsafe=unsafe,
                heading=entry.heading or heading,
                policy=entry.policy,
            )
        return self._judges[name]
