"""What a report leaves out: counted, so that the report can say it.

What must hold: none of these is in any share or mean of :mod:`lam3db.store.aggregates`, but
withheld answers that were scored before: they are counted, and told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from lam3db.store.aggregates import ALWAYS, MODELS, bound, population, values_of
from lam3db.store.rollup_members import load_members, shared_samples
from lam3db.store.rollup_read import read_outside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from lam3db.store.aggregates import Frame


def count_variants(conn: Connection, frame: Frame) -> int:
    """Return how many answers in scope differ from the one counted (variant above 0)."""
    if conn.execute(text("SELECT 1 FROM generation WHERE variant > 0 LIMIT 1")).scalar() is None:
        return 0
    query = f"""{population(frame, ALWAYS)}
    SELECT COUNT(*) FROM unit u JOIN generation g
      ON g.model_version_id = u.model_version_id AND g.config_id = u.config_id
     AND g.sample_id = u.sample_id AND g.replicate = u.replicate AND g.variant > 0
    WHERE u.generation_id IS NOT NULL"""
    return int(conn.execute(bound(query, values_of(frame))).scalar_one())


def count_withheld(conn: Connection, frame: Frame) -> int:
    """Return how many answers in scope are withheld, or stand to a sample that is."""
    if conn.execute(text("SELECT 1 FROM withholding LIMIT 1")).scalar() is None:
        return 0
    query = f"""{population(frame, ALWAYS)}
    SELECT COUNT(*) FROM unit u JOIN generation g ON g.id = u.generation_id
      JOIN sample s ON s.id = g.sample_id
    WHERE g.withheld_id IS NOT NULL OR s.withheld_id IS NOT NULL"""
    return int(conn.execute(bound(query, values_of(frame))).scalar_one())


def count_outside(conn: Connection, frame: Frame, shared: int) -> int:
    """Return how many answers (of these models, variant 0) belong to no sample in scope.

    ``shared`` is what :func:`count_shared` counted.
    """
    kept = None if shared else read_outside(conn, frame)
    if kept is not None:
        return kept
    query = f"""{population(frame, ALWAYS)}
    SELECT COUNT(*) FROM generation g JOIN model_version m ON m.id = g.model_version_id
    WHERE g.variant = 0 {MODELS if frame.models else ""}
      AND NOT EXISTS (SELECT 1 FROM wanted w WHERE w.sample_id = g.sample_id)"""
    return int(conn.execute(bound(query, values_of(frame))).scalar_one())


def count_shared(conn: Connection, frame: Frame) -> int:
    """Return how many samples lie in several of the datasets in scope."""
    query = "SELECT selection_id FROM dataset WHERE id IN :datasets"
    selections = conn.execute(bound(query, values_of(frame))).scalars().all()
    return shared_samples([load_members(conn, one) for one in selections])


def count_opinions(conn: Connection, frame: Frame, judges: Sequence[int]) -> int:
    """Return how many further opinions (replicate above 0) these judges have in scope."""
    if conn.execute(text("SELECT 1 FROM score WHERE replicate > 0 LIMIT 1")).scalar() is None:
        return 0
    query = f"""{population(frame, ALWAYS)}
    SELECT COUNT(*) FROM unit u JOIN score x ON x.generation_id = u.generation_id
    WHERE x.judge_id IN :judges AND x.replicate > 0 AND x.revision = 0"""
    values = {**values_of(frame), "judges": tuple(judges)}
    return int(conn.execute(bound(query, values)).scalar_one())
