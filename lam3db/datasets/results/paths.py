"""Where a value is in a row: a column, or a way into what a column holds.

A way is written ``a.b[0].c``, ``a[-1]`` for the last; a name with dots in it ``a["gpt-3.5"]``.

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

_STEP = re.compile(r'(?:^|\.)([^.\[\]]+)|\[(-?\d{1,6})\]|\["([^"]+)"\]')
_FENCE = re.compile(r"```[^\n`]*\n(.*?)```", re.DOTALL)
ABSENT: Any = object()
"""What a way gives that leads nowhere."""


def value_at(values: Mapping[str, Any], path: str) -> Any:
    """Return what is at ``path``: :data:`ABSENT` where it leads nowhere.

    A text that has to be walked into is read as JSON: CSV cells hold lists so.
    """
    if path in values:
        return values[path]
    value, rest = walk(values, steps(path) or ())
    return ABSENT if rest or value is values else value


def walk(value: Any, way: tuple[str | int, ...]) -> tuple[Any, tuple[str | int, ...]]:
    """Return the value at the end of a way, or at the last step that is there, and what is left."""
    for at, step in enumerate(way):
        inner = opened(value)
        found = _inside(inner, step)
        if found is ABSENT:
            return inner, way[at:]
        value = found
    return value, ()


def opened(value: Any) -> Any:
    """Return what can be walked into: of a text that is JSON its value, else the value itself."""
    if not isinstance(value, str):
        return value
    parsed = _parsed(value)
    return value if parsed is ABSENT else parsed


def list_at(values: Mapping[str, Any], path: str) -> list[Any] | None:
    """Return the list at ``path`` (``[]`` after it may be written); None where there is none."""
    found = value_at(values, path.removesuffix("[]"))
    return None if found is ABSENT else as_list(found)


def as_list(value: Any) -> list[Any] | None:
    """Return the elements of a list, or of an object (``key``, ``value``); None for the rest."""
    found = opened(value)
    if isinstance(found, dict):
        return [{"key": key, "value": inner} for key, inner in found.items()]
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
    within = isinstance(value, list) and -len(value) <= step < len(value)
    return value[step] if within else ABSENT


def _parsed(text: str) -> Any:
    """Return the value of a text that is JSON, alone or in a fence; ABSENT for any other text."""
    bare = text.strip()
    if bare[:3] == "```" and (fence := _FENCE.search(bare)) is not None:
        bare = fence[1].strip()
    if bare[:1] not in ("[", "{"):
        return ABSENT
    try:
        return parse_json(bare)
    except ValueError:
        return ABSENT


def json_in(text: str) -> Any:
    """Return the JSON that a text is, or holds in its first fence; ABSENT where there is none."""
    found = _parsed(text)
    if found is not ABSENT:
        return found
    for fence in _FENCE.findall(text):
        found = _parsed(fence)
        if found is not ABSENT:
            return found
    return ABSENT
