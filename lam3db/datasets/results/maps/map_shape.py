"""A map of a file, checked: which values of a row are what.

What must hold: nothing here knows YAML or a row; every way that is followed is told by ``ways``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from lam3db.datasets.results.maps.meanings import WordMeanings

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from lam3db.datasets.results.files import FileOptions
    from lam3db.datasets.results.maps.meanings import WordRule
    from lam3db.datasets.results.maps.ways import RowWay
    from lam3db.records import JudgeKind, JudgePolicy, ScoreStatus, Sees, Verdict

NO_WORDS: WordMeanings[Any] = WordMeanings()


@dataclass(frozen=True, slots=True)
class FieldSource:
    """Where a field comes from: a way into the row, the file's name, the row's number, a constant.

    ``json`` is a way into the JSON that the cell's text holds, ``pattern`` what is taken of a text.
    ``words`` say what cells mean where they are labels, ``missing`` which cells mean that nothing
    is there, ``failures`` those that are a tool's error message, ``absent`` those that stand for an
    answer which is not published (``is_absent``: every one), ``empty_is_answer`` that an empty cell
    is an empty answer. ``number`` is what the map wrote in the place of a column's name.
    """

    way: RowWay | None = None
    constant: Any = None
    json: RowWay | None = None
    pattern: re.Pattern[str] | None = None
    file: re.Pattern[str] | None = None
    row: int | None = None
    number: int | None = None
    words: WordMeanings[Any] = NO_WORDS
    missing: WordMeanings[bool] = NO_WORDS
    failures: tuple[str | WordRule[bool], ...] = ()
    absent: WordMeanings[bool] = NO_WORDS
    is_absent: bool = False
    empty_is_answer: bool = False

    @property
    def name(self) -> str:
        """Return how messages name the place."""
        if self.way is not None:
            return self.way.path
        return "the file's name" if self.file is not None else ""

    def ways(self) -> Iterator[RowWay]:
        """Yield the ways that are followed."""
        if self.way is not None:
            yield self.way
        if self.json is not None:
            yield self.json


@dataclass(frozen=True, slots=True)
class JudgeMap:
    """How one judge's, or one annotator's, findings are read.

    ``origins`` are the texts that are part of the judge's identity, with the name that each is of
    (None: of any): the first entry in the map that reads the same person by the same words.
    """

    name: FieldSource
    kind: JudgeKind
    version: str | None
    sees: tuple[Sees, ...] | None
    heading: str | None
    list: RowWay | None
    value: FieldSource | None
    verdict: FieldSource | None
    words: WordMeanings[Verdict | ScoreStatus | Literal["missing"]]
    policy: JudgePolicy | None
    scale: tuple[float, float] | None
    adjudicates: FieldSource | None
    raw: FieldSource | None
    explanation: FieldSource | None
    attributes: Mapping[str, FieldSource]
    origins: tuple[tuple[str | None, Mapping[str, Any]], ...]
    place: str

    def origin_of(self, name: str) -> Mapping[str, Any]:
        """Return the text that is part of the identity of the judge of this name."""
        return next(written for only, written in self.origins if only in (None, name))

    def sources(self) -> Iterator[FieldSource]:
        """Yield every source that it reads."""
        single = (self.name, self.value, self.verdict, self.adjudicates, self.raw, self.explanation)
        yield from (source for source in single if source is not None)
        yield from self.attributes.values()

    def ways(self) -> Iterator[RowWay]:
        """Yield the ways that are followed."""
        if self.list is not None:
            yield self.list
        for source in self.sources():
            yield from source.ways()


@dataclass(frozen=True, slots=True)
class MapPlan:
    """One reading of a row: the whole map, or its copy for one entry of ``repeat``."""

    fields: Mapping[str, FieldSource]
    model_facts: Mapping[str, FieldSource]
    config: Mapping[str, FieldSource]
    metadata: Mapping[str, FieldSource]
    judges: tuple[JudgeMap, ...]

    def sources(self) -> Iterator[tuple[str, FieldSource]]:
        """Yield every source with its place in the map."""
        for place, sources in (
            ("fields", self.fields),
            ("model_facts", self.model_facts),
            ("config", self.config),
            ("metadata", self.metadata),
        ):
            for name, source in sources.items():
                yield f"{place}.{name}", source
        for judge in self.judges:
            for source in judge.sources():
                yield judge.place, source

    def ways(self) -> Iterator[RowWay]:
        """Yield the ways that are followed."""
        for _, source in self.sources():
            yield from source.ways()
        for judge in self.judges:
            if judge.list is not None:
                yield judge.list


@dataclass(frozen=True, slots=True)
class Join:
    """Another file whose rows stand beside those of this one, as an object called ``name``.

    ``by`` pairs ways into the row with columns of the other file; empty: row by row. ``many``: the
    object is a list of all rows that fit, else one may.
    """

    file: str
    name: str
    by: tuple[tuple[RowWay, str], ...]
    many: bool
    options: FileOptions


@dataclass(frozen=True, slots=True)
class MapShape:
    """A whole map; ``written`` is what its digest is of.

    ``repeats`` says what rows of one sample without a number are: ``copies`` of one answer or
    ``draws``; None where the map leaves it open. ``folder`` is where the map lies.
    """

    dataset: str | None
    source: str | None
    file: FileOptions
    missing: WordMeanings[bool]
    only: Mapping[RowWay, WordMeanings[bool]]
    each: tuple[RowWay, ...]
    plans: tuple[MapPlan, ...]
    written: Mapping[str, Any]
    folder: Path
    joins: tuple[Join, ...] = ()
    repeats: str | None = None

    def join_ways(self) -> Iterator[RowWay]:
        """Yield the ways to the keys of other files."""
        for join in self.joins:
            yield from (way for way, _ in join.by)

    def ways(self) -> Iterator[RowWay]:
        """Yield every other way that the map names."""
        yield from self.only
        yield from self.each
        for plan in self.plans:
            yield from plan.ways()
