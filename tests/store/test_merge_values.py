"""Each column of each table broken once: a merge refuses it by name, or takes what is harmless.

What is broken comes from the schema's own description, so that a new table or column is covered by
being there.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import sqlite3
from typing import TYPE_CHECKING, Any

import merging
import pytest
from sqlalchemy import Double, Engine, LargeBinary, QueuePool, Text, create_engine
from typer.testing import CliRunner

from lam3db.cli.app import app
from lam3db.pipeline.merge import merge_database
from lam3db.store import issues, log
from lam3db.store.address import parse
from lam3db.store.engine import open_store
from lam3db.store.issue_words import IssueStatus, Severity
from lam3db.store.merge import MERGED
from lam3db.store.source import Source
from lam3db.store.stored_values import table_faults, value_faults
from lam3db.store.tables import metadata
from lam3db.store.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Column, Connection, Table

DEEP = '{"a":' * 1000 + "1" + "}" * 1000
TEXTS: tuple[Any, ...] = ("zzz", "", "x" * 30_000, "nul \x00", "\ue000x", DEEP, b"blob", None)
INTEGERS: tuple[Any, ...] = (-1, 2**53 + 1, 2**62, "soon", 1.5, None)
NUMBERS: tuple[Any, ...] = (float("inf"), -1e300, 1e300, "soon", None)
BYTES: tuple[Any, ...] = (b"", b"\0" * 32, "text", None)
KEYS: tuple[Any, ...] = (999_999, 2**62, "soon", None)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that nothing is wrong with, with a row in every table that is merged."""
    path = tmp_path_factory.mktemp("honest") / "a.db"
    with open_store(merging.make(path, "a"), mode="write") as store, store.write() as conn:
        merging.withhold(conn, "finding", "id = 1")
        issues.change_issue(conn, "R1", issues.Change(Severity.LOW, IssueStatus.OPEN), "me")
        fields = {"question": "why", "answer": "so"}
        log.add_entries(conn, "2026-11-25", [log.Entry("sync", "a row", fields=fields)], "me")
    return path


@pytest.fixture(scope="module")
def loose(honest: Path) -> Path:
    """A copy of it that holds none of its rules."""
    path = honest.with_name("loose.db")
    shutil.copy(honest, path)
    with contextlib.closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("PRAGMA writable_schema = 1")
        rows = conn.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
        for name, sql in rows:
            bare = re.sub(r"(TEXT|INTEGER|REAL|BLOB) NOT NULL", r"\1", sql)
            bare = re.sub(r",?\s*STRICT", "", bare)
            conn.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (bare, name))
    return path


def columns() -> list[tuple[Table, Column[Any]]]:
    return [
        (table, column)
        for table in metadata.sorted_tables
        if table.name in MERGED
        for column in table.columns
    ]


def broken(column: Column[Any]) -> tuple[Any, ...]:
    if column.foreign_keys or column.primary_key:
        return KEYS if not isinstance(column.type, Text) else TEXTS
    if isinstance(column.type, Text):
        return TEXTS
    if isinstance(column.type, LargeBinary):
        return BYTES
    return NUMBERS if isinstance(column.type, Double) else INTEGERS


def change(table: Table, column: Column[Any], value: str = "?") -> str:
    """Return the statement that gives one row, the last, another value."""
    key = [one.name for one in table.primary_key]
    last = " AND ".join(f'"{name}" = here."{name}"' for name in key)
    order = ", ".join(f'"{name}" DESC' for name in key)
    row = f"SELECT 1 FROM (SELECT * FROM {table.name} ORDER BY {order} LIMIT 1) here WHERE "
    same = last.replace('"', f'{table.name}."', 1).replace(' AND "', f' AND {table.name}."')
    return f'UPDATE {table.name} SET "{column.name}" = {value} WHERE EXISTS ({row}{same})'


@contextlib.contextmanager
def writable(path: Path) -> Iterator[Connection]:
    """Open a database of which nothing is checked when it is written."""

    def connect() -> sqlite3.Connection:
        conn = sqlite3.connect(path, isolation_level=None)
        conn.execute("PRAGMA ignore_check_constraints = 1")
        return conn

    engine: Engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def derived(connection: Connection, path: Path) -> list[str]:
    """Return what is found when everything is derived again."""
    source = Source(parse(str(path)), connection, str(path.with_name("a_media")))
    checks = verify(source, leave_out=("value", "image", "watermark", "sum"))
    return [fault for one in checks for fault in one.faults]


@pytest.fixture(scope="module")
def survivors(loose: Path) -> dict[tuple[str, str], list[Any]]:
    """Break each column in each way; return what no check refuses, by table and column."""
    left: dict[tuple[str, str], list[Any]] = {}
    with writable(loose) as connection:
        driver: Any = connection.connection.driver_connection
        assert list(value_faults(connection)) + derived(connection, loose) == []
        for table, column in columns():
            for value in broken(column):
                driver.execute("BEGIN")
                with contextlib.suppress(sqlite3.IntegrityError):  # a key without a rowid
                    driver.execute(change(table, column), (value,))
                    named = list(table_faults(connection, table))
                    own = [one for one in named if one.startswith(f"{table.name} ")]
                    assert not named or any(column.name in one for one in own), (column, named)
                    if not named and not derived(connection, loose):
                        left.setdefault((table.name, column.name), []).append(value)
                driver.execute("ROLLBACK")
    return left


def test_every_table_that_is_merged_has_a_row_to_break(loose: Path) -> None:
    with contextlib.closing(sqlite3.connect(loose)) as conn:
        for name in MERGED:
            assert conn.execute(f"SELECT count(*) FROM {name}").fetchone()[0], name


TEXT_COLUMNS = sum(isinstance(column.type, Text) for _, column in columns())
COMMANDS = (
    ("issue", "list", "--all"),
    ("issue", "list", "--all", "--format", "json"),
    ("log", "show", "--date", "2026-11-25", "-o", "-"),
    ("log", "show", "--date", "2026-11-25", "-o", "-", "--lang", "en"),
    ("report",),
    ("report", "--format", "json"),
    ("report", "--by", "run"),
    ("report", "--by", "config.temperature", "--judge", "tone"),
    ("show", "--limit", "50"),
    ("show", "--limit", "50", "--format", "json"),
    ("status",),
    ("status", "--format", "json"),
    ("judge", "list"),
    ("review", "status"),
    ("agree", "--against", "wide"),
    ("export", "scores", "--judge", "wide", "-o", "-"),
    ("dataset", "list"),
    ("db", "stats"),
    ("db", "check"),
    ("db", "verify"),
)


def test_most_broken_values_are_refused(survivors: dict[tuple[str, str], list[Any]]) -> None:
    """What is free for anybody to write is a text; of the rest nothing odd is left."""
    odd = (DEEP, b"blob", "nul \x00", "\ue000x", "soon", 1.5, 2**53 + 1, float("inf"), b"")
    texts = {name for name in survivors if "zzz" in survivors[name]}
    assert 20 < len(texts) < TEXT_COLUMNS
    for (table, name), values in survivors.items():
        column = metadata.tables[table].c[name]
        allowed = (DEEP,) if isinstance(column.type, Text) and "json" not in column.info else ()
        times = (2**53 + 1,) if name.endswith("_at") else ()
        left = [one for one in values if one in odd and one not in (*allowed, *times)]
        assert not left, (table, name, left)


@pytest.mark.parametrize("turn", range(2))
def test_what_is_taken_harms_no_command(
    honest: Path,
    survivors: dict[tuple[str, str], list[Any]],
    tmp_path: Path,
    turn: int,
    target: str,
) -> None:
    merging.copy(f"sqlite:///{honest}", tmp_path / "odd.db")
    with contextlib.closing(sqlite3.connect(tmp_path / "odd.db")) as conn, conn:
        for (table, name), values in sorted(survivors.items()):
            column = metadata.tables[table].c[name]
            if not column.foreign_keys and name not in STRUCTURE and table != "media":
                value = values[turn % len(values)]
                conn.execute(change(metadata.tables[table], column), (value,))
    merge_database(target, str(tmp_path / "odd.db"))
    ended = {words: CliRunner().invoke(app, [*words, "--db", target]) for words in COMMANDS}
    wrong = {
        words: (done.exit_code, done.exception, done.output[-500:])
        for words, done in ended.items()
        if done.exit_code != 0
    }
    assert not wrong


# images are opened when they are taken over, and held against their rows
STRUCTURE = ("id", "replicate", "revision", "variant", "finished_at", "author", "reason")
