"""How much is stored: rows per table, bytes, and what each run brought.

What must hold: nothing here writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from lam3db.hashing import unescape
from lam3db.store import tables as t
from lam3db.store.values import as_datetime

if TYPE_CHECKING:
    from datetime import datetime

    from lam3db.store.engine import Store


@dataclass(frozen=True, slots=True)
class RunFigures:
    """One run: ``subject`` is the model's or the judge's name."""

    uid: str
    kind: str
    status: str
    subject: str
    started_at: datetime
    planned: int
    new: int
    cached: int
    failed: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Rows per table, bytes on disk, and the latest runs, newest first."""

    rows: dict[str, int]
    byte_count: int
    runs: tuple[RunFigures, ...]


def figures(store: Store, runs: int = 20) -> Figures:
    """Count everything."""
    with store.read() as connection:
        rows = {
            name: int(connection.execute(select(func.count()).select_from(table)).scalar_one())
            for name, table in sorted(t.metadata.tables.items())
        }
        return Figures(rows, _size(connection), _runs(connection, runs))


def _size(connection: Any) -> int:
    if connection.dialect.name == "sqlite":
        sql = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    else:
        sql = "SELECT pg_database_size(current_database())"
    return int(connection.exec_driver_sql(sql).scalar_one())


def _runs(connection: Any, limit: int) -> tuple[RunFigures, ...]:
    r = t.run
    query = (
        select(r, func.coalesce(t.model_version.c.name, t.judge.c.name, "").label("subject"))
        .outerjoin(t.model_version, t.model_version.c.id == r.c.model_version_id)
        .outerjoin(t.judge, t.judge.c.id == r.c.judge_id)
        .order_by(r.c.id.desc())
        .limit(limit)
    )
    return tuple(
        RunFigures(
            row.uid,
            row.kind,
            row.status,
            unescape(row.subject),
            as_datetime(row.started_at),
            row.planned_count,
            row.new_count,
            row.cached_count,
            row.failed_count,
        )
        for row in connection.execute(query)
    )
