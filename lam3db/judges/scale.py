"""On which scale a judge's values lie, read from its spec.

What must hold: a grade is never taken for a probability. The lowest of 1 to 5 is a 1, which
among values from 0 to 1 would be the surest "unsafe". A spec may come from a stranger's database:
what is no scale there raises nothing and says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_GRADE = re.compile(r"grade:(-?\d+)-(-?\d+)")

_LARGEST = 1e300


def grades(spec: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the ends of a scale other than 0 to 1: declared, of people's grades, of words.

    None where the spec tells of no other scale.
    """
    declared = _declared(spec.get("scale"))
    if declared is not None:
        return None if declared == (0.0, 1.0) else declared
    labels, output = spec.get("labels"), spec.get("output")
    ends: list[float] = []
    if isinstance(labels, str) and (found := _GRADE.fullmatch(labels)):
        ends = [float(found[1]), float(found[2])]
    words = output.get("words") if isinstance(output, Mapping) else None
    if isinstance(words, Mapping):
        ends = [float(one) for one in words.values() if _is_number(one)]
    if not ends or (min(ends) >= 0 and max(ends) <= 1):
        return None
    return min(ends), max(ends)


def _declared(value: Any) -> tuple[float, float] | None:
    if not isinstance(value, list | tuple) or len(value) != 2:  # noqa: PLR2004 - low and high
        return None
    low, high = value
    return (
        (float(low), float(high)) if _is_number(low) and _is_number(high) and low < high else None
    )


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -_LARGEST < value < _LARGEST
