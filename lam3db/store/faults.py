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
_WHOLE = "the batch in flight was stored whole or not at all"
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
_POSTGRESQL_BUSY = {
    "55P03": f"another process holds the lock for too long; {_KEPT}: run again when it is done",
    "40P01": f"two writers waited for each other; {_KEPT}: run again",
}
_POSTGRESQL = {
    "25006": "this connection is read-only",
    "28P01": "the password is wrong: set PGPASSWORD or ~/.pgpass",
    "28000": "this user may not connect",
    "3D000": "there is no such database: createdb it first",
    "42501": "this user lacks the permission",
    "53100": f"its disk is full; {_KEPT}: make room and run again",
    "53300": "it has too many connections: try again later",
    "57014": "the query was cancelled",
    "57P01": f"it was shut down; {_KEPT}",
    "57P03": "it is starting up or shutting down: try again",
    "25P03": f"it ended a transaction in which nothing was done for too long; {_KEPT}: run again",
    "57P05": f"it ended a connection that did nothing for too long; {_KEPT}: run again",
    "58030": f"its disk cannot be read or written; {_KEPT}",
    "XX001": "a page of its is damaged: go back to a backup",
    "XX002": "an index of its is damaged: let its administrator REINDEX it",
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
    return _explain_postgresql(error, shown)


def _explain_postgresql(error: Any, shown: str) -> StoreError | None:
    state = getattr(error, "sqlstate", None)
    if state in _POSTGRESQL_BUSY:
        return DatabaseBusyError(f"{shown}: {_POSTGRESQL_BUSY[state]}")
    if state in _POSTGRESQL:
        return StoreError(f"{shown}: {_POSTGRESQL[state]}")
    kinds = {kind.__name__ for kind in type(error).__mro__}
    line = redact(" ".join(str(error).split()))[:_LONG]
    if "StalledError" in kinds:
        return StoreError(f"{shown}: {line}; {_WHOLE}: look at the network, then run again")
    if "OperationalError" in kinds and (state is None or state.startswith("08")):
        return StoreError(f"{shown} {_cause(line)}")
    if "ProgrammingError" in kinds and state is None and "connection" in line:
        return StoreError(f"{shown} is no address that PostgreSQL takes: {line}")
    return None


def _explain_sqlite(error: sqlite3.Error, shown: str) -> StoreError | None:
    code = getattr(error, "sqlite_errorcode", None)
    if "Could not decode to UTF-8" in str(error):
        return StoreError(
            f"{shown}: it holds a text that is not UTF-8: `lam3db db verify` names it; the file is"
            " damaged, or was written by something else: go back to a backup"
        )
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
