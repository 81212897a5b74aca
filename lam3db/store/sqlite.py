"""Connections to a SQLite file: one kind that writes, one that cannot.

What must hold: a reading connection is refused every write by SQLite itself (``mode=ro`` and
``query_only``); a writing one has foreign keys on and WAL, and begins with ``BEGIN IMMEDIATE``
so that writers wait for each other instead of failing.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sqlalchemy import QueuePool, create_engine, event

from lam3db.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Connection, Engine

BUSY_SECONDS = 20.0
OLDEST = (3, 37, 0)
MAGIC = b"SQLite format 3\0"
_CACHE_KIB = 65_536
_WAL_PAGES = 4000  # 16 MiB: pages written again and again reach the file less often


def connect_read(path: Path) -> sqlite3.Connection:
    """Return a connection that cannot write."""
    connection = _connect(path, "ro")
    connection.execute("PRAGMA query_only = 1")
    return connection


def connect_write(path: Path, *, create: bool = False, keys: bool = True) -> sqlite3.Connection:
    """Return a connection that writes; ``keys=False`` is for migrations, which check at the end.

    Raises:
        StoreError: the file cannot be put into WAL mode here.

    """
    connection = _connect(path, "rwc" if create else "rw")
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        connection.close()
        raise StoreError(
            f"{path}: SQLite cannot use its write-ahead log here (journal_mode is {mode}):"
            " put the file on a local disk, or use PostgreSQL"
        )
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
    connection.execute(f"PRAGMA foreign_keys = {int(keys)}")
    return connection


def read_engine(path: Path) -> Engine:
    """Return an engine whose transactions read one snapshot."""
    return _engine(lambda: connect_read(path), "BEGIN")


def write_engine(path: Path, *, create: bool = False, keys: bool = True) -> Engine:
    """Return an engine whose transactions are alone in writing from their start."""
    return _engine(lambda: connect_write(path, create=create, keys=keys), "BEGIN IMMEDIATE")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    if sqlite3.sqlite_version_info < OLDEST:
        raise StoreError(
            f"this Python comes with SQLite {sqlite3.sqlite_version}, and STRICT tables need"
            f" {'.'.join(map(str, OLDEST))}: use a newer Python, or PostgreSQL"
        )
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,  # we say BEGIN ourselves
        check_same_thread=False,  # the pool hands a connection to one thread at a time
    )
    try:
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute("PRAGMA trusted_schema = OFF")  # a file may come from anywhere
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute("PRAGMA schema_version").fetchone()  # is it a database at all?
    except sqlite3.Error:
        connection.close()
        raise
    except UnicodeDecodeError as error:  # SQLite's own message, which repeats the file's bytes
        connection.close()
        raise StoreError(f"{path}: the file is damaged: go back to a backup") from error
    return connection


def _engine(creator: Callable[[], sqlite3.Connection], begin: str) -> Engine:
    engine = create_engine("sqlite://", creator=creator, poolclass=QueuePool)

    def begins(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "begin", begins)
    return engine


def read_only_authorizer(action: int, first: Any, second: Any, _db: Any, _by: Any) -> int:
    """Let a statement read and nothing else; SQLite asks this while it compiles it.

    ``ATTACH``, ``VACUUM INTO``, transactions and every ``PRAGMA`` that sets something are
    refused with "not authorized".
    """
    if action in _READING:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA:
        reads = first in _ASKING if second is not None else first in _ASKING | _TELLING
        return sqlite3.SQLITE_OK if reads else sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_DENY


_READING = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
    }
)
_ASKING = frozenset(
    {
        *("table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo"),
        *("foreign_key_list", "foreign_key_check", "integrity_check", "quick_check"),
    }
)
_TELLING = frozenset(
    {
        *("page_count", "page_size", "freelist_count", "user_version", "schema_version"),
        *("journal_mode", "encoding", "compile_options", "database_list", "function_list"),
        *("collation_list", "pragma_list", "foreign_keys", "query_only"),
    }
)
