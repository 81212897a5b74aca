"""What is wrong with a file, collected to be told all at once.

What must hold: a file with a fault is refused whole, after everything in it was looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lam3db.datasets.files.remarks import Remarks
from lam3db.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

SHOWN = 50
_KEPT = 1000
_CLIP = 60


class Faults:
    """The faults of one file, by line (from 1) and field.

    ``unit`` is what its places are called: a line, a row of a sheet, a record of a JSON file.
    Who reads a folder sets ``file`` to the file it is in, and faults name it; who reads several
    sources sets ``source``. ``remarks`` are what was noticed beside: they refuse nothing.
    """

    def __init__(self, path: Path) -> None:
        """Start with none."""
        self.path = path
        self.count = 0
        self.unit = "line"
        self.file = self.source = ""
        self.remarks = Remarks()
        self._kept: list[tuple[str, int, str]] = []

    def add(self, line: int | None, field: str | None, what: str, place: str = "") -> None:
        """Note one; ``line`` None is the file as a whole, ``place`` is told instead of a line."""
        self.count += 1
        if len(self._kept) < _KEPT:
            at = place or (f"{self.unit} {line}" if line else "")
            told = ", ".join(filter(None, [self.within, at, field or ""]))
            self._kept.append((self.within, line or 0, f"{told}: {what}" if told else what))

    @property
    def within(self) -> str:
        """The file that is read, where there are several; else ''."""
        return "/".join(filter(None, (self.source, self.file)))

    def extend(self, other: Faults) -> None:
        """Take over another's faults."""
        self.count += other.count
        self._kept = (other._kept + self._kept)[:_KEPT]

    def raise_if_any(self) -> None:
        """Raise InputError with the first fifty by line, and how many there are in all."""
        if not self.count:
            return
        kept = sorted(self._kept, key=lambda item: item[:2])
        texts = [text for *_, text in kept][:SHOWN]
        if self.count > len(texts):
            texts.append(f"... and {self.count - len(texts)} more")
        faults = "1 fault" if self.count == 1 else f"{self.count} faults"
        raise InputError(f"{self.path}: {faults}, nothing was imported", texts)


def shown(value: object) -> str:
    """Return a value as an error shows it: quoted, on one line, not endlessly long."""
    text = repr(value[: _CLIP + 1]) if isinstance(value, str) else repr(value)
    return text if len(text) <= _CLIP else text[: _CLIP - 1] + "\N{HORIZONTAL ELLIPSIS}"
