"""Runs whose process is gone, though their row says that they run.

A killed process, or one that lost its database, cannot write how its run ended: the next one that
opens the database to write does. A run's row says which process it is (``options.process``), so
that on its own host it can be looked for.

What must hold: a run whose process lives is never marked. Where its process cannot be looked for
(another host, or a row without it), only a heartbeat older than a day tells, longer than any
batch takes; a run that was marked and lives on writes its own end over ours. What is marked is
``interrupted``, as of its last heartbeat, and nothing else of its row changes.
"""

from __future__ import annotations

import functools
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from lam3db.errors import StoreError
from lam3db.records import RunStatus
from lam3db.store import tables as t
from lam3db.store.values import as_datetime, from_json, now

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from lam3db.store.engine import Store

SILENT = 120 * 1_000_000
"""Microseconds without a heartbeat after which a run's process is looked for."""
GONE = 86_400 * 1_000_000
"""Microseconds without one after which a run is lost whose process cannot be looked for."""
_START_TIME = 19  # of the fields of /proc/PID/stat behind the name, in man proc(5) number 22
_log = logging.getLogger("lam3db")


def this_process() -> dict[str, Any]:
    """Return what tells this process from every other, as far as the system says it."""
    start = _start_of(os.getpid())
    return (
        {"pid": os.getpid()} if start is None else {"pid": os.getpid(), "start": start, **_here()}
    )


def is_lost(options: Mapping[str, Any], silent: int) -> bool:
    """Tell whether a running run has lost its process, ``silent`` microseconds after a beat."""
    if silent <= SILENT:
        return False
    process = options.get("process")
    if not isinstance(process, dict) or not isinstance(process.get("pid"), int):
        return silent > GONE
    where = {name: process.get(name) for name in ("boot", "space")}
    if None in where.values() or where != _here():
        return silent > GONE
    return process.get("start") != _start_of(process["pid"])


def mark_lost(store: Store) -> None:
    """Mark the runs whose process is gone, and say so (by Python's logging, on stderr).

    A database that is busy is left to the next one.
    """
    try:
        with store.read() as conn:
            if not _lost(conn):
                return
        with store.write() as conn:
            lost = _lost(conn)
            for row in lost:
                _mark(conn, row)
    except StoreError:
        return
    for row in lost:
        _log.warning(
            "run %s (%s, on %s) is marked interrupted: its process is gone, its last sign of life"
            " was %s; what it stored is there, and running the same again goes on from it",
            *(row.uid[:8], row.kind, row.host),
            f"{as_datetime(row.heartbeat_at):%Y-%m-%d %H:%M:%SZ}",
        )


def _lost(conn: Connection) -> list[Any]:
    r = t.run.c
    at = now()
    asked = select(r.id, r.uid, r.kind, r.host, r.heartbeat_at, r.options)
    silent = asked.where(r.status == str(RunStatus.RUNNING), r.heartbeat_at < at - SILENT)
    rows = conn.execute(silent.order_by(r.id)).all()
    return [row for row in rows if is_lost(from_json(row.options), at - row.heartbeat_at)]


def _mark(conn: Connection, row: Any) -> None:
    """End a run as of its last heartbeat, unless it has beaten since."""
    r = t.run.c
    same = (r.id == row.id, r.status == str(RunStatus.RUNNING), r.heartbeat_at == row.heartbeat_at)
    ended = {"status": str(RunStatus.INTERRUPTED), "finished_at": row.heartbeat_at}
    conn.execute(update(t.run).where(*same).values(ended))


@functools.cache
def _here() -> dict[str, str | None]:
    """Return which start of which system this is, and in which space its processes are counted."""
    boot = _read("/proc/sys/kernel/random/boot_id")
    try:
        space: str | None = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        space = None
    return {"boot": None if boot is None else boot.strip(), "space": space}


def _start_of(pid: int) -> str | None:
    """Return when a process began, in ticks since the system did; None where there is none."""
    stat = _read(f"/proc/{pid}/stat")
    return None if stat is None else stat.rpartition(")")[2].split()[_START_TIME]


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return None
