"""The types of what is read, column by column.

What must hold: every column that is read (of a view, of a report's numbers) has a type here (a
test compares them), so none follows what its rows happen to hold, and frames of two readings can
be put together. Only what a statement of the user's computes is typed by what it holds.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lam3db.errors import ConfigError, did_you_mean
from lam3db.metrics import Counts
from lam3db.reading.frame import KINDS, Column
from lam3db.store.views import VIEWS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lam3db.reading.frame import Kind

_KINDS: dict[Kind, tuple[str, ...]] = {
    "integer": (
        "generation_id", "score_id", "replicate", "judge_replicate", "revision",
        "dataset_version", "prompt_tokens", "completion_tokens", "max_new_tokens", "seed",
    ),
    "number": ("latency_ms", "value", "threshold", "temperature", "top_p"),
    "flag": ("is_benign", "is_withheld", "unsafe", "do_sample"),
    "text": (
        "sample", "behavior", "prompt", "text", "raw_text", "reasoning", "explanation", "target",
        "metadata", "images", "image_paths",
    ),
    "word": (
        "model", "model_digest", "config_digest", "dataset", "category", "attack", "finish_reason",
        "run", "judge", "judge_kind", "judge_digest", "heading", "status", "verdict", "operator",
        "attack_parameters", "dtype", "quantization", "system_prompt", "settings",
    ),
    "time": ("created_at",),
}  # fmt: skip
_KIND_OF = {name: kind for kind, names in _KINDS.items() for name in names}


def view_columns(view: str) -> tuple[Column, ...]:
    """Return the typed columns of one of the public views."""
    (found,) = [one for one in VIEWS if one.name == view]
    return tuple(Column(name, _KIND_OF[name]) for name in found.columns)


def metric_columns(names: Sequence[str]) -> tuple[Column, ...]:
    """Return the columns of a report's numbers: its labels are words, the rest has its kind."""
    return tuple(Column(name, metric_kind(name)) for name in names)


def metric_kind(name: str) -> Kind:
    """Return what a column of :func:`lam3db.report.formats.flat_rows` holds."""
    if name in _METRIC_KIND_OF:
        return _METRIC_KIND_OF[name]
    return "text" if name == "behavior" else "word"


def sql_columns(
    names: Sequence[str], rows: Sequence[Sequence[Any]], kinds: Mapping[str, Kind]
) -> tuple[Column, ...]:
    """Return the columns of a statement's rows.

    In this order: what ``kinds`` says; what the views call so, where everything in it fits; what
    it holds. Whole numbers and others together are numbers; anything with a text in it is text,
    and so is what holds nothing at all.
    """
    held = [_held(rows, index) for index in range(len(names))]
    return tuple(
        Column(name, kinds.get(name) or _kind(name, types))
        for name, types in zip(names, held, strict=True)
    )


def check_kinds(
    names: Sequence[str], rows: Sequence[Sequence[Any]], kinds: Mapping[str, Kind]
) -> None:
    """Raise ConfigError where ``kinds`` cannot be given to these columns."""
    for name, kind in kinds.items():
        if name not in names:
            raise ConfigError(f"kinds: no column {name!r}{did_you_mean(name, names)}")
        if kind not in KINDS:
            raise ConfigError(f"kinds: {kind!r} is no kind{did_you_mean(kind, KINDS)}")
        other = _held(rows, names.index(name)) - _TAKEN[kind]
        if other:
            word = min(one.__name__ for one in other)
            raise ConfigError(f"kinds: the column {name!r} holds {word} values, not only {kind}")


def _held(rows: Sequence[Sequence[Any]], index: int) -> set[type]:
    return {type(row[index]) for row in rows} - {type(None)}


def _kind(name: str, types: set[type]) -> Kind:
    usual = _SQL_KIND_OF.get(name)
    if usual is not None and types <= _FITS[usual]:
        return usual
    for kind in ("time", "flag", "integer", "number"):
        if types and types <= _FITS[kind]:
            return kind
    return "text"


_FITS: Mapping[Kind, set[type]] = {
    "time": {datetime},
    "flag": {bool},
    "integer": {int, bool},
    "number": {int, bool, float, Decimal},
    "text": {str},
}
_TAKEN: Mapping[Kind, set[type]] = {
    **_FITS,
    "word": {str},
    "time": {datetime, str},
    "flag": {bool, int},
}
"""What a column may hold that a user gives a kind: times as ISO texts, flags as 1 and 0."""
_COUNTED = tuple(f.name for f in fields(Counts))
_ESTIMATES = ("share", "mean", "refused", "benign_refused", "expected_maximum", "any_of_k")
_METRIC_KINDS: dict[Kind, tuple[str, ...]] = {
    "integer": (
        *("total", "k", *_COUNTED),
        *("benign_total", *(f"benign_{name}" for name in _COUNTED)),
        *(f"{name}_{what}" for name in _ESTIMATES for what in ("n", "behaviors")),
    ),
    "number": (
        *("threshold", "level", "coverage", "benign_coverage", "share_best", "share_worst"),
        *(f"{name}{what}" for name in _ESTIMATES for what in ("", "_low", "_high")),
    ),
    "word": (
        *("model_digest", "config_digest", "judge", "judge_version", "judge_digest", "heading"),
        *("attribute", "operator", "unsafe_if", "rule", "denominator", "cluster", "interval"),
        *(f"{name}_method" for name in _ESTIMATES),
    ),
    "text": ("ref",),
}
_METRIC_KIND_OF = {name: kind for kind, names in _METRIC_KINDS.items() for name in names}
_AS_SQL: Mapping[Kind, Kind] = {"flag": "integer", "word": "text", "time": "text"}
"""SQL has 1 and 0, texts, and times as ISO texts."""
_COUNTS_OF_VIEWS = (
    *("generations", "n", "ok", "undecided", "unparsed", "judge_refused", "abstained", "failed"),
    *("pending", "total", "done", "finding_id"),
)
_SQL_KIND_OF: Mapping[str, Kind] = {
    **{name: _AS_SQL.get(kind, kind) for name, kind in _KIND_OF.items()},
    **dict.fromkeys(_COUNTS_OF_VIEWS, "integer"),
    **dict.fromkeys(("asr", "mean", "maximum", "coverage"), "number"),
    **dict.fromkeys(("outcome", "stage", "attribute", "selection_digest"), "text"),
}
