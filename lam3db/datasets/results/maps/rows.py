"""Rows to results by a map: one row may be several attempts, with several judges.

What must hold: a cell that is missing is missing, and never an answer, a verdict or a number; what
the map names and no row has is a fault; rows that are left out are counted.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import shown
from lam3db.datasets.results.cells import number_of, text_of_value
from lam3db.datasets.results.maps.conversation import PosedReader
from lam3db.datasets.results.maps.fields import Fields, plain
from lam3db.datasets.results.maps.joins import Joiner
from lam3db.datasets.results.maps.judge_reader import JudgeReader, Judges, once, tell_unmet
from lam3db.datasets.results.maps.lookup import Cells
from lam3db.datasets.results.maps.patterns import taken
from lam3db.datasets.results.maps.ways import Ways
from lam3db.datasets.results.paths import ABSENT, value_at
from lam3db.datasets.results.record import (
    UNPUBLISHED,
    ResultRecord,
    declared_config,
    declared_model,
)
from lam3db.errors import InputError
from lam3db.hashing import canonical_json
from lam3db.records import Behavior

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from lam3db.datasets.faults import Faults
    from lam3db.datasets.lines import Row
    from lam3db.datasets.results.formats import ReadOptions
    from lam3db.datasets.results.maps.joins import Joined
    from lam3db.datasets.results.maps.map_shape import FieldSource, MapPlan, MapShape
    from lam3db.datasets.results.maps.meanings import WordMeanings
    from lam3db.datasets.results.maps.ways import RowWay
    from lam3db.records import GenerationConfig, ModelVersion

_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_LAST = 1 << 62
"""A line after all others."""
_DECODING = ("temperature", "top_p", "max_new_tokens", "do_sample", "seed")
_POSED = {"prompt", "behavior", "messages", "image", "images", "images.0"}
_SHOWN = 20
_FILES = 5


class RowReader:
    """Reads the rows of one file, or of several that are one import."""

    def __init__(self, shape: MapShape, faults: Faults, options: ReadOptions, name: str) -> None:
        """Take a map, and what the user says beside it; ``name`` is the files' own.

        Raises:
            InputError: the map lacks what an attempt needs.

        """
        self._shape, self._faults, self._options = shape, faults, options
        self._dataset = options.dataset or shape.dataset
        self._source = shape.source or self._dataset or name
        self._empty = False
        self._models: dict[str, ModelVersion] = {}
        self._configs: dict[str, GenerationConfig] = {}
        self._ways = Ways()
        self._joiners: dict[int, Joiner] = {}
        self._beside: list[tuple[str, Joiner]] = []
        self._names: Mapping[str, str] = {}
        judges = Judges(self._source, faults)
        self._judges = [
            [JudgeReader(entry, judges, faults) for entry in plan.judges] for plan in shape.plans
        ]
        self._number = self._count = self._left_out = 0
        self._elements_met = self._elements_out = 0
        self._others: Counter[str] = Counter()
        only = shape.only.items()
        self._only = {way: words for way, words in only if way.within is None}
        self._only_items = {way: words for way, words in only if way.within is not None}
        self._check()

    def _check(self) -> None:
        for plan in self._shape.plans:
            fields = plan.fields.keys()
            if "model" not in fields and self._options.model is None:
                raise InputError("the map names no model (fields.model): say --model NAME")
            if not fields & _POSED:
                raise InputError("the map names no prompt or behavior (fields.prompt)")
            if "response" not in fields:
                raise InputError("the map names no response (fields.response)")

    def open(self, path: Path, joined: Sequence[Joined], *, empty: bool) -> None:
        """Begin with a file; ``empty``: an empty text in it may be nothing.

        Raises:
            InputError: the file's name has not what the map takes from it.

        """
        self._names, self._empty, self._number = _names_in(path, self._shape), empty, 0
        self._ways.file(self._faults.file or path.name)
        for one in joined:
            self._joiners.setdefault(id(one), Joiner(one, self._ways, self._faults))
        self._beside = [(one.join.name, self._joiners[id(one)]) for one in joined]

    def read(self, row: Row) -> Iterator[ResultRecord]:
        """Yield the attempts of a row; a fault leaves out its attempt."""
        self._ways.row(row.values)
        values = self._with_partners(row)
        number, self._number, self._count = self._number, self._number + 1, self._count + 1
        if not self._is_wanted(values, self._only):
            self._left_out += 1
            return
        shape = self._shape
        cells = Cells(values, self._ways, shape.missing, self._empty, number, self._names)
        for element in self._elements(row.line, cells):
            self._elements_met += 1
            if self._only_items and not self._is_wanted(element.values, self._only_items):
                self._elements_out += 1
                continue
            for plan, judges in zip(shape.plans, self._judges, strict=True):
                before = self._faults.count
                every = (said for judge in judges for said in judge.read(row.line, element))
                findings = once(row.line, every, self._faults)
                record = self._record(row.line, element, plan, findings)
                if record is not None and self._faults.count == before:
                    yield record

    def finish(self, *, is_whole: bool) -> None:
        """Raise InputError for what the map names and no row has; remark on the rest.

        ``is_whole``: every row of the file could be read.
        """
        lenient = not is_whole
        self._refuse(self._ways.faults(self._shape.join_ways(), lenient=lenient), is_whole=is_whole)
        for joiner in self._joiners.values():
            joiner.finish()
        faults = self._ways.faults(self._shape.ways(), lenient=lenient) + self._numbers()
        self._refuse(faults, is_whole=is_whole)
        self._tell_lacking()
        self._tell_left_out("row", self._left_out, self._count)
        self._tell_left_out("element", self._elements_out, self._elements_met)
        tell_unmet([reader for readers in self._judges for reader in readers], self._faults)

    def _tell_lacking(self) -> None:
        self._ways.file("")
        for way, files in self._ways.lacking():
            listed = ", ".join(files[:_FILES]) + (", ..." if len(files) > _FILES else "")
            what = f"{way!r}, which other files have, is in no row of {listed}"
            self._faults.remarks.note(what, len(files))

    def _tell_left_out(self, what: str, left_out: int, count: int) -> None:
        if left_out and left_out == count:
            raise InputError(f"{self._faults.path}: `only` leaves no {what}{self._instead()}")
        if left_out:
            self._faults.remarks.note(f"{what}s that `only` leaves out", left_out)

    def _refuse(self, faults: list[str], *, is_whole: bool) -> None:
        """Raise InputError; where rows could not be read, tell it after their faults."""
        if faults and not is_whole:
            for text in faults:
                self._faults.add(_LAST, None, text, place="the map")
        elif faults:
            what = "the map names what is not there; nothing was imported"
            raise InputError(f"{self._faults.path}: {what}", faults)

    def _numbers(self) -> list[str]:
        """Return a fault for each number that may be meant as a column, or as none."""
        columns, faults = self._ways.columns, []
        for plan in self._shape.plans:
            for place, source in plan.sources():
                if source.number is None or source.way is not None:
                    continue
                name = str(source.number)
                if name in columns:
                    what = f"is a column, too: write {{column: {name!r}}} for it"
                    faults.append(f"{place}: {name} {what}, or {{constant: {name}}} for the number")
        return list(dict.fromkeys(faults))

    def _instead(self) -> str:
        listed = ", ".join(
            f"{word} ({count:,})" for word, count in self._others.most_common(_SHOWN)
        )
        return f" - there are {listed}" if listed else ""

    def _with_partners(self, row: Row) -> Mapping[str, Any]:
        if not self._beside:
            return row.values
        partners = {name: one.partner(row.values) for name, one in self._beside}
        beside = {name: one for name, one in partners.items() if one is not ABSENT}
        return {**row.values, **beside}

    def _is_wanted(
        self, values: Mapping[str, Any], only: Mapping[RowWay, WordMeanings[bool]]
    ) -> bool:
        for way, words in only.items():
            value = value_at(values, way.path)
            if value is ABSENT:
                self._ways.missed(way, values)
                value = None
            else:
                self._ways.met.add(way)
            if not words.meaning("" if value is None else value):
                text = text_of_value(value)
                if len(self._others) < _SHOWN and value is not None:
                    self._others[f"{way.path} {shown(value if text is None else text)}"] += 1
                return False
        return True

    def _elements(self, row: int, cells: Cells) -> Iterator[Cells]:
        each = self._shape.each
        if not each:
            yield cells
            return
        lists = [cells.items(way) for way in each]
        for way, items in zip(each, lists, strict=True):
            if not isinstance(items, list):
                self._faults.add(row, way.path, "is no list")
                return
        if len({len(items) for items in lists}) > 1:
            paths = ", ".join(way.path for way in each)
            self._faults.add(row, paths, "are not equally long")
            return
        if not lists[0]:
            self._faults.remarks.note(f"rows whose {each[0].path} is empty, without an attempt")
        names = [way.path.removesuffix("[]").rpartition(".")[2] for way in each]
        for at, items in enumerate(zip(*lists, strict=True)):
            item = items[0] if len(items) == 1 else dict(zip(names, items, strict=True))
            yield cells.within(item=item, item_index=at)

    def _record(
        self, row: int, cells: Cells, plan: MapPlan, said: tuple[Any, ...]
    ) -> ResultRecord | None:
        fields = Fields(row, cells, plan.fields, self._faults)
        model = fields.text("model") if self._options.model is None else self._options.model
        conversation = PosedReader(fields, self._options, self._faults)
        messages = conversation.read(cells, plan.fields.get("messages"))
        behavior = fields.text("behavior") or fields.text("prompt")
        if not model:
            fields.fault("model", "there is no model")
        if not behavior:
            fields.fault("behavior", "there is neither behavior nor prompt")
        answer = fields.answer()
        metadata = self._settings("metadata", plan.metadata, row, cells)
        if conversation.unseen:
            metadata.setdefault("image", conversation.unseen)
        record = ResultRecord(
            row=row,
            model=self._model(model or "", plan, row, cells),
            config=self._config(plan, row, cells),
            behavior=Behavior(
                behavior or "", fields.text("category") or "", fields.is_true("benign")
            ),
            messages=messages,
            response=UNPUBLISHED if answer.is_absent else answer.text,
            key=fields.text("key"),
            dataset=fields.text("dataset") or self._dataset,
            attack=fields.attack(),
            target=fields.text("target"),
            metadata=metadata,
            attempt=fields.text("attempt"),
            replicate=fields.count("replicate"),
            failed=answer.failed,
            finish_reason=answer.finish_reason,
            prompt_tokens=fields.count("prompt_tokens") or 0,
            completion_tokens=fields.count("completion_tokens") or 0,
            latency_ms=max(0.0, fields.number("latency_ms") or 0.0),
            findings=said,
            is_unpublished=answer.is_absent,
        )
        return record if model and behavior else None

    def _settings(
        self, place: str, sources: Mapping[str, FieldSource], row: int, cells: Cells
    ) -> dict[str, Any]:
        settings = {}
        for name, source in sources.items():
            value = plain(cells, source, row, f"{place}.{name}", self._faults)
            if value is not None:
                settings[name] = value
        return settings

    def _model(self, name: str, plan: MapPlan, row: int, cells: Cells) -> ModelVersion:
        facts = self._settings("model_facts", plan.model_facts, row, cells)
        here = canonical_json([name, facts]) if facts else name
        if here not in self._models:
            self._models[here] = declared_model(name, facts)
        return self._models[here]

    def _config(self, plan: MapPlan, row: int, cells: Cells) -> GenerationConfig:
        facts: dict[str, Any] = {}
        for key, value in self._settings("config", plan.config, row, cells).items():
            number = number_of(value)
            setting = value if number is None or isinstance(value, int) else number
            if key == "do_sample":
                setting = _BOOLEANS.get(str(value).strip().casefold(), value)
            (facts.setdefault("decoding", {}) if key in _DECODING else facts)[key] = setting
        here = canonical_json(facts) if facts else ""
        if here not in self._configs:
            self._configs[here] = declared_config(self._source, facts)
        return self._configs[here]


def _names_in(path: Path, shape: MapShape) -> dict[str, str]:
    """Return what each pattern takes of the file's name, or of the nearest folder that has it.

    Raises:
        InputError: a pattern is in no part of the path.

    """
    names: dict[str, str] = {}
    patterns = [source.file for plan in shape.plans for _, source in plan.sources() if source.file]
    for pattern in patterns:
        parts = (taken(pattern, part) for part in reversed(path.parts))
        part = next((one for one in parts if one is not None), None)
        if part is None:
            raise InputError(f"{path}: its name has no {pattern.pattern!r}, which the map reads")
        names[pattern.pattern] = part
    return names
