"""Connections to PostgreSQL: one kind that writes, one that cannot.

What must hold: a reading transaction is READ ONLY and sees one snapshot; a password is never
part of a message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import create_engine

from lam3db.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from lam3db.store.address import Address

_SECONDS = 10


def read_engine(address: Address) -> Engine:
    """Return an engine whose transactions are refused every write by the server."""
    return _engine(address).execution_options(
        isolation_level="REPEATABLE READ", postgresql_readonly=True
    )


def write_engine(address: Address) -> Engine:
    """Return an engine for writers."""
    return _engine(address)


def require_utf8(connection: Connection, shown: str) -> None:
    """Raise StoreError for a database that cannot hold every text."""
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if encoding != "UTF8":
        raise StoreError(
            f"{shown} is encoded as {encoding}, which cannot hold every text:"
            " make a database with `createdb --encoding UTF8 --template template0 NAME`"
        )


def _engine(address: Address) -> Engine:
    if address.url is None:
        raise StoreError(f"{address.shown} is no PostgreSQL database")
    given = address.url.query.get("options", "")
    options = given if isinstance(given, str) else " ".join(given)
    return create_engine(
        address.url,
        connect_args={
            "connect_timeout": _SECONDS,
            "application_name": "lam3db",
            "client_encoding": "utf8",
            # compiling a query to machine code costs more than all of ours take
            "options": f"{options} -c jit=off".strip(),
        },
    )
