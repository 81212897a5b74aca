"""Rows to results by a map: one row may be several attempts, with several judges.

What must hold: a cell that is missing is missing, and never an answer, a verdict or a number; a
word without a meaning is ``unparsed``; a judge is one object for the whole file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import shown
from lam3db.datasets.results.cells import number_of, posed, text_of_value
from lam3db.datasets.results.endings import Ended, Endings
from lam3db.datasets.results.map_judges import JudgeReader
from lam3db.datasets.results.paths import ABSENT, list_at, top_of, value_at
from lam3db.datasets.results.record import ResultRecord, declared_config, declared_model
from lam3db.errors import InputError, did_you_mean
from lam3db.hashing import canonical_json
from lam3db.records import Attack, Behavior, Failed, Message, TextPart

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from lam3db.datasets.faults import Faults
    from lam3db.datasets.lines import Row
    from lam3db.datasets.results.formats import ReadOptions
    from lam3db.datasets.results.map_shape import MapShape, Plan, Source
    from lam3db.datasets.results.record import Said
    from lam3db.records import GenerationConfig, ModelVersion

_DECODING = ("temperature", "top_p", "max_new_tokens", "do_sample", "seed")
_CURE = "fields.finish_reason: {column: ..., words: {stop: [%s]}}, or under length or failed"
_ROLES = ("system", "user", "assistant")
_PARAMETERS = "attack_parameters."
_MOST_MESSAGES = 1000


class Cells:
    """The values of one attempt, looked up by the sources of a map."""

    def __init__(
        self, values: Mapping[str, Any], missing: frozenset[str], used: set[str], *, empty: bool
    ) -> None:
        """Take a row's values; ``empty``: in this kind of file an empty text may be nothing."""
        self.values = values
        self._missing, self._used, self._empty = missing, used, empty

    def get(self, source: Source | None) -> Any:
        """Return what a source says; None where nothing is there."""
        if source is None:
            return None
        path = source.path
        if path is None:
            return source.constant
        value = self.values[path] if path in self.values else value_at(self.values, path)
        if value is ABSENT:
            return None
        self._used.add(path)
        if isinstance(value, str):
            if not value:
                return None if self._empty and not source.empty_is_answer else value
            if self._missing or source.missing:
                word = value.strip().casefold()
                if word in self._missing or word in source.missing:
                    return None
        return value

    def items(self, path: str) -> list[Any] | None:
        """Return the list at a way; None where there is none."""
        found = list_at(self.values, path)
        if found is not None:
            self._used.add(path)
        return found

    def within(self, name: str, element: Any) -> Cells:
        """Return the same values with an element of a list beside them."""
        values = {**self.values, name: element}
        return Cells(values, self._missing, self._used, empty=self._empty)


class RowReader:
    """Reads the rows of one file."""

    def __init__(
        self, shape: MapShape, path: Path, faults: Faults, options: ReadOptions, *, empty: bool
    ) -> None:
        """Take a map, and what the user says beside it."""
        self._shape, self._faults, self._options, self._empty = shape, faults, options, empty
        self._dataset = options.dataset or shape.dataset
        self._source = shape.source or self._dataset or path.stem
        self._used: set[str] = set()
        self._models: dict[str, ModelVersion] = {}
        self._configs: dict[str, GenerationConfig] = {}
        self._judges = [
            [JudgeReader(one, self._source, faults) for one in plan.judges] for plan in shape.plans
        ]
        self.checked = False

    def check(self, columns: Sequence[str], *, is_table: bool) -> None:
        """Refuse a map that names columns which a table does not have; raise InputError."""
        self.checked = True
        for plan in self._shape.plans:
            fields = plan.fields.keys()
            if "model" not in fields and self._options.model is None:
                raise InputError("the map names no model (fields.model): say --model NAME")
            if not fields & {"prompt", "behavior", "messages", "image", "images"}:
                raise InputError("the map names no prompt or behavior (fields.prompt)")
            if "response" not in fields:
                raise InputError("the map names no response (fields.response)")
        if not is_table:
            return
        tops = {top_of(path): path for path in self._wanted()}
        wrong = [path for top, path in tops.items() if top not in columns and path not in columns]
        faults = [f"no column {name!r}{did_you_mean(name, columns)}" for name in wrong]
        if faults:
            raise InputError(f"{self._faults.path}: nothing was imported", faults)

    def absent(self) -> list[str]:
        """Return the ways that led nowhere in every row."""
        return sorted(self._wanted() - self._used)

    def _wanted(self) -> set[str]:
        """Return the ways into rows that the map names; those into lists are not known before."""
        found: set[str] = {*self._shape.only, *self._shape.each}
        for plan, judges in zip(self._shape.plans, self._judges, strict=True):
            for sources in (plan.fields, plan.model_facts, plan.config, plan.metadata):
                found |= {one.path for one in sources.values() if one.path is not None}
            for judge in judges:
                found |= judge.paths()
        inner = ("item", "item_index")
        return {path for path in found if top_of(path) not in inner}

    def read(self, row: Row) -> Iterator[ResultRecord]:
        """Yield the attempts of a row; a fault leaves out its attempt."""
        cells = Cells(row.values, self._shape.missing, self._used, empty=self._empty)
        if not self._is_wanted(row.values):
            return
        for element in self._elements(row.line, cells):
            for plan, judges in zip(self._shape.plans, self._judges, strict=True):
                before = self._faults.count
                said = tuple(one for judge in judges for one in judge.read(row.line, element))
                record = self._record(row.line, element, plan, said)
                if record is not None and self._faults.count == before:
                    yield record

    def _is_wanted(self, values: Mapping[str, Any]) -> bool:
        for path, words in self._shape.only.items():
            value = value_at(values, path)
            if value is not ABSENT:
                self._used.add(path)
            word = None if value is ABSENT or value is None else text_of_value(value)
            if (word or "").strip().casefold() not in words:
                return False
        return True

    def _elements(self, row: int, cells: Cells) -> Iterator[Cells]:
        if not self._shape.each:
            yield cells
            return
        lists = [cells.items(path) for path in self._shape.each]
        for path, found in zip(self._shape.each, lists, strict=True):
            if found is None:
                self._faults.add(row, path, "is no list")
                return
        if len({len(found or ()) for found in lists}) > 1:
            self._faults.add(row, ", ".join(self._shape.each), "are not equally long")
            return
        names = [path.removesuffix("[]").rpartition(".")[2] for path in self._shape.each]
        for at, items in enumerate(zip(*(found or () for found in lists), strict=True)):
            item = items[0] if len(items) == 1 else dict(zip(names, items, strict=True))
            yield cells.within("item", item).within("item_index", at)

    def _record(
        self, row: int, cells: Cells, plan: Plan, said: tuple[Said, ...]
    ) -> ResultRecord | None:
        told = _Told(row, cells, plan.fields, self._faults)
        model = told.text("model") if self._options.model is None else self._options.model
        prompt = told.text("prompt")
        messages = self._messages(told, prompt)
        behavior = told.text("behavior") or prompt
        if not model:
            self._faults.add(row, told.column("model"), "there is no model")
        if not behavior:
            self._faults.add(row, told.column("behavior"), "there is neither behavior nor prompt")
        if not model or not behavior:
            return None
        ended = told.ended()
        metadata = {
            name: value
            for name, one in plan.metadata.items()
            if (value := cells.get(one)) is not None
        }
        return ResultRecord(
            row=row,
            model=self._model(model, plan, cells),
            config=self._config(plan, cells),
            behavior=Behavior(behavior, told.text("category") or "", told.is_true("benign")),
            messages=messages,
            response=ended.response,
            key=told.text("key"),
            dataset=told.text("dataset") or self._dataset,
            attack=told.attack(),
            target=told.text("target"),
            metadata={**metadata, **told.unseen},
            attempt=told.text("attempt"),
            replicate=told.count("replicate"),
            failed=ended.failed,
            finish_reason=ended.finish_reason,
            prompt_tokens=told.count("prompt_tokens") or 0,
            completion_tokens=told.count("completion_tokens") or 0,
            latency_ms=max(0.0, told.number("latency_ms") or 0.0),
            findings=said,
        )

    def _messages(self, told: _Told, prompt: str | None) -> tuple[Message, ...] | None:
        whole = told.messages()
        if whole is not None:
            return whole
        images = []
        for column, name in told.images():
            image = self._options.picture(told.row, column, name, self._faults)
            if image is not None:
                images.append(image)
            else:
                told.unseen.setdefault("image", []).append(name)
        if prompt is None and not images:
            return None
        return posed(prompt, *images, system=told.text("system"))

    def _model(self, name: str, plan: Plan, cells: Cells) -> ModelVersion:
        facts = {key: cells.get(one) for key, one in plan.model_facts.items()}
        facts = {key: value for key, value in facts.items() if value is not None}
        here = canonical_json([name, facts]) if facts else name
        if here not in self._models:
            self._models[here] = declared_model(name, facts)
        return self._models[here]

    def _config(self, plan: Plan, cells: Cells) -> GenerationConfig:
        facts: dict[str, Any] = {}
        for key, one in plan.config.items():
            value = cells.get(one)
            if value is None:
                continue
            number = number_of(value)
            value = value if number is None or isinstance(value, int) else number
            (facts.setdefault("decoding", {}) if key in _DECODING else facts)[key] = value
        here = canonical_json(facts) if facts else ""
        if here not in self._configs:
            self._configs[here] = declared_config(self._source, facts)
        return self._configs[here]


class _Told:
    """The fields of one attempt."""

    def __init__(
        self, row: int, cells: Cells, fields: Mapping[str, Source], faults: Faults
    ) -> None:
        self.row, self._cells, self._fields, self._faults = row, cells, fields, faults
        self.unseen: dict[str, Any] = {}

    def column(self, name: str) -> str:
        source = self._fields.get(name)
        return name if source is None or source.path is None else source.path

    def text(self, name: str) -> str | None:
        source = self._fields.get(name)
        if source is None:
            return None
        value = self._cells.get(source)
        if value is None or isinstance(value, str):
            return value
        text = text_of_value(value)
        if text is None:
            self._faults.add(self.row, self.column(name), f"{shown(value)} is no text")
        return text

    def number(self, name: str) -> float | None:
        source = self._fields.get(name)
        value = None if source is None else self._cells.get(source)
        if value is None or value == "":
            return None
        number = number_of(value)
        if number is None:
            self._faults.add(self.row, self.column(name), f"{shown(value)} is no number")
        return number

    def count(self, name: str) -> int | None:
        number = self.number(name)
        if number is not None and (not number.is_integer() or not 0 <= number <= _LARGEST):
            what = f"{shown(number)} is no whole number from 0 on"
            self._faults.add(self.row, self.column(name), what)
            return None
        return None if number is None else int(number)

    def is_true(self, name: str) -> bool:
        source = self._fields.get(name)
        value = self._cells.get(source)
        if source is None or value is None or value == "":
            return False
        word = (text_of_value(value) or "").strip().casefold()
        words = source.words or _BOOLEANS
        if word not in words:
            what = f"{shown(value)} is neither true nor false: give its words a meaning"
            self._faults.add(self.row, self.column(name), what)
        return words.get(word, False)

    def attack(self) -> Attack:
        parameters = {
            name.removeprefix(_PARAMETERS): value
            for name, source in self._fields.items()
            if name[0] == "a" and name.startswith(_PARAMETERS)
            if (value := self._cells.get(source)) is not None
        }
        return Attack(self.text("attack") or "none", parameters)

    def ended(self) -> Ended:
        """Return the answer and how it ended, or what the tool that asked wrote in its place."""
        source = self._fields.get("response")
        text = self.text("response")
        if text is not None and source is not None and source.failures:
            for start in source.failures:
                if text.startswith(start):
                    return Ended(None, Failed("ReportedFailure", text))
        end = self._fields.get("finish_reason")
        if end is None:
            return Ended(text)
        endings = Endings(self._faults, end.ends, _CURE)
        return endings.read(self.row, self.column("finish_reason"), self._cells.get(end), text)

    def images(self) -> Iterator[tuple[str, str]]:
        for name in ("image", "images"):
            value = self._cells.get(self._fields.get(name))
            items = value if isinstance(value, list) else [] if value in (None, "") else [value]
            for item in items:
                if isinstance(item, str):
                    yield self.column(name), item
                else:
                    what = f"{shown(item)} is no name of a file"
                    self._faults.add(self.row, self.column(name), what)

    def messages(self) -> tuple[Message, ...] | None:
        """Return a whole conversation, where the file has one: texts by role."""
        source = self._fields.get("messages")
        if source is None or source.path is None:
            return None
        items = self._cells.items(source.path)
        if items is None:
            return None
        found = []
        for item in items[:_MOST_MESSAGES]:
            role, content = (
                (item.get("role"), item.get("content")) if isinstance(item, dict) else ("", None)
            )
            if role not in _ROLES or not isinstance(content, str):
                what = f"{shown(item)}: each is a role ({', '.join(_ROLES)}) and a content"
                self._faults.add(self.row, source.path, what)
                return None
            found.append(Message(str(role), (TextPart(content),)))
        return tuple(found)


_LARGEST = 2**31
_BOOLEANS = {
    **dict.fromkeys(("1", "true", "yes"), True),
    **dict.fromkeys(("0", "false", "no"), False),
}
