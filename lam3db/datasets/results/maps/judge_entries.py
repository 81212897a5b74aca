"""Judges and annotators as a map writes them.

What must hold: an entry says what its words mean, and no word means two things; a person is known
by name and words, not by the column that the person stood in.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lam3db.datasets.results.maps.map_shape import FieldSource, JudgeMap
from lam3db.datasets.results.maps.source_entries import COLUMNS, FLAG, TEXT, FieldKind, Sources
from lam3db.datasets.results.paths import top_of
from lam3db.hashing import canonical_json
from lam3db.records import JudgeKind, JudgePolicy, ScoreStatus, Sees, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lam3db.config_files import Place
    from lam3db.datasets.results.maps.checks import Checks
    from lam3db.datasets.results.maps.meanings import WordMeanings

JUDGE = (
    *("name", "kind", "version", "sees", "heading", "list", "columns", "pairs", "value", "verdict"),
    *("words", "unparsed", "abstained", "judge_refused", "missing", "threshold", "scale", "raw"),
    *("explanation", "attributes", "adjudicates"),
)
PAIR = ("name", "value", "verdict", "raw", "explanation", "attributes", "adjudicates")
_PLACES = (*PAIR, "list", "columns", "pairs")
_UNSCORED = ("unparsed", "abstained", "judge_refused")
_THRESHOLD = re.compile(r"\s*(>=|>)?\s*(-?\d+(?:\.\d+)?)\s*")
_MARK = FieldKind(constants=True, flags=True, settings=("words",), meanings=FLAG)


class JudgeEntries:
    """Reads the entries under ``judges`` and ``annotators``."""

    def __init__(self, checks: Checks, sources: Sources) -> None:
        """Take where faults go, and how sources are read."""
        self._checks, self._sources = checks, sources

    def read(self, values: Mapping[str, Any], written: Mapping[str, Any]) -> tuple[JudgeMap, ...]:
        """Return every judge; ``written`` is the map before ``repeat`` replaced names."""
        judges = [
            judge
            for group in ("judges", "annotators")
            for at, (value, text) in enumerate(
                zip(self._entries(values, group), self._entries(written, group), strict=True)
            )
            for judge in self._entry(value, text, (group, at))
        ]
        return _persons(judges)

    def _entries(self, values: Mapping[str, Any], name: str) -> Sequence[Any]:
        entries = values.get(name) or []
        if not isinstance(entries, list):
            self._checks.fault((name,), "is no list (- name: ...)")
            return []
        return entries

    def _entry(self, value: Any, written: Any, place: Place) -> Iterator[JudgeMap]:
        """Yield the judges of one entry: ``columns`` and ``pairs`` make one of each."""
        if not isinstance(value, dict):
            self._checks.fault(place, "is no list of `name: ...` lines")
            return
        self._checks.known(value, JUDGE, place)
        if "columns" in value:
            for one in self._columns(value, place):
                yield self._judge(one, one, place)
        elif "pairs" in value:
            texts = self._pairs(written, place)
            for one, text in zip(self._pairs(value, place), texts, strict=True):
                yield self._judge(one, text, place)
        else:
            yield self._judge(value, written, place)

    def _columns(self, value: Mapping[str, Any], place: Place) -> list[dict[str, Any]]:
        """Return an entry for each column, the annotator of its name."""
        columns = value["columns"]
        if not isinstance(columns, list) or {"name", "verdict", "list", "pairs"} & set(value):
            self._checks.faults.add(
                place, "columns: a list of columns, each an annotator of its name"
            )
            return []
        rest = {name: one for name, one in value.items() if name != "columns"}
        goal = "value" if "words" not in value else "verdict"
        named = [self._sources.named(one, (*place, "columns")) for one in columns]
        return [
            {**rest, "name": {"constant": way.path}, goal: way.path}
            for way in named
            if way is not None
        ]

    def _pairs(self, value: Mapping[str, Any], place: Place) -> list[dict[str, Any]]:
        """Return an entry for each pair of a column of names and one of what they say."""
        here, pairs = (*place, "pairs"), value["pairs"]
        if not isinstance(pairs, list) or {"name", "verdict", "value", "list"} & set(value):
            self._checks.fault(here, "a list of {name: column, verdict: column}, alone")
            return []
        rest = {name: one for name, one in value.items() if name != "pairs"}
        entries = []
        for at, pair in enumerate(pairs):
            if not isinstance(pair, dict) or "name" not in pair:
                self._checks.fault((*here, at), "a name's column and a verdict's are expected")
                continue
            self._checks.known(pair, PAIR, (*here, at))
            name = pair["name"]
            column = name if isinstance(name, dict) else {"column": name}
            entries.append({**rest, **pair, "name": column})
        return entries

    def _judge(
        self, value: Mapping[str, Any], written: Mapping[str, Any], place: Place
    ) -> JudgeMap:
        checks = self._checks
        listed = self._list(value, place)
        sources = self._sources if listed is None else self._sources.of_list(listed.path)
        if not {"value", "verdict"} & set(value):
            checks.fault(place, "neither value nor verdict says what it found")
        words = self._words(value, place)
        if "verdict" in value and not any(isinstance(one, Verdict) for one in words.meanings()):
            what = "say what its words mean (words: {unsafe: [...], safe: [...]})"
            checks.fault(place, what)
        human = JudgeKind.HUMAN if place[0] == "annotators" else None
        scale = self._scale(value.get("scale"), (*place, "scale"))
        seen = value.get("sees")

        def column(name: str) -> FieldSource | None:
            if name not in value:
                return None
            return sources.source(value[name], (*place, name), COLUMNS)

        if listed is not None and not _reads(value, "said"):
            checks.fault((*place, "list"), "its elements are `said`, and nothing reads said")
        kind = checks.word(value.get("kind", human), JudgeKind, (*place, "kind"))
        if kind not in (None, JudgeKind.HUMAN) and value.get("adjudicates") not in (None, False):
            checks.fault((*place, "adjudicates"), "only people's labels decide between annotators")
        attributes = value.get("attributes", {})
        return JudgeMap(
            name=self._name(value.get("name"), place, sources),
            kind=kind or JudgeKind.HUMAN,
            version=checks.text(value, "version", place),
            sees=None if seen is None else self._seen(seen, (*place, "sees")),
            heading=checks.text(value, "heading", place),
            list=listed,
            value=column("value"),
            verdict=column("verdict"),
            words=words,
            policy=self._policy(value.get("threshold"), scale, (*place, "threshold")),
            scale=scale,
            adjudicates=self._mark(value, sources, place),
            raw=column("raw"),
            explanation=column("explanation"),
            attributes=self._attributes(attributes, sources, (*place, "attributes")),
            origins=((None, written),),
            place=".".join(map(str, place)),
        )

    def _list(self, value: Mapping[str, Any], place: Place) -> Any:
        listed = value.get("list")
        return None if listed is None else self._sources.named(listed, (*place, "list"))

    def _name(self, value: Any, place: Place, sources: Sources) -> FieldSource:
        if value is None:
            self._checks.fault(place, "has no name")
            return FieldSource()
        if isinstance(value, dict):
            return sources.source(value, (*place, "name"), TEXT)
        if not isinstance(value, str) or not value.strip():
            self._checks.fault((*place, "name"), f"{value!r} is no name: put it in quotes")
        return FieldSource(constant=str(value))

    def _mark(self, value: Mapping[str, Any], sources: Sources, place: Place) -> FieldSource | None:
        """Return what says that a label decides between annotators."""
        given = value.get("adjudicates")
        if given in (None, False):
            return None
        return sources.source(given, (*place, "adjudicates"), _MARK)

    def _attributes(self, values: Any, sources: Sources, place: Place) -> dict[str, FieldSource]:
        if isinstance(values, list):
            return sources.several(values, place)
        if not isinstance(values, dict):
            self._checks.fault(place, "is no list of `name: column` lines")
            return {}
        return {name: sources.source(one, (*place, name), COLUMNS) for name, one in values.items()}

    def _words(self, value: Mapping[str, Any], place: Place) -> WordMeanings[Any]:
        """Return what every word of a judge means: verdicts, no score, no label."""
        here = (*place, "words")
        meanings: dict[Any, tuple[Any, Place]] = {}
        for meaning, listed in self._checks.mapping(value, "words", place).items():
            verdict = self._checks.word(meaning, Verdict, here)
            if verdict is not None:
                meanings[verdict] = listed, here
        for status in _UNSCORED:
            meanings[ScoreStatus(status)] = value.get(status), (*place, status)
        missing = [*self._checks.items(value.get("missing")), ""]
        meanings["missing"] = missing, (*place, "missing")
        return self._checks.words(meanings)

    def _policy(
        self, value: Any, scale: tuple[float, float] | None, place: Place
    ) -> JudgePolicy | None:
        if value is None:
            return None
        match = None if isinstance(value, bool) else _THRESHOLD.fullmatch(str(value))
        if match is None:
            self._checks.faults.add(place, f"threshold: {value!r}: write >= 3 or > 0.5, in quotes")
            return None
        threshold = float(match[2])
        if scale is not None and not scale[0] <= threshold <= scale[1]:
            self._checks.fault(
                place, f"{threshold:g} is not on the scale, {scale[0]:g} to {scale[1]:g}"
            )
        return JudgePolicy(threshold, match[1] or ">=")

    def _scale(self, value: Any, place: Place) -> tuple[float, float] | None:
        """Return the ends between which every value lies."""
        if value is None:
            return None
        ends = value if isinstance(value, list) else []
        plain = [float(end) for end in ends if isinstance(end, int | float) and end is not True]
        if len(ends) == 2 == len(plain) and plain[0] < plain[1]:  # noqa: PLR2004 - low and high
            return plain[0], plain[1]
        self._checks.fault(place, f"{value!r}: write the least and the greatest value, as [1, 5]")
        return None

    def _seen(self, value: Any, place: Place) -> tuple[Sees, ...]:
        parts = [self._checks.word(one, Sees, place) for one in self._checks.items(value)]
        return tuple(one for one in parts if one is not None)


def _reads(value: Any, name: str) -> bool:
    """Tell whether a text in a value is a way that begins with a name."""
    if isinstance(value, str):
        return top_of(value) == name
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_reads(part, name) for part in parts)


def _persons(judges: Sequence[JudgeMap]) -> tuple[JudgeMap, ...]:
    """Return the judges, each person with one origin whatever the columns.

    The origin is the text of the first entry that may name this person and reads labels by the same
    words: a map that has only that one gives the same judge.
    """
    entries: dict[str, list[tuple[str | None, Mapping[str, Any]]]] = {}
    persons = []
    for judge in judges:
        ((_, written),) = judge.origins
        if judge.kind != JudgeKind.HUMAN:
            persons.append(judge)
            continue
        rest = {name: value for name, value in written.items() if name not in _PLACES}
        reading = canonical_json([rest, "verdict" in written, "value" in written])
        origins = entries.setdefault(reading, [])
        constant = judge.name.constant if judge.name.way is None else None
        origins.append((None if constant is None else str(constant), written))
        persons.append(replace(judge, origins=tuple(origins)))
    return tuple(persons)
