"""What happened on a day: the runs that began then, and the days there are.

What must hold: a day is that of a stated time zone; nothing here knows what time it is now.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from lam3db.hashing import unescape
from lam3db.store import tables as t
from lam3db.store.values import as_datetime, from_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class DayRun:
    """A run of the day; ``subject`` is its model's or judge's name, ``digest`` (hex) that one's."""

    uid: str
    kind: str
    status: str
    subject: str
    digest: str
    source: str
    dataset: str
    username: str
    code_commit: str | None
    code_dirty: bool | None
    requested: Mapping[str, Any]
    effective: Mapping[str, Any]
    config: str
    planned: int
    new: int
    cached: int
    failed: int


def bounds(day: str, zone: tzinfo) -> tuple[int, int]:
    """Return the first microsecond of a day and of the next."""
    start = date.fromisoformat(day)
    ends = [datetime.combine(one, time(), zone) for one in (start, start + timedelta(days=1))]
    return int(ends[0].timestamp() * 1e6), int(ends[1].timestamp() * 1e6)


def runs_of(conn: Connection, day: str, zone: tzinfo) -> list[DayRun]:
    """Return the runs that began on a day, in order; smoke tests are left out."""
    first, end = bounds(day, zone)
    r, m, j, d = t.run.c, t.model_version.c, t.judge.c, t.dataset.c
    asked = (
        select(
            *(r.uid, r.kind, r.status, r.username, r.code_commit, r.code_dirty, r.requested),
            *(r.effective, r.planned_count, r.new_count, r.cached_count, r.failed_count),
            func.coalesce(m.name, j.name, "").label("subject"),
            func.coalesce(m.digest, j.digest).label("digest"),
            func.coalesce(m.source, "").label("source"),
            *(d.name.label("dataset"), d.version.label("version")),
            t.config.c.digest.label("config"),
        )
        .select_from(t.run)
        .outerjoin(t.model_version, m.id == r.model_version_id)
        .outerjoin(t.judge, j.id == r.judge_id)
        .outerjoin(t.dataset, d.id == r.dataset_id)
        .outerjoin(t.config, t.config.c.id == r.config_id)
        .where(r.started_at >= first, r.started_at < end, r.kind != "smoke")
        .order_by(r.started_at, r.id)
    )
    return [_run(row) for row in conn.execute(asked)]


def last_day(conn: Connection, zone: tzinfo) -> str | None:
    """Return the latest day on which a run began; None without any."""
    latest = conn.execute(select(func.max(t.run.c.started_at))).scalar()
    return None if latest is None else as_datetime(latest).astimezone(zone).date().isoformat()


def _run(row: Any) -> DayRun:
    named = row.dataset is not None
    return DayRun(
        uid=row.uid,
        kind=row.kind,
        status=row.status,
        subject=unescape(row.subject),
        digest="" if row.digest is None else bytes(row.digest).hex(),
        source=unescape(row.source),
        dataset=f"{unescape(row.dataset)}@{row.version}" if named else "",
        username=unescape(row.username),
        code_commit=row.code_commit,
        code_dirty=None if row.code_dirty is None else bool(row.code_dirty),
        requested=from_json(row.requested),
        effective=from_json(row.effective),
        config="" if row.config is None else bytes(row.config).hex(),
        planned=row.planned_count,
        new=row.new_count,
        cached=row.cached_count,
        failed=row.failed_count,
    )
