"""A map as it is written: YAML to frozen values, every fault with its line.

What must hold: a key that nobody knows is refused with what was probably meant; all faults of a
map are told at once, before any row is read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lam3db.config_files import Faults, Place, raise_faults, read_document
from lam3db.datasets.results.cells import text_of_value
from lam3db.datasets.results.files import FileOptions
from lam3db.datasets.results.map_shape import JudgeMap, MapShape, Plan, Source
from lam3db.errors import ConfigError, did_you_mean
from lam3db.finish_reasons import MEANINGS
from lam3db.records import JudgeKind, JudgePolicy, ScoreStatus, Sees, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

TOP = (
    *("dataset", "source", "file", "only", "repeat", "repeats", "each", "fields", "model_facts"),
    *("config", "metadata", "judges", "annotators"),
)
FIELDS = (
    *("dataset", "key", "model", "behavior", "category", "benign", "attack"),
    *("attack_parameters", "target", "prompt", "system", "messages", "image", "images"),
    *("attempt", "replicate", "response", "finish_reason", "prompt_tokens"),
    *("completion_tokens", "latency_ms"),
)
FILE = ("encoding", "delimiter", "header", "sheet", "records", "ids", "missing")
COLUMN = ("column", "constant", "words", "empty", "missing", "failures")
JUDGE = (
    *("name", "kind", "version", "sees", "heading", "list", "columns", "value", "verdict"),
    *("words", "unparsed", "abstained", "judge_refused", "missing", "threshold", "raw"),
    *("explanation", "attributes"),
)
_UNSCORED = ("unparsed", "abstained", "judge_refused")
_THRESHOLD = re.compile(r"\s*(>=|>)?\s*(-?\d+(?:\.\d+)?)\s*")
_VARIABLE = re.compile(r"\{(\w+)\}")
_MOST = 1000
REPEATS = ("copies", "draws")


def read_shape(path: Path) -> MapShape:
    """Read a map; raise ConfigError with every fault and its line."""
    document = read_document(path, str(path))
    reader = _Reader(document.faults)
    shape = reader.shape(document.values)
    raise_faults(document.faults)
    return shape


class _Reader:
    """One walk over a map's values; what is wrong is noted by its place."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults

    def shape(self, values: Mapping[str, Any]) -> MapShape:
        self.known(values, TOP, ())
        if not values.get("fields"):
            self.faults.add((), "fields: is missing: say which column holds what")
        file = self.mapping(values, "file", ())
        self.known(file, FILE, ("file",))
        return MapShape(
            dataset=self.text(values, "dataset", ()),
            source=self.text(values, "source", ()),
            file=self.file(file),
            missing=self.word_set(file.get("missing"), ("file", "missing")),
            only={
                name: self.word_set(words, ("only", name))
                for name, words in self.mapping(values, "only", ()).items()
            },
            each=self.each(values.get("each")),
            plans=tuple(self.plan(one, values) for one in self.repeated(values)),
            written=values,
            repeats=self.repeats(values.get("repeats")),
        )

    def repeats(self, value: Any) -> str | None:
        if value is None or value in REPEATS:
            return None if value is None else str(value)
        hint = did_you_mean(str(value), REPEATS) or f": one of {list(REPEATS)}"
        self.faults.add(("repeats",), f"repeats: {value!r}{hint}")
        return None

    def file(self, values: Mapping[str, Any]) -> FileOptions:
        options = {name: values[name] for name in FILE[:-1] if values.get(name) is not None}
        header = options.get("header")
        if isinstance(header, list) and all(isinstance(name, str) for name in header):
            options["header"] = tuple(header)
        wrong = [
            n for n, v in options.items() if not isinstance(v, tuple if n == "header" else str)
        ]
        for name in wrong:
            what = "a list of names" if name == "header" else "a text"
            self.faults.add(("file", name), f"file.{name}: is not {what}")
        if wrong:
            return FileOptions()
        try:
            return FileOptions(**options)
        except ConfigError as error:
            self.faults.add(("file",), str(error))
            return FileOptions()

    def each(self, value: Any) -> tuple[str, ...]:
        paths = value if isinstance(value, list) else [] if value is None else [value]
        return tuple(str(path) for path in paths)

    def repeated(self, values: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Return the map once for each entry of ``repeat``, its ``{name}`` replaced."""
        entries = values.get("repeat")
        if entries is None:
            return [values]
        if not isinstance(entries, list) or not 0 < len(entries) <= _MOST:
            self.faults.add(("repeat",), "repeat: a list of texts, or of name: text, is wanted")
            return [values]
        found = []
        for entry in entries:
            named = {"model": entry} if isinstance(entry, str) else entry
            if not isinstance(named, dict):
                self.faults.add(("repeat",), f"repeat: {entry!r} is neither a text nor name: text")
                continue
            found.append(_replaced(values, {name: str(text) for name, text in named.items()}))
        return found

    def plan(self, values: Mapping[str, Any], written: Mapping[str, Any]) -> Plan:
        """Read one copy of the map; ``written`` is the map before ``repeat`` replaced names.

        A judge is known by how it is written: it is the same judge in every copy.
        """
        fields = self.mapping(values, "fields", ())
        self.known(fields, FIELDS, ("fields",))
        parameters = fields.get("attack_parameters", {})
        sources = self.sources(
            {name: one for name, one in fields.items() if name != "attack_parameters"}, ("fields",)
        )
        for name, one in self.sources(parameters, ("fields", "attack_parameters")).items():
            sources[f"attack_parameters.{name}"] = one
        judges = [
            self.judge(one, entry, (group, at))
            for group in ("judges", "annotators")
            for at, (one, entry) in enumerate(
                zip(self.entries(values, group), self.entries(written, group), strict=True)
            )
        ]
        return Plan(
            fields=sources,
            model_facts=self.sources(values.get("model_facts", {}), ("model_facts",)),
            config=self.sources(values.get("config", {}), ("config",)),
            metadata=self.sources(values.get("metadata", {}), ("metadata",)),
            judges=tuple(judge for some in judges for judge in some),
        )

    def entries(self, values: Mapping[str, Any], name: str) -> Sequence[Any]:
        found = values.get(name) or []
        if not isinstance(found, list):
            self.faults.add((name,), f"{name}: is no list (- name: ...)")
            return []
        return found

    def sources(self, values: Any, place: Place) -> dict[str, Source]:
        if isinstance(values, list):  # metadata: [column, column]
            values = {str(name): name for name in values}
        if not isinstance(values, dict):
            self.faults.add(place, f"{_dotted(place)}: is no list of `name: column` lines")
            return {}
        return {name: self.column(one, (*place, name)) for name, one in values.items()}

    def column(self, value: Any, place: Place) -> Source:
        """Read a column's name, a constant, or an object with either."""
        if isinstance(value, str):
            return Source(value)
        if not isinstance(value, dict):
            return Source(constant=value)
        self.known(value, COLUMN, place)
        if ("column" in value) == ("constant" in value):
            self.faults.add(place, f"{_dotted(place)}: say either column or constant")
        path = value.get("column")
        is_end = place == ("fields", "finish_reason")
        words = self.meanings(value, place, MEANINGS if is_end else ("true", "false"))
        empty = value.get("empty", "missing")
        if empty not in ("answer", "missing"):
            self.faults.add((*place, "empty"), f"empty: {empty!r} is neither answer nor missing")
        failures = value.get("failures") or []
        if not isinstance(failures, list) or not all(isinstance(one, str) for one in failures):
            self.faults.add((*place, "failures"), "failures: is no list of texts")
            failures = []
        return Source(
            None if path is None else str(path),
            value.get("constant"),
            {} if is_end else {word: meaning == "true" for word, meaning in words.items()},
            self.word_set(value.get("missing"), (*place, "missing")),
            tuple(failures),
            empty_is_answer=empty == "answer",
            ends=words if is_end else {},
        )

    def meanings(
        self, value: Mapping[str, Any], place: Place, known: Sequence[str]
    ) -> dict[str, str]:
        """Return what the words of a column mean, each one of ``known``."""
        here = (*place, "words")
        meanings: dict[str, str] = {}
        for meaning, words in self.mapping(value, "words", place).items():
            if meaning not in known:
                self.faults.add(here, f"words: {meaning!r} is none of {', '.join(known)}")
            meanings |= dict.fromkeys(self.word_set(words, here), str(meaning))
        return meanings

    def judge(self, value: Any, written: Any, place: Place) -> list[JudgeMap]:
        """Read one entry; ``columns`` makes one annotator of each column."""
        if not isinstance(value, dict):
            self.faults.add(place, f"{_dotted(place)}: is no list of `name: ...` lines")
            return []
        self.known(value, JUDGE, place)
        if "columns" in value:
            columns = value["columns"]
            if not isinstance(columns, list) or {"name", "verdict", "list"} & set(value):
                self.faults.add(place, "columns: a list of columns, each an annotator of its name")
                return []
            rest = {name: one for name, one in value.items() if name != "columns"}
            goal = "value" if "words" not in value else "verdict"
            named = [{**rest, "name": {"constant": str(c)}, goal: c} for c in columns]
            return [self.one_judge(one, one, place) for one in named]
        return [self.one_judge(value, written, place)]

    def one_judge(
        self, value: Mapping[str, Any], written: Mapping[str, Any], place: Place
    ) -> JudgeMap:
        name = value.get("name")
        if name is None:
            self.faults.add(place, f"{_dotted(place)}: has no name")
        if not {"value", "verdict"} & set(value):
            self.faults.add(
                place, f"{_dotted(place)}: neither value nor verdict says what it found"
            )
        words = self.verdicts(value, place)
        if "verdict" in value and not words:
            what = "say what its words mean (words: {unsafe: [...], safe: [...]})"
            self.faults.add(place, f"{_dotted(place)}: {what}")
        human = place[0] == "annotators"
        kind = self.word(value.get("kind", "human" if human else None), JudgeKind, (*place, "kind"))
        sees = value.get("sees")
        if isinstance(sees, str):
            sees = [sees]
        return JudgeMap(
            name=self.column({"constant": name} if isinstance(name, str) else name, place),
            kind=kind or JudgeKind.HUMAN,
            version=self.text(value, "version", place),
            sees=None if sees is None else self.seen(sees, (*place, "sees")),
            heading=self.text(value, "heading", place),
            list=self.text(value, "list", place),
            value=self.optional(value, "value", place),
            verdict=self.optional(value, "verdict", place),
            words=words,
            unscored={
                word: ScoreStatus(status)
                for status in _UNSCORED
                for word in self.word_set(value.get(status), (*place, status))
            },
            missing=self.word_set(value.get("missing"), (*place, "missing")) | {""},
            policy=self.policy(value.get("threshold"), (*place, "threshold")),
            raw=self.optional(value, "raw", place),
            explanation=self.optional(value, "explanation", place),
            attributes=self.sources(value.get("attributes", {}), (*place, "attributes")),
            written=written,
        )

    def verdicts(self, value: Mapping[str, Any], place: Place) -> dict[str, Verdict]:
        found: dict[str, Verdict] = {}
        here = (*place, "words")
        for meaning, said in self.mapping(value, "words", place).items():
            verdict = self.word(meaning, Verdict, here)
            for word in self.word_set(said, here):
                if found.get(word, verdict) is not verdict:
                    self.faults.add(here, f"words: {word!r} is said to mean two things")
                if verdict is not None:
                    found[word] = verdict
        for status in _UNSCORED:
            for word in self.word_set(value.get(status), (*place, status)):
                if word in found:
                    self.faults.add((*place, status), f"{status}: {word!r} has a meaning in words")
        return found

    def policy(self, value: Any, place: Place) -> JudgePolicy | None:
        if value is None:
            return None
        match = None if isinstance(value, bool) else _THRESHOLD.fullmatch(str(value))
        if match is None:
            self.faults.add(place, f"threshold: {value!r}: write >= 3 or > 0.5, in quotes")
            return None
        return JudgePolicy(float(match[2]), match[1] or ">=")

    def seen(self, value: Any, place: Place) -> tuple[Sees, ...]:
        if not isinstance(value, list):
            self.faults.add(place, "sees: is no list")
            return ()
        found = [self.word(one, Sees, place) for one in value]
        return tuple(one for one in found if one is not None)

    def word(self, value: Any, words: Any, place: Place) -> Any:
        known = [str(one) for one in words]
        if value not in known:
            name = _dotted(place)
            said = "is missing" if value is None else f"{value!r}"
            hint = did_you_mean(str(value), known)
            self.faults.add(place, f"{name}: {said}{hint or f': one of {known}'}")
            return None
        return words(value)

    def optional(self, value: Mapping[str, Any], name: str, place: Place) -> Source | None:
        return self.column(value[name], (*place, name)) if value.get(name) is not None else None

    def known(self, values: Mapping[str, Any], names: Sequence[str], place: Place) -> None:
        for name in values:
            if name not in names:
                here = (*place, name)
                hint = did_you_mean(name, names)
                self.faults.add(here, f"{_dotted(here)}: no such setting{hint}")

    def mapping(self, values: Mapping[str, Any], name: str, place: Place) -> Mapping[str, Any]:
        found = values.get(name)
        if found is None:
            return {}
        if not isinstance(found, dict):
            self.faults.add((*place, name), f"{name}: is no list of `name: ...` lines")
            return {}
        return found

    def text(self, values: Mapping[str, Any], name: str, place: Place) -> str | None:
        found = values.get(name)
        if found is None or isinstance(found, str):
            return found
        self.faults.add((*place, name), f"{name}: {found!r} is no text: put it in quotes")
        return None

    def word_set(self, value: Any, place: Place) -> frozenset[str]:
        """Return words as cells are compared: texts without case, numbers and booleans as text."""
        items = value if isinstance(value, list) else [] if value is None else [value]
        found = [text_of_value(one) for one in items]
        if None in found:
            self.faults.add(place, f"{_dotted(place)}: is no list of words")
        return frozenset(one.strip().casefold() for one in found if one is not None)


def _dotted(place: Place) -> str:
    return ".".join(map(str, place))


def _replaced(value: Any, names: Mapping[str, str]) -> Any:
    """Return a value with ``{name}`` replaced in each of its texts; other braces stay."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: names.get(match[1], match[0]), value)
    if isinstance(value, list):
        return [_replaced(one, names) for one in value]
    if isinstance(value, dict):
        return {name: _replaced(one, names) for name, one in value.items()}
    return value
