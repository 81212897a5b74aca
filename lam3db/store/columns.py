"""The few kinds of columns and rules that tables are made of, alike on both engines.

What must hold: every constraint has a name, every table is STRICT on SQLite, and a type here
compares and reads back the same on SQLite and PostgreSQL (see :mod:`lam3db.store.tables`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Identity,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy import text as sql_text
from sqlalchemy.dialects.sqlite import REAL
from sqlalchemy.types import TypeEngine  # noqa: TC002 - named where the module runs

from lam3db.records import ScoreStatus, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.schema import SchemaItem

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=NAMES)

Int = BigInteger().with_variant(Integer(), "sqlite")
Number: TypeEngine[float] = Double().with_variant(REAL(), "sqlite")
LARGEST = "1.7976931348623157e308"


def table(name: str, *items: SchemaItem, rowid: bool = True) -> Table:
    """Return a table, STRICT on SQLite; ``rowid=False`` stores it in its key's order there."""
    return Table(name, metadata, *items, sqlite_strict=True, sqlite_with_rowid=rowid)


def identity() -> Column[int]:
    """Return the integer key that only this database knows."""
    return Column("id", Int, Identity(), primary_key=True)


def integer(name: str, *items: SchemaItem, null: bool = False) -> Column[int]:
    """Return a column of 64-bit integers."""
    return Column(name, Int, *items, nullable=null)


def text(name: str, *items: SchemaItem, null: bool = False) -> Column[str]:
    """Return a column of texts, escaped by whoever writes."""
    return Column(name, Text, *items, nullable=null)


def json(name: str, kind: type, *, null: bool = False) -> Column[str]:
    """Return a column of texts that hold the canonical JSON of a dict or a list."""
    return Column(name, Text, nullable=null, info={"json": kind})


def number(name: str, *, null: bool = False) -> Column[float]:
    """Return a column of double-precision numbers."""
    return Column(name, Number, nullable=null)


def reference(table: str, name: str | None = None, *, null: bool = False) -> Column[int]:
    """Return a foreign key ``<table>_id``; nothing cascades."""
    return Column(name or f"{table}_id", Int, ForeignKey(f"{table}.id"), nullable=null)


def optional_digest(name: str) -> Column[bytes]:
    """Return a column of 32 bytes or nothing, its rule on the column: it was added later."""
    rule_of_column = rule(f"{name}_length", f"length({name}) = 32")
    return Column(name, LargeBinary, rule_of_column, nullable=True)


def digest(name: str = "digest") -> tuple[Column[bytes], CheckConstraint]:
    """Return a column of 32 bytes."""
    column = Column(name, LargeBinary, nullable=False)
    return column, CheckConstraint(f"length({name}) = 32", name=f"{name}_length")


def flag(name: str, *, null: bool = False) -> tuple[Column[int], CheckConstraint]:
    """Return a column of 1 and 0."""
    return integer(name, null=null), CheckConstraint(f"{name} IN (0, 1)", name=f"{name}_flag")


def word(name: str, words: Iterable[str], *, null: bool = False) -> tuple[Any, CheckConstraint]:
    """Return a column that holds one of these words."""
    listed = ", ".join(f"'{word}'" for word in words)
    return text(name, null=null), CheckConstraint(f"{name} IN ({listed})", name=f"{name}_word")


def rule(name: str, sql: str) -> CheckConstraint:
    """Return a named CHECK."""
    return CheckConstraint(sql, name=name)


def uid() -> tuple[Column[str], UniqueConstraint, CheckConstraint]:
    """Return the UUID of a row that has no content to hash."""
    return text("uid"), UniqueConstraint("uid"), rule("uid_length", "length(uid) = 36")


def finite(name: str) -> CheckConstraint:
    """Refuse infinities, and on PostgreSQL NaN (SQLite turns a NaN into NULL)."""
    return rule(f"{name}_finite", f"{name} BETWEEN -{LARGEST} AND {LARGEST}")


def only(condition: str) -> dict[str, Any]:
    """Return what makes an index hold only the rows of which this is true."""
    return {"sqlite_where": sql_text(condition), "postgresql_where": sql_text(condition)}


_SCORED = "(status = 'ok') = (value IS NOT NULL OR verdict IS NOT NULL)"
_REVISED = "(revision = 0) = (author IS NULL) AND (revision = 0) = (reason IS NULL)"


def outcome() -> tuple[SchemaItem, ...]:
    """Columns that a finding and its scores share; a number or verdict only with ``ok``."""
    return (
        integer("replicate"),
        integer("revision"),
        *word("status", ScoreStatus),
        number("value", null=True),
        *word("verdict", Verdict, null=True),
        text("author", null=True),
        text("reason", null=True),
        reference("run"),
        integer("created_at"),
        finite("value"),
        rule("index", "replicate >= 0 AND revision >= 0"),
        rule("scored", _SCORED),
        rule("revised", _REVISED),
    )
