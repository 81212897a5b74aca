"""Texts of strangers in the cells of spreadsheets: shown, never obeyed, and read back whole.

A spreadsheet takes some CSV cells for formulas (:data:`lam3db.excel.FORMULA`): an apostrophe goes
before them (and before an apostrophe), and is taken away when reading. NUL and lone surrogates,
which no encoding has, go through the store's own escape. XLSX cells are typed as text; characters
that XML has no place for, and a carriage return, are written as the format's own ``_xHHHH_``.

What must hold: two texts that differ are written differently, in either format; reading undoes
writing. An XLSX cell holds 32,767 UTF-16 units: a longer text is refused, not cut.
"""

from __future__ import annotations

import re

from lam3db.excel import FORMULA
from lam3db.hashing import escape, unescape

LONGEST_CELL = 32_767
_GUARDED = (*FORMULA, "'")
_NOT_XML = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
_NEW_LINES = re.compile("\r\n?")


def to_csv(text: str) -> str:
    """Return a text as a CSV cell."""
    shown = escape(text)
    return f"'{shown}" if shown.startswith(_GUARDED) else shown


def to_xlsx(text: str) -> str:
    """Return a text as an XLSX cell holds it.

    Raises:
        ValueError: it does not fit into a cell.

    """
    shown = _NOT_XML.sub(lambda match: f"_x{ord(match[0]):04X}_", text)
    length = len(shown.encode("utf-16-le")) // 2
    if length > LONGEST_CELL:
        raise ValueError(f"{length:,} characters, and a cell holds {LONGEST_CELL:,}")
    return shown


def from_csv(cell: str) -> str:
    """Undo :func:`to_csv`."""
    bare = cell[1:] if cell.startswith("'") and cell[1:].startswith(_GUARDED) else cell
    return unescape(bare)


def from_xlsx(cell: str) -> str:
    """Undo :func:`to_xlsx`."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), cell)


def same_text(one: str, other: str) -> bool:
    """Tell whether two cells hold one text: programs change line ends, and space at the end."""
    return _plain(one) == _plain(other)


def _plain(text: str) -> str:
    return _NEW_LINES.sub("\n", text).rstrip()
