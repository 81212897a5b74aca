"""What a driver says, as one line for a person with what to do.

What must hold: only faults of the place (locks, disk, permissions, network) become a
:class:`~lam3db.errors.StoreError`; a broken rule of the schema is a bug of ours and keeps its
traceback. No message shows a password.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

from lam3db.errors import DatabaseBusyError, DatabaseForeignError, StoreError
from lam3db.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEPT = "nothing of the batch in flight was stored, what was stored before is there"
_BUSY = f"another process is writing to it for too long; {_KEPT}"
_SQLITE = {
    sqlite3.SQLITE_BUSY: (DatabaseBusyError, _BUSY),
    sqlite3.SQLITE_LOCKED: (DatabaseBusyError, _BUSY),
    sqlite3.SQLITE_READONLY: (
        StoreError,
        "it is read-only here: ask for permission to write to the file and its folder, or copy it",
    ),
    sqlite3.SQLITE_FULL: (StoreError, f"the disk is full; {_KEPT}: make room and run again"),
    sqlite3.SQLITE_IOERR: (StoreError, f"the disk cannot be read or written; {_KEPT}"),
    sqlite3.SQLITE_CANTOPEN: (
        StoreError,
        "it cannot be opened: check the permissions of the file and its folder",
    ),
    sqlite3.SQLITE_PERM: (StoreError, "its permissions forbid this"),
    sqlite3.SQLITE_CORRUPT: (
        StoreError,
        "the file is damaged: go back to a backup, or try sqlite3's .recover",
    ),
    sqlite3.SQLITE_NOTADB: (DatabaseForeignError, "this file is no SQLite database"),
}
_READONLY_FOLDER = 1544  # SQLITE_READONLY_DIRECTORY; the module names it from Python 3.11 on
_LONG = 300
_POSTGRESQL = {
    "25006": "this connection is read-only",
    "28P01": "the password is wrong: set PGPASSWORD or ~/.pgpass",
    "28000": "this user may not connect",
    "3D000": "there is no such database: createdb it first",
    "42501": "this user lacks the permission",
    "53100": f"its disk is full; {_KEPT}: make room and run again",
    "53300": "it has too many connections: try again later",
    "55P03": f"another process holds the lock for too long; {_KEPT}",
    "57014": "the query was cancelled",
    "57P01": f"it was shut down; {_KEPT}",
    "57P03": "it is starting up or shutting down: try again",
    "40P01": f"two writers waited for each other; {_KEPT}: run again",
}


@contextlib.contextmanager
def told(shown: str) -> Iterator[None]:
    """Turn the drivers' errors about the place ``shown`` into ours."""
    try:
        yield
    except DBAPIError as error:
        ours = explain(error.orig, shown)
        if ours is None:
            raise
        raise ours from error
    except sqlite3.Error as error:
        ours = explain(error, shown)
        if ours is None:
            raise
        raise ours from error


def explain(error: Any, shown: str) -> StoreError | None:
    """Return our error for a driver's, or None where it is no fault of the place."""
    if isinstance(error, sqlite3.Error):
        return _explain_sqlite(error, shown)
    state = getattr(error, "sqlstate", None)
    if state in _POSTGRESQL:
        return StoreError(f"{shown}: {_POSTGRESQL[state]}")
    is_operational = type(error).__name__ in ("OperationalError", "AdminShutdown")
    if is_operational and (state is None or state.startswith("08")):
        line = redact(" ".join(str(error).split()))
        return StoreError(f"{shown} {_cause(line)}")
    return None


def _explain_sqlite(error: sqlite3.Error, shown: str) -> StoreError | None:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    if code == _READONLY_FOLDER:
        return StoreError(
            f"{shown}: SQLite has to put its -wal and -shm files beside it, and the folder is not"
            " writable: ask for permission to write to the folder, or copy the file"
        )
    kind, sentence = _SQLITE.get(code & 0xFF, (None, ""))
    return None if kind is None else kind(f"{shown}: {sentence}")


def _cause(line: str) -> str:
    """Return what the driver says of a connection it did not get, without where it tried."""
    if "password authentication failed" in line or "no password supplied" in line:
        return "does not let you in: set PGPASSWORD or ~/.pgpass"
    _, fatal, refusal = line.rpartition("FATAL: ")
    if fatal:
        return f"does not let you in: {refusal.strip()[:_LONG]}"
    return f"cannot be reached: {line.rpartition('failed: ')[2][:_LONG]}"
