"""Taking things out: bodies that must not be kept, and files that nobody refers to.

What must hold: rows first (who and why, in one transaction), files after, so that a kill
between the two leaves files that the same purge, or ``lam3db db gc``, takes away; a withheld
image never comes back by adding its dataset again; nothing is removed unasked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import text

from lam3db.media import MediaRoot
from lam3db.store.copies import Copy, copies
from lam3db.store.insert import lock_bodies
from lam3db.store.purge import Plan, Target, find_target, withheld_images, withhold
from lam3db.store.scrub import scrub

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from lam3db.media import StoredFile
    from lam3db.store.engine import Store

YOUNG = timedelta(hours=24)
"""Files younger than this may belong to a dataset that is just being added."""


@dataclass(frozen=True, slots=True)
class Purged:
    """What was done. ``left`` says what could not be wiped, ``copies`` where it may still be."""

    plan: Plan
    files: int
    left: str | None
    copies: tuple[Copy, ...]


def plan_purge(store: Store, target: Target) -> tuple[Plan, tuple[Copy, ...]]:
    """Return what :func:`purge` would do, and where copies lie; raise as it does."""
    with store.read() as conn:
        plan = find_target(conn, target)
    return plan, tuple(copies(store))


def purge(store: Store, target: Target, author: str, reason: str) -> Purged:
    """Withhold the target's bodies for ever.

    Raises:
        ConfigError, NotFoundError: the target names nothing, or something that is not there.
        MediaError: an image's file cannot be removed; the rows are withheld already.

    """
    with store.write() as conn:
        lock_bodies(conn, alone=True)
        plan = find_target(conn, target)
        if plan.rows:
            withhold(conn, plan, author, reason)
    root = MediaRoot(store.media_root)
    files = sum(root.remove(one) for one in plan.images)
    known = tuple(copies(store))
    return Purged(plan, files, scrub(store), known)


@dataclass(frozen=True, slots=True)
class Garbage:
    """What does not fit together.

    ``orphans`` are files without a row, ``young`` how many such files are too new to judge,
    ``parts`` what a killed process left of a file, ``withheld`` files of withheld images,
    ``unused`` rows of images that no sample shows, ``missing`` digests of images whose file
    is not there though a sample shows them.
    """

    orphans: tuple[StoredFile, ...]
    young: int
    parts: tuple[StoredFile, ...]
    withheld: tuple[StoredFile, ...]
    unused: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def removable(self) -> tuple[StoredFile, ...]:
        """The files that ``--remove`` takes away."""
        return (*self.orphans, *self.parts, *self.withheld)


def find_garbage(store: Store, older_than: timedelta = YOUNG) -> Garbage:
    """Compare the media root with the rows; raise MediaError where it cannot be listed."""
    files = list(MediaRoot(store.media_root).files())
    with store.read() as conn:
        rows = _rows(conn)
        gone, absent = withheld_images(conn), withheld_images(conn, left_out=True)
    before = datetime.now(UTC) - older_than
    old = [one for one in files if one.changed_at is not None and one.changed_at < before]
    there = {one.sha256 for one in files}
    loose = [one for one in files if one.sha256 is not None and one.sha256 not in rows]
    orphans = tuple(one for one in loose if one in old)
    return Garbage(
        orphans=orphans,
        young=len(loose) - len(orphans),
        parts=tuple(one for one in old if one.sha256 is None),
        withheld=tuple(one for one in files if one.sha256 in gone),
        unused=tuple(
            sorted(name for name, shown in rows.items() if not shown and name not in absent)
        ),
        missing=tuple(
            sorted(name for name, shown in rows.items() if shown and name not in there | absent)
        ),
    )


def remove_garbage(store: Store, garbage: Garbage) -> int:
    """Take the removable files away; return how many.

    One that was put again meanwhile, or for which a row came, stays: a dataset is being added.

    Raises:
        MediaError: one cannot be removed.

    """
    root = MediaRoot(store.media_root)
    removed = 0
    for file in garbage.removable:
        if file in garbage.orphans and root.changed_at(file.place) != file.changed_at:
            continue
        with store.read() as conn:
            if file in garbage.orphans and file.sha256 in _rows(conn, file.sha256):
                continue
        root.remove_file(file.place)
        removed += 1
    return removed


def _rows(conn: Connection, sha256: str | None = None) -> dict[str, bool]:
    """Return the digests of images that have a row (or this one's), and whether one shows them."""
    asked = """SELECT m.sha256, EXISTS (SELECT 1 FROM sample_media sm WHERE sm.media_id = m.id)
                 FROM media m"""
    only = {} if sha256 is None else {"one": bytes.fromhex(sha256)}
    rows = conn.execute(text(f"{asked} WHERE m.sha256 = :one" if only else asked), only)
    return {bytes(one).hex(): bool(shown) for one, shown in rows}
