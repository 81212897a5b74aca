"""Tables with one request a row and no identifier.

What must hold: a row's key is its number from 0, as papers that name single rows count them;
so it is told apart from others by its place in the published file alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lam3db.datasets.published.records import read_records, rest_of
from lam3db.datasets.published.shape import Posed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lam3db.datasets.faults import Faults
    from lam3db.datasets.published.shape import Pose


def numbered(prompt: str, *, category: str | None = None, target: str | None = None) -> Pose:
    """Return what poses the column ``prompt`` of each row, which is its behavior as well."""
    columns = [name for name in (prompt, category, target) if name is not None]

    def pose(files: tuple[Path, ...], faults: Faults) -> Iterator[Posed]:
        for number, row in enumerate(read_records(files[0], columns, faults)):
            yield Posed(
                key=str(number),
                prompt=row.values[prompt],
                behavior=row.values[prompt],
                line=row.line,
                category=row.values[category] if category is not None else "",
                target=row.values[target] if target is not None else None,
                metadata=rest_of(row, columns),
            )

    return pose
