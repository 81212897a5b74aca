"""Values as a stranger might write them: a right document with wrong pieces in it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

JUNK: tuple[Any, ...] = (
    *(None, 5, -1, 0.5, "x", "", [], {}, True, False, 1e308, [None], {"a": 1}, [[1]], "a" * 300),
    *(10**30, "\ud800", "\x00", {"text": 5}, [{"type": "image"}], [{"type": "text", "text": "y"}]),
)


def broken(value: Any, chance: random.Random) -> Any:
    """Return the value with one to three pieces taken out or replaced by junk."""
    made = copy.deepcopy(value)
    for _ in range(chance.choice((1, 1, 2, 3))):
        spots = [spot for spot in _spots(made) if spot]
        if not spots:
            return copy.deepcopy(chance.choice(JUNK))
        *way, last = chance.choice(spots)
        inner = made
        for step in way:
            inner = inner[step]
        if chance.random() < 0.2:
            del inner[last]
        else:
            inner[last] = copy.deepcopy(chance.choice(JUNK))
    return made


def _spots(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield way
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _spots(inner, (*way, name))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _spots(inner, (*way, at))
