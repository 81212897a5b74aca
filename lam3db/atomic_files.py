"""Files that people asked for: whole under their name, or not there at all.

A file is written beside its place under a hidden name, forced to disk, and takes its name at the
end. What must hold: a process that is killed at any moment leaves nothing under the final name,
or the whole file; nothing that exists is replaced unless ``force`` says so, not even a file that
appeared meanwhile; only regular files are ever replaced. What a killed process has left under a
hidden name goes when a file of the same name is made next; what a living one is writing stays.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import uuid
from typing import TYPE_CHECKING, BinaryIO, TextIO

from lam3db.errors import InputError
from lam3db.escaping import escape_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_PART = ".part"
_HEX = 32
_SQLITE_ENDS = ("-wal", "-shm", "-journal")
PRIVATE = 0o600
"""Permissions of a file that only its owner can read."""


@contextlib.contextmanager
def new_file(path: Path, *, force: bool, option: str = "-o ") -> Iterator[TextIO]:
    """Open a text file in UTF-8 that takes its name when the block ends well.

    A lone surrogate, which UTF-8 cannot hold, is written as its escape.

    Raises:
        InputError: a file of this name exists (and not ``force``), or it cannot be written.

    """
    with new_binary(path, force=force, option=option) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8", errors=escape_errors(), newline="")
        try:
            yield text
        finally:
            text.detach()  # writes what is left, and leaves the file open


@contextlib.contextmanager
def new_binary(path: Path, *, force: bool, option: str = "-o ") -> Iterator[BinaryIO]:
    """Open a file of bytes as :func:`new_file` does one of text."""
    with new_path(path, force=force, option=option) as part, part.open("wb") as stream:
        yield stream


@contextlib.contextmanager
def new_path(
    path: Path,
    *,
    force: bool = False,
    mode: int = 0o666,
    option: str = "-o ",
    finish: Callable[[Path], None] | None = None,
    remove: Callable[[Path], None] | None = None,
) -> Iterator[Path]:
    """Yield the path of an empty file to be filled; it takes the name ``path`` at the end.

    Args:
        path: The final name.
        force: Replace a file of this name.
        mode: Permissions, before the umask.
        option: How errors name the path: the option it came with, and a blank.
        finish: Called with the full file before it takes its name, for what lies beside it.
        remove: Called with a file that is not needed any more, for what lies beside it.

    Raises:
        InputError: a file of this name exists (and not ``force``), or it cannot be written.

    """
    refuse_path(path, force=force, option=option)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}{_PART}")
    lock = None
    try:
        _sweep(path, remove)
        lock = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
        _lock(lock)
        yield part
        _sync(part)
        if finish is not None:
            finish(part)
        _publish(part, path, force=force, option=option)
        _sync(path.parent)
    except OSError as error:
        raise InputError(f"{option}{path} cannot be written: {error.strerror or error}") from error
    finally:
        _remove(part, remove)
        if lock is not None:
            os.close(lock)


def refuse_path(path: Path, *, force: bool = False, option: str = "-o ") -> None:
    """Raise InputError where no new file of this name can be made; call it before the work."""
    named = f"{option}{path}"
    if path.is_dir():
        raise InputError(f"{named} is a folder: name a file in it")
    if not path.parent.is_dir():
        raise InputError(f"{named}: there is no folder {path.parent}: make it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"{named} cannot be written: no permission in {path.parent}")
    if not os.path.lexists(path):
        return
    if path.exists() and not path.is_file():
        raise InputError(f"{named} is not a regular file: name another one")
    if not force:
        raise _taken(named)


def _taken(named: str) -> InputError:
    return InputError(
        f"{named}: this file already exists; choose another name, or pass --force where the "
        "command has it"
    )


def _publish(part: Path, path: Path, *, force: bool, option: str) -> None:
    """Give the file its name; without ``force`` only where nothing has that name."""
    if force:
        refuse_path(path, force=True, option=option)
        part.replace(path)
        return
    try:
        os.link(part, path)
    except FileExistsError:
        raise _taken(f"{option}{path}") from None
    except OSError:  # a file system without hard links
        refuse_path(path, option=option)
        part.replace(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _lock(handle: int) -> None:
    """Mark a file as being written; file systems without locks keep what is left of it."""
    with contextlib.suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)


def _sweep(path: Path, remove: Callable[[Path], None] | None) -> None:
    """Remove what killed processes left of a file of this name: nobody holds its lock."""
    start = f".{path.name}."
    for entry in path.parent.iterdir():
        middle = entry.name.removeprefix(start).removesuffix(_PART)
        if entry.name != f"{start}{middle}{_PART}" or len(middle) != _HEX or entry.is_symlink():
            continue
        with contextlib.suppress(OSError):  # somebody else's file, or one that is being written
            handle = os.open(entry, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(entry, remove)
            finally:
                os.close(handle)


def _remove(part: Path, remove: Callable[[Path], None] | None) -> None:
    """Remove a file with what lies beside it, the file itself last."""
    if remove is not None:
        remove(part)
    for end in (*_SQLITE_ENDS, ""):
        with contextlib.suppress(OSError):  # a folder that is read-only holds no part of ours
            part.with_name(part.name + end).unlink(missing_ok=True)
