"""One statement of somebody's own, which can read and nothing else.

The database refuses a write; nobody looks at the text. SQLite: a read-only connection whose
authorizer lets a statement select and ask harmless PRAGMAs (no ATTACH, no VACUUM INTO, no
transaction), one statement by the driver's own rule. PostgreSQL: the statement becomes the
body of ``DECLARE ... CURSOR``, which takes a SELECT (or VALUES) and nothing else, sent by the
extended protocol, which takes one statement and nothing after it, inside a READ ONLY
transaction that is rolled back. A function with effects outside the database
(``pg_terminate_backend``) is a matter of the user's rights on the server: give people who only
read a role that only reads.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.errors import StoreError
from lam3db.redaction import redact
from lam3db.store import sqlite
from lam3db.store.faults import explain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lam3db.store.engine import Store

_PAGE = 1000
_STEPS = 100_000


@dataclass(frozen=True, slots=True)
class Answered:
    """Column names, and the rows, which come as they are asked for; bytes are hexadecimal."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]


@contextlib.contextmanager
def run_query(store: Store, statement: str) -> Iterator[Answered]:
    """Run one reading statement; its rows are there until the ``with`` ends.

    Raises:
        StoreError: the database refused it, in the database's words.

    """
    if not statement.strip() or "\0" in statement:
        raise StoreError("the statement is empty: write for example SELECT * FROM v_asr")
    if store.dialect == "sqlite":
        with _sqlite(store, statement) as answered:
            yield answered
    else:
        with _postgresql(store, statement) as answered:
            yield answered


@contextlib.contextmanager
def _sqlite(store: Store, statement: str) -> Iterator[Answered]:
    with _refused(store.url), contextlib.closing(sqlite.connect_read(store.address.path)) as conn:
        conn.set_authorizer(sqlite.read_only_authorizer)
        conn.set_progress_handler(lambda: 0, _STEPS)  # lets Ctrl-C through a long query
        cursor = conn.execute(statement)
        columns = tuple(column[0] for column in cursor.description or ())
        yield Answered(columns, (tuple(map(_shown, row)) for row in cursor))


@contextlib.contextmanager
def _postgresql(store: Store, statement: str) -> Iterator[Answered]:
    with store.read() as connection, _refused(store.url):
        # one round trip by the extended protocol (prepare), without parameters: % is text
        driver: Any = connection.connection.driver_connection
        connection.exec_driver_sql("SELECT 1")  # begins the READ ONLY transaction
        cursor = driver.cursor()
        declare = f"DECLARE lam3db_sql NO SCROLL CURSOR FOR {statement}"
        cursor.execute(declare, prepare=True)
        cursor.execute(f"FETCH FORWARD {_PAGE} FROM lam3db_sql")
        columns = tuple(column.name for column in cursor.description or ())
        yield Answered(columns, _pages(cursor))


def _pages(cursor: Any) -> Iterator[tuple[Any, ...]]:
    while rows := cursor.fetchall():
        for row in rows:
            yield tuple(map(_shown, row))
        cursor.execute(f"FETCH FORWARD {_PAGE} FROM lam3db_sql")


@contextlib.contextmanager
def _refused(shown: str) -> Iterator[None]:
    """Turn what the database says of the statement into our error."""
    import psycopg

    try:
        yield
    except (sqlite3.Error, sqlite3.Warning, psycopg.Error) as error:
        ours = None if _is_refusal(error) else explain(error, shown)
        if ours is not None:
            raise ours from error
        line = redact(" ".join(str(error).split()))
        raise StoreError(f"the database refused this: {line}{_hint(line)}") from error


def _is_refusal(error: Exception) -> bool:
    """Tell whether a fault of the place is in truth the statement's own (it would write)."""
    code = getattr(error, "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_READONLY or getattr(error, "sqlstate", None) == "25006"


def _hint(line: str) -> str:
    if "not authorized" in line or "read-only" in line or "readonly" in line:
        return " (`lam3db sql` reads; nothing was changed)"
    if "one statement" in line or "multiple commands" in line:
        return " (one statement at a time)"
    return " (`lam3db db views` lists views and columns)" if "no such" in line else ""


def _shown(value: Any) -> Any:
    return bytes(value).hex() if isinstance(value, bytes | memoryview) else value
