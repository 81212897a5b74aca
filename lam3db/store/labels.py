"""Labels to fit and to measure on: what one person said of the answers of one part.

What must hold: answers of the other part are not in the answer; what shows the same is there
once; the latest revision counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from lam3db.store.pending import SHOWN
from lam3db.store.reviews import LATEST

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One label; ``subject_digest`` is of what the person was shown."""

    generation_id: int
    behavior_id: int
    status: str
    value: float | None
    verdict: str | None
    subject_digest: bytes


def labels_of(conn: Connection, judge_id: int, part: str) -> list[LabelRow]:
    """Return the labels of a judge on the answers drawn for a part, by answer."""
    rows = conn.execute(
        text(
            f"""SELECT g.id, s.behavior_id, x.status, x.value, x.verdict, f.subject_digest
                  FROM review_part p JOIN generation g ON g.id = p.generation_id
                  JOIN sample s ON s.id = g.sample_id
                  JOIN score x ON x.generation_id = g.id
                  JOIN finding f ON f.id = x.finding_id
                 WHERE p.part = :part AND x.judge_id = :judge AND {LATEST} AND {SHOWN}
                 ORDER BY g.id"""
        ),
        {"part": part, "judge": judge_id},
    )
    first: dict[bytes, LabelRow] = {}
    for row in rows:
        found = LabelRow(
            row.id, row.behavior_id, row.status, row.value, row.verdict, bytes(row.subject_digest)
        )
        first.setdefault(found.subject_digest, found)
    return list(first.values())
