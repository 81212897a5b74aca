"""Whether a judge gives values, and which attributes beside them.

What must hold: numbers that are no scores of an answer (how many windows it was read in, the
mean over windows, the odds of words) are no attributes that a share can be taken of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from lam3db.hashing import unescape

if TYPE_CHECKING:
    from sqlalchemy import Connection

# the same as in aggregates: what a judge tells of its reading, not of the answer
_TOLD = ("windows", "mass")


def attribute_names(conn: Connection, judge_id: int) -> tuple[str, ...]:
    """Return the names of a judge's attributes that are scores, in order."""
    rows = conn.execute(
        text(
            """SELECT DISTINCT fa.attribute FROM finding f
                 JOIN finding_attribute fa ON fa.finding_id = f.id
                WHERE f.judge_id = :judge ORDER BY 1"""
        ),
        {"judge": judge_id},
    )
    return tuple(sorted(name for (one,) in rows if is_score(name := unescape(one))))


def has_values(conn: Connection, judge_id: int) -> bool:
    """Tell whether any score of a judge has a value."""
    query = "SELECT 1 FROM score WHERE judge_id = :judge AND value IS NOT NULL LIMIT 1"
    return conn.execute(text(query), {"judge": judge_id}).first() is not None


def is_score(name: str) -> bool:
    """Tell whether an attribute is a score of the answer."""
    return name not in _TOLD and not name.endswith("_mean") and not name.startswith("p_")
