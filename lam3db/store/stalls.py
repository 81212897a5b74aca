"""Connections to PostgreSQL that wait for answers, but not for ever.

A firewall that has forgotten a connection, or a host that hangs, takes what is sent and says
nothing. TCP notices late (keepalives, ``tcp_user_timeout``) or, behind a proxy that lives on,
never. So silence makes us ask the server, by a new connection, what our session is doing.

What must hold: a server at work on a long statement is waited for, however long; a wait ends
with an error where the server waits for us, has no such session, or is silent itself; what ends a
wait closes the connection, so that nothing waits for it again; Ctrl-C ends a wait within seconds.
A connection that has rested is tried before it is used, and replaced if it is dead.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import capabilities, waiting
from psycopg.pq import TransactionStatus
from sqlalchemy.exc import DisconnectionError

from lam3db.store import haste

if TYPE_CHECKING:
    from collections.abc import Mapping

    from psycopg.abc import RV, PQGen

PATIENCE = 30.0
"""Seconds of silence after which the server is asked what it is doing."""
UNREACHABLE_FOR = 30.0
"""Seconds for which new connections must fail, too, before the server is given up."""
RESTED = 30.0
"""Seconds after which an idle connection is tried before it is used."""
_TRIAL = 5.0
_AGAIN = 1.0
_CANCELLING = 2.0
_HASTY = 2

_NO_SERVER = "and a new connection gets none either"
_NO_SESSION = "and the server has no such session any more"
_LOST = "and the server waits for us: what it sent was lost on the way"
_SESSION = """SELECT pg_backend_pid(), a.pid, a.state, a.wait_event
                FROM (SELECT 1) here LEFT JOIN pg_stat_activity a ON a.pid = %s"""
_OURS_TO_MOVE = ("ClientRead", "ClientWrite")


class StalledError(psycopg.OperationalError):
    """The server has stopped answering; the connection is closed."""


class PatientConnection(psycopg.Connection[Any]):
    """A connection that finds out whether an answer can still come.

    ``settings`` reach the same server again; ``limit`` is for connections that only look: so
    many seconds of silence end a wait at once.
    """

    settings: Mapping[str, Any] | None = None
    limit: float | None = None

    def wait(self, gen: PQGen[RV], *args: Any, **named: Any) -> RV:
        """Wait for an answer.

        Raises:
            StalledError: none can come any more.

        """
        named.setdefault("interval", _TICK)
        try:
            return waiting.wait(self._watched(gen), self.pgconn.socket, *args, **named)
        except (KeyboardInterrupt, SystemExit):
            self._let_go()
            raise

    def rollback(self) -> None:
        """Roll back; nothing is left to roll back where the connection has been closed."""
        if not self.closed:
            super().rollback()

    def stall(self, seconds: float, why: str) -> StalledError:
        """Close the connection; return the error to raise."""
        self.close()
        return StalledError(f"no answer for {seconds:.0f} s, {why}")

    def _watched(self, gen: PQGen[RV]) -> PQGen[RV]:
        """Pass on what ``gen`` waits for, and look at what happens meanwhile."""
        silence = None
        try:
            state = next(gen)
            while True:
                ready = yield state
                if ready:
                    silence = None
                elif silence is None:
                    silence = _Silence(self)
                else:
                    silence.look()
                state = gen.send(ready)
        except StopIteration as end:
            value: RV = end.value
            return value

    def _let_go(self) -> None:
        """Ask the server to stop what it is doing, briefly, and close the connection."""
        is_active = self.pgconn.transaction_status == TransactionStatus.ACTIVE
        try:
            if is_active and capabilities.has_cancel_safe():  # else libpq waits without a limit
                with contextlib.suppress(psycopg.Error):
                    self.cancel_safe(timeout=_CANCELLING)
        finally:
            self.close()


_TICK = 0.1


class _Silence:
    """One stretch of time in which a connection has heard nothing."""

    def __init__(self, connection: PatientConnection) -> None:
        self._connection = connection
        self._since = time.monotonic()
        self._next = self._since + PATIENCE
        self._suspected: float | None = None

    def look(self) -> None:
        """Raise StalledError if nothing can come any more."""
        now, connection = time.monotonic(), self._connection
        if connection.limit is not None:
            if now - self._since > connection.limit:
                raise connection.stall(now - self._since, _NO_SERVER)
            return
        due = min(self._next, self._since + _AGAIN) if haste.is_hastened() else self._next
        if now < due or connection.settings is None:
            return
        why = ask_about(connection)
        if why is None:
            self._suspected, self._next = None, time.monotonic() + PATIENCE
            return
        self._suspected = now if self._suspected is None else self._suspected
        if now - self._suspected >= _certain_after(why):
            raise connection.stall(time.monotonic() - self._since, why)
        self._next = time.monotonic() + _AGAIN


def _certain_after(why: str) -> float:
    """Return for how many seconds we must have had no better reason than this."""
    if why != _NO_SERVER:
        return _AGAIN  # an answer may have been under way while we asked
    return 0.0 if haste.is_hastened() else UNREACHABLE_FOR


def ask_about(connection: PatientConnection) -> str | None:
    """Return why a connection's answer cannot come; None where it can, or nobody knows."""
    info = connection.info
    settings = {**(connection.settings or {}), "host": info.host, "port": info.port}
    try:
        with connect(settings, limit=_TRIAL, autocommit=True) as other:
            row = other.execute(_SESSION, [info.backend_pid]).fetchone()
            is_pooled = row is None or row[0] != other.info.backend_pid
    except psycopg.Error as error:
        has_answered = error.sqlstate is not None or "FATAL:" in str(error)
        return None if has_answered else _NO_SERVER
    if row is None or is_pooled:  # behind a pooler, numbers of sessions mean nothing
        return None
    _, session, state, waits_for = row
    if session is None:
        return _NO_SESSION
    is_idle = state is not None and state.startswith("idle")
    return _LOST if is_idle or waits_for in _OURS_TO_MOVE else None


def connect(settings: Mapping[str, Any], limit: float | None = None, **more: Any) -> Any:
    """Return a connection; with ``limit`` one that gives up after so many seconds of silence."""
    hasty = {"connect_timeout": _HASTY} if haste.is_hastened() else {}
    made = PatientConnection.connect(**{**settings, **more, **hasty})
    made.settings, made.limit = settings, limit
    return made


def on_connect(_dialect: Any, _record: Any, _words: Any, settings: dict[str, Any]) -> Any:
    """Make SQLAlchemy's connections (its event ``do_connect``)."""
    return connect(settings)


def on_checkin(_connection: Any, record: Any) -> None:
    """Note when a connection went to rest (SQLAlchemy's event)."""
    record.info["rested_at"] = time.monotonic()


def on_checkout(connection: PatientConnection, record: Any, _proxy: Any) -> None:
    """Try a connection that has rested; a dead one is replaced (SQLAlchemy's event).

    Raises:
        DisconnectionError: SQLAlchemy makes another connection.

    """
    if time.monotonic() - record.info.get("rested_at", time.monotonic()) < RESTED:
        return
    connection.limit = _TRIAL
    try:
        connection.execute("SELECT 1")
        connection.rollback()
    except psycopg.Error as error:
        raise DisconnectionError from error
    finally:
        connection.limit = None
