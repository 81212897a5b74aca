"""Merging what models were asked: withholdings, images, behaviors, samples, selections, datasets.

What must hold: one content is one row; a selection comes over where a dataset or a run that is
new needs it; a name and version that stand for another selection here stay, and the one from
there becomes the next version of the name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from lam3db.hashing import unescape
from lam3db.store import tables as t
from lam3db.store.bulk import select_in
from lam3db.store.values import chunks

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from lam3db.store.merge_rows import Merge


def merge_withholdings(m: Merge) -> None:
    """Take over who withheld what and why; those of a bundle say nothing about here."""
    if not m.source.is_bundle:
        for page in m.source.pages(t.withholding):
            m.put(t.withholding, "uid", page)


def merge_media(m: Merge) -> None:
    """Take over the rows of images; their bytes were put before."""
    if not m.source.is_bundle:
        for page in m.source.pages(t.media):
            m.put(t.media, "sha256", page)


def merge_samples(m: Merge) -> None:
    """Take over behaviors and samples with the images they show."""
    adds = not m.source.is_bundle
    for page in m.source.pages(t.behavior):
        m.put(t.behavior, "digest", page, may_add=adds)
    for page in m.source.pages(t.sample):
        _show(m, sorted(m.put(t.sample, "digest", page, may_add=adds)))


def _show(m: Merge, new: Sequence[int]) -> None:
    asked = "SELECT sample_id, position, media_id FROM sample_media WHERE sample_id"
    rows = select_in(m.source.connection, asked, (), new, "bigint")
    m.insert(t.sample_media, m.mapped(t.sample_media, rows))


def merge_selections(m: Merge, wanted: Collection[int]) -> None:
    """Take over these selections with their members, which the samples' digests vouch for."""
    s = t.selection
    for part in chunks(sorted(wanted)):
        for page in m.source.pages(s, select(s).where(s.c.id.in_(part)).order_by(s.c.id)):
            for one in sorted(m.put(s, "digest", page)):
                _members(m, one)


def _members(m: Merge, selection: int) -> None:
    members = t.selection_sample
    asked = select(members).where(members.c.selection_id == selection).order_by(members.c.position)
    for page in m.source.pages(members, asked):
        m.insert(members, m.mapped(members, page))


def selections_of_datasets(m: Merge) -> set[int]:
    """Return the selections that the source's datasets name."""
    if m.source.is_bundle:
        return set()
    asked = select(t.dataset.c.selection_id).distinct()
    return set(m.source.connection.execute(asked).scalars())


def merge_datasets(m: Merge) -> None:
    """Take over dataset versions by their name and selection."""
    if not m.source.is_bundle:
        for page in m.source.pages(t.dataset):
            for there, row in zip(page, m.mapped(t.dataset, page), strict=True):
                _put_dataset(m, there, row)


def _put_dataset(m: Merge, there: Any, row: dict[str, Any]) -> None:
    d = t.dataset.c
    same = select(d.id).where(d.name == row["name"], d.selection_id == row["selection_id"])
    found = m.conn.execute(same).scalar()
    m.report.add("dataset", int(found is None), int(found is not None))
    if found is None:
        taken = set(m.conn.execute(select(d.version).where(d.name == row["name"])).scalars())
        if row["version"] in taken:
            row["version"] = max(taken) + 1
            name = unescape(row["name"])
            m.report.note(
                "dataset",
                f"{name}@{there.version} is another selection there: it is"
                f" {name}@{row['version']} here",
            )
        m.insert(t.dataset, [row])
        found = m.conn.execute(same).scalar_one()
    m.ids.put("dataset", [(there.id, int(found))])
