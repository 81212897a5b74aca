"""Connections to PostgreSQL: one kind that writes, one that cannot.

What must hold: a reading transaction is READ ONLY and sees one snapshot; a password is never
part of a message; connecting, waiting for a lock and waiting for a server that has stalled (see
:mod:`lam3db.store.stalls`) come to an end, a statement at work does not.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event

from lam3db.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import URL, Connection, Engine

    from lam3db.store.address import Address

_WAITING: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
    "application_name": "lam3db",
}
"""What libpq is told of waiting (seconds; ``tcp_user_timeout`` in milliseconds)."""
LOCK_SECONDS = 120
"""How long a statement waits for a lock; one that works may take as long as it takes."""
_IDLE_WRITER_SECONDS = 600
_ALWAYS = {
    "jit": "off",  # compiling a query to machine code costs more than all of ours take
    "tcp_keepalives_idle": "60",  # by these a server lets go of the locks of a host that is gone
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}


def read_engine(address: Address) -> Engine:
    """Return an engine whose transactions are refused every write by the server."""
    return _engine(address, {}).execution_options(
        isolation_level="REPEATABLE READ", postgresql_readonly=True
    )


def write_engine(address: Address) -> Engine:
    """Return an engine for writers; the server ends one that holds its locks and does nothing."""
    return _engine(address, {"idle_in_transaction_session_timeout": f"{_IDLE_WRITER_SECONDS}s"})


def require_utf8(connection: Connection, shown: str) -> None:
    """Raise StoreError for a database that cannot hold every text."""
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if encoding != "UTF8":
        raise StoreError(
            f"{shown} is encoded as {encoding}, which cannot hold every text:"
            " make a database with `createdb --encoding UTF8 --template template0 NAME`"
        )


def _engine(address: Address, options: Mapping[str, str]) -> Engine:
    from lam3db.store import stalls

    if address.url is None:
        raise StoreError(f"{address.shown} is no PostgreSQL database")
    engine = create_engine(address.url, connect_args=connect_settings(address.url, options))
    event.listen(engine, "do_connect", stalls.on_connect)
    event.listen(engine, "checkin", stalls.on_checkin)
    event.listen(engine, "checkout", stalls.on_checkout)
    return engine


def connect_settings(url: URL, options: Mapping[str, str]) -> dict[str, Any]:
    """Return what a connection is told beside its URL; values of the user's own win.

    They stand in the URL (``?connect_timeout=60``), in libpq's variables (``PGOPTIONS``) or in
    the service file that ``PGSERVICE`` names.
    """
    from psycopg.pq import Conninfo

    own = {one.keyword.decode() for one in Conninfo.get_defaults() if one.val is not None}
    own |= set(url.query)
    settings = {name: value for name, value in _WAITING.items() if name not in own}
    words = url.query.get("options", os.environ.get("PGOPTIONS", ""))
    given = words if isinstance(words, str) else " ".join(words)
    ours = {**_ALWAYS, "lock_timeout": f"{LOCK_SECONDS}s", **options}
    told = " ".join(f"-c {name}={value}" for name, value in ours.items())
    return {**settings, "client_encoding": "utf8", "options": f"{told} {given}".strip()}
