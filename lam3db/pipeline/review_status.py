"""How far a review is: labelled by whom, where people differ, what is open.

What must hold: agreement is a raw count over items that several annotators labelled with
something other than skip, not corrected for chance; an adjudicator is no annotator and counts
in neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.pipeline.review_items import disputed
from lam3db.pipeline.review_labels import ADJUDICATOR
from lam3db.records import ScoreStatus
from lam3db.store import reviews

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lam3db.store.engine import Store
    from lam3db.store.reviews import JudgeCard, Label, ReviewItem

COLUMNS = (
    "review",
    "part",
    "items",
    "labelled",
    "open",
    "by_several",
    "agree",
    "disputed",
    "adjudicated",
    "annotators",
)
_SEVERAL = 2


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One part of one review; ``agree`` and ``disputed`` add up to ``by_several``."""

    review: str
    part: str
    items: int
    labelled: int
    by_several: int
    agree: int
    adjudicated: int
    annotators: Mapping[str, int]

    def row(self) -> dict[str, Any]:
        """Return the cells of :data:`COLUMNS`."""
        return {
            "review": self.review,
            "part": self.part,
            "items": self.items,
            "labelled": self.labelled,
            "open": self.items - self.labelled,
            "by_several": self.by_several,
            "agree": self.agree,
            "disputed": self.by_several - self.agree,
            "adjudicated": self.adjudicated,
            "annotators": dict(self.annotators),
        }


def review_status(store: Store, name: str | None = None) -> list[PartStatus]:
    """Return the parts of one review, or of all; raise NotFoundError."""
    found = []
    with store.read() as conn:
        people = {card.id: card for card in reviews.judge_cards(conn, "human")}
        every = [reviews.find_review(conn, name)] if name else reviews.list_reviews(conn)
        for review in every:
            items = reviews.review_items(conn, review.id)
            labels = reviews.human_labels(conn, [item.generation_id for item in items])
            for part in dict.fromkeys(item.part for item in items):
                inside = [item for item in items if item.part == part]
                found.append(_part(review.name, part, inside, labels, people))
    return found


def _part(
    review: str,
    part: str,
    items: Sequence[ReviewItem],
    labels: Sequence[Label],
    people: Mapping[int, JudgeCard],
) -> PartStatus:
    by_item: dict[int, list[Label]] = {item.generation_id: [] for item in items}
    adjudicated: set[int] = set()
    counts: dict[str, int] = {}
    for label in labels:
        if label.generation_id not in by_item:
            continue
        card = people[label.judge_id]
        counts[card.label] = counts.get(card.label, 0) + 1
        if card.spec.get("role") == ADJUDICATOR:
            adjudicated.add(label.generation_id)
        else:
            by_item[label.generation_id].append(label)
    said = [
        [label for label in of_item if label.status == ScoreStatus.OK]
        for of_item in by_item.values()
    ]
    several = [of_item for of_item in said if len(of_item) >= _SEVERAL]
    return PartStatus(
        review,
        part,
        len(items),
        sum(bool(of_item) for of_item in by_item.values()),
        len(several),
        sum(not disputed(of_item) for of_item in several),
        len(adjudicated),
        dict(sorted(counts.items())),
    )
