"""A database from elsewhere, read as untrusted.

What must hold: nothing in the file runs and nothing of it is written to. A SQLite file is
opened read-only with a schema that is not trusted (no trigger, no view in a table's place, no
column of somebody else's), and found whole; every row is derived again as ``lam3db db
verify`` does, and each value is looked at before it is used: texts bounded and escaped as we
escape them, JSON in its one form, times in the calendar. One fault refuses the whole. What is
withheld there cannot be derived and is believed: whoever merges trusts who withheld it. All is
read in one snapshot, so that what was verified is what is merged.
"""

from __future__ import annotations

import contextlib
import sqlite3
from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from lam3db.errors import DatabaseForeignError, DatabaseMissingError, InputError
from lam3db.store import postgresql, snapshot, sqlite
from lam3db.store.address import parse
from lam3db.store.engine import open_store
from lam3db.store.faults import told
from lam3db.store.stored_values import value_faults
from lam3db.store.tables import metadata
from lam3db.store.tables_rollup import TRIGGERS
from lam3db.store.tables_watch import BUNDLE
from lam3db.store.values import paged
from lam3db.store.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from sqlalchemy import Connection, Select, Table

    from lam3db.store.address import Address

    Fault = Callable[[Any], str | None]

MAX_ROW = 64 << 20
"""Bytes of one row of a SQLite file, and of each value in it."""
PAGE = 500
_SHOWN = 50


class Source:
    """What is merged, in one snapshot; made by :func:`open_source`."""

    def __init__(self, address: Address, connection: Connection, media_root: str) -> None:
        self.address = address
        self.url = address.shown
        self.dialect = address.dialect
        self.media_root = media_root
        self.connection = connection
        marked = text("SELECT 1 FROM withholding WHERE author = :author LIMIT 1")
        self.is_bundle = connection.execute(marked, {"author": BUNDLE}).scalar() is not None

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield the one connection."""
        yield self.connection

    def pages(self, table: Table, asked: Select[Any] | None = None) -> Iterator[list[Any]]:
        """Yield a table's rows (or those asked for) page by page; :func:`examine` looks first."""
        statement = asked if asked is not None else select(table).order_by(*table.primary_key)
        rows = self.connection.execute(statement.execution_options(yield_per=PAGE))
        yield from paged(rows, PAGE)

    def refuse(self, faults: list[str]) -> None:
        """Raise InputError with the first of these faults."""
        more = [f"... and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
        raise InputError(f"{self.url} is refused; nothing was merged:", faults[:_SHOWN] + more)


@contextlib.contextmanager
def open_source(url: str, media: str | None = None) -> Iterator[Source]:
    """Open a file or URL to merge from, with the place of its images if that is not beside it.

    Raises:
        DatabaseMissingError, DatabaseOlderError, DatabaseNewerError, DatabaseForeignError:
            what is there is no database of this lam3db's schema.
        InputError: something in it works by itself, or what is read of it cannot be right.

    """
    address = parse(url)
    with _readable(address.shown), told(address.shown):
        if address.dialect == "sqlite" and address.path.is_file():
            _refuse_live_schema(address)
        elif address.dialect == "sqlite" and not address.path.exists():
            raise DatabaseMissingError(f"there is no database {address.path} to merge from")
        with open_store(url, mode="read", even_damaged=True) as store:
            root = media or _beside(address) or store.media_root
        is_file = address.dialect == "sqlite"
        engine = sqlite.read_engine(address.path) if is_file else postgresql.read_engine(address)
        try:
            with engine.connect() as connection:
                if is_file:
                    driver: Any = connection.connection.driver_connection
                    driver.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_ROW)
                yield Source(address, connection, root)
        finally:
            engine.dispose()


def examine(source: Source, tick: Callable[[str], None] | None = None) -> None:
    """Derive everything in it again; raise InputError with what does not match.

    Its watermarks and sums are not used, and its images are looked at when they are taken over.
    """
    if source.dialect == "sqlite":
        faults = snapshot.differences(source)
        if faults:
            source.refuse(faults)
    if tick is not None:
        tick("value")
    faults = list(islice(value_faults(source.connection), _SHOWN))
    if faults:
        source.refuse(faults)
    found = verify(source, tick, leave_out=("value", "image", "watermark", "sum"))
    faults = [fault for one in found for fault in one.faults]
    if faults:
        source.refuse(faults)


def _refuse_live_schema(address: Address) -> None:
    """Refuse a file in which reading our tables would be more than reading rows."""
    with address.path.open("rb") as stream:
        if stream.read(len(sqlite.MAGIC)) != sqlite.MAGIC:
            return  # opening it says what it is
    for end in ("-journal", "-wal", "-shm"):  # SQLite would wait for a pipe for ever
        beside = address.path.with_name(address.path.name + end)
        if beside.is_symlink() or (beside.exists() and not beside.is_file()):
            raise DatabaseForeignError(f"{beside} is refused: it is no regular file")
    with contextlib.closing(sqlite.connect_read(address.path)) as connection:
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        found = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
        virtual = {
            name
            for _, name, kind, *_ in connection.execute("PRAGMA table_list")
            if kind == "virtual"
        }
    for kind, name, table, sql in found:
        what = _alive(kind, name, table, sql, virtual)
        if what is not None:
            raise DatabaseForeignError(
                f"{address.shown} is refused: it holds the {what} {str(name)[:60]!r}, which no"
                " lam3db made; copy its rows with `lam3db db backup` on the host it comes from"
            )


def _alive(
    kind: str, name: str, table: str, sql: str | None, virtual: Collection[str]
) -> str | None:
    """Return what an object is that computes when our tables are read; None for one at rest."""
    ours = {*metadata.tables, "lam3db_version"}
    if (kind == "trigger" and name not in TRIGGERS) or (kind == "view" and name in ours):
        return kind  # what a trigger of our name does is compared when the schema is examined
    if name in virtual:
        return "virtual table"
    known = {index.name for one in metadata.tables.values() for index in one.indexes}
    if kind == "index" and sql is not None and table in ours and name not in known:
        computes = sql.count("(") > 1 or "WHERE" in sql.upper()
        return "computed index" if computes else None
    return None


def _beside(address: Address) -> str | None:
    """Return the folder of images that belongs to a file, where there is one."""
    if address.dialect != "sqlite":
        return None
    folder = address.path.with_name(f"{address.path.stem}_media")
    return str(folder) if folder.is_dir() and not folder.is_symlink() else None


@contextlib.contextmanager
def _readable(shown: str) -> Iterator[None]:
    """Tell of a value that cannot even be read."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        original = getattr(error, "orig", error)
        cause = str(original)
        if isinstance(original, sqlite3.DataError) and "too big" in cause:
            raise InputError(
                f"{shown} is refused; nothing was merged: a row is larger than {MAX_ROW >> 20} MiB"
            ) from error
        if isinstance(original, sqlite3.OperationalError) and "decode" in cause:
            raise InputError(
                f"{shown} is refused; nothing was merged: it holds a text that is not UTF-8"
            ) from error
        raise
