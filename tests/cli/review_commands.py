"""Filling in what ``lam3db review export`` writes, as a spreadsheet program would."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def read_csv(path: Path) -> list[dict[str, str]]:
    """Return an exported file's rows."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def label_csv(path: Path, rows: list[dict[str, str]]) -> None:
    """Write rows back as a spreadsheet program does."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
