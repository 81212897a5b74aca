"""The types of what is read, column by column.

What must hold: every column of the views that are read has a type here (a test compares
them), so none is guessed from what its first rows happen to hold.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lam3db.reading.frame import Column
from lam3db.store.views import VIEWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lam3db.reading.frame import Kind

_KINDS: dict[Kind, tuple[str, ...]] = {
    "integer": (
        "generation_id", "score_id", "replicate", "judge_replicate", "revision",
        "dataset_version", "prompt_tokens", "completion_tokens",
    ),
    "number": ("latency_ms", "value", "threshold"),
    "flag": ("is_benign", "is_withheld", "unsafe"),
    "text": ("sample", "behavior", "prompt", "text", "raw_text", "reasoning", "explanation"),
    "word": (
        "model", "model_digest", "config_digest", "dataset", "category", "attack", "finish_reason",
        "run", "judge", "judge_kind", "judge_digest", "heading", "status", "verdict", "operator",
    ),
    "time": ("created_at",),
}  # fmt: skip
_KIND_OF = {name: kind for kind, names in _KINDS.items() for name in names}


def view_columns(view: str) -> tuple[Column, ...]:
    """Return the typed columns of one of the public views."""
    (found,) = [one for one in VIEWS if one.name == view]
    return tuple(Column(name, _KIND_OF[name]) for name in found.columns)


def found_columns(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> tuple[Column, ...]:
    """Return the columns of rows that nobody has typed: by all that they hold.

    Whole numbers and others together are numbers; anything with a text in it is text, and so is
    what holds nothing at all.
    """
    seen: list[set[type]] = [set() for _ in names]
    for row in rows:
        for kinds, value in zip(seen, row, strict=True):
            kinds.add(type(value))
    return tuple(Column(name, _kind(kinds)) for name, kinds in zip(names, seen, strict=True))


def metric_columns(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> tuple[Column, ...]:
    """Return the columns of a report's numbers: texts are words, what is nowhere is a number."""
    found = found_columns(names, rows)
    empty = {n for i, n in enumerate(names) if all(row[i] is None for row in rows)}
    return tuple(
        Column(
            c.name, c.kind if c.kind != "text" else _unseen(c.name) if c.name in empty else "word"
        )
        for c in found
    )


def _unseen(name: str) -> Kind:
    is_word = name in _KIND_OF and _KIND_OF[name] == "word"
    return "word" if is_word or name.endswith(("_method", "_digest")) else "number"


def _kind(kinds: set[type]) -> Kind:
    known = kinds - {type(None)}
    if known == {datetime}:
        return "time"
    if known == {bool}:
        return "flag"
    if known and known <= {int, bool}:
        return "integer"
    if known and known <= {int, bool, float, Decimal}:
        return "number"
    return "text"
