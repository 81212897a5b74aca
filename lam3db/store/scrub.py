"""Wiping what a deleted body leaves behind in the database's own files.

SQLite leaves the bytes of what was overwritten in free pages and in its log; PostgreSQL in
dead rows. What must hold: what could not be wiped is told, with the reason.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from lam3db.errors import Lam3Error
from lam3db.store import disk, postgresql, sqlite
from lam3db.store.faults import told

if TYPE_CHECKING:
    from lam3db.store.address import Address
    from lam3db.store.engine import Store

_TABLES = ("sample", "behavior", "media", "generation", "finding", "failure", "issue")


def scrub(store: Store) -> str | None:
    """Rewrite what was touched; return why that could not be done whole, or None.

    Needs the file's size again in free space for a moment, and nobody else's transaction.
    """
    store.close()
    try:
        with told(store.url):
            return (_sqlite if store.dialect == "sqlite" else _postgresql)(store.address)
    except Lam3Error as error:
        return str(error)


def _sqlite(address: Address) -> str | None:
    disk.require_space(address.path.parent, 2 * address.path.stat().st_size + disk.MIB)
    with contextlib.closing(sqlite.connect_write(address.path)) as connection:
        connection.execute("VACUUM")
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    if busy:
        return f"{address.shown} is being read: its log still holds old pages"
    return None


def _postgresql(address: Address) -> str | None:
    engine = postgresql.write_engine(address)
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in _TABLES:
                connection.exec_driver_sql(f"VACUUM {table}")
    finally:
        engine.dispose()
    return "PostgreSQL's dead rows are freed, not overwritten; its WAL archives are yours to rotate"
