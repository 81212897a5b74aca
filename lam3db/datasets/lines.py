"""Lines and rows of a text file from outside.

What must hold: text is UTF-8 or refused with its line and the encoding that it seems to have, a
line is bounded in memory whatever the file holds, a byte order mark is accepted only where it
belongs, and lines may end as Windows, Unix and old Macs end them.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from lam3db.datasets.faults import Faults

MAX_LINE = 16 << 20
"""Bytes of one line; a prompt may have a million characters, metadata some more."""
BOM = "\ufeff"
_SNIFFED = 1 << 16
_HIGH = 0x80
_SCRIPTS = (
    ("shift_jis", frozenset(map(chr, range(0x3041, 0x3097))), 0.2),
    ("euc-kr", frozenset(map(chr, range(0xAC00, 0xD7A4))), 0.8),
    (
        "gb18030",
        frozenset("的一是不了我在有人这他们来到时大地为子中你说生和要就出会可也好请如何"),
        0.1,
    ),
    (
        "big5",
        frozenset("的一是不了我在有人這他們來到時大地為子中你說生和要就出會可也好請如何"),
        0.1,
    ),
    ("cp1251", frozenset(map(chr, range(0x430, 0x450))), 0.6),
)
"""Encodings of scripts without Latin letters, with letters of which their texts have many."""


@dataclass(frozen=True, slots=True)
class Row:
    """One record: the line it begins on, and its values by column.

    ``place`` says where it stands in words, where a line alone does not: a file and a record.
    ``lost`` says of columns whose value the file does not hold what stands there instead.
    """

    line: int
    values: Mapping[str, Any]
    place: str = ""
    lost: Mapping[str, str] | None = None

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
        lines = _returned(stream) if _has_returns_only(path) else _ended(stream)
        for number, data in enumerate(lines, 1):
            if len(data) > MAX_LINE:
                faults.add(number, None, f"longer than {MAX_LINE >> 20} MiB")
                continue
            start = data.removeprefix(codecs.BOM_UTF8) if number == 1 else data
            text = _decoded(start, number, faults)
            if text is not None:
                yield number, text


def _ended(stream: BinaryIO) -> Iterator[bytes]:
    """Yield lines that end with a line feed; of one that is too long only the start."""
    while data := stream.readline(MAX_LINE + 1):
        yield data
        rest = data if len(data) > MAX_LINE else b"\n"
        while rest and not rest.endswith(b"\n"):
            rest = stream.readline(MAX_LINE)


def _returned(stream: BinaryIO) -> Iterator[bytes]:
    """Yield lines that end with a carriage return alone, each ended with a line feed instead."""
    rest, is_long = b"", False
    while chunk := stream.read(_SNIFFED):
        *lines, rest = (rest + chunk).split(b"\r")
        for line in lines:
            if not is_long:
                yield line + b"\n"
            is_long = False
        if len(rest) > MAX_LINE:
            if not is_long:
                yield rest
            rest, is_long = b"", True
    if rest and not is_long:
        yield rest


def _has_returns_only(path: Path, encoding: str | None = None) -> bool:
    """Tell whether the file begins with lines that end as those of old Macs do."""
    with path.open(encoding=encoding or "latin-1", errors="replace", newline="") as stream:
        start = stream.read(_SNIFFED)
    return "\r" in start and "\n" not in start


def _encoded_lines(path: Path, faults: Faults, encoding: str) -> Iterator[tuple[int, str]]:
    end = "\r" if _has_returns_only(path, encoding) else "\n"
    with path.open(encoding=encoding, errors="strict", newline=end) as stream:
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
        what = f"not UTF-8 at byte {error.start + 1} ({bad}): save the file as UTF-8"
        likely = likely_encoding(data)
        if likely is not None:
            what += (
                f" (it seems to be {likely}; a map of `import results` says so as file.encoding)"
            )
        faults.add(number, None, what)
        return None
    if text.startswith(BOM):
        faults.add(
            number, None, "begins with a byte order mark: files were joined here, take it out"
        )
        return None
    return text


def _is_utf16(start: bytes) -> bool:
    return start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE))


def likely_encoding(data: bytes) -> str | None:
    """Return an encoding in which bytes that are no UTF-8 read as a text; None where none does."""
    high = [at for at, byte in enumerate(data) if byte >= _HIGH]
    joined = sum(after == before + 1 for before, after in pairwise(high))
    if joined * 2 < len(high):  # single letters among Latin ones
        return "cp1252"
    for encoding, letters, share in _SCRIPTS:
        try:
            text = data.decode(encoding)
        except UnicodeError:
            continue
        found = [char for char in text if char > "\x7f"]
        if sum(char in letters for char in found) >= share * len(found):
            return encoding
    return None
