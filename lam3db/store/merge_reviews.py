"""Merging reviews: what was drawn for people, and for which part.

What must hold: an answer belongs to one part for ever, also across databases: where it was
drawn for the other part here, the item from there is left out and reported, because a number
must not be estimated from what a judge was fitted on. A review is known by its uid and never
changes; its name gets a suffix where another review has it.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from lam3db.hashing import unescape
from lam3db.store import tables as t
from lam3db.store.bulk import select_in

if TYPE_CHECKING:
    from lam3db.store.merge_rows import Merge, Row

_PARTS = "SELECT generation_id, part FROM review_part WHERE generation_id"


def merge_reviews(m: Merge) -> None:
    """Take over parts, reviews and their items; a bundle has nothing of it."""
    if m.source.is_bundle:
        return
    for page in m.source.pages(t.review_part):
        rows = m.mapped(t.review_part, page)
        held = dict(map(tuple, select_in(m.conn, _PARTS, (), _answers(rows), "bigint")))
        new = [row for row in rows if row["generation_id"] not in held]
        m.insert(t.review_part, new)
        m.report.add("review_part", len(new), len(rows) - len(new))
    for page in m.source.pages(t.review):
        for there in page:
            _put_review(m, there)


def _answers(rows: list[Row]) -> list[int]:
    return sorted(row["generation_id"] for row in rows)


def _put_review(m: Merge, there: Any) -> None:
    known = bool(m.known(t.review, "uid", [there.uid]))
    m.report.add("review", int(not known), int(known))
    if known:
        return
    (row,) = m.mapped(t.review, [there])
    tried = (there.name if number == 1 else f"{there.name}-{number}" for number in count(1))
    row["name"] = next(one for one in tried if not m.known(t.review, "name", [one]))
    if row["name"] != there.name:
        old, new = unescape(there.name), unescape(row["name"])
        m.report.note("review", f"{old} is another review here: the one from there is {new}")
    m.insert(t.review, [row])
    m.ids.put("review", [(there.id, m.known(t.review, "uid", [there.uid])[there.uid])])
    _put_items(m, there.id, unescape(row["name"]))


def _put_items(m: Merge, review: int, name: str) -> None:
    i = t.review_item
    asked = select(i).where(i.c.review_id == review).order_by(i.c.position)
    for page in m.source.pages(i, asked):
        rows = m.mapped(i, page)
        held = dict(map(tuple, select_in(m.conn, _PARTS, (), _answers(rows), "bigint")))
        fit = [row for row in rows if held[row["generation_id"]] == row["part"]]
        m.insert(i, fit)
        m.report.add("review_item", len(fit), 0)
        crossed = len(rows) - len(fit)
        if crossed:
            sentence = f"{crossed} answers of {name} belong to the other part here: left out"
            m.report.note("review", sentence)
