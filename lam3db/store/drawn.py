"""What people said of answers that were drawn for them, with the chance of being drawn.

An answer that shows the same as a drawn one was labelled with it, and has its chance. What
must hold: an answer of the disputed part has no chance and is in no estimate; of an answer
drawn in several reviews the largest chance counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from lam3db.store.aggregates import OUTCOMES, bound, judge_values, population, scored, values_of
from lam3db.store.groups import group_keys, key_columns
from lam3db.store.sample_cells import cluster_column, cluster_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from lam3db.store.aggregates import Frame, JudgeRow


@dataclass(frozen=True, slots=True)
class DrawnCell:
    """``n`` answers that are alike; ``chance`` is None for what was not drawn by lot.

    The other numbers are those of :class:`lam3db.store.aggregates.Cell`.
    """

    group: tuple[int | str, ...]
    cluster: int | str
    is_benign: bool
    outcome: str
    chance: float | None
    n: int
    decided: int
    unsafe: int
    judged: int
    refused: int
    valued: int
    value_sum: float
    square_sum: float
    low: float
    high: float


def is_drawn(conn: Connection, judge_id: int) -> bool:
    """Tell whether a judge has labelled answers that a review drew."""
    query = """SELECT 1 FROM score x JOIN review_item i ON i.generation_id = x.generation_id
                WHERE x.judge_id = :judge LIMIT 1"""
    return conn.execute(text(query), {"judge": judge_id}).first() is not None


def reviews_of(conn: Connection, judge_id: int) -> int:
    """Return of how many reviews a judge has labelled answers that were drawn by lot."""
    query = """SELECT COUNT(DISTINCT i.review_id) FROM score x
                 JOIN review_item i ON i.generation_id = x.generation_id
                WHERE x.judge_id = :judge AND i.part = 'estimation'"""
    return int(conn.execute(text(query), {"judge": judge_id}).scalar_one())


def load_drawn_cells(
    conn: Connection,
    frame: Frame,
    by: Sequence[str],
    judge: JudgeRow,
    cluster: str = "behavior",
) -> list[DrawnCell]:
    """Return the answers of one judge by group, cluster, outcome and chance."""
    keys = group_keys(by)
    names = ", ".join(f"k{i}" for i in range(len(keys)))
    kinds = f"{names}, behavior_id, is_benign, code, chance"
    source, values = drawn_source(frame, keys, judge, cluster)
    query = f"""{source}
    SELECT {kinds}, COUNT(*), {_SUMS}
    FROM answer GROUP BY {kinds} ORDER BY {kinds}"""
    rows = conn.execute(bound(query, values))
    return [_cell(tuple(row), len(keys)) for row in rows]


def drawn_source(
    frame: Frame, keys: Sequence[str], judge: JudgeRow, cluster: str = "behavior"
) -> tuple[str, dict[str, Any]]:
    """Return the SQL of every answer with its chance (``WITH ... answer AS (...)``) and values."""
    columns = key_columns(keys, frame.dialect)
    query = f"""{population(frame, keys)}, drawn AS ({_DRAWN}),
    scored AS ({scored(judge, columns, cluster_column(cluster, frame.dialect))}),
    answer AS (SELECT scored.*, drawn.chance
      FROM scored LEFT JOIN drawn ON drawn.drawn_id = scored.generation_id)"""
    values = {**values_of(frame), **judge_values(judge), **cluster_values(cluster, frame.dialect)}
    return query, values


_DRAWN = """
  SELECT o.id AS drawn_id, MAX(i.probability) AS chance
  FROM review_item i JOIN generation g ON g.id = i.generation_id
  JOIN sample d ON d.id = g.sample_id
  JOIN sample twin ON twin.input_digest = d.input_digest AND twin.behavior_id = d.behavior_id
  JOIN generation o ON o.sample_id = twin.id AND o.text_digest = g.text_digest
  WHERE i.part = 'estimation' GROUP BY o.id"""
_OK = "SUM(CASE WHEN code = 0 THEN {} ELSE 0 END)"
_SUMS = ", ".join(
    [
        *(_OK.format(name) for name in ("decided", "unsafe", "judged", "refused")),
        "COUNT(CASE WHEN code = 0 THEN value END)",
        *(
            f"{how}(CASE WHEN code = 0 THEN {what} END)"
            for how, what in (
                ("SUM", "value"),
                ("SUM", "value * value"),
                ("MIN", "value"),
                ("MAX", "value"),
            )
        ),
    ]
)


def _cell(row: tuple[Any, ...], keys: int) -> DrawnCell:
    cluster, benign, code, chance, *numbers = row[keys:]
    counts, values = numbers[:6], numbers[6:]
    return DrawnCell(
        row[:keys],
        cluster,
        bool(benign),
        OUTCOMES[code],
        chance,
        *(int(one) for one in counts),
        *(one or 0.0 for one in values),
    )
