"""On which scale a judge's values lie, read from its spec.

What must hold: a grade is never taken for a probability. The lowest of 1 to 5 is a 1, which
among values from 0 to 1 would be the surest "unsafe".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_GRADE = re.compile(r"grade:(-?\d+)-(-?\d+)")


def grades(spec: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the ends of a scale other than 0 to 1: declared, of people's grades, of words.

    None where the spec tells of no other scale.
    """
    declared = spec.get("scale")
    if isinstance(declared, list) and len(declared) == 2:  # noqa: PLR2004 - low and high
        low, high = float(declared[0]), float(declared[1])
        return None if (low, high) == (0.0, 1.0) else (low, high)
    labels, output = spec.get("labels"), spec.get("output")
    ends: list[float] = []
    if isinstance(labels, str) and (found := _GRADE.fullmatch(labels)):
        ends = [float(found[1]), float(found[2])]
    words = output.get("words") if isinstance(output, Mapping) else None
    if isinstance(words, Mapping):
        ends = [float(one) for one in words.values() if isinstance(one, int | float)]
    if not ends or (min(ends) >= 0 and max(ends) <= 1):
        return None
    return min(ends), max(ends)
