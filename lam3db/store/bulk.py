"""Many rows at once, as fast as each driver can: the hot path of recording.

SQLite gets one ``executemany``; PostgreSQL gets one statement whose parameters are whole
columns (``unnest``), which costs one round trip. What must hold: a key that is there is left
alone, and only rows that went in are counted: by the statement itself on PostgreSQL, where
``rowcount`` is -1, and by SQLite's own count of a statement's changes.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Double, LargeBinary, Text

from lam3db.store.values import chunks

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from sqlalchemy import Connection, Table

_AT_ONCE = 5000
_LOOKED_UP = 10_000


def insert_new(
    conn: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> int:
    """Write rows given as tuples; return how many were not there before."""
    if not rows:
        return 0
    if conn.dialect.name == "sqlite":
        return _insert_sqlite(conn, _sqlite_statement(table, columns), rows)
    statement = _postgresql_statement(table, columns)
    return sum(
        conn.exec_driver_sql(statement, tuple(map(list, zip(*part, strict=True)))).scalar_one()
        for part in chunks(rows, _AT_ONCE)
    )


def refresh(conn: Connection, grown: Counter[str], table: str, count: int) -> None:
    """Let PostgreSQL see how a table has grown by ``count``, each time it has grown fourfold.

    ``grown`` counts the rows by table in this transaction. Without, look-ups and checks of
    foreign keys are planned for the table as it was before, and read it whole each time.
    """
    before = grown[table]
    grown[table] += count
    steps = [_FIRST_LOOK * 4**step for step in range(_LOOKS)]
    is_due = any(before < step <= before + count for step in steps)
    if is_due and conn.dialect.name == "postgresql":
        conn.exec_driver_sql(f"ANALYZE {table}")


_FIRST_LOOK = 250
_LOOKS = 12


def select_in(
    conn: Connection, select: str, fixed: tuple[Any, ...], wanted: Sequence[Any], kind: str
) -> list[Any]:
    """Run ``select``, whose last condition is ``... IN (wanted)``, over any number of values.

    ``select`` has ``?`` for each of ``fixed`` and ends before the values; ``kind`` is their
    PostgreSQL type.
    """
    found: list[Any] = []
    for part in chunks(wanted, _LOOKED_UP):
        if conn.dialect.name == "sqlite":
            marks = ",".join("?" * len(part))
            rows = conn.exec_driver_sql(f"{select} IN ({marks})", (*fixed, *part))
        else:
            asked = select.replace("?", "%s")
            rows = conn.exec_driver_sql(f"{asked} = ANY(%s::{kind}[])", (*fixed, list(part)))
        found += rows.all()
    return found


def _insert_sqlite(conn: Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> int:
    """Return how many rows went in; SQLite counts neither those left alone nor what triggers do."""
    return int(conn.exec_driver_sql(statement, list(rows)).rowcount)


@cache
def _sqlite_statement(table: Table, columns: tuple[str, ...]) -> str:
    marks = ", ".join("?" * len(columns))
    return (
        f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks}) ON CONFLICT DO NOTHING"
    )


@cache
def _postgresql_statement(table: Table, columns: tuple[str, ...]) -> str:
    arrays = ", ".join(f"%s::{_array(table, name)}" for name in columns)
    names = ", ".join(columns)
    return (
        f"WITH added AS (INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays})"
        " ON CONFLICT DO NOTHING RETURNING 1) SELECT count(*) FROM added"
    )


def _array(table: Table, column: str) -> str:
    kind = table.c[column].type
    if isinstance(kind, LargeBinary):
        return "bytea[]"
    if isinstance(kind, Text):
        return "text[]"
    return "double precision[]" if isinstance(kind, Double) else "bigint[]"
