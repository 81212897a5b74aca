"""A database from elsewhere into this one: looked at, images put, rows merged, all or nothing.

What must hold: nothing is written before the whole source was found right; images go first
(under their digest, harmless where no row follows), the rows in one transaction; a dry run
does all of it and takes it back.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from lam3db.errors import ConfigError, MediaError
from lam3db.media import MediaRoot, inspect_image, read_file
from lam3db.pipeline.ending import sum_up
from lam3db.records import Media
from lam3db.store import tables as t
from lam3db.store.address import parse
from lam3db.store.engine import open_store
from lam3db.store.insert import ids_by_digest
from lam3db.store.merge import merge
from lam3db.store.source import examine, open_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from lam3db.store.engine import Store
    from lam3db.store.merge_report import MergeReport
    from lam3db.store.source import Source

    Tick = Callable[[str], None]


def merge_database(
    db: str | None,
    source: str,
    *,
    media: str | None = None,
    dry_run: bool = False,
    tick: Tick | None = None,
) -> MergeReport:
    """Merge the database at ``source`` into the one at ``db``.

    ``media`` is where the source's images lie, if not beside its file or in ``LAM3DB_MEDIA``.

    Raises:
        InputError: everything that is wrong with the source; nothing was merged.
        ConfigError: both are the same database.
        StoreError: one of the two cannot be used.

    """
    _refuse_itself(db, source)
    if dry_run:  # a database that is not there, or an old one, is not made for a look
        open_store(db, mode="read").close()
    with open_source(source, media) as opened:
        examine(opened, tick)
        with open_store(db, mode="write") as store:
            put_images(store, opened, keep=not dry_run)
            with store.write() as conn, _kept(conn, keep=not dry_run):
                report = merge(conn, opened, tick)
            if not dry_run:
                sum_up(store)
            return report


@contextlib.contextmanager
def _kept(conn: Connection, *, keep: bool) -> Iterator[None]:
    """Keep what the block writes, or take it back."""
    point = conn.begin_nested()
    yield
    if keep:
        point.commit()
    else:
        point.rollback()


def _refuse_itself(db: str | None, source: str) -> None:
    one, other = parse(db), parse(source)
    same = one.dialect == other.dialect and (
        one.url == other.url if one.url else one.path.resolve() == other.path.resolve()
    )
    if same:
        raise ConfigError(f"{other.shown} is the database itself: name another one to merge")


def put_images(store: Store, source: Source, *, keep: bool = True) -> int:
    """Put the images that are new here, each found to be what its row says; return how many.

    Raises:
        InputError: an image is missing, another one, or outside the limits; all are told.
        MediaError: the media root here cannot be written.

    """
    if source.is_bundle:
        return 0
    there, here = MediaRoot(source.media_root), MediaRoot(store.media_root)
    faults: list[str] = []
    lost: list[str] = []
    count = 0
    for page in source.pages(t.media, select(t.media).where(t.media.c.withheld_id.is_(None))):
        with store.read() as conn:
            known = ids_by_digest(conn, t.media.c.sha256, [bytes(row.sha256) for row in page])
        for row in page:
            if bytes(row.sha256) in known:
                continue
            name = bytes(row.sha256).hex()
            try:
                place = Path(there.path(name))
            except MediaError:
                lost.append(name[:12])
                continue
            try:
                data, seen = _looked_at(there, place, row)
            except MediaError as error:
                faults.append(f"image {name[:12]}: {error}")
                continue
            count += 1
            if keep and not faults and not lost:
                here.put(data, seen)
    if lost:
        faults.insert(0, _lost(lost, there))
    if faults:
        source.refuse(faults)
    return count


def _lost(names: list[str], root: MediaRoot) -> str:
    """Return one sentence on the images that are not there, however many."""
    which = f"image {names[0]} is" if len(names) == 1 else f"{len(names)} images are"
    first = "" if len(names) == 1 else f" ({names[0]} is the first)"
    return (
        f"{which} not in the media root {root.root}{first}: bring that folder along, or name"
        " where it lies with --media"
    )


def _looked_at(root: MediaRoot, place: Path, row: Any) -> tuple[bytes, Media]:
    """Return an image of the source; raise MediaError if it is not what its row says."""
    name = bytes(row.sha256).hex()
    data = read_file(place) if place.exists() else root.read(name)
    seen = inspect_image(data)
    if seen != Media(name, row.mime_type, row.byte_count, row.width, row.height):
        raise MediaError(f"{place} is another image than its row says")
    return data, seen
