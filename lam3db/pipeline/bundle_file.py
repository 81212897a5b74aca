"""The file of a bundle while it is made, and its images beside it.

What must hold: file and images appear under their names when they are whole, and only their
owner can read them; what a killed process has left of a bundle of the same name goes when the
next one is made, and what a living process is still making stays.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import uuid
from typing import TYPE_CHECKING

from lam3db.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PART = ".part"
_HEX = 32


def media_part(part: Path) -> Path:
    """Return the folder of the images of a file that is not yet whole."""
    return part.with_name(f"{part.name}.media")


def refuse_taken(path: Path, media: Path) -> None:
    """Raise InputError where there is something under these names, or no folder for them."""
    if not path.parent.is_dir():
        raise InputError(f"-o {path}: the folder {path.parent} is not there")
    for one in (path, media):
        if one.exists():
            raise InputError(f"{one} exists already: take it away, or name another file with -o")


@contextlib.contextmanager
def new_file(path: Path, media: Path) -> Iterator[Path]:
    """Yield a file that only its owner can read; it and its images get their names at the end.

    Raises:
        InputError: it cannot be written.

    """
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}{_PART}")
    images = media_part(part)
    handle = None
    try:
        _sweep(path)
        handle = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        images.mkdir(mode=0o700)
        yield part
        if any(images.iterdir()):
            images.rename(media)
        part.rename(path)
    except OSError as error:
        raise InputError(f"-o {path} cannot be written: {error.strerror or error}") from error
    finally:
        _remove(part)
        if handle is not None:
            os.close(handle)


def _sweep(path: Path) -> None:
    """Remove what was left by processes that are no more: nobody holds the lock of their file."""
    start = f".{path.name}."
    for one in path.parent.iterdir():
        middle = one.name.removeprefix(start).removesuffix(_PART)
        if one.name != f"{start}{middle}{_PART}" or len(middle) != _HEX or one.is_symlink():
            continue
        with contextlib.suppress(OSError):  # another one's file, or its maker lives
            handle = os.open(one, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(one)
            finally:
                os.close(handle)


def _remove(part: Path) -> None:
    """Remove a file that is not whole, last of all, with its images and SQLite's own beside it."""
    shutil.rmtree(media_part(part), ignore_errors=True)
    for end in ("-wal", "-shm", "-journal", ""):
        with contextlib.suppress(OSError):  # a folder that is read-only holds no part of ours
            part.with_name(part.name + end).unlink(missing_ok=True)
