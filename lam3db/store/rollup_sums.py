"""Units to sums: the arithmetic of the roll-up, on arrays and nothing else.

A unit is an answer (or something asked for that has none) under one judge, as in
:mod:`lam3db.store.aggregates`. For every group of units one row of sums is made, which holds all
that a number needs: counts by outcome, and sums over clusters (behaviors) for shares and means.

What must hold: whole numbers are exact; a cluster counts once in a group, so rows of two groups
may be added only where no behavior lies in both (:func:`added`). The bytes are little-endian on
every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.store.aggregates import OUTCOMES

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]

_SHARE = ("clusters", "n", "hits", "with_hits", "with_misses", "n_n", "n_hits", "hits_hits")
SHARES = ("share", "refused", "benign_refused")
WHOLE = (
    *("category", "attack"),
    *(f"n_{outcome}" for outcome in OUTCOMES),
    *(f"benign_{outcome}" for outcome in OUTCOMES),
    *(f"{share}_{name}" for share in SHARES for name in _SHARE),
    "benign_valued",
    *("mean_clusters", "mean_n", "mean_n_n"),
)
"""The whole numbers of a row: codes of its category and attack (-1: all), counts, sums."""
REAL = ("total", "squares", "n_total", "total_total", "low", "high")
"""The real numbers of a row: what a mean needs."""
PARTS = {
    "whole": (False, False),
    "category": (True, False),
    "attack": (False, True),
    "both": (True, True),
}
"""Whether the groups of a part have a category, and an attack."""
ROW_BYTES = 8 * (len(WHOLE) + len(REAL))


@dataclass(frozen=True, slots=True)
class Units:
    """Units as columns of one length; ``code`` is a place in OUTCOMES, ``value`` NaN if none.

    ``decided``, ``unsafe``, ``judged`` and ``refused`` are false, and ``value`` NaN, where the
    outcome is not ``ok``.
    """

    behavior: Ints
    is_benign: Flags
    category: Ints
    attack: Ints
    code: Ints
    decided: Flags
    unsafe: Flags
    judged: Flags
    refused: Flags
    value: Floats


@dataclass(frozen=True, slots=True)
class Sums:
    """Rows of sums: ``whole`` has the columns of WHOLE, ``real`` those of REAL."""

    whole: Ints
    real: Floats

    def __len__(self) -> int:
        """Return how many groups there are."""
        return len(self.whole)

    def to_bytes(self) -> bytes:
        """Return the rows as they are stored, one after the other."""
        import numpy as np

        rows = np.zeros(len(self), dtype=_row())
        rows["whole"], rows["real"] = self.whole, self.real
        return rows.tobytes()


def from_bytes(stored: bytes) -> Sums:
    """Read back what :meth:`Sums.to_bytes` wrote; raise ValueError for another length.

    The bytes of several may stand one after the other.
    """
    import numpy as np

    if len(stored) % ROW_BYTES:
        raise ValueError(f"{len(stored)} bytes are no rows of {ROW_BYTES}")
    rows = np.frombuffer(stored, dtype=_row())
    return Sums(rows["whole"], rows["real"])


def _row() -> Any:
    return [("whole", "<i8", (len(WHOLE),)), ("real", "<f8", (len(REAL),))]


def added(sums: Sums, groups: Ints, count: int) -> Sums:
    """Add the rows of each group, numbered below ``count``; codes are those of its first row.

    Every group has a row. Right only where no behavior lies in two rows of one group.
    """
    import numpy as np

    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(count))
    whole, real = sums.whole[order], sums.real[order]
    made = np.add.reduceat(whole, starts)
    made[:, :2] = whole[starts, :2]
    low, high = REAL.index("low"), REAL.index("high")
    numbers = np.add.reduceat(real, starts)
    numbers[:, low] = np.minimum.reduceat(real[:, low], starts)
    numbers[:, high] = np.maximum.reduceat(real[:, high], starts)
    return Sums(made, numbers)


def sums_of(units: Units, part: str) -> Sums:
    """Return the sums of these units per group of ``part``, in the order of the groups' codes."""
    import numpy as np

    by_category, by_attack = PARTS[part]
    zeros = np.zeros(len(units.code), dtype=np.int64)
    category = units.category if by_category else zeros
    attack = units.attack if by_attack else zeros
    attacks = int(attack.max(initial=0)) + 1
    behaviors = int(units.behavior.max(initial=0)) + 1
    keys = (category * attacks + attack) * behaviors + units.behavior
    clusters, cluster = np.unique(keys, return_inverse=True)
    groups, group = np.unique(clusters // behaviors, return_inverse=True)
    made = _Made(units, cluster, group, len(groups))
    codes = [
        groups // attacks if by_category else np.full(len(groups), -1),
        groups % attacks if by_attack else np.full(len(groups), -1),
    ]
    return Sums(np.stack([*codes, *made.whole()], axis=1), np.stack(made.real(), axis=1))


@dataclass(frozen=True, slots=True)
class _Made:
    """One making of sums: the cluster of each unit, the group of each cluster."""

    units: Units
    cluster: Ints
    group: Ints
    count: int

    def whole(self) -> list[Ints]:
        """Return the columns of WHOLE after the codes."""
        import numpy as np

        u = self.units
        kinds = 2 * len(OUTCOMES)
        places = self.group[self.cluster] * kinds + u.is_benign * len(OUTCOMES) + u.code
        columns = list(_counted(places, self.count * kinds).reshape(self.count, kinds).T)
        columns += self._share(u.decided, u.unsafe, benign=False)
        columns += self._share(u.judged, u.refused, benign=False)
        columns += self._share(u.judged, u.refused, benign=True)
        valued = ~np.isnan(u.value)
        columns.append(self._per_group(valued & u.is_benign))
        n = self._per_cluster(valued & ~u.is_benign)
        return [*columns, *map(self._over, (n > 0, n, n * n))]

    def real(self) -> list[Floats]:
        """Return the columns of REAL."""
        import numpy as np

        u = self.units
        counted = ~np.isnan(u.value) & ~u.is_benign
        value = np.where(counted, u.value, 0.0)
        size = len(self.group)
        n = self._per_cluster(counted)
        total = np.bincount(self.cluster, value, size)
        squares = np.bincount(self.cluster, value * value, size)
        low = np.full(self.count, np.inf)
        high = np.full(self.count, -np.inf)
        of_unit = self.group[self.cluster[counted]]
        np.minimum.at(low, of_unit, u.value[counted])
        np.maximum.at(high, of_unit, u.value[counted])
        sums = [
            np.bincount(self.group, column, self.count)
            for column in (total, squares, n * total, total * total)
        ]
        return [*sums, low, high]

    def _share(self, items: Flags, hits: Flags, *, benign: bool) -> list[Ints]:
        mine = items & (self.units.is_benign == benign)
        n, k = self._per_cluster(mine), self._per_cluster(mine & hits)
        return list(map(self._over, (n > 0, n, k, k > 0, k < n, n * n, n * k, k * k)))

    def _per_cluster(self, flags: Flags) -> Ints:
        return _counted(self.cluster[flags], len(self.group))

    def _per_group(self, flags: Flags) -> Ints:
        return _counted(self.group[self.cluster[flags]], self.count)

    def _over(self, column: Any) -> Ints:
        """Return the sum over a group's clusters: whole numbers, exact below 2 ** 53."""
        import numpy as np

        found: Ints = np.bincount(self.group, column, self.count).astype(np.int64)
        return found


def _counted(places: Ints, count: int) -> Ints:
    import numpy as np

    found: Ints = np.bincount(places, minlength=count).astype(np.int64)
    return found
