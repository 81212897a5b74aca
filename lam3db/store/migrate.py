"""The schema's state, and the way from one revision to the next.

SQLite files are created and upgraded by whoever writes first: alone (the folder is locked),
after a look at the free space, with a backup when there are rows. PostgreSQL is upgraded only
when asked. What must hold: an upgrade happens whole or not at all, and leaves no row whose
foreign key points nowhere. Alembic is imported only when there is something to do.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import time
from dataclasses import dataclass
from enum import Enum
from itertools import chain, count
from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect

from lam3db import __version__
from lam3db.atomic_files import new_path, refuse_path
from lam3db.errors import (
    DatabaseForeignError,
    DatabaseMissingError,
    DatabaseNewerError,
    DatabaseOlderError,
    StoreError,
)
from lam3db.resources import shipped
from lam3db.store import disk, postgresql, sqlite
from lam3db.store.address import Address, parse
from lam3db.store.faults import told
from lam3db.store.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

VERSION_TABLE = "lam3db_version"
_REVISION = re.compile(r"(\d{4})_\w+\.py")
_LOCK = 0x6C616D00
_SHOWN = 3


class State(Enum):
    """How a database's schema stands to ours."""

    EMPTY = "empty"
    OLDER = "older"
    CURRENT = "current"
    NEWER = "newer"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Schema:
    """What was found: the state, the revision (or the foreign tables)."""

    state: State
    revision: str | None = None
    tables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Moved:
    """What a migration did; ``backup`` is where the rows were copied to before."""

    before: str | None
    after: str | None
    backup: Path | None = None


def revisions() -> list[str]:
    """Return the revisions this lam3db ships with, oldest first."""
    folder = shipped("migrations", "versions")
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    found = sorted(match[1] for match in map(_REVISION.fullmatch, names) if match)
    if not found:
        raise StoreError(f"the migrations are missing ({folder}): install lam3db again")
    return found


def schema_of(connection: Connection) -> Schema:
    """Return what kind of database this is."""
    tables = tuple(sorted(inspect(connection).get_table_names()))
    if VERSION_TABLE not in tables:
        return Schema(State.FOREIGN, tables=tables) if tables else Schema(State.EMPTY)
    found = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()
    if found is None:
        return Schema(State.EMPTY)
    known = revisions()
    if found not in known:
        return Schema(State.NEWER, found)
    return Schema(State.CURRENT if found == known[-1] else State.OLDER, found)


def require_current(schema: Schema, shown: str) -> None:
    """Raise the error that fits unless the schema is ours."""
    ours = revisions()[-1]
    if schema.state is State.EMPTY:
        raise DatabaseMissingError(
            f"{shown} holds no lam3db tables yet: `lam3db db upgrade` makes them"
        )
    if schema.state is State.OLDER:
        raise DatabaseOlderError(
            f"{shown} has schema {schema.revision}, and this lam3db needs {ours}:"
            " run `lam3db db upgrade`"
        )
    if schema.state is not State.CURRENT:
        refuse_strange(schema, shown)


def refuse_strange(schema: Schema, shown: str) -> None:
    """Raise when the database is newer than we are, or not ours at all."""
    if schema.state is State.NEWER:
        raise DatabaseNewerError(
            f"{shown} has schema {schema.revision}, which lam3db {__version__} does not know"
            f" (it knows {revisions()[-1]}): install a newer lam3db"
        )
    if schema.state is State.FOREIGN:
        names = ", ".join(schema.tables[:_SHOWN]) + (", ..." if schema.tables[_SHOWN:] else "")
        raise DatabaseForeignError(
            f"{shown} is not one of lam3db's databases (it holds {names}): give another one to --db"
        )


def upgrade(place: Address | str | None, revision: str = "head") -> Moved:
    """Bring a database (an address, or a URL) to a revision, creating a SQLite file if need be.

    Raises:
        StoreError: the revision is unknown or older than the schema, the database is newer or
            foreign, the disk is too full, or somebody else is at it.

    """
    address = place if isinstance(place, Address) else parse(place)
    target = _target(revision)
    if target is None:
        raise StoreError("an upgrade goes to a revision, not to base: see `lam3db db downgrade`")
    if address.dialect == "sqlite":
        return _upgrade_sqlite(address, target)
    with _postgresql(address) as connection:
        schema = schema_of(connection)
        refuse_strange(schema, address.shown)
        _refuse_backwards(schema, target)
        run_alembic(connection, "upgrade", target)
    return Moved(schema.revision, target)


def downgrade(place: Address | str | None, revision: str) -> Moved:
    """Bring a database back to an older revision (or ``base``: no tables), rows included.

    A SQLite file is copied first. Raises StoreError as :func:`upgrade` does.
    """
    address = place if isinstance(place, Address) else parse(place)
    target = _target(revision)
    if address.dialect == "postgresql":
        with _postgresql(address) as connection:
            schema = schema_of(connection)
            _refuse_forwards(schema, target, address.shown)
            run_alembic(connection, "downgrade", target or "base")
        return Moved(schema.revision, target)
    with disk.alone_in(address.path.parent), told(address.shown):
        schema = sqlite_schema(address)
        _refuse_forwards(schema, target, address.shown)
        saved = backup(address, _backup_path(address.path, schema.revision))
        with _sqlite(address.path) as connection:
            run_alembic(connection, "downgrade", target or "base")
    return Moved(schema.revision, target, saved)


def sqlite_schema(address: Address) -> Schema:
    """Return what kind of SQLite file this is, looking at it through a read-only connection."""
    engine = sqlite.read_engine(address.path)
    try:
        with told(address.shown), engine.connect() as connection:
            return schema_of(connection)
    finally:
        engine.dispose()


def backup(address: Address, target: Path) -> Path:
    """Copy a SQLite database, as of one moment, into a file that does not exist yet.

    The copy is checked before it takes its name, so a file of that name is a whole database.

    Raises:
        InputError: the file exists, or cannot be written.
        StoreError: the database is damaged, or the disk is too full.

    """
    refuse_path(target, option="")
    if not address.path.is_file():
        raise DatabaseMissingError(f"there is no database {address.path} to copy")
    disk.require_space(target.parent, address.path.stat().st_size + disk.MIB)
    with (
        told(address.shown),
        contextlib.closing(sqlite.connect_read(address.path)) as source,
        new_path(target, option="") as part,
    ):
        with contextlib.closing(sqlite3.connect(part)) as copy:
            source.backup(copy)
        _refuse_torn(part, address)
    return target


def _refuse_torn(copy: Path, address: Address) -> None:
    """Raise StoreError where a copy is not a whole database: its original is damaged."""
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        (state,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if state != "ok":
        raise StoreError(
            f"{address.shown} is damaged ({state}): nothing was copied; see `lam3db db check`"
        )


@contextlib.contextmanager
def by_hand(connection: Connection | None) -> Iterator[Connection]:
    """Yield the connection Alembic is to use: the one handed in, else one to the default URL."""
    if connection is not None:
        yield connection
        return
    address = parse(None)
    if address.dialect == "postgresql":
        with _postgresql(address) as opened:
            yield opened
    else:
        with disk.alone_in(address.path.parent), _sqlite(address.path) as opened:
            yield opened


def _upgrade_sqlite(address: Address, target: str) -> Moved:
    path = address.path
    disk.refuse_network(path)
    if not path.parent.is_dir():
        raise StoreError(f"there is no folder {path.parent}: make it, or give another file to --db")
    with disk.alone_in(path.parent), told(address.shown):
        there = path.exists()
        schema = sqlite_schema(address) if there else Schema(State.EMPTY)
        refuse_strange(schema, address.shown)
        _refuse_backwards(schema, target)
        if schema.revision == target:
            return Moved(target, target)
        size = path.stat().st_size if there else 0
        disk.require_space(path.parent, disk.NEEDED + 2 * size)
        saved = None
        if schema.revision is not None and _has_rows(path):
            saved = backup(address, _backup_path(path, schema.revision))
        with _cleared(path, there=there), _sqlite(path) as connection:
            run_alembic(connection, "upgrade", target)
    return Moved(schema.revision, target, saved)


@contextlib.contextmanager
def _cleared(path: Path, *, there: bool) -> Iterator[None]:
    """Take a file away again that could not be made."""
    try:
        yield
    except BaseException:
        if not there:
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _sqlite(path: Path) -> Iterator[Connection]:
    """Yield a connection inside a transaction that ends with a check of all foreign keys."""
    engine = sqlite.write_engine(path, create=True, keys=False)
    try:
        with told(str(path)), engine.begin() as connection:
            yield connection
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            if broken:
                tables = sorted({row[0] for row in broken})
                raise StoreError(
                    f"{path}: {len(broken)} rows of {', '.join(tables)} would refer to nothing;"
                    " nothing was changed"
                )
    finally:
        engine.dispose()


@contextlib.contextmanager
def _postgresql(address: Address) -> Iterator[Connection]:
    engine = postgresql.write_engine(address)
    try:
        with told(address.shown), engine.begin() as connection:
            postgresql.require_utf8(connection, address.shown)
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            yield connection
    finally:
        engine.dispose()


def run_alembic(connection: Connection, direction: str, target: str) -> None:
    """Let Alembic ``upgrade`` or ``downgrade`` in the connection's own transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(shipped("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    move: Any = getattr(command, direction)
    move(config, target)


def _target(revision: str) -> str | None:
    """Return the revision meant, None for ``base``."""
    known = revisions()
    if revision in ("head", "base"):
        return known[-1] if revision == "head" else None
    padded = revision.zfill(4)
    if padded not in known:
        raise StoreError(f"there is no revision {revision!r} (there are {', '.join(known)})")
    return padded


def _refuse_backwards(schema: Schema, target: str) -> None:
    if schema.revision is not None and schema.revision > target:
        raise StoreError(
            f"the schema is at {schema.revision} already; to go back to {target}:"
            f" `lam3db db downgrade {target} --yes`"
        )


def _refuse_forwards(schema: Schema, target: str | None, shown: str) -> None:
    refuse_strange(schema, shown)
    if schema.revision is None:
        raise DatabaseMissingError(f"{shown} holds no lam3db tables: there is nothing to downgrade")
    if target is not None and target >= schema.revision:
        raise StoreError(
            f"the schema is at {schema.revision}: {target} is no step back"
            " (`lam3db db upgrade` goes forward)"
        )


def _has_rows(path: Path) -> bool:
    with contextlib.closing(sqlite.connect_read(path)) as connection:
        names = [
            row[0]
            for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        ours = [name for name in names if name in metadata.tables]
        return any(connection.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone() for name in ours)


def _backup_path(path: Path, revision: str | None) -> Path:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    base = path.with_name(f"{path.name}.backup-{revision}-{stamp}")
    numbered = (base.with_name(f"{base.name}-{number}") for number in count(2))
    return next(target for target in chain([base], numbered) if not target.exists())
