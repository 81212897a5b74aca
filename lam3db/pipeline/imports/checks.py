"""What no database keeps, found before anything is stored: numbers beyond their column.

What must hold: it is a fault of the row, in words; a value that is kept is kept exactly.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lam3db.datasets.results.record import ResultRecord
    from lam3db.records import GenerationConfig

MOST_TOKENS = 2**31 - 1
LONGEST_KEY = 500
"""Characters that are kept of a sample's key."""
_WHOLE = ("max_new_tokens", "seed")
_NUMBERS = ("temperature", "top_p")
_LARGEST_WHOLE = 2**53


def setting_faults(config: GenerationConfig) -> Iterator[tuple[str, str]]:
    """Yield (setting, what is wrong) of the settings that have columns of their own."""
    decoding = config.value.get("decoding") or {}
    for name in _NUMBERS:
        value = decoding.get(name)
        if value is not None and not _is_number(value):
            yield name, f"{shown(value)} is not a number"
    for name in _WHOLE:
        value = decoding.get(name)
        if value is not None and not (_is_number(value) and float(value).is_integer()):
            yield name, f"{shown(value)} is not a whole number"
    value = decoding.get("do_sample")
    if value is not None and value not in (True, False):
        yield "do_sample", f"{shown(value)} is neither true nor false"


def count_faults(record: ResultRecord) -> Iterator[tuple[str, str]]:
    """Yield (field, what is wrong) of what was counted and measured."""
    for name in ("prompt_tokens", "completion_tokens"):
        count = getattr(record, name)
        if not 0 <= count <= MOST_TOKENS:
            yield name, f"{shown(count)} is not a count of tokens (at most {MOST_TOKENS:,})"
    if not 0 <= record.latency_ms < math.inf:
        yield "latency_ms", f"{shown(record.latency_ms)} is not a time in milliseconds"
    if record.replicate is not None and not 0 <= record.replicate <= MOST_TOKENS:
        yield "replicate", f"{shown(record.replicate)} is not a replicate, which count from 0"


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= _LARGEST_WHOLE if isinstance(value, int) else math.isfinite(value)
