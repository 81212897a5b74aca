"""SHA-256 of large files, worked out once and remembered.

15 GB of weights take 17 s to hash; a run that finds every answer stored should not wait for
that. What must hold: a remembered digest is used only for a file whose real path, device,
inode, size, modification and change time are all as they were, and none is remembered of a
file changed less than two seconds ago (a later change could leave the same times) or while
it was read. The cache is a convenience: where it cannot be read or written, files are
hashed and nothing is said.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lam3db.hashing import file_sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LARGE = 4 << 20
"""Bytes from which a file is worth remembering."""
_SETTLED_NS = 2_000_000_000
_TABLE = """
CREATE TABLE IF NOT EXISTS file (
    path TEXT NOT NULL PRIMARY KEY, device INTEGER NOT NULL, inode INTEGER NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL,
    sha256 TEXT NOT NULL CHECK (length(sha256) = 64)
) STRICT
"""
_FIND = """
SELECT sha256 FROM file WHERE path = ? AND device = ? AND inode = ? AND size = ?
AND mtime_ns = ? AND ctime_ns = ?
"""
_KEEP = "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?)"


def cache_folder() -> Path:
    """Return the user's cache folder for lam3db (``$XDG_CACHE_HOME`` or ``~/.cache``)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "lam3db"


def sha256_of(path: Path, tick: Callable[[int], None] | None = None) -> str:
    """Return the hex SHA-256 of a file; ``tick`` is told bytes as they are done with.

    Raises:
        OSError: the file cannot be read, or kept changing while it was.

    """
    real = path.resolve()
    key = _key(real)
    size = key[3]
    if isinstance(size, int) and size >= LARGE and (known := _find(key)) is not None:
        if tick is not None:
            tick(size)
        return known
    digest = file_sha256(real, tick)
    after = _key(real)
    if after != key:
        raise OSError(f"{path} was changed while it was read: wait until it is complete")
    if real.stat().st_size >= LARGE and _is_settled(after):
        _keep(after, digest)
    return digest


def _key(path: Path) -> tuple[str | int, ...]:
    found = path.stat()
    return (
        os.fspath(path), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns,
        found.st_ctime_ns,
    )  # fmt: skip


def _is_settled(key: tuple[str | int, ...]) -> bool:
    return all(time.time_ns() - int(moment) > _SETTLED_NS for moment in key[4:6])


@contextlib.contextmanager
def _database() -> Iterator[sqlite3.Connection]:
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(folder / "hashes.sqlite", timeout=5)
    try:
        with connection:
            connection.execute(_TABLE)
            yield connection
    finally:
        connection.close()


def _find(key: tuple[str | int, ...]) -> str | None:
    with contextlib.suppress(sqlite3.Error, OSError), _database() as connection:
        row = connection.execute(_FIND, key).fetchone()
        return None if row is None else str(row[0])
    return None


def _keep(key: tuple[str | int, ...], digest: str) -> None:
    with contextlib.suppress(sqlite3.Error, OSError, OverflowError), _database() as connection:
        connection.execute(_KEEP, (*key, digest))
