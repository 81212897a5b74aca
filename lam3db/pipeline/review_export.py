"""A review as a file for one annotator.

What must hold: the file and what lies beside it tell nothing of models, judges, attacks or runs
(see :mod:`lam3db.pipeline.review_items`); it is made whole before anything is written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from lam3db.errors import ConfigError
from lam3db.media import SUFFIXES, MediaRoot, sniff
from lam3db.pipeline.review_files import csv_bytes, xlsx_bytes
from lam3db.pipeline.review_items import (
    IMAGES,
    OWN_COLUMNS,
    columns_of,
    disputed,
    load_items,
)
from lam3db.pipeline.review_labels import check_pseudonym, read_scheme
from lam3db.pipeline.withheld_meanwhile import again_if_withheld
from lam3db.store import reviews

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from lam3db.pipeline.review_items import Item
    from lam3db.records import Sees
    from lam3db.store.engine import Store


@dataclass(frozen=True, slots=True)
class Export:
    """What is asked for. ``folder`` is what the images' paths in the file begin with."""

    review: str
    annotator: str
    shown: tuple[Sees, ...]
    kind: str
    folder: str
    part: str | None = None
    only_disputed: bool = False


@dataclass(frozen=True, slots=True)
class Exported:
    """The file's bytes, the images to lie in the folder by name, and what was left out.

    ``labels`` are the words that may be filled in.
    """

    content: bytes
    images: Mapping[str, bytes] = field(default_factory=dict)
    items: int = 0
    withheld: int = 0
    labels: tuple[str, ...] = ()


def export_review(store: Store, asked: Export) -> Exported:
    """Return a review as a file, without what is withheld by now.

    Raises:
        NotFoundError: no such review.
        ConfigError: a name that is no pseudonym, or nothing to export.
        InputError: a text that an XLSX cell does not hold.
        MediaError: an image that is to be shown is not there.

    """
    check_pseudonym(asked.annotator)
    return again_if_withheld(store, partial(_export, store, asked))


def _export(store: Store, asked: Export) -> Exported:
    with store.read() as conn:
        review = reviews.find_review(conn, asked.review)
        items, withheld = load_items(conn, review, asked.annotator, asked.shown, asked.part)
        if asked.only_disputed:
            items = _disputed(conn, items)
    if not items:
        which = "on which people differ " if asked.only_disputed else ""
        raise ConfigError(f"review {asked.review}: there is no item {which}to export")
    images = (
        _images(MediaRoot(store.media_root), items) if IMAGES in columns_of(asked.shown) else {}
    )
    columns = columns_of(asked.shown)
    rows = [_row(item, columns, asked.folder, images) for item in items]
    words = read_scheme(review.spec["labels"]).words
    content = csv_bytes(columns, rows) if asked.kind == "csv" else xlsx_bytes(columns, rows, words)
    files = {name: data for of_item in images.values() for name, data in of_item.items()}
    return Exported(content, files, len(items), len(withheld), words)


def _disputed(conn: Connection, items: Sequence[Item]) -> list[Item]:
    everything = [one for item in items for one in item.generations]
    labels: dict[int, list[reviews.Label]] = {}
    for label in reviews.human_labels(conn, everything):
        labels.setdefault(label.generation_id, []).append(label)
    return [
        item for item in items if any(disputed(labels.get(one, ())) for one in item.generations)
    ]


def _images(root: MediaRoot, items: Sequence[Item]) -> dict[str, dict[str, bytes]]:
    """Return each item's images by a file name that tells nothing."""
    found: dict[str, dict[str, bytes]] = {}
    for item in items:
        for number, sha256 in enumerate(item.subject.images, 1):
            data = root.read(sha256)
            name = f"{item.name}-{number}{SUFFIXES[sniff(data)]}"
            found.setdefault(item.name, {})[name] = data
    return found


def _row(
    item: Item, columns: Sequence[str], folder: str, images: Mapping[str, Mapping[str, bytes]]
) -> list[str]:
    cells = {"item": item.name, **dict.fromkeys(OWN_COLUMNS, "")}
    cells[IMAGES] = "\n".join(f"{folder}/{name}" for name in images.get(item.name, ()))
    return [cells[name] if name in cells else item.text(name) for name in columns]
