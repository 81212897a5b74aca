"""Writing a row once, whoever writes it first.

What must hold: the same key gives the same row, from one process or from many at once. Rows
go in in the order of their keys or under a lock, so that two writers on PostgreSQL never wait
for each other in a circle; nobody reads ``rowcount`` (it is -1 there).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, text
from sqlalchemy.dialects import postgresql, sqlite

from lam3db.store.values import chunks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Column, Connection, Insert, Table

_LOCKS = {
    "versions": 0x6C616D01,
    "generations": 0x6C616D02,
    "rollup": 0x6C616D03,
    "bodies": 0x6C616D04,
}


def insert_statement(conn: Connection, table: Table) -> Insert:
    """Return ``INSERT ... ON CONFLICT DO NOTHING`` for this engine."""
    if conn.dialect.name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()


def insert_ignore(conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows, leaving alone those whose key is there."""
    if rows:
        conn.execute(insert_statement(conn, table), rows)


def get_or_insert(conn: Connection, table: Table, row: Mapping[str, Any], key: str) -> int:
    """Return the id of the row with this key, written if it is new."""
    wanted = select(table.c.id).where(table.c[key] == row[key])
    found = conn.execute(wanted).scalar()
    if found is None:
        insert_ignore(conn, table, [row])
        found = conn.execute(wanted).scalar_one()
    return int(found)


def get_or_insert_all(
    conn: Connection, table: Table, rows: Mapping[bytes, Mapping[str, Any]], key: str = "digest"
) -> dict[bytes, int]:
    """Return the ids of many rows by digest, writing those that are new in the order given.

    For callers that hold :func:`lock_versions`.
    """
    digests = list(rows)
    found = ids_by_digest(conn, table.c[key], digests)
    missing = [rows[digest] for digest in digests if digest not in found]
    if missing:
        insert_ignore(conn, table, missing)
        found |= ids_by_digest(conn, table.c[key], [row[key] for row in missing])
    return found


def ids_by_digest(
    conn: Connection, column: Column[bytes], digests: Sequence[bytes]
) -> dict[bytes, int]:
    """Return the ids of the rows that have one of these digests."""
    found: dict[bytes, int] = {}
    for chunk in chunks(digests):
        rows = conn.execute(select(column, column.table.c.id).where(column.in_(chunk)))
        found.update((bytes(digest), one) for digest, one in rows)
    return found


def lock_versions(conn: Connection) -> None:
    """Be alone in giving out version and revision numbers until the transaction ends."""
    if conn.dialect.name == "postgresql":  # on SQLite a writer is alone anyway
        conn.execute(text("SELECT pg_advisory_xact_lock(:k)"), {"k": _LOCKS["versions"]})


def lock_generations(conn: Connection, *, alone: bool) -> None:
    """Hold the lock under which generations get their ids until the transaction ends.

    Writers share it; whoever moves a watermark holds it alone. So, once it is held alone,
    every id up to the largest one seen is committed, and later ones are larger.
    """
    if conn.dialect.name == "postgresql":
        mode = "" if alone else "_shared"
        statement = text(f"SELECT pg_advisory_xact_lock{mode}(:k)")
        conn.execute(statement, {"k": _LOCKS["generations"]})


def lock_bodies(conn: Connection, *, alone: bool) -> None:
    """Hold the lock under which texts are written until the transaction ends.

    Writers share it and take it before any row or table; a purge holds it alone, so that no
    text which it has not seen is on its way.
    """
    if conn.dialect.name == "postgresql":
        mode = "" if alone else "_shared"
        statement = text(f"SELECT pg_advisory_xact_lock{mode}(:k)")
        conn.execute(statement, {"k": _LOCKS["bodies"]})


def lock_rollup(conn: Connection) -> None:
    """Be alone in claiming and writing sums of the roll-up until the transaction ends."""
    if conn.dialect.name == "postgresql":
        conn.execute(text("SELECT pg_advisory_xact_lock(:k)"), {"k": _LOCKS["rollup"]})


def lock_findings(conn: Connection) -> None:
    """Be alone in writing findings, scores and failures until the transaction ends.

    The tables are locked in the order in which whoever judges writes them.
    """
    if conn.dialect.name == "postgresql":
        tables = "finding, finding_attribute, score, failure"
        conn.execute(text(f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE"))
