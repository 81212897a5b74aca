"""The image that a result names: opened where a folder is given, else kept by its name.

What must hold: two samples that differ in their image stay two, whether it can be opened or
not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lam3db.datasets.faults import Faults
    from lam3db.datasets.results.formats import ReadOptions
    from lam3db.records import ImagePart


def pictured(
    name: str | None, row: int, column: str, faults: Faults, options: ReadOptions
) -> tuple[tuple[ImagePart, ...], dict[str, Any]]:
    """Return (the image, or none; metadata that names it where it was not opened)."""
    if not name:
        return (), {}
    part = options.picture(row, column, name, faults)
    return ((part,), {}) if part is not None else ((), {"image": name})
