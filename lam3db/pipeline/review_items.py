"""What one annotator is shown of a review, blind and in an order of their own.

Items are named by a digest over the review, the annotator, what is shown and the place: it
tells nothing of the answer, its order or its origin, and a file that comes back under another
name, or with another column shown, does not fit. Answers that show the same to this annotator are
one item. What must hold: no model, judge, attack, run or dataset is in what is shown, but for
what the texts themselves say.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from lam3db import hashing
from lam3db.pipeline.judge import shown_subject
from lam3db.records import ScoreStatus, Sees
from lam3db.store import reviews
from lam3db.store.purge import withheld_images
from lam3db.store.reads import load_judged

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from lam3db.records import Subject
    from lam3db.store.reviews import Label, ReviewItem, ReviewRow

OWN_COLUMNS = ("label", "confidence", "comment")
TEXT_COLUMNS = {
    Sees.BEHAVIOR: "behavior",
    Sees.PROMPT: "prompt",
    Sees.REASONING: "reasoning",
    Sees.RESPONSE: "response",
}
IMAGES = "images"
_ORDER = (Sees.BEHAVIOR, Sees.PROMPT, Sees.IMAGE, Sees.REASONING, Sees.RESPONSE)
_ID = 16


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to label, and every answer of the review that shows it.

    ``names`` are one per answer; the file shows the first.
    """

    names: tuple[str, ...]
    subject: Subject
    generations: tuple[int, ...]

    @property
    def name(self) -> str:
        """Return the name in the file."""
        return self.names[0]

    def text(self, column: str) -> str:
        """Return what a column shows."""
        return getattr(self.subject, column) or ""


def columns_of(shown: Sequence[Sees]) -> tuple[str, ...]:
    """Return the columns of a file that shows these parts."""
    parts = [IMAGES if one is Sees.IMAGE else TEXT_COLUMNS[one] for one in _ORDER if one in shown]
    return ("item", *parts, *OWN_COLUMNS)


def shown_in(columns: Iterable[str]) -> tuple[Sees, ...]:
    """Return what a file with these columns shows."""
    there = set(columns)
    texts = [one for one, name in TEXT_COLUMNS.items() if name in there]
    return (*texts, *((Sees.IMAGE,) if IMAGES in there else ()))


def load_items(
    conn: Connection,
    review: ReviewRow,
    annotator: str,
    shown: Sequence[Sees],
    part: str | None = None,
) -> tuple[list[Item], set[str]]:
    """Return the items in this annotator's order, and the names of answers withheld by now.

    With a ``part``, only items of which an answer belongs to it.
    """
    drawn = reviews.review_items(conn, review.id)
    texts = load_judged(conn, [item.generation_id for item in drawn], shown)
    groups: dict[bytes, list[ReviewItem]] = {}
    subjects: dict[bytes, Subject] = {}
    withheld: set[str] = set()
    gone = withheld_images(conn, left_out=True)
    for item in drawn:
        text = texts.get(item.generation_id)
        if text is None or (Sees.IMAGE in shown and gone & set(text.images)):
            withheld.add(item_name(review, annotator, shown, item.position))
            continue
        subject = shown_subject(shown, text)
        subjects.setdefault(subject.digest, subject)
        groups.setdefault(subject.digest, []).append(item)
    items = [
        Item(
            tuple(item_name(review, annotator, shown, one.position) for one in group),
            subjects[digest],
            tuple(one.generation_id for one in group),
        )
        for digest, group in groups.items()
        if part is None or any(one.part == part for one in group)
    ]
    order = hashing.digest("review_order", [review.uid, annotator, review.seed])
    random.Random(order.hex()).shuffle(items)  # noqa: S311 - an order to be found again
    return items, withheld


def item_name(review: ReviewRow, annotator: str, shown: Sequence[Sees], place: int) -> str:
    """Return the name of an item: hex after an ``i``, or a spreadsheet may read a number."""
    value = [review.uid, annotator, sorted(map(str, shown)), place]
    return f"i{hashing.digest('review_item', value).hex()[:_ID]}"


def belongs_to(
    every: Sequence[ReviewRow],
    items: Sequence[Sequence[int]],
    annotator: str,
    names: set[str],
) -> tuple[ReviewRow, tuple[Sees, ...]] | None:
    """Return the review, and the view, that some of these names are of.

    ``items`` are the places of each review's items.
    """
    for review, places in zip(every, items, strict=True):
        for shown in _views():
            if any(item_name(review, annotator, shown, place) in names for place in places):
                return review, shown
    return None


def disputed(labels: Sequence[Label]) -> bool:
    """Tell whether people differ on an answer; a skip differs from nothing."""
    said = {(one.value, one.verdict) for one in labels if one.status == ScoreStatus.OK}
    return len(said) > 1


def _views() -> list[tuple[Sees, ...]]:
    more = (Sees.PROMPT, Sees.BEHAVIOR, Sees.IMAGE, Sees.REASONING)
    return [
        (Sees.RESPONSE, *chosen)
        for count in range(len(more) + 1)
        for chosen in combinations(more, count)
    ]
