"""Numbering what is met: whole numbers to places in the sorted list of those that occur."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]

_SPARSE = 1 << 22


def dense(numbers: Ints) -> tuple[Ints, Ints]:
    """Return the numbers (from 0) that occur, sorted, and the place of each among them.

    As ``numpy.unique``, without sorting where the largest is not much more than how many there
    are.
    """
    import numpy as np

    size = int(numbers.max(initial=-1)) + 1
    if size > max(_SPARSE, 4 * len(numbers)):
        found, places = np.unique(numbers, return_inverse=True)
        return found, places
    there = np.zeros(size, dtype=np.bool_)
    there[numbers] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[numbers]
