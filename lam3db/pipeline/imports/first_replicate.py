"""With which number a file's replicates begin: 0 or 1, for all files of a set alike.

What must hold: files of one set that are imported one by one are counted from the same number;
numbers that count nothing, such as seeds, are refused, because each that no row has would be an
attempt that was not made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lam3db.store import results

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from lam3db.datasets.faults import Faults
    from lam3db.pipeline.imports.survey import Group, Survey

_FEW = 20
"""A file of one single number counts with it where it is smaller."""
_GAPS = 3
"""So many numbers may be missing between others, or as many as there are."""


@dataclass(frozen=True, slots=True)
class Counting:
    """Brings the replicates of an import's groups to 0 where its files count them from 1.

    ``chosen`` is the first number where a person says it.
    """

    conn: Connection
    seen: Survey
    faults: Faults
    chosen: int | None

    def begin(self, number: int, model: int, config: int) -> dict[int, int]:
        """Return the first number by the group's; nothing where its file has no numbers."""
        group = self.seen.groups[number]
        if not group.explicit:
            return {}
        earlier = results.first_replicates(self.conn, model, config)
        first = self._first(earlier)
        if group.least < first:
            what = f"{group.least} is there, and the first is said to be {first}"
            self.faults.add(None, "replicate", what)
            return {}
        if first:
            self.seen.begin_with(number, first)
            self.seen.remark("replicates that the file counts from 1 are stored from 0 on")
        if not earlier and self.chosen is None:
            self._refuse_seeds(group, first)
        return {number: first}

    def _first(self, earlier: set[int]) -> int:
        """Return what the files of this set count from.

        What earlier files counted from is recorded with their runs; a file alone that begins with
        1 counts from 1, and one of a single higher number says what it means.
        """
        if self.chosen is not None:
            return self.chosen
        least = min(group.least for group in self.seen.groups if group.explicit)
        if not least:
            return 0
        return min(earlier & {0, 1}, default=1 if least == 1 else 0)

    def _refuse_seeds(self, group: Group, first: int) -> None:
        numbers = {number for rows in group.explicit.values() for number in rows}
        count = max(numbers) + 1 - first
        is_sparse = count - len(numbers) > max(_GAPS, len(numbers))
        if is_sparse if len(numbers) > 1 else max(numbers) >= _FEW:
            what = f"{max(numbers)} is the largest of {len(numbers)} different numbers: replicates"
            what += " are counted from 0 or 1, and each that no row has is an attempt that was not"
            what += (
                " made; seeds are settings (config); without `replicate`, all files in one command"
            )
            what += " and `repeats: draws` number the rows; --first-replicate 0 (or 1) counts gaps"
            self.faults.add(None, "replicate", what)
