"""A map of a file, checked: which values of a row are what.

What must hold: nothing here knows YAML or a row; two maps of equal values are equal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lam3db.datasets.results.files import FileOptions
    from lam3db.records import JudgeKind, JudgePolicy, ScoreStatus, Sees, Verdict


@dataclass(frozen=True, slots=True)
class Source:
    """Where a field comes from: a way into the row, or a constant.

    ``words`` say what cells mean where they are labels (``benign``), ``missing`` which cells
    mean that nothing is there, ``failures`` how an answer begins that is a tool's error message,
    ``empty_is_answer`` that an empty cell is an empty answer, ``ends`` what the words of
    ``finish_reason`` mean.
    """

    path: str | None = None
    constant: Any = None
    words: Mapping[str, bool] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    failures: tuple[str, ...] = ()
    empty_is_answer: bool = False
    ends: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JudgeMap:
    """How one judge's, or one annotator's, findings are read; ``written`` is its text."""

    name: Source
    kind: JudgeKind
    version: str | None
    sees: tuple[Sees, ...] | None
    heading: str | None
    list: str | None
    value: Source | None
    verdict: Source | None
    words: Mapping[str, Verdict]
    unscored: Mapping[str, ScoreStatus]
    missing: frozenset[str]
    policy: JudgePolicy | None
    raw: Source | None
    explanation: Source | None
    attributes: Mapping[str, Source]
    written: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """One reading of a row: the whole map, or its copy for one entry of ``repeat``."""

    fields: Mapping[str, Source]
    model_facts: Mapping[str, Source]
    config: Mapping[str, Source]
    metadata: Mapping[str, Source]
    judges: tuple[JudgeMap, ...]


@dataclass(frozen=True, slots=True)
class MapShape:
    """A whole map; ``written`` is what its digest is of.

    ``repeats`` says what rows of one sample without a number are: ``copies`` of one answer or
    ``draws``; None where the map leaves it open.
    """

    dataset: str | None
    source: str | None
    file: FileOptions
    missing: frozenset[str]
    only: Mapping[str, frozenset[str]]
    each: tuple[str, ...]
    plans: tuple[Plan, ...]
    written: Mapping[str, Any]
    repeats: str | None = None
