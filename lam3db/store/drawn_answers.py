"""Which answers were drawn for people, and how: what a label stands for.

Whoever labels an answer has labelled all that show the same, so these are drawn with it. What
must hold: what was chosen because it is disputed (``training``) is never taken for what was
drawn by lot (``estimation``), whose chance to be drawn is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lam3db.store import reviews

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class DrawnAnswer:
    """How an answer was drawn; ``probability`` is None for one that was chosen."""

    review: str
    part: str
    probability: float | None


def drawn_answers(conn: Connection) -> dict[int, DrawnAnswer]:
    """Return how each answer was drawn, by its id; of several reviews the first counts."""
    found: dict[int, DrawnAnswer] = {}
    for review in reviews.list_reviews(conn):
        items = reviews.review_items(conn, review.id)
        same = reviews.copies(conn, [item.generation_id for item in items])
        for item in items:
            drawn = DrawnAnswer(review.name, item.part, item.probability)
            for generation in same.get(item.generation_id, (item.generation_id,)):
                found.setdefault(generation, drawn)
    return found
