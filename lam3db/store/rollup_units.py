"""What sums are made of, as columns and bytes: a pair's answers, and what a judge said of them.

Units are in the order of samples and replicates. What must hold: the bytes give back the very
numbers, are the same for the same rows, and are little-endian on every machine; nothing in them
depends on a threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

_ASKED = [("sample", "<i8"), ("replicate", "<i4"), ("code", "u1")]
_TOLD = [("code", "u1"), ("verdict", "u1"), ("value", "<f8")]


@dataclass(frozen=True, slots=True)
class Asked:
    """A pair's answers and what it was asked for; ``code`` is its place in OUTCOMES unjudged."""

    sample: Ints
    replicate: Ints
    code: Ints

    def to_bytes(self) -> bytes:
        """Return the columns as they are stored."""
        return _packed(_ASKED, (self.sample, self.replicate, self.code))

    @classmethod
    def of_bytes(cls, stored: bytes) -> Asked:
        """Read back what :meth:`to_bytes` made; raise ValueError for another length."""
        return cls(*_unpacked(_ASKED, stored))


@dataclass(frozen=True, slots=True)
class Told:
    """What one judge said of each unit: its outcome, the place of its verdict (0: none), value.

    Verdict 0 and a value of NaN where the outcome is not ``ok``.
    """

    code: Ints
    verdict: Ints
    value: Floats

    def to_bytes(self) -> bytes:
        """Return the columns as they are stored; no values where there is none."""
        import numpy as np

        columns = (self.code, self.verdict, self.value)
        some = 3 if not np.isnan(self.value).all() else 2
        return bytes([some]) + _packed(_TOLD[:some], columns[:some])

    @classmethod
    def of_bytes(cls, stored: bytes) -> Told:
        """Read back what :meth:`to_bytes` made; raise ValueError for another length."""
        import numpy as np

        code, verdict, *value = _unpacked(_TOLD[: stored[0]], stored[1:])
        return cls(code, verdict, value[0] if value else np.full(len(code), np.nan))


def _packed(kinds: list[tuple[str, str]], columns: tuple[Any, ...]) -> bytes:
    return b"".join(
        column.astype(kind).tobytes() for (_, kind), column in zip(kinds, columns, strict=True)
    )


def _unpacked(kinds: list[tuple[str, str]], stored: bytes) -> list[Any]:
    import numpy as np

    widths = [np.dtype(kind).itemsize for _, kind in kinds]
    count, rest = divmod(len(stored), sum(widths))
    if rest:
        raise ValueError(f"{len(stored)} bytes are no units of {sum(widths)}")
    found, start = [], 0
    for (_, kind), width in zip(kinds, widths, strict=True):
        column = np.frombuffer(stored, dtype=kind, count=count, offset=start)
        found.append(column.astype(np.float64 if kind == "<f8" else np.int64))
        start += count * width
    return found
