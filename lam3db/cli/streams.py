"""Standard output and error as commands find them: open, and able to take any text.

What must hold: no command ends in a traceback for where its output goes. A character that the
target's encoding lacks is written as its escape (:mod:`lam3db.escaping`). A standard stream that
was closed before the command began is the null device, so that no file of ours takes its number.
An output that cannot be written, as on a full disk, is an error told in one line; a reader that
has left, as ``head`` does, ends the command without a word.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING

from lam3db.errors import Lam3Error
from lam3db.escaping import escape_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

_STDOUT = 1


class OutputError(Lam3Error):
    """Standard output cannot be written."""


class _Output(io.FileIO):
    """Standard output whose failures name it; a closed pipe stays what it is."""

    def write(self, data: object) -> int:
        """Write bytes; raise OutputError where the target takes none."""
        try:
            return super().write(data)  # type: ignore[arg-type] # any buffer
        except BrokenPipeError:
            raise
        except OSError as error:
            cause = error.strerror or error
            raise OutputError(f"standard output cannot be written: {cause}") from error


@contextlib.contextmanager
def standard_streams() -> Iterator[None]:
    """Make the standard streams safe to write to; write what is left when the block ends."""
    _occupy()
    sys.stdout = _safe(sys.stdout)
    sys.stderr = _tolerant(sys.stderr)
    try:
        yield
    finally:
        _flush(sys.stdout)


def echo(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """Print a text on standard output or, with ``err``, on standard error."""
    stream = sys.stderr if err else sys.stdout
    stream.write(f"{text}\n" if nl else text)
    if err:
        stream.flush()


def forget_stdout() -> None:
    """Send what is left of the output nowhere, so that the interpreter's end is quiet."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), _STDOUT)


def _occupy() -> None:
    """Give the numbers of closed standard streams to the null device."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)


def _safe(stream: TextIO | None) -> TextIO:
    if stream is None:
        return _null()
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Output(_STDOUT, "w", closefd=False)),
        encoding=stream.encoding,
        errors=escape_errors(),
        newline=None,
        line_buffering=stream.isatty(),
    )


def _tolerant(stream: TextIO | None) -> TextIO:
    if stream is None:
        return _null()
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors=escape_errors())
    return stream


def _null() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8", errors=escape_errors())  # noqa: PTH123


def _flush(stream: TextIO) -> None:
    """Write what is left; if that fails the rest is dropped and the failure stays."""
    try:
        stream.flush()
    except (OSError, OutputError):
        forget_stdout()
        raise
