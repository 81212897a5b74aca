"""A map as it is written: YAML to frozen values, every fault with its line.

What must hold: a key that nobody knows is refused with what was probably meant; all faults of a
map are told at once, before any row is read.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from lam3db.config_files import raise_faults, read_document
from lam3db.datasets.results.files import FileOptions
from lam3db.datasets.results.maps.checks import Checks
from lam3db.datasets.results.maps.judge_entries import JudgeEntries
from lam3db.datasets.results.maps.map_shape import NO_WORDS, FieldSource, Join, MapPlan, MapShape
from lam3db.datasets.results.maps.source_entries import COLUMNS, Sources, kind_of_field
from lam3db.datasets.results.paths import top_of
from lam3db.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lam3db.config_files import Faults, Place
    from lam3db.datasets.results.maps.ways import RowWay

TOP = (
    *("dataset", "source", "file", "join", "only", "repeat", "repeats", "each", "fields"),
    *("model_facts", "config", "metadata", "judges", "annotators"),
)
FIELDS = (
    *("dataset", "key", "model", "behavior", "category", "benign", "attack"),
    *("attack_parameters", "target", "prompt", "system", "messages", "image", "images"),
    *("attempt", "replicate", "response", "finish_reason", "prompt_tokens"),
    *("completion_tokens", "latency_ms"),
)
LAYOUT = ("encoding", "delimiter", "escape", "header", "sheet", "records", "ids")
FILE = (*LAYOUT, "missing")
JOIN = ("file", "as", "by", "row_by_row", "many", *LAYOUT)
REPEATS = ("copies", "draws")
_VARIABLE = re.compile(r"\{(\w+)\}")
_MOST = 1000


def read_shape(path: Path) -> MapShape:
    """Read a map; raise ConfigError with every fault and its line."""
    document = read_document(path, str(path))
    shape = _Reader(document.faults).shape(document.values, path.parent)
    raise_faults(document.faults)
    return shape


class _Reader:
    """One walk over a map's values; what is wrong is noted by its place."""

    def __init__(self, faults: Faults) -> None:
        self.checks = Checks(faults)
        self.sources = Sources(self.checks, {})

    def shape(self, values: Mapping[str, Any], folder: Path) -> MapShape:
        checks = self.checks
        checks.known(values, TOP, ())
        if not values.get("fields"):
            checks.faults.add((), "fields: is missing: say which column holds what")
        file = checks.mapping(values, "file", ())
        checks.known(file, FILE, ("file",))
        each = self.each(values.get("each"))
        if each:
            lists = ", ".join(way.path for way in each)
            self.sources = Sources(checks, {"item": lists})
        repeats = values.get("repeats")
        shape = MapShape(
            dataset=checks.text(values, "dataset", ()),
            source=checks.text(values, "source", ()),
            file=self.layout(file, ("file",)),
            missing=checks.word_set(file.get("missing"), ("file", "missing")) or NO_WORDS,
            only={
                self.sources.way(name): checks.word_set(words, ("only", name))
                for name, words in checks.mapping(values, "only", ()).items()
            },
            each=each,
            plans=tuple(self.plan(one, values) for one in self.repeated(values)),
            written=values,
            folder=folder,
            joins=self.joins(values.get("join")),
            repeats=None if repeats is None else checks.word(repeats, REPEATS, ("repeats",)),
        )
        self.unused(shape)
        return shape

    def unused(self, shape: MapShape) -> None:
        """Refuse what is said of lists and files that nothing reads."""
        tops = {top_of(way.path) for way in shape.ways()}
        if shape.each and not tops & {"item", "item_index"}:
            self.checks.fault(("each",), "its elements are `item`, and nothing reads item")
        for join in shape.joins:
            if join.name not in tops:
                what = f"nothing reads {join.name}: its columns are {join.name}.x"
                self.checks.fault(("join",), what)

    def layout(self, values: Mapping[str, Any], place: Place) -> FileOptions:
        options = {name: values[name] for name in LAYOUT if values.get(name) is not None}
        header = options.get("header")
        if isinstance(header, list) and all(isinstance(name, str) for name in header):
            options["header"] = tuple(header)
        wrong = [
            n for n, v in options.items() if not isinstance(v, tuple if n == "header" else str)
        ]
        for name in wrong:
            what = "a list of names" if name == "header" else "a text: put it in quotes"
            self.checks.fault((*place, name), f"is not {what}")
        if wrong:
            return FileOptions()
        try:
            return FileOptions(**options)
        except ConfigError as error:
            self.checks.faults.add(place, str(error))
            return FileOptions()

    def each(self, value: Any) -> tuple[RowWay, ...]:
        named = [self.sources.named(path, ("each",)) for path in self.checks.items(value)]
        return tuple(way for way in named if way is not None)

    def repeated(self, values: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Return the map once for each entry of ``repeat``, its ``{name}`` replaced."""
        entries = values.get("repeat")
        if entries is None:
            return [values]
        if not isinstance(entries, list) or not 0 < len(entries) <= _MOST:
            self.checks.fault(("repeat",), "a list of texts, or of name: text, is wanted")
            return [values]
        copies = []
        for entry in entries:
            named = {"model": entry} if isinstance(entry, str) else entry
            texts = list(named.values()) if isinstance(named, dict) else [None]
            if all(isinstance(one, str | int) and not isinstance(one, bool) for one in texts):
                copies.append(_replaced(values, {name: str(one) for name, one in named.items()}))
            else:
                what = f"{entry!r} is neither a text nor name: text: put it in quotes"
                self.checks.fault(("repeat",), what)
        if copies and all(one == values for one in copies):
            self.checks.fault(("repeat",), "nothing in the map is {model}, or {another name} of it")
        return copies

    def plan(self, values: Mapping[str, Any], written: Mapping[str, Any]) -> MapPlan:
        """Read one copy of the map; ``written`` is the map before ``repeat`` replaced names.

        A judge is known by how it is written: it is the same judge in every copy.
        """
        several = self.sources.several
        return MapPlan(
            fields=self.fields(self.checks.mapping(values, "fields", ())),
            model_facts=several(values.get("model_facts", {}), ("model_facts",)),
            config=several(values.get("config", {}), ("config",)),
            metadata=several(values.get("metadata", {}), ("metadata",)),
            judges=JudgeEntries(self.checks, self.sources).read(values, written),
        )

    def fields(self, values: Mapping[str, Any]) -> dict[str, FieldSource]:
        self.checks.known(values, FIELDS, ("fields",))
        fields: dict[str, FieldSource] = {}
        for name, value in values.items():
            here = ("fields", name)
            if name == "attack_parameters":
                for parameter, source in self.sources.several(value, here).items():
                    fields[f"{name}.{parameter}"] = source
            elif name == "images" and isinstance(value, list):  # a column for each image
                for at, one in enumerate(value):
                    fields[f"{name}.{at}"] = self.sources.source(one, (*here, at), COLUMNS)
            else:
                fields[name] = self.sources.source(value, here, kind_of_field(name))
        return fields

    def joins(self, value: Any) -> tuple[Join, ...]:
        entries = [
            self.join(entry, ("join", at)) for at, entry in enumerate(self.checks.items(value))
        ]
        joins = tuple(join for join in entries if join is not None)
        names = [join.name for join in joins]
        for name in sorted({name for name in names if names.count(name) > 1}):
            self.checks.fault(
                ("join",), f"{name!r} is the name of two files: tell them apart, as: ..."
            )
        return joins

    def join(self, value: Any, place: Place) -> Join | None:
        checks = self.checks
        if not isinstance(value, dict) or not isinstance(value.get("file"), str):
            checks.fault(place, "file: the path of the other file is expected")
            return None
        checks.known(value, JOIN, place)
        is_by_row = checks.flag(value, "row_by_row", place)
        many = checks.flag(value, "many", place)
        if is_by_row == ("by" in value) or (is_by_row and many):
            what = "say by: the columns that both have, or row_by_row: true (and not many)"
            checks.fault(place, what)
        name = checks.text(value, "as", place) or PurePath(value["file"]).stem
        if not re.fullmatch(r"[^.\[\]]+", name) or name in ("item", "item_index", "said"):
            checks.fault(place, f"{name!r} cannot be its name here: choose another, as: ...")
        by = () if is_by_row else self.keys(value.get("by"), (*place, "by"))
        return Join(value["file"], name, by, many, self.layout(value, place))

    def keys(self, value: Any, place: Place) -> tuple[tuple[RowWay, str], ...]:
        """Return pairs of a way into the row and a column of the other file."""
        pairs = value if isinstance(value, dict) else None
        if pairs is None:
            pairs = {str(one): one for one in self.checks.items(value)}
        keys = []
        for here, other in pairs.items():
            column = self.sources.named(other, place)
            if column is not None:
                keys.append((self.sources.way(here), column.path))
        return tuple(keys)


def _replaced(value: Any, names: Mapping[str, str]) -> Any:
    """Return a value with ``{name}`` replaced in each of its texts; other braces stay."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: names.get(match[1], match[0]), value)
    if isinstance(value, list):
        return [_replaced(one, names) for one in value]
    if isinstance(value, dict):
        return {name: _replaced(one, names) for name, one in value.items()}
    return value
