"""Merging what runs stand on, the runs and their failures.

What must hold: model versions, configs and environments are one row per digest; runs and
failures are known by their uid. A run is the one row that moves: where it still runs here and
is further there (it has ended, or its heart beat later), its state and counts are taken over;
a run that has ended never starts again (one that was marked as lost may have ended otherwise), and
one that runs there stays as it is, with its own heartbeat, so that an old one tells that it was
killed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from lam3db.records import RunKind, RunStatus, Stage
from lam3db.redaction import looks_secret, redact
from lam3db.store import tables as t
from lam3db.store.values import chunks, clean_json, from_json

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from lam3db.store.merge_rows import Merge, Row

_MOVES = (
    *("status", "heartbeat_at", "finished_at"),
    *("planned_count", "new_count", "cached_count", "failed_count"),
)


def merge_models(m: Merge) -> None:
    """Take over model versions and configs."""
    adds = not m.source.is_bundle
    for page in m.source.pages(t.model_version):
        m.put(t.model_version, "digest", page, may_add=adds)
    for page in m.source.pages(t.config):
        refuse_secrets(m, "config", page, "value")
        m.put(t.config, "digest", page, may_add=adds)


def refuse_secrets(m: Merge, what: str, rows: Sequence[Any], column: str) -> None:
    """Refuse what holds a key or password in a place that a digest keeps as it is."""
    found = [row.id for row in rows if looks_secret(getattr(row, column))]
    if found:
        m.source.refuse([f"{what} {one}: holds what looks like a key or password" for one in found])


def new_runs(m: Merge) -> tuple[set[int], set[int]]:
    """Return the environments and selections that runs not stored here refer to."""
    r = t.run.c
    environments: set[int] = set()
    selections: set[int] = set()
    asked = select(r.id, r.uid, r.environment_id, r.selection_id).order_by(r.id)
    rows = m.source.connection.execute(asked).all()
    for part in chunks(rows):
        found = m.known(t.run, "uid", [row.uid for row in part])
        for row in part:
            if row.uid not in found:
                environments.add(row.environment_id)
                selections |= {row.selection_id} - {None}
    return environments, selections


def merge_environments(m: Merge, wanted: Collection[int]) -> None:
    """Take over these environments."""
    e = t.environment
    for part in chunks(sorted(wanted)):
        for page in m.source.pages(e, select(e).where(e.c.id.in_(part)).order_by(e.c.id)):
            refuse_secrets(m, "environment", page, "value")
            m.put(e, "digest", page)


def merge_runs(m: Merge) -> None:
    """Take over runs; of a bundle only those of its judges."""
    for page in m.source.pages(t.run):
        found = m.known(t.run, "uid", [row.uid for row in page])
        new = [row for row in page if row.uid not in found]
        foreign = [row for row in new if row.kind != RunKind.JUDGE]
        if foreign and m.source.is_bundle:
            m.refuse_foreign(t.run, foreign)
        m.insert(t.run, [_cleaned(row) for row in m.mapped(t.run, new)])
        _move_on(m, [row for row in page if row.uid in found], found)
        found |= m.known(t.run, "uid", [row.uid for row in new])
        m.ids.put("run", [(row.id, found[row.uid]) for row in page])
        m.report.add("run", len(new), len(page) - len(new))


def _cleaned(row: Row) -> Row:
    """Return a run without secrets, whoever wrote it."""
    texts = {name: clean_json(from_json(row[name])) for name in ("requested", "effective")}
    options = clean_json(from_json(row["options"]))
    return {**row, **texts, "options": options, "command": redact(row["command"])}


def _move_on(m: Merge, rows: Sequence[Any], here: dict[str, int]) -> None:
    """Bring runs that still run here to where they are there."""
    if m.source.is_bundle:
        rows = [row for row in rows if row.kind == RunKind.JUDGE]
    r = t.run.c
    beats: dict[str, tuple[str, int]] = {}
    for part in chunks([row.uid for row in rows]):
        asked = select(r.uid, r.status, r.heartbeat_at).where(r.uid.in_(part))
        beats.update((uid, (status, beat)) for uid, status, beat in m.conn.execute(asked))
    moved = [row for row in rows if _is_further(row, *beats[row.uid])]
    for row in moved:
        values = {name: getattr(row, name) for name in _MOVES}
        m.conn.execute(update(t.run).where(r.id == here[row.uid]).values(values))
    m.report.updated += len(moved)
    for row in moved:
        m.report.note("run", f"run {row.uid[:8]} is further there: {row.status}")


def _is_further(there: Any, status: str, heartbeat: int) -> bool:
    """Tell whether a run is further there; one marked as lost here may have lived on there."""
    has_ended = there.status != RunStatus.RUNNING
    is_later: bool = there.heartbeat_at > heartbeat
    if status == RunStatus.RUNNING:
        return has_ended or is_later
    return status == RunStatus.INTERRUPTED and has_ended and is_later


def merge_failures(m: Merge) -> None:
    """Take over failed attempts; of a bundle only those of its judges."""
    for page in m.source.pages(t.failure):
        rows = page
        if m.source.is_bundle:
            rows = [row for row in page if row.stage == Stage.JUDGE]
        found = m.known(t.failure, "uid", [row.uid for row in rows])
        new = [row for row in rows if row.uid not in found]
        made = m.mapped(t.failure, new)
        m.insert(t.failure, [{**row, "message": redact(row["message"])} for row in made])
        found |= m.known(t.failure, "uid", [row.uid for row in new])
        m.ids.put("failure", [(row.id, found[row.uid]) for row in rows])
        m.report.add("failure", len(new), len(rows) - len(new))
