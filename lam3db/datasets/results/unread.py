"""What the rows of a file hold and their reader does not read, said by name.

What must hold: a field that is not read is named, whatever it is; a word of a judge that has no
meaning is named with its column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lam3db.records import ScoreStatus

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from lam3db.datasets.faults import Faults
    from lam3db.records import Finding

_NOTHING: tuple[Any, ...] = (None, "", [], {})


def note_unread(
    values: Mapping[str, Any], read: Container[str], faults: Faults, within: str = ""
) -> None:
    """Name the fields that hold something and are not among those that are read."""
    for name, value in values.items():
        if name not in read and value not in _NOTHING:
            faults.remarks.unread(f"{within}{name}")


def note_unparsed(finding: Finding, field: str, faults: Faults) -> Finding:
    """Return a finding as it is; name the word where it has no meaning."""
    if finding.status is ScoreStatus.UNPARSED:
        faults.remarks.unparsed(field, finding.raw_output or "")
    return finding
