"""Where a database is: what ``--db`` or ``LAM3DB_URL`` say, read once.

A plain path is a SQLite file. What must hold: whatever is printed of an address holds no
password.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from lam3db.errors import StoreError
from lam3db.redaction import redact

DEFAULT_URL = "sqlite:///lam3.db"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg")


@dataclass(frozen=True, slots=True)
class Address:
    """An engine and its place: ``path`` for SQLite, ``url`` for PostgreSQL."""

    dialect: Literal["sqlite", "postgresql"]
    shown: str
    path: Path = Path()
    url: URL | None = None


def default_url() -> str:
    """Return ``LAM3DB_URL``, or ``lam3.db`` in the working folder."""
    return os.environ.get("LAM3DB_URL") or DEFAULT_URL


def parse(url: str | None) -> Address:
    """Return the address that ``url`` (or the default) means.

    Raises:
        StoreError: no URL of SQLite or PostgreSQL, or a database in memory.

    """
    text = default_url() if url is None else url
    if not text.strip() or "\0" in text:
        raise StoreError("the database's address is empty: give a file or a URL to --db")
    if _SCHEME.match(text) is None:
        return _file(Path(text))
    try:
        made = make_url(text)
        name = made.drivername
    except (ArgumentError, ValueError):
        raise StoreError(f"{redact(text)!r} is no database URL; {_EXAMPLES}") from None
    if name in ("sqlite", "sqlite+pysqlite"):
        return _sqlite(made, text)
    if name in _POSTGRESQL:
        return _postgresql(made)
    raise StoreError(f"{name!r} is not supported; {_EXAMPLES}")


_EXAMPLES = "write sqlite:///lam3.db, a file's path, or postgresql://user@host/name"


def _file(path: Path) -> Address:
    return Address("sqlite", f"sqlite:///{path}", path=path.expanduser().absolute())


def _sqlite(url: URL, text: str) -> Address:
    if url.database in (None, "", ":memory:") or "mode=memory" in text:
        raise StoreError(f"{text!r}: a database in memory is forgotten at once; give a file")
    if url.host or url.query or str(url.database).startswith("file:"):
        raise StoreError(
            f"{redact(text)!r}: write sqlite:///relative/path or sqlite:////absolute/path,"
            " without options"
        )
    return _file(Path(str(url.database)))


def _postgresql(url: URL) -> Address:
    made = url.set(drivername="postgresql+psycopg")
    shown = made.render_as_string(hide_password=True)
    return Address("postgresql", redact(shown), url=made)


def pg_dump_command(address: Address, target: Path) -> str:
    """Return the command that copies a PostgreSQL database, without its password."""
    if address.url is None:
        raise StoreError(f"{address.shown} is no PostgreSQL database")
    given = [
        ("--host", address.url.host or address.url.query.get("host")),
        ("--port", address.url.port),
        ("--username", address.url.username),
    ]
    words = [f"{option} {shlex.quote(str(value))}" for option, value in given if value]
    name = shlex.quote(address.url.database or "")
    return " ".join(["pg_dump --format custom", f"--file {shlex.quote(str(target))}", *words, name])
