"""JSON Lines: one object per line.

What must hold: what JSON leaves open is refused, not guessed: a key twice in one object,
infinities, nesting without end. ``NaN``, which Python and pandas write for a missing number, is
null, and is told. Escaped NUL and lone surrogates are data and are kept.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import shown
from lam3db.datasets.lines import Row, read_lines
from lam3db.whole_numbers import whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lam3db.datasets.faults import Faults
    from lam3db.datasets.files.remarks import Remarks

MAX_DEPTH = 32


def read_jsonl(path: Path, faults: Faults, *, exact: bool = False) -> list[Row]:
    """Return the objects of a file; lines that are none are noted as faults."""
    return list(stream_jsonl(path, faults, exact=exact))


def stream_jsonl(
    path: Path, faults: Faults, encoding: str | None = None, *, exact: bool = False
) -> Iterator[Row]:
    """Yield the objects of a file one by one; lines that are none are noted as faults.

    ``exact``: a ``NaN`` is a fault, too, for files that lam3db itself wrote.
    """
    remarks = None if exact else faults.remarks
    for number, text in read_lines(path, faults, encoding):
        if not text.strip():
            continue
        try:
            value = parse_json(text, remarks)
        except ValueError as error:
            faults.add(number, None, str(error))
            continue
        if isinstance(value, dict):
            yield Row(number, value)
        else:
            faults.add(number, None, f"not an object but {shown(value)}")


def parse_json(text: str, remarks: Remarks | None = None) -> Any:
    """Return the value of a JSON text; raise ValueError with what is wrong with it.

    Where ``remarks`` take it, each ``NaN`` is null and is counted there; else it is a fault.
    """
    try:
        value = _decoded(text, remarks)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, " if error.lineno > 1 else ""
        raise ValueError(f"no JSON: {error.msg} at {where}column {error.colno}") from None
    except RecursionError:
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep") from None
    if _is_deeper(value, MAX_DEPTH):
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
    return value


class _ConstantError(ValueError):
    """A word for a number that JSON does not have."""


def _decoded(text: str, remarks: Remarks | None) -> Any:
    try:
        return _DECODER.decode(text)
    except _ConstantError:
        if remarks is None:
            raise
    counted = Counter[str]()

    def null(name: str) -> None:
        if name != "NaN":
            _refuse_constant(name)
        counted[name] += 1

    value = _decoder(null).decode(text)
    remarks.note("NaN, which is not JSON, is read as null", counted.total())
    return value


def _refuse_constant(name: str) -> Any:
    raise _ConstantError(f"{name} is no JSON: write null for a missing number")


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


def _decoder(constant: Callable[[str], Any]) -> json.JSONDecoder:
    return json.JSONDecoder(
        parse_constant=constant,
        parse_float=_finite,
        parse_int=whole_number,
        object_pairs_hook=_no_repeats,
    )


_DECODER = _decoder(_refuse_constant)
