"""The samples of a selection with what groups them, as columns.

What must hold: a selection never changes, and neither do the behavior, category and attack of
its samples, so what is kept of it is never stale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from lam3db.store.values import from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt
    from sqlalchemy import Connection

    Ints = npt.NDArray[np.int64]

_COLUMNS = 5


@dataclass(frozen=True, slots=True)
class Members:
    """Columns by sample id; ``category`` and ``attack`` are places in the lists of names.

    The names are as they are stored (escaped).
    """

    sample: Ints
    behavior: Ints
    category: Ints
    attack: Ints
    benign: Ints
    categories: tuple[str, ...]
    attacks: tuple[str, ...]

    def parts(self) -> tuple[object, ...]:
        """Return everything in it as values that can be compared."""
        columns = (self.sample, self.behavior, self.category, self.attack, self.benign)
        return (*(column.tolist() for column in columns), self.categories, self.attacks)

    @property
    def is_benign(self) -> npt.NDArray[np.bool_]:
        """Whether each sample's behavior is benign."""
        flags: npt.NDArray[np.bool_] = self.benign == 1
        return flags

    def found(self, samples: Ints) -> tuple[Ints, Ints]:
        """Return which of ``samples``, sorted, are members: their places here, and there."""
        import numpy as np

        first = np.searchsorted(samples, self.sample, side="left")
        many = np.searchsorted(samples, self.sample, side="right") - first
        at = np.repeat(np.arange(len(self.sample)), many)
        rows = np.arange(len(at)) + np.repeat(first - (np.cumsum(many) - many), many)
        return at, rows

    def to_row(self, selection_id: int) -> dict[str, Any]:
        """Return the row of ``rollup_selection``."""
        import numpy as np

        columns = [self.sample, self.behavior, self.category, self.attack, self.benign]
        names = {"attacks": list(self.attacks), "categories": list(self.categories)}
        members = np.stack(columns).astype("<i8").tobytes()
        return {"selection_id": selection_id, "labels": to_json(names), "members": members}

    @classmethod
    def of_row(cls, labels: str, members: bytes) -> Members:
        """Read back what :meth:`to_row` made."""
        import numpy as np

        names = from_json(labels)
        columns = np.frombuffer(members, dtype="<i8").reshape(_COLUMNS, -1)
        return cls.of(columns, tuple(names["categories"]), tuple(names["attacks"]))

    @classmethod
    def of(cls, columns: Ints, categories: tuple[str, ...], attacks: tuple[str, ...]) -> Members:
        """Return the members whose columns are the rows of an array."""
        sample, behavior, category, attack, benign = columns
        return cls(sample, behavior, category, attack, benign, categories, attacks)


_SCANNED = """SELECT ss.sample_id, s.behavior_id, b.category, s.attack, b.is_benign
  FROM selection_sample ss JOIN sample s ON s.id = ss.sample_id
  JOIN behavior b ON b.id = s.behavior_id
  WHERE ss.selection_id = :selection ORDER BY ss.sample_id"""
_KEPT = "SELECT labels, members FROM rollup_selection WHERE selection_id = :selection"


def load_members(conn: Connection, selection_id: int) -> Members:
    """Return the members of a selection, from what is kept of it or else from its rows."""
    kept = conn.execute(text(_KEPT), {"selection": selection_id}).one_or_none()
    if kept is not None:
        return Members.of_row(kept.labels, bytes(kept.members))
    return scan_members(conn, selection_id)


def scan_members(conn: Connection, selection_id: int) -> Members:
    """Return the members of a selection from its rows."""
    import numpy as np

    rows = conn.execute(text(_SCANNED), {"selection": selection_id}).all()
    categories = tuple(sorted({row.category for row in rows}))
    attacks = tuple(sorted({row.attack for row in rows}))
    places = {name: at for at, name in enumerate(categories)}
    kinds = {name: at for at, name in enumerate(attacks)}
    coded = [(*row[:2], places[row[2]], kinds[row[3]], row[4]) for row in rows]
    columns = np.array(coded, dtype=np.int64).reshape(-1, _COLUMNS).T
    return Members.of(columns, categories, attacks)


def shared_samples(members: Sequence[Members]) -> int:
    """Return how many samples lie in several of these selections."""
    return _in_several([one.sample for one in members])


def shared_behaviors(members: Sequence[Members]) -> int:
    """Return how many behaviors lie in several of these selections."""
    import numpy as np

    return _in_several([np.unique(one.behavior) for one in members])


def _in_several(each: Sequence[Ints]) -> int:
    """Return how many numbers lie in several arrays, none of which holds one twice."""
    if len(each) < 2:  # noqa: PLR2004 - two is the fewest that can share
        return 0
    import numpy as np

    _, counts = np.unique(np.concatenate(each), return_counts=True)
    return int((counts > 1).sum())
