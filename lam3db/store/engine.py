"""Opening a database, and the two kinds of transactions in it.

What must hold: ``mode="read"`` never creates or upgrades anything, and what is done in
:meth:`Store.read` cannot write, because the database itself refuses; :meth:`Store.write` is
one transaction, committed whole or rolled back. A database that is missing, empty, older,
newer, foreign or damaged each has its own error.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, Literal, Self

from lam3db.errors import DatabaseForeignError, DatabaseMissingError, StoreError
from lam3db.store import disk, migrate, postgresql, sqlite
from lam3db.store.address import DEFAULT_URL, default_url, parse
from lam3db.store.damage import behind, explained, refuse_damaged
from lam3db.store.faults import told
from lam3db.store.lost_runs import mark_lost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

    from lam3db.store.address import Address

__all__ = ["DEFAULT_URL", "Store", "default_url", "open_store"]

Mode = Literal["read", "write"]


class Store:
    """An open database; a context manager that closes itself.

    ``url`` is for people (no password), ``media_root`` the folder or fsspec URL in which the
    bytes of images lie.
    """

    def __init__(self, address: Address, mode: Mode) -> None:
        """Use :func:`open_store`, which looks at the database first."""
        self.address = address
        self.mode: Mode = mode
        self.url = address.shown
        self.dialect: Literal["sqlite", "postgresql"] = address.dialect
        self.media_root = _media_root(address)
        self._reading: Engine | None = None
        self._writing: Engine | None = None

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection in a transaction that sees one state and cannot write."""
        engine = self._read_engine()
        with self._told(), engine.connect() as connection, _given_up(connection):
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection in one writing transaction: committed at the end, or nothing.

        Raises:
            StoreError: the store was opened to read, or the database cannot take it.

        """
        if self.mode != "write":
            raise StoreError(f"{self.url} was opened to read: nothing is written")
        engine = self._write_engine()
        with self._told(), engine.begin() as connection, _given_up(connection):
            yield connection

    def close(self) -> None:
        """Close every connection."""
        for engine in (self._reading, self._writing):
            if engine is not None:
                engine.dispose()
        self._reading = self._writing = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Close every connection.

        Raises:
            StoreError: the block has met an error because the file is damaged.

        """
        self.close()
        ours = behind(error, self.address)
        if ours is not None:
            raise ours from error

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn errors about the place, or that its damage has led to, into ours."""
        with explained(self.address), told(self.url):
            yield

    def _read_engine(self) -> Engine:
        if self._reading is None:
            at = self.address
            is_file = at.dialect == "sqlite"
            self._reading = sqlite.read_engine(at.path) if is_file else postgresql.read_engine(at)
        return self._reading

    def _write_engine(self) -> Engine:
        if self._writing is None:
            at = self.address
            is_file = at.dialect == "sqlite"
            self._writing = sqlite.write_engine(at.path) if is_file else postgresql.write_engine(at)
        return self._writing


@contextlib.contextmanager
def _given_up(connection: Connection) -> Iterator[None]:
    """Do not hand back to the pool what was closed because its server says nothing."""
    try:
        yield
    except BaseException:
        is_ours = not connection.closed and not connection.invalidated
        if is_ours and getattr(connection.connection, "closed", False):
            connection.invalidate()
        raise


def open_store(url: str | None, *, mode: Mode, even_damaged: bool = False) -> Store:
    """Open the database at ``url`` (a URL or a SQLite file's path; None: the default).

    To write, a SQLite file is created or upgraded first where it must be; PostgreSQL has to be
    current already. Runs whose process is gone are marked (:mod:`lam3db.store.lost_runs`). A
    damaged file is refused (see :mod:`lam3db.store.damage`) unless it is opened to be looked at.

    Raises:
        DatabaseMissingError, DatabaseOlderError, DatabaseNewerError, DatabaseForeignError:
            what is there is not what is needed.
        StoreError: it cannot be used, for the reason told.

    """
    address = parse(url)
    store, is_new = Store(address, mode), False
    try:
        if address.dialect == "postgresql":
            _look(store)
        else:
            is_new = _look_at_file(store, even_damaged=even_damaged)
        if mode == "write" and not is_new:
            mark_lost(store)
    except BaseException:
        store.close()
        raise
    return store


def _look_at_file(store: Store, *, even_damaged: bool) -> bool:
    """Make sure that the file is what is needed; return whether it was made just now."""
    path, writes = store.address.path, store.mode == "write"
    if writes:
        disk.refuse_network(path)
    kind = _kind_of_file(store.address)
    if kind == "database":
        if not even_damaged:
            refuse_damaged(store.address)
        schema = migrate.sqlite_schema(store.address)
        if writes and schema.state in (migrate.State.EMPTY, migrate.State.OLDER):
            migrate.upgrade(store.address)
        else:
            migrate.require_current(schema, store.url)
    elif writes:
        migrate.upgrade(store.address)
    elif kind == "empty":
        raise DatabaseMissingError(
            f"{path} is an empty file, not a database yet: `lam3db db upgrade` fills it"
        )
    else:
        raise DatabaseMissingError(
            f"there is no database {path}: give another one to --db, or make it with"
            " `lam3db db upgrade` (commands that write do so by themselves)"
        )
    if writes and not os.access(path, os.W_OK):
        raise StoreError(f"{path} is read-only here: ask for permission to write, or copy it")
    return kind != "database"


def _kind_of_file(address: Address) -> Literal["missing", "empty", "database"]:
    path = address.path
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise StoreError(f"{path} is a folder: give the database file in it, {path}/lam3.db")
        if not stat.S_ISREG(found.st_mode):
            raise StoreError(f"{path} is a device or pipe, not a database file")
        with path.open("rb") as stream:
            start = stream.read(len(sqlite.MAGIC))
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    if not start:
        return "empty"
    if start != sqlite.MAGIC:
        raise DatabaseForeignError(f"{path} is no SQLite database: give another file to --db")
    return "database"


def _look(store: Store) -> None:
    with store.read() as connection:
        schema = migrate.schema_of(connection)
    migrate.require_current(schema, store.url)


def _media_root(address: Address) -> str:
    given = os.environ.get("LAM3DB_MEDIA")
    if given:
        return given
    if address.dialect == "sqlite":
        return str(address.path.with_name(f"{address.path.stem}_media"))
    return "lam3db_media"
