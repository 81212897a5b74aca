"""What the schema really is, object by object, and what it ought to be.

``alembic check`` does not see a changed CHECK, a partial index or a view; the database's own
text of each object does. What ought to be is asked of the migrations, run in memory (SQLite)
or in a schema of their own that is rolled back (PostgreSQL). What must hold: nothing stays
behind, and objects of other people beside ours are no fault.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlalchemy import create_engine, text

from lam3db.store import migrate, postgresql
from lam3db.store.faults import told
from lam3db.store.tables import metadata
from lam3db.store.values import new_uid

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from lam3db.store.verify import Readable

_POSTGRESQL = """
SELECT 'column ' || table_name || '.' || column_name,
       concat_ws(' ', data_type, is_nullable, column_default, identity_generation)
  FROM information_schema.columns WHERE table_schema = :schema
 UNION ALL
SELECT 'constraint ' || c.conname,
       concat_ws(' ', t.relname, pg_get_constraintdef(c.oid), c.convalidated)
  FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
  JOIN pg_namespace n ON n.oid = t.relnamespace WHERE n.nspname = :schema
 UNION ALL
SELECT 'index ' || indexname, indexdef FROM pg_indexes WHERE schemaname = :schema
 UNION ALL
SELECT 'view ' || viewname, definition FROM pg_views WHERE schemaname = :schema
 UNION ALL
SELECT 'trigger ' || g.tgname, pg_get_triggerdef(g.oid)
  FROM pg_trigger g JOIN pg_class t ON t.oid = g.tgrelid
  JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE n.nspname = :schema AND NOT g.tgisinternal
"""


def differences(store: Readable) -> list[str]:
    """Return what in the schema is missing, changed or works against us, as sentences."""
    with store.read() as connection:
        is_, ought = snapshot(connection), _expected(store)
    missing = [f"{name} is missing" for name in sorted(ought.keys() - is_.keys())]
    both = sorted(ought.keys() & is_.keys())
    changed = [f"{name} is not as made" for name in both if is_[name] != ought[name]]
    added = [f"{name} is not ours" for name in sorted(is_.keys() - ought.keys()) if _works(name)]
    return missing + changed + added


def _works(name: str) -> bool:
    """Tell whether somebody's own object works against ours: a trigger, a column in our table."""
    kind, _, rest = name.partition(" ")
    return kind == "trigger" or (kind == "column" and rest.partition(".")[0] in metadata.tables)


def snapshot(connection: Connection) -> dict[str, str]:
    """Return every object of the schema with the database's own text of it."""
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql(
            "SELECT type || ' ' || name, sql FROM sqlite_master WHERE sql IS NOT NULL"
            " AND name NOT LIKE 'sqlite_%'"
        ).all()
        return {name: _plain(sql) for name, sql in rows}
    schema = connection.exec_driver_sql("SELECT current_schema()").scalar_one()
    found = connection.execute(text(_POSTGRESQL), {"schema": schema})
    ours = re.compile(rf'"?{re.escape(schema)}"?\.')
    return {name: _plain(ours.sub("", definition)) for name, definition in found}


def _expected(store: Readable) -> dict[str, str]:
    if store.dialect == "sqlite":
        engine = create_engine("sqlite://")
        try:
            with engine.connect() as connection:
                migrate.run_alembic(connection, "upgrade", "head")
                return snapshot(connection)
        finally:
            engine.dispose()
    engine = postgresql.write_engine(store.address)
    try:
        with told(store.url), engine.connect() as connection:
            schema = f"lam3db_{new_uid().replace('-', '')}"
            connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
            connection.exec_driver_sql(f"SET LOCAL search_path = {schema}")
            migrate.run_alembic(connection, "upgrade", "head")
            made = snapshot(connection)
            connection.rollback()
            return made
    finally:
        engine.dispose()


def broken_keys(store: Readable) -> list[str]:
    """Return what SQLite finds damaged in the file and its foreign keys (PostgreSQL: nothing)."""
    if store.dialect == "postgresql":
        return []  # the server holds them at every write
    with store.read() as connection:
        pages = connection.exec_driver_sql("PRAGMA integrity_check(20)").scalars().all()
        keys = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    found = [f"integrity: {line}" for line in pages if line != "ok"]
    return found + [
        f"{table} row {row} refers to a {parent} that is not there"
        for table, row, parent, _ in keys
    ]


def _plain(sql: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"\s*([(),])\s*", r"\1", sql)).strip()
