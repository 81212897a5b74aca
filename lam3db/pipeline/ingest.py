"""A dataset on its way into the store: images into the media root, then rows, all or none.

What must hold: nothing is written before the whole file was found right; images go first
(under their digest, harmless where no row follows), the rows in one transaction; the same
content under the same name changes nothing, changed content is the next version beside it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lam3db.datasets.load import Options, load_dataset
from lam3db.datasets.published.load import load_published
from lam3db.errors import MediaError
from lam3db.media import MediaRoot, bytes_of, named
from lam3db.pipeline.imports.alike import alike_samples
from lam3db.records import images_of
from lam3db.store import writes
from lam3db.store.purge import withheld_images

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from lam3db.datasets.load import Loaded
    from lam3db.store.engine import Store

    Tick = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class IngestResult:
    """What came in. ``categories`` and ``attacks`` count samples by name.

    ``images`` are different images, ``with_image`` samples that show at least one; ``notes``
    are sentences for the user.
    """

    name: str
    version: int
    is_new: bool
    samples: int
    behaviors: int
    categories: Mapping[str, int]
    attacks: Mapping[str, int]
    benign: int
    images: int
    with_image: int
    notes: tuple[str, ...]


def add_dataset(
    store: Store,
    path: Path,
    name: str | None = None,
    *,
    mapping: Mapping[str, str] | None = None,
    images: Path | None = None,
    source: str = "",
    licence: str = "",
    tick: Tick | None = None,
) -> IngestResult:
    """Read a file (see :func:`lam3db.datasets.load.load_dataset`) and store what it holds.

    Raises:
        InputError: everything that is wrong with the file; nothing was written.
        ConfigError: an option is wrong.

    """
    options = Options(name, mapping, images, source, licence)
    return store_dataset(store, read_dataset(path, options, tick), tick)


def read_dataset(path: Path, options: Options, tick: Tick | None = None) -> Loaded:
    """Read files of a published format where ``options`` names one, else a file of one's own."""
    load = load_dataset if options.layout is None else load_published
    loaded = load(path, options, tick)
    keys = (key for key, _ in loaded.dataset.samples)
    remarks = alike_samples(keys, (sample for _, sample in loaded.dataset.samples))
    return replace(loaded, notes=(*loaded.notes, *remarks))


def store_dataset(store: Store, loaded: Loaded, tick: Tick | None = None) -> IngestResult:
    """Store a dataset that was found right; ``tick(what, done, total)`` tells how far.

    Raises:
        MediaError: an image file has changed since it was looked at, or the media root
            cannot be written; no row was written.

    """
    with store.read() as conn:
        gone = withheld_images(conn)
    _store_images(MediaRoot(store.media_root), loaded, gone, tick)
    with store.write() as conn:
        row = writes.put_dataset(conn, loaded.dataset)
    samples = [sample for _, sample in loaded.dataset.samples]
    return IngestResult(
        name=row.name,
        version=row.version,
        is_new=row.is_new,
        samples=len(samples),
        behaviors=len({sample.behavior.digest for sample in samples}),
        categories=Counter(sample.behavior.category for sample in samples),
        attacks=Counter(sample.attack.name for sample in samples),
        benign=sum(sample.behavior.is_benign for sample in samples),
        images=len(loaded.dataset.media),
        with_image=sum(bool(images_of(sample.messages)) for sample in samples),
        notes=loaded.notes,
    )


def _store_images(
    root: MediaRoot, loaded: Loaded, gone: Collection[str], tick: Tick | None
) -> None:
    """Keep every image but those that are withheld."""
    total = len(loaded.dataset.media)
    for done, media in enumerate(loaded.dataset.media, 1):
        file = loaded.files[media.sha256]
        try:
            if media.sha256 not in gone:
                root.put(bytes_of(file), media)
        except MediaError as error:
            raise MediaError(f"{named(file)}: {error}") from error
        if tick is not None:
            tick("storing images", done, total)
