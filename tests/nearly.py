"""Whether two results are equal, real numbers but for the order they were added in."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from typing import Any


def same(one: Any, other: Any, close: float = 1e-9) -> bool:
    """Compare dataclasses and sequences part by part, real numbers within ``close``."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=close, abs_tol=close)
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(same, one, other, [close] * len(one)))
    if is_dataclass(one) and type(one) is type(other):
        names = [field.name for field in fields(one)]
        return all(same(getattr(one, name), getattr(other, name), close) for name in names)
    return bool(one == other)
