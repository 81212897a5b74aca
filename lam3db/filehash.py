"""Digests of large files, remembered: a checkpoint is read once, not at every command.

A small SQLite file under ``$XDG_CACHE_HOME`` (or ``~/.cache``) in ``lam3db/`` maps what the
file system tells of a file (real path, size, mtime, ctime, inode, device) to its SHA-256.

What must hold: a remembered digest is that of the bytes there are. A file changed less than
two seconds before it was read is not remembered (a second change could leave all of these
alike), and one that changed while it was read is refused: its digest would be nobody's. A
cache that cannot be read or written never fails the caller: the file is hashed.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lam3db.hashing import file_sha256

if TYPE_CHECKING:
    from collections.abc import Callable

_SETTLED_NS = 2_000_000_000
_WAIT_S = 2.0
_TABLE = """
CREATE TABLE IF NOT EXISTS file_digest (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL, inode TEXT NOT NULL, device TEXT NOT NULL, sha256 TEXT NOT NULL
) WITHOUT ROWID
"""
_READ = """
SELECT sha256 FROM file_digest WHERE path = ? AND size = ? AND mtime_ns = ? AND ctime_ns = ?
AND inode = ? AND device = ?
"""
_WRITE = "INSERT OR REPLACE INTO file_digest VALUES (?, ?, ?, ?, ?, ?, ?)"
_Key = tuple[str, int, int, int, str, str]


def remembered_sha256(path: Path, tick: Callable[[int], None] | None = None) -> str:
    """Return the hex SHA-256 of a file, from the cache where the file is unchanged.

    ``tick`` is told the bytes done, chunk by chunk; all at once where they were remembered.

    Raises:
        OSError: the file cannot be read, or was changed while it was.

    """
    before = _key(path)
    known = _recall(before)
    if known is not None:
        if tick is not None:
            tick(before[1])
        return known
    asked_ns = time.time_ns()
    sha256 = file_sha256(path, tick)
    if _key(path) != before:
        raise OSError(f"{path} was changed while it was read: wait until it is complete")
    if asked_ns - max(before[2], before[3]) > _SETTLED_NS:
        _remember(before, sha256)
    return sha256


def cache_path() -> Path:
    """Return where the digests are remembered; the file may not exist."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    # the specification has relative paths ignored
    base = Path(home) if Path(home).is_absolute() else Path("~/.cache").expanduser()
    return base / "lam3db" / "file-digests.db"


def _key(path: Path) -> _Key:
    real = os.path.realpath(path)
    facts = Path(real).stat()
    # inode and device as text: both may exceed SQLite's signed 64 bits on some file systems
    return (
        os.fsencode(real).hex() if _is_odd(real) else real,
        facts.st_size,
        facts.st_mtime_ns,
        facts.st_ctime_ns,
        str(facts.st_ino),
        str(facts.st_dev),
    )


def _is_odd(path: str) -> bool:
    """Tell whether a path holds bytes that are no UTF-8, which SQLite cannot take as text."""
    return any("\ud800" <= character <= "\udfff" for character in path)


def _recall(key: _Key) -> str | None:
    try:
        location = cache_path()
        if not location.is_file():
            return None
        with closing(sqlite3.connect(location, timeout=_WAIT_S)) as cache:
            row = cache.execute(_READ, key).fetchone()
    except (sqlite3.Error, OSError, RuntimeError):  # RuntimeError: there is no home
        return None
    return row[0] if row and _is_sha256(row[0]) else None


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")  # noqa: PLR2004 - hex digits of 32 bytes


def _remember(key: _Key, sha256: str) -> None:
    try:
        location = cache_path()
        location.parent.mkdir(parents=True, exist_ok=True)
        _write(location, key, sha256)
    except sqlite3.OperationalError:
        return  # busy, read-only or full: the next command hashes again
    except sqlite3.DatabaseError:
        with suppress(OSError):
            location.unlink()  # no database: the next command begins a new one
    except (OSError, RuntimeError):
        return


def _write(location: Path, key: _Key, sha256: str) -> None:
    with closing(sqlite3.connect(location, timeout=_WAIT_S)) as cache, cache:
        cache.execute(_TABLE)
        cache.execute(_WRITE, (*key, sha256))
