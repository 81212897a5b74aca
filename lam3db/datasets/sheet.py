"""XLSX files of strangers: opened only where they cannot grow without end.

What must hold: an archive that would unpack to much more than it weighs is refused before
it is parsed; XML goes through defusedxml; what the file says of its own size is not
believed; a formula is never computed and never taken for a text.
"""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
import zlib
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError

from lam3db.errors import InputError, MissingDependencyError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1 << 20
LARGEST_UNPACKED = 256 * MIB
_MOST_PARTS = 200
_MOST_TIMES = 200
"""How often its own size an archive above 16 MiB may unpack to; sheets come to 5 to 50."""
UNREADABLE = (
    *(ValueError, LookupError, TypeError, AttributeError, EOFError, OSError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, struct.error, ParseError),
)
"""What an archive that was tampered with may raise; forbidden XML is a ValueError."""


def sheet_rows(
    path: Path,
    raw: bytes,
    sheet: str | None,
    most_rows: int,
    most_columns: int,
    *,
    or_first: bool = False,
) -> Iterator[tuple[Any, ...]]:
    """Yield the cells of a sheet's rows, row by row.

    A row has its own width, ``most_columns`` + 1 where it is wider than ``most_columns``.
    It is the first sheet where none is named; with ``or_first`` also where the one named is not
    there.

    Raises:
        InputError: it is no XLSX, a bomb, or has no sheet of this name.
        MissingDependencyError: defusedxml is not there.

    """
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    if not openpyxl.DEFUSEDXML:
        raise MissingDependencyError("XLSX is read only with defusedxml: pip install defusedxml")
    refuse_bomb(path, raw)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl's remarks on extensions we do not use
            book = openpyxl.load_workbook(io.BytesIO(raw), read_only=True, keep_links=False)
            names = list(book.sheetnames)
            found: Any = book[_chosen(path, sheet, names, or_first=or_first)]
            found.reset_dimensions()
            # rows as wide as they are: told a width, openpyxl fills a million blank rows to it
            for row in found.iter_rows(max_row=most_rows):
                yield row[: most_columns + 1]
    except InputError:
        raise
    except (*UNREADABLE, InvalidFileException) as error:
        raise InputError(f"{path}: is no XLSX that can be read: {type(error).__name__}") from error


def _chosen(path: Path, sheet: str | None, names: list[str], *, or_first: bool) -> str:
    if sheet in names:
        return str(sheet)
    if sheet is None or or_first:
        return names[0]
    raise InputError(f"{path}: no sheet {sheet!r}{did_you_mean(sheet, names)}")


def refuse_bomb(path: Path, raw: bytes) -> None:
    """Raise InputError for what is no archive, or would unpack beyond all measure."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            parts = archive.infolist()
            size = sum(part.file_size for part in parts)
    except UNREADABLE:
        raise InputError(f"{path}: is no XLSX: save it as `Excel workbook (.xlsx)`") from None
    is_bomb = size > max(16 * MIB, _MOST_TIMES * len(raw))
    if len(parts) > _MOST_PARTS or size > LARGEST_UNPACKED or is_bomb:
        raise InputError(f"{path}: would unpack to {size / MIB:.0f} MiB in {len(parts)} parts")
