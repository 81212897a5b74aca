"""Tables of what people are asked to look at: reviews, and what was drawn for them.

What must hold: as in :mod:`lam3db.store.tables`, which names them too. An answer belongs to one
part for ever, in whatever reviews it is drawn: what a number is estimated from is never what a
judge was fitted on. Labels are scores of judges of kind ``human``, not rows of these tables.
"""

from __future__ import annotations

from sqlalchemy import ForeignKeyConstraint, Index, PrimaryKeyConstraint, UniqueConstraint

from lam3db.store import columns as _c

PARTS = ("estimation", "training")

review = _c.table(
    "review",
    _c.identity(),
    *_c.uid(),
    _c.text("name"),
    UniqueConstraint("name"),
    _c.integer("seed"),
    _c.json("spec", dict),
    _c.text("author"),
    _c.integer("created_at"),
    _c.rule("name", "length(name) > 0"),
)

review_part = _c.table(
    "review_part",
    _c.reference("generation"),
    *_c.word("part", PARTS),
    PrimaryKeyConstraint("generation_id"),
    UniqueConstraint("generation_id", "part"),
)

review_item = _c.table(
    "review_item",
    _c.reference("review"),
    _c.integer("position"),
    _c.integer("generation_id"),
    *_c.word("part", PARTS),
    _c.number("probability", null=True),
    PrimaryKeyConstraint("review_id", "position"),
    UniqueConstraint("review_id", "generation_id"),
    ForeignKeyConstraint(
        ["generation_id", "part"], ["review_part.generation_id", "review_part.part"]
    ),
    _c.rule("position", "position >= 0"),
    _c.rule("probability", "probability > 0 AND probability <= 1"),
    _c.rule("drawn", "(part = 'estimation') = (probability IS NOT NULL)"),
    Index(None, "generation_id"),
    rowid=False,
)
