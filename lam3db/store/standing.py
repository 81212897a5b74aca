"""Where the work stands: answers and scores that are stored, pending, failed.

What must hold: what is counted as pending here is what a report counts as pending; an answer
or score that came after a failure is an answer or score, not a failure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from lam3db.store.aggregates import GENERATION_FAILED, Frame, bound, population, values_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class AnswerStanding:
    """Answers of one model version and config to one dataset version, in ids."""

    model_version_id: int
    config_id: int
    dataset_id: int
    stored: int
    failed: int
    pending: int


@dataclass(frozen=True, slots=True)
class ScoreStanding:
    """All answers (variant 0) under one judge; the six numbers make up the answers stored."""

    scored: int
    unparsed: int
    judge_refused: int
    abstained: int
    failed: int
    pending: int


def answer_standing(conn: Connection, datasets: Sequence[int]) -> list[AnswerStanding]:
    """Return what is stored, failed and pending of what generate runs were asked for."""
    frame = Frame(datasets=tuple(datasets), dialect=conn.dialect.name)
    query = f"""{population(frame, ("model", "config", "dataset"))}
    SELECT model_version_id, config_id, dataset_id,
      SUM(CASE WHEN generation_id IS NOT NULL THEN 1 ELSE 0 END),
      SUM(CASE WHEN generation_id IS NULL AND {GENERATION_FAILED} THEN 1 ELSE 0 END),
      SUM(CASE WHEN generation_id IS NULL AND NOT {GENERATION_FAILED} THEN 1 ELSE 0 END)
    FROM unit u GROUP BY model_version_id, config_id, dataset_id
    ORDER BY model_version_id, config_id, dataset_id"""
    rows = conn.execute(bound(query, values_of(frame)))
    return [AnswerStanding(*map(int, row)) for row in rows]


def score_standing(conn: Connection, judge_id: int) -> ScoreStanding:
    """Return how the answers stand under one judge."""
    values = {"judge": judge_id}
    found = {status: n for status, n in conn.execute(text(_BY_STATUS), values)}  # noqa: C416 - rows
    failed = int(conn.execute(text(_FAILED), values).scalar_one())
    stored = int(conn.execute(text(_STORED)).scalar_one())
    return ScoreStanding(
        scored=found.get("ok", 0),
        unparsed=found.get("unparsed", 0),
        judge_refused=found.get("judge_refused", 0),
        abstained=found.get("abstained", 0),
        failed=failed,
        pending=stored - sum(found.values()) - failed,
    )


_STORED = "SELECT COUNT(*) FROM generation WHERE variant = 0"
_BY_STATUS = """
SELECT sc.status, COUNT(*) FROM score sc
JOIN generation g ON g.id = sc.generation_id AND g.variant = 0
WHERE sc.judge_id = :judge AND sc.replicate = 0 AND NOT EXISTS (
  SELECT 1 FROM score newer WHERE newer.judge_id = sc.judge_id
    AND newer.generation_id = sc.generation_id AND newer.replicate = 0
    AND newer.revision > sc.revision)
GROUP BY sc.status"""
_FAILED = """
SELECT COUNT(DISTINCT f.generation_id) FROM failure f
JOIN generation g ON g.id = f.generation_id AND g.variant = 0
WHERE f.stage = 'judge' AND f.judge_id = :judge AND NOT EXISTS (
  SELECT 1 FROM score sc WHERE sc.judge_id = f.judge_id
    AND sc.generation_id = f.generation_id AND sc.replicate = 0)"""
