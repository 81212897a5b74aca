"""The samples of a selection as people look at them.

What must hold: nothing here writes; a body that is withheld comes back as None, never as an
empty text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from lam3db.hashing import unescape
from lam3db.store import tables as t

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One sample of a selection; ``images`` are hex digests in order."""

    id: int
    key: str
    behavior: str | None
    category: str
    attack: str
    is_benign: bool
    prompt: str | None
    images: tuple[str, ...]


def selection_samples(conn: Connection, selection_id: int, limit: int | None) -> list[SampleRow]:
    """Return the first ``limit`` samples of a selection (all without), in its order."""
    members, sample, behavior = t.selection_sample.c, t.sample.c, t.behavior.c
    rows = conn.execute(
        select(
            sample.id,
            members.key,
            behavior.text,
            behavior.category,
            sample.attack,
            behavior.is_benign,
            sample.prompt,
        )
        .select_from(t.selection_sample.join(t.sample).join(t.behavior))
        .where(members.selection_id == selection_id)
        .order_by(members.position)
        .limit(limit)
    ).all()
    images = _images(conn, [row.id for row in rows])
    return [
        SampleRow(
            id=row.id,
            key=unescape(row.key),
            behavior=_opened(row.text),
            category=unescape(row.category),
            attack=unescape(row.attack),
            is_benign=bool(row.is_benign),
            prompt=_opened(row.prompt),
            images=tuple(images.get(row.id, ())),
        )
        for row in rows
    ]


_CHUNK = 500


def _images(conn: Connection, samples: list[int]) -> dict[int, list[str]]:
    links, media = t.sample_media.c, t.media.c
    found: dict[int, list[str]] = {}
    for start in range(0, len(samples), _CHUNK):
        rows = conn.execute(
            select(links.sample_id, media.sha256)
            .select_from(t.sample_media.join(t.media))
            .where(links.sample_id.in_(samples[start : start + _CHUNK]))
            .order_by(links.sample_id, links.position)
        )
        for sample, sha256 in rows:
            found.setdefault(sample, []).append(bytes(sha256).hex())
    return found


def _opened(text: str | None) -> str | None:
    return None if text is None else unescape(text)
