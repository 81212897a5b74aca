"""Where a value is in a row: a column, or a way into what a column holds.

A way is written ``a.b[0].c``; a name with dots in it ``a["gpt-3.5"]``.

What must hold: a column of exactly this name comes first, so names with dots can be used; a way
that leads nowhere gives None, and whoever asks can tell it from a null that is there.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from lam3db.datasets.jsonl import parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping

_STEP = re.compile(r'(?:^|\.)([^.\[\]]+)|\[(\d{1,6})\]|\["([^"]+)"\]')
ABSENT: Any = object()
"""What a way gives that leads nowhere."""


def value_at(values: Mapping[str, Any], path: str) -> Any:
    """Return what is at ``path``: :data:`ABSENT` where it leads nowhere.

    A text that has to be walked into is read as JSON: CSV cells hold lists so.
    """
    if path in values:
        return values[path]
    found: Any = values
    ways = steps(path)
    if ways is None:
        return ABSENT
    for step in ways:
        found = _inside(_parsed(found) if isinstance(found, str) else found, step)
        if found is ABSENT:
            return ABSENT
    return found


def list_at(values: Mapping[str, Any], path: str) -> list[Any] | None:
    """Return the list at ``path`` (``[]`` after it may be written); None where there is none."""
    found = value_at(values, path.removesuffix("[]"))
    if isinstance(found, str):
        found = _parsed(found)
    if isinstance(found, dict):
        return [{"key": key, "value": value} for key, value in found.items()]
    return found if isinstance(found, list) else None


def top_of(path: str) -> str:
    """Return the column that a way begins with."""
    return path.partition(".")[0].partition("[")[0]


@cache
def steps(path: str) -> tuple[str | int, ...] | None:
    """Return the steps of a way; None for what can only be a column's name."""
    found: list[str | int] = []
    at = 0
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            return None
        found.append(int(match[2]) if match[2] is not None else match[1] or match[3])
        at = match.end()
    return tuple(found)


def _inside(value: Any, step: str | int) -> Any:
    if isinstance(step, str):
        return value.get(step, ABSENT) if isinstance(value, dict) else ABSENT
    return value[step] if isinstance(value, list) and step < len(value) else ABSENT


def _parsed(text: str) -> Any:
    if text[:1] not in ("[", "{"):
        return ABSENT
    try:
        return parse_json(text)
    except ValueError:
        return ABSENT
