"""What an import asks of the store before it writes: the dataset as it stands, earlier imports.

What must hold: nothing here writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from lam3db.hashing import escape, unescape
from lam3db.records import IMPORTED_FAMILY, IdentityKind, RunKind, RunStatus
from lam3db.store import tables as t
from lam3db.store.put_samples import DatasetRow
from lam3db.store.values import from_json

if TYPE_CHECKING:
    from sqlalchemy import Connection

IMPORTED = "results of "
"""How the source of a dataset begins whose samples came with results: it grows by imports."""

FIRST_REPLICATE = "first_replicate"
"""Under this name a run records which number of its file became replicate 0."""


@dataclass(frozen=True, slots=True)
class LatestVersion:
    """A dataset's latest version (None: there is none) and its (key, digest, sample id)."""

    row: DatasetRow | None
    is_imported: bool
    members: tuple[tuple[str, bytes, int], ...]


def latest_version(conn: Connection, name: str) -> LatestVersion:
    """Return the latest version of a dataset with what it holds, in its order."""
    d, ss = t.dataset.c, t.selection_sample.c
    latest = select(d.id, d.version, d.selection_id, d.source).where(d.name == escape(name))
    row = conn.execute(latest.order_by(d.version.desc()).limit(1)).one_or_none()
    if row is None:
        return LatestVersion(None, is_imported=False, members=())
    asked = select(ss.key, t.sample.c.digest, ss.sample_id).join(
        t.sample, t.sample.c.id == ss.sample_id
    )
    rows = conn.execute(asked.where(ss.selection_id == row.selection_id).order_by(ss.position))
    members = tuple((unescape(key), bytes(digest), sample) for key, digest, sample in rows)
    found = DatasetRow(
        row.id, name, row.version, row.selection_id, is_new=False, sample_count=len(members)
    )
    return LatestVersion(found, row.source.startswith(IMPORTED), members)


def imported_models(conn: Connection) -> set[int]:
    """Return the models that are known by name only: nobody here can ask them."""
    m = t.model_version.c
    declared = m.identity_kind == str(IdentityKind.DECLARED)
    return set(conn.scalars(select(m.id).where(declared, m.family == IMPORTED_FAMILY)))


def imported_judges(conn: Connection) -> set[int]:
    """Return the judges whose findings come from elsewhere: nobody here can ask them."""
    rows = conn.execute(select(t.judge.c.id, t.judge.c.spec))
    return {one for one, spec in rows if "origin" in from_json(spec)}


def import_of(
    conn: Connection, model_version: int, config: int, selection: int, replicates: int
) -> int | None:
    """Return the first finished run that asked for exactly this, None where there is none."""
    r = t.run.c
    same = (
        (r.kind == str(RunKind.GENERATE)) & (r.status == str(RunStatus.FINISHED))
        & (r.model_version_id == model_version) & (r.config_id == config)
        & (r.selection_id == selection) & (r.replicates == replicates)
    )  # fmt: skip
    return conn.execute(select(func.min(r.id)).where(same)).scalar()


def first_replicates(conn: Connection, model_version: int, config: int) -> set[int]:
    """Return with which numbers the files began whose answers were imported under these."""
    r = t.run.c
    same = (
        (r.kind == str(RunKind.GENERATE))
        & (r.model_version_id == model_version)
        & (r.config_id == config)
    )
    requested = (from_json(text) for text in conn.scalars(select(r.requested).where(same)))
    return {one[FIRST_REPLICATE] for one in requested if FIRST_REPLICATE in one}
