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
import re
import sqlite3
from typing import TYPE_CHECKING, Any

from sqlalchemy import CheckConstraint, Double, LargeBinary, Text, select, text
from sqlalchemy.exc import DBAPIError

from lam3db.errors import DatabaseForeignError, DatabaseMissingError, InputError
from lam3db.hashing import escape, unescape
from lam3db.records import LONGEST_ATTRIBUTE
from lam3db.redaction import redact
from lam3db.store import postgresql, snapshot, sqlite
from lam3db.store.address import parse
from lam3db.store.engine import open_store
from lam3db.store.faults import told
from lam3db.store.tables import metadata
from lam3db.store.tables_rollup import TRIGGERS
from lam3db.store.tables_watch import BUNDLE
from lam3db.store.values import from_json, paged, to_json
from lam3db.store.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from sqlalchemy import Column, Connection, Select, Table

    from lam3db.store.address import Address

    Fault = Callable[[Any], str | None]

MAX_TEXT = 16 << 20
"""Characters of one text, as many as a line of an imported file may have."""
MAX_ROW = 64 << 20
"""Bytes of one row of a SQLite file, and of each value in it."""
PAGE = 500
_SHOWN = 50
_LAST_MOMENT = 253_402_300_799_999_999  # the end of the year 9999
_UID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_JSON = {
    "sample": ("messages", "attack_parameters", "metadata"),
    "model_version": ("manifest",),
    "config": ("value",),
    "environment": ("value",),
    "judge": ("spec", "sees"),
    "review": ("spec",),
    "run": ("requested", "effective", "options"),
}
_BROKEN = (ValueError, TypeError, RecursionError)


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
        """Yield a table's rows (or those asked for) page by page, each value looked at.

        Raises:
            InputError: the faults of the first page that has any.

        """
        statement = asked if asked is not None else select(table).order_by(*table.primary_key)
        rows = self.connection.execute(statement.execution_options(yield_per=PAGE))
        for page in paged(rows, PAGE):
            self.look_at(table, page)
            yield page

    def look_at(self, table: Table, rows: list[Any]) -> None:
        """Raise InputError unless every value of these rows is one that we could have written."""
        faults = [
            f"{table.name} {row[0]}: {name}: {fault}"
            for name, check in _checks(table)
            for row in rows
            if (fault := check(getattr(row, name))) is not None
        ]
        if faults:
            self.refuse(faults)

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
        with open_store(url, mode="read") as store:
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
        faults = snapshot.differences(source) or _broken_rules(source)
        if faults:
            source.refuse(faults)
    found = verify(source, tick, leave_out=("image", "watermark", "sum"))
    faults = [fault for one in found for fault in one.faults]
    if faults:
        source.refuse(faults)


def _broken_rules(source: Source) -> list[str]:
    """Ask every table for rows that its own rules forbid.

    A file can be written past them, and ``integrity_check`` passes over many.
    """
    faults: list[str] = []
    for table in metadata.sorted_tables:
        rules = [_type_rule(column) for column in table.columns]
        rules += [
            f"({one.sqltext})" for one in table.constraints if isinstance(one, CheckConstraint)
        ]
        key = next(iter(table.primary_key)).name
        asked = f"SELECT {key} FROM {table.name} WHERE NOT ({' AND '.join(rules)}) LIMIT {_SHOWN}"
        found = source.connection.execute(text(asked)).scalars()
        faults += [f"{table.name} {one}: it breaks a rule of the schema" for one in found]
    return faults


def _type_rule(column: Column[Any]) -> str:
    is_text, is_bytes = isinstance(column.type, Text), isinstance(column.type, LargeBinary)
    kind = "text" if is_text else "blob" if is_bytes else "integer"
    kind = "real" if isinstance(column.type, Double) else kind
    null = ", 'null'" if column.nullable else ""
    return f"typeof({column.name}) IN ('{kind}'{null})"


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
    except DBAPIError as error:
        cause = str(error.orig)
        if isinstance(error.orig, sqlite3.DataError) and "too big" in cause:
            raise InputError(
                f"{shown} is refused; nothing was merged: a row is larger than {MAX_ROW >> 20} MiB"
            ) from error
        if isinstance(error.orig, sqlite3.OperationalError) and "decode" in cause:
            raise InputError(
                f"{shown} is refused; nothing was merged: it holds a text that is not UTF-8"
            ) from error
        raise


def _checks(table: Table) -> list[tuple[str, Fault]]:
    found: list[tuple[str, Fault]] = []
    for column in table.columns:
        if column.name in _JSON.get(table.name, ()):
            found.append((column.name, _json_fault))
        elif column.name == "attribute":
            found.append((column.name, _attribute_fault))
        elif column.name == "uid":
            found.append((column.name, _uid_fault))
        elif isinstance(column.type, Text):
            found.append((column.name, _text_fault))
        elif column.name.endswith("_at"):
            found.append((column.name, _time_fault))
    return found


def _text_fault(value: str | None) -> str | None:
    if value is None:
        return None
    if len(value) > MAX_TEXT:
        return f"longer than {MAX_TEXT >> 20} Mi characters"
    return None if escape(unescape(value)) == value else "not escaped as lam3db escapes"


def _attribute_fault(value: str) -> str | None:
    if len(unescape(value)) > LONGEST_ATTRIBUTE:
        return f"{value[:_SHOWN]!r} ... is longer than {LONGEST_ATTRIBUTE} characters"
    return _text_fault(value)


def _json_fault(value: str | None) -> str | None:
    fault = _text_fault(value)
    if value is None or fault is not None:
        return fault
    try:
        right = to_json(from_json(value)) == value
    except _BROKEN as error:
        return f"no JSON that lam3db wrote ({redact(str(error))[:_SHOWN]})"
    return None if right else "not in JSON's canonical form"


def _uid_fault(value: str) -> str | None:
    return None if _UID.fullmatch(value) else "no UUID in its usual form"


def _time_fault(value: int | None) -> str | None:
    inside = value is None or 0 <= value <= _LAST_MOMENT
    return None if inside else f"{value} is no time between 1970 and 9999"
