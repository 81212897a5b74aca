"""Writing reviews: which answers people are asked to look at, and how they were drawn.

What must hold: an answer drawn for one part is never drawn for the other, in any review; a
review is written whole or not at all, and never changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from lam3db.errors import ConfigError
from lam3db.store import tables as t
from lam3db.store.bulk import insert_new, select_in
from lam3db.store.insert import lock_versions
from lam3db.store.values import new_uid, now, stored, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

_ITEM = ("review_id", "position", "generation_id", "part", "probability")


@dataclass(frozen=True, slots=True)
class DrawnItem:
    """An answer drawn; ``probability`` of being drawn, None where it was chosen (training)."""

    generation_id: int
    part: str
    probability: float | None = None


def put_review(
    conn: Connection,
    name: str,
    seed: int,
    spec: Mapping[str, Any],
    author: str,
    items: Sequence[DrawnItem],
) -> tuple[int, str]:
    """Write a review and its items in their order; return its id and uid.

    Raises:
        ConfigError: there is a review of this name, or an answer belongs to the other part.

    """
    lock_versions(conn)
    if conn.execute(select(t.review.c.id).where(t.review.c.name == stored(name))).scalar():
        raise ConfigError(f"there is a review {name!r} already: give another name")
    wanted = {item.generation_id: item.part for item in items}
    _refuse_crossing(conn, wanted)
    uid = new_uid()
    row = {
        "uid": uid,
        "name": stored(name),
        "seed": seed,
        "spec": to_json(dict(spec)),
        "author": stored(author),
        "created_at": now(),
    }
    conn.execute(t.review.insert().values(row))
    review_id = conn.execute(select(t.review.c.id).where(t.review.c.uid == uid)).scalar_one()
    insert_new(conn, t.review_part, ("generation_id", "part"), sorted(wanted.items()))
    rows = [
        (review_id, position, item.generation_id, item.part, item.probability)
        for position, item in enumerate(items)
    ]
    insert_new(conn, t.review_item, _ITEM, rows)
    return int(review_id), uid


def _refuse_crossing(conn: Connection, wanted: Mapping[int, str]) -> None:
    asked = "SELECT generation_id, part FROM review_part WHERE generation_id"
    held = select_in(conn, asked, (), sorted(wanted), "bigint")
    crossed = sum(part != wanted[one] for one, part in held)
    if crossed:
        raise ConfigError(f"{crossed} answers were drawn for the other part before: draw again")
