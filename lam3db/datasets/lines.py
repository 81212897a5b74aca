"""Lines and rows of a text file from outside.

What must hold: text is UTF-8 or refused with its line, a line is bounded in memory whatever
the file holds, and a byte order mark is accepted only where it belongs.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from lam3db.datasets.faults import Faults

MAX_LINE = 16 << 20
"""Bytes of one line; a prompt may have a million characters, metadata some more."""
BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Row:
    """One record: the line it begins on, and its values by column.

    ``place`` says where it stands in words, where a line alone does not: a file and a record.
    """

    line: int
    values: Mapping[str, Any]
    place: str = ""

    @property
    def where(self) -> str:
        """Return where it stands, as a sentence refers to it."""
        return f"at {self.place}" if self.place else f"on line {self.line}"


def read_lines(
    path: Path, faults: Faults, encoding: str | None = None
) -> Iterator[tuple[int, str]]:
    """Yield (number from 1, text with its line end); a faulty line is noted and left out.

    ``encoding`` is one that somebody vouches for; without it the file is UTF-8 or refused.
    """
    if encoding is not None:
        yield from _encoded_lines(path, faults, encoding)
        return
    with path.open("rb") as stream:
        if _is_utf16(stream.peek(4)):
            faults.add(None, None, "the file is UTF-16 or UTF-32: save it as UTF-8")
            return
        number = 0
        while data := stream.readline(MAX_LINE + 1):
            number += 1
            if len(data) > MAX_LINE:
                faults.add(number, None, f"longer than {MAX_LINE >> 20} MiB")
                _skip_line(stream, data)
                continue
            if number == 1:
                data = data.removeprefix(codecs.BOM_UTF8)
            text = _decoded(data, number, faults)
            if text is not None:
                yield number, text


def _encoded_lines(path: Path, faults: Faults, encoding: str) -> Iterator[tuple[int, str]]:
    with path.open(encoding=encoding, errors="strict", newline="\n") as stream:
        number = 0
        try:
            while text := stream.readline(MAX_LINE + 1):
                number += 1
                if len(text) > MAX_LINE:
                    faults.add(
                        number, None, f"longer than {MAX_LINE >> 20} MiB: the rest is unread"
                    )
                    return
                yield number, text.removeprefix(BOM) if number == 1 else text
        except UnicodeError:
            faults.add(number + 1, None, f"not {encoding}: what follows was not read")


def _decoded(data: bytes, number: int, faults: Faults) -> str | None:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        bad = data[error.start : error.start + 4].hex(" ")
        faults.add(
            number, None, f"not UTF-8 at byte {error.start + 1} ({bad}): save the file as UTF-8"
        )
        return None
    if text.startswith(BOM):
        faults.add(
            number, None, "begins with a byte order mark: files were joined here, take it out"
        )
        return None
    return text


def _is_utf16(start: bytes) -> bool:
    return start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE))


def _skip_line(stream: BinaryIO, data: bytes) -> None:
    while data and not data.endswith(b"\n"):
        data = stream.readline(MAX_LINE)
