"""JSON Lines: one object per line.

What must hold: what JSON leaves open is refused, not guessed: a key twice in one object, NaN
and infinities, nesting without end. Escaped NUL and lone surrogates are data and are kept.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import shown
from lam3db.datasets.lines import Row, read_lines
from lam3db.whole_numbers import whole_number

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lam3db.datasets.faults import Faults

MAX_DEPTH = 32


def read_jsonl(path: Path, faults: Faults) -> list[Row]:
    """Return the objects of a file; lines that are none are noted as faults."""
    return list(stream_jsonl(path, faults))


def stream_jsonl(path: Path, faults: Faults, encoding: str | None = None) -> Iterator[Row]:
    """Yield the objects of a file one by one; lines that are none are noted as faults."""
    for number, text in read_lines(path, faults, encoding):
        if not text.strip():
            continue
        try:
            value = parse_json(text)
        except ValueError as error:
            faults.add(number, None, str(error))
            continue
        if isinstance(value, dict):
            yield Row(number, value)
        else:
            faults.add(number, None, f"not an object but {shown(value)}")


def parse_json(text: str) -> Any:
    """Return the value of a JSON text; raise ValueError with what is wrong with it."""
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, " if error.lineno > 1 else ""
        raise ValueError(f"no JSON: {error.msg} at {where}column {error.colno}") from None
    except RecursionError:
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep") from None
    if _is_deeper(value, MAX_DEPTH):
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON: write null for a missing number")


def _finite(text: str) -> float:
    value = float(text)
    if value in {float("inf"), float("-inf")}:
        raise ValueError(f"the number {shown(text)} is too large")
    return value


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {shown(twice)} stands twice in one object")
    return value


def _is_deeper(value: Any, limit: int) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(limit):
        level = [
            inner
            for item in level
            for inner in (item.values() if isinstance(item, dict) else item)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


_DECODER = json.JSONDecoder(
    parse_constant=_refuse_constant,
    parse_float=_finite,
    parse_int=whole_number,
    object_pairs_hook=_no_repeats,
)
