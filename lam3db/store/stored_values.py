"""Every stored value against its rules: the schema's own, asked again, and those by which we write.

A SQLite file can be written past its rules, and ``integrity_check`` passes over many of them; a
PostgreSQL server holds its schema's. What must hold: a fault names table, row and column; nothing
that is read here is believed to be of its type before that was asked.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from sqlalchemy import CheckConstraint, Double, LargeBinary, Text, select

from lam3db.store.tables import metadata
from lam3db.store.tables_rollup import TABLES as SUMS
from lam3db.store.value_rules import faults_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Column, Connection, Table

_PAGE = 500
_MOST = 50
_NOT_UTF8 = "a text that is not UTF-8"


def value_faults(connection: Connection) -> Iterator[str]:
    """Yield what is wrong with the values of all tables; of a table, its schema's rules first."""
    for table in metadata.sorted_tables:
        yield from table_faults(connection, table)


def table_faults(connection: Connection, table: Table) -> Iterator[str]:
    """Yield what is wrong with the values of one table."""
    if connection.dialect.name == "sqlite":
        broken = [*_undecodable(connection, table), *_broken_rules(connection, table)]
        yield from broken
        if broken:
            return  # what follows believes types
    if table.name not in SUMS:
        rows = connection.execute(select(table).execution_options(yield_per=_PAGE))
        yield from faults_of(table, rows)


def _broken_rules(connection: Connection, table: Table) -> Iterator[str]:
    """Ask a table for rows that its own rules forbid."""
    rules = [(_type_rule(column), column.name, "type") for column in table.columns]
    rules += [
        (str(one.sqltext), _columns_in(str(one.sqltext), table), str(one.name))
        for one in table.constraints
        if isinstance(one, CheckConstraint)
    ]
    cases = " ".join(f"WHEN NOT ({rule}) THEN {at}" for at, (rule, _, _) in enumerate(rules))
    key = ", ".join(f'"{column.name}"' for column in table.primary_key)
    asked = (
        f"SELECT CASE {cases} END AS broken, {key} FROM {table.name}"
        f" WHERE broken IS NOT NULL LIMIT {_MOST}"
    )
    for at, *values in connection.exec_driver_sql(asked.replace("%", "%%")):
        _, columns, name = rules[at]
        row = "/".join(map(str, values))
        yield f"{table.name} {row}: {columns}: it breaks a rule of the schema ({name})"


def _columns_in(rule: str, table: Table) -> str:
    """Return the names of the columns that a rule is about."""
    words = set(rule.replace("(", " ").replace(")", " ").replace(",", " ").split())
    return ", ".join(column.name for column in table.columns if column.name in words)


def _type_rule(column: Column[Any]) -> str:
    is_text, is_bytes = isinstance(column.type, Text), isinstance(column.type, LargeBinary)
    kind = "text" if is_text else "blob" if is_bytes else "integer"
    kind = "real" if isinstance(column.type, Double) else kind
    null = ", 'null'" if column.nullable else ""
    return f"typeof(\"{column.name}\") IN ('{kind}'{null})"


def _undecodable(connection: Connection, table: Table) -> list[str]:
    """Return the texts that are not UTF-8, which no other reader can get past."""
    driver: Any = connection.connection.driver_connection
    names = [column.name for column in table.columns if isinstance(column.type, Text)]
    if not names or table.name in SUMS:
        return []
    keys = [column.name for column in table.primary_key]
    columns = ", ".join(f'"{name}"' for name in (*keys, *names))
    with _as_bytes(driver):
        return [
            f"{table.name} {'/'.join(map(_shown, row[: len(keys)]))}: {name}: {_NOT_UTF8}"
            for row in driver.execute(f"SELECT {columns} FROM {table.name}")
            for name, value in zip(names, row[len(keys) :], strict=True)
            if isinstance(value, bytes) and not _is_utf8(value)
        ]


@contextlib.contextmanager
def _as_bytes(driver: Any) -> Iterator[None]:
    before, driver.text_factory = driver.text_factory, bytes
    try:
        yield
    finally:
        driver.text_factory = before


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _shown(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
