"""Writing inputs: media, behaviors, samples, selections and dataset versions.

What must hold: an unchanged sample is the same row in every version of every dataset; a set of
samples is one selection; the same selection under a name is the same version of it. A dataset
that breaks a rule is refused whole, with every fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from lam3db.errors import InputError, StoreError
from lam3db.records import Dataset, images_of, selection_digest, text_of
from lam3db.redaction import redact
from lam3db.store import tables as t
from lam3db.store.bulk import insert_new
from lam3db.store.insert import (
    get_or_insert,
    get_or_insert_all,
    insert_ignore,
    lock_bodies,
    lock_versions,
)
from lam3db.store.purge import withhold_again
from lam3db.store.values import chunks, now, stored, stored_or_none, to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from lam3db.records import Behavior, Media, Sample

_SHOWN = 20
_MEMBER = ("selection_id", "sample_id", "key", "position")


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """A dataset version as it stands in the database; ``is_new`` if this call wrote it."""

    id: int
    name: str
    version: int
    selection_id: int
    is_new: bool
    sample_count: int


def put_dataset(conn: Connection, dataset: Dataset) -> DatasetRow:
    """Write a dataset version: the stored one for an unchanged selection, else the next.

    Raises:
        InputError: no samples, a key or sample twice, an image that is not among ``media``.

    """
    selection_id = put_unnamed(conn, dataset)
    return _put_version(conn, dataset, selection_id, len(dataset.samples))


def put_unnamed(conn: Connection, dataset: Dataset) -> int:
    """Write a dataset's samples and their selection, but no dataset; return the selection.

    Raises:
        InputError: as :func:`put_dataset`.

    """
    pairs = [(key, sample, sample.digest) for key, sample in dataset.samples]
    _refuse_faults(dataset, [(key, digest) for key, _, digest in pairs])
    samples = put_samples(conn, {d: s for _, s, d in pairs}, dataset.media)
    return put_members(conn, [(key, digest, samples[digest]) for key, _, digest in pairs])


def put_samples(
    conn: Connection, samples: Mapping[bytes, Sample], media: Iterable[Media]
) -> dict[bytes, int]:
    """Write samples given by their digest, with their images and behaviors; return their ids."""
    lock_bodies(conn, alone=False)
    lock_versions(conn)
    shown = _put_media(conn, media)
    behaviors = _put_behaviors(conn, [sample.behavior for sample in samples.values()])
    ids = _put_all_samples(conn, samples, behaviors, shown)
    withhold_again(conn)
    return ids


def put_version(
    conn: Connection,
    name: str,
    members: Sequence[tuple[str, bytes, int]],
    *,
    source: str = "",
    licence: str = "",
) -> DatasetRow:
    """Write stored samples, as (key, sample digest, sample id), as a version of a dataset."""
    dataset = Dataset(name, (), source=source, licence=licence)
    return _put_version(conn, dataset, put_members(conn, members), len(members))


def put_selection(conn: Connection, members: Sequence[tuple[str, int]]) -> int:
    """Return the selection of these (key, sample id) pairs, written if it is new."""
    s = t.sample.c
    digests: dict[int, bytes] = {}
    for chunk in chunks([sample for _, sample in members]):
        rows = conn.execute(select(s.id, s.digest).where(s.id.in_(chunk)))
        digests.update((one, bytes(digest)) for one, digest in rows)
    try:
        return put_members(conn, [(key, digests[one], one) for key, one in members])
    except KeyError as error:
        raise StoreError(f"there is no sample with the id {error.args[0]}") from None


def _refuse_faults(dataset: Dataset, pairs: Sequence[tuple[str, bytes]]) -> None:
    faults: list[str] = []
    if not dataset.name:
        faults.append("the name is empty")
    if not pairs:
        faults.append("there are no samples")
    keys: set[str] = set()
    first: dict[bytes, str] = {}
    for key, digest in pairs:
        if key in keys:
            faults.append(f"key {key!r} is there twice")
        keys.add(key)
        if digest in first:
            faults.append(f"{key!r} is the very same sample as {first[digest]!r}")
        first.setdefault(digest, key)
    known = {one.sha256 for one in dataset.media}
    for key, sample in dataset.samples:
        lost = [name for name in images_of(sample.messages) if name not in known]
        faults += [f"{key!r} shows image {name[:12]}..., which was not handed in" for name in lost]
    if faults:
        more = [f"... and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
        shown = faults[:_SHOWN] + more
        raise InputError(f"dataset {dataset.name!r} is refused; nothing was stored:", shown)


def _put_media(conn: Connection, media: Iterable[Media]) -> dict[bytes, int]:
    at = now()
    rows = {
        bytes.fromhex(one.sha256): {
            "sha256": bytes.fromhex(one.sha256),
            "mime_type": one.mime_type,
            "byte_count": one.byte_count,
            "width": one.width,
            "height": one.height,
            "created_at": at,
        }
        for one in media
    }
    return get_or_insert_all(conn, t.media, rows, "sha256")


def _put_behaviors(conn: Connection, behaviors: Sequence[Behavior]) -> dict[bytes, int]:
    at = now()
    rows: dict[bytes, Mapping[str, Any]] = {
        digest: {
            "digest": digest,
            "text": stored(one.text),
            "category": stored(one.category),
            "is_benign": int(one.is_benign),
            "created_at": at,
        }
        for digest, one in {one.digest: one for one in behaviors}.items()
    }
    return get_or_insert_all(conn, t.behavior, rows)


def _put_all_samples(
    conn: Connection,
    samples: Mapping[bytes, Sample],
    behaviors: Mapping[bytes, int],
    media: Mapping[bytes, int],
) -> dict[bytes, int]:
    at = now()
    rows: dict[bytes, Mapping[str, Any]] = {
        digest: {
            "digest": digest,
            "input_digest": one.input_digest,
            "behavior_id": behaviors[one.behavior.digest],
            "messages": to_json([message.to_json() for message in one.messages]),
            "prompt": stored(text_of(one.messages)),
            "attack": stored(one.attack.name),
            "attack_parameters": to_json(dict(one.attack.parameters)),
            "target": stored_or_none(one.target),
            "metadata": to_json(dict(one.metadata)),
            "created_at": at,
        }
        for digest, one in samples.items()
    }
    ids = get_or_insert_all(conn, t.sample, rows)
    shown = [
        {"sample_id": ids[digest], "position": at, "media_id": media[bytes.fromhex(name)]}
        for digest, one in samples.items()
        for at, name in enumerate(images_of(one.messages))
    ]
    insert_ignore(
        conn, t.sample_media, sorted(shown, key=lambda r: (r["sample_id"], r["position"]))
    )
    return ids


def put_members(conn: Connection, members: Sequence[tuple[str, bytes, int]]) -> int:
    """Write (key, sample digest, sample id) as a selection; its order is the first one seen.

    Raises:
        StoreError: a key or a sample is there twice.

    """
    row = {
        "digest": selection_digest([(key, digest) for key, digest, _ in members]),
        "sample_count": len(members),
        "created_at": now(),
    }
    wanted = select(t.selection.c.id).where(t.selection.c.digest == row["digest"])
    found = conn.execute(wanted).scalar()
    if found is not None:
        return int(found)
    lock_versions(conn)
    selection = get_or_insert(conn, t.selection, row, "digest")
    rows = [
        (selection, sample, stored(key), position)
        for position, (key, _, sample) in enumerate(members)
    ]
    there = select(func.count()).where(t.selection_sample.c.selection_id == selection)
    if not rows or conn.execute(there).scalar_one():  # another process may have written it
        return selection
    if insert_new(conn, t.selection_sample, _MEMBER, rows) != len(rows):
        raise StoreError("a selection would hold a sample or a key twice")
    return selection


def _put_version(
    conn: Connection, dataset: Dataset, selection_id: int, sample_count: int
) -> DatasetRow:
    d = t.dataset.c
    name = stored(dataset.name)
    same = select(d.id, d.version).where(d.name == name, d.selection_id == selection_id)
    found = conn.execute(same).one_or_none()
    if found is not None:
        return DatasetRow(
            found.id,
            dataset.name,
            found.version,
            selection_id,
            is_new=False,
            sample_count=sample_count,
        )
    latest = conn.execute(select(func.max(d.version)).where(d.name == name)).scalar() or 0
    row = {
        "name": name,
        "version": latest + 1,
        "selection_id": selection_id,
        "source": stored(redact(dataset.source)),
        "licence": stored(dataset.licence),
        "created_at": now(),
    }
    added = conn.execute(t.dataset.insert().values(row).returning(d.id)).scalar_one()
    return DatasetRow(
        added, dataset.name, latest + 1, selection_id, is_new=True, sample_count=sample_count
    )
