"""What is left to do, by anti-join: resuming is asking this again.

An answer is missing where a sample of the selection has no generation under (model version,
config, replicate); a score is missing where a generation has none under the judge. A failed
attempt stays pending: retryable ones come back until they have failed three times, the others
when they are asked for (``retry``). What is withheld can be neither posed nor judged, and is
left out; what only a bundle left out hinders no judge that does not see it.

``judge_progress`` makes the second question cheap: every generation with an id up to the
watermark has a score or a failure under that judge, or is withheld. What must hold: the
watermark moves only in :func:`advance_watermark`, which looks before it writes, alone among
the writers of generations; ``lam3db db verify`` derives it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, text

from lam3db.store.insert import insert_statement, lock_generations
from lam3db.store.reads import find_dataset, find_run, model_ids
from lam3db.store.tables import judge_progress
from lam3db.store.tables_watch import BUNDLE
from lam3db.store.values import chunks, now

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from lam3db.records import ScoreStatus

_LOOKED_UP = 10_000
ATTEMPTS = 3
"""How often a retryable attempt is made before it must be asked for."""


@dataclass(frozen=True, slots=True)
class PendingSample:
    """A sample without an answer; its texts are read when it is posed."""

    sample_id: int
    replicate: int
    input_digest: bytes


@dataclass(frozen=True, slots=True)
class GenerateProgress:
    """``total`` falls into ``cached`` (answered), ``failed`` (tried, no answer), ``pending``.

    Samples that are withheld and have no answer are in the total only.
    """

    total: int
    cached: int
    failed: int
    pending: int


@dataclass(frozen=True, slots=True)
class ScoreScope:
    """Which generations a judge is to look at; None means all."""

    run_uid: str | None = None
    model: str | None = None
    dataset: str | None = None


@dataclass(frozen=True, slots=True)
class PendingScore:
    """A generation without a score under the judge."""

    generation_id: int
    text_digest: bytes


# Scalar subqueries, MATERIALIZED and NOT IN below fence PostgreSQL's planner in: it has no
# statistics of rows just written, and would join a million of them by nested loops.
_KEY = "g.model_version_id = :model AND g.config_id = :config AND g.variant = 0"
_POSABLE = """s.withheld_id IS NULL AND s.id NOT IN (
       SELECT sm.sample_id FROM sample_media sm JOIN media m ON m.id = sm.media_id
        WHERE m.withheld_id IS NOT NULL)"""
_UNANSWERED = f"""
SELECT ss.sample_id, s.input_digest
  FROM selection_sample ss
  JOIN sample s ON s.id = ss.sample_id
 WHERE ss.selection_id = :selection AND {_POSABLE}
   AND (SELECT 1 FROM generation g WHERE {_KEY} AND g.sample_id = ss.sample_id
           AND g.replicate = :replicate LIMIT 1) IS NULL
 ORDER BY ss.position
"""
_TRIED = """
SELECT t.sample_id, t.replicate, t.attempts, f.retryable
  FROM (SELECT f.sample_id, f.replicate, count(*) AS attempts, max(f.id) AS last_id
          FROM failure f JOIN run r ON r.id = f.run_id
         WHERE r.model_version_id = :model AND r.config_id = :config
           AND f.stage = 'generate' AND f.sample_id IS NOT NULL AND f.replicate < :replicates
         GROUP BY f.sample_id, f.replicate) t
  JOIN failure f ON f.id = t.last_id
"""
# CROSS JOIN keeps SQLite to this order: by itself it pairs every sample with every answer.
_LINK = f"""
INSERT INTO generation (model_version_id, config_id, sample_id, replicate, variant, run_id,
       origin_id, raw_text, text, text_digest, finish_reason, prompt_tokens, completion_tokens,
       latency_ms, batch_size, withheld_id, created_at, reasoning_digest, reasoning)
SELECT o.model_version_id, o.config_id, m.sample_id, o.replicate, 0, :run,
       o.id, o.raw_text, o.text, o.text_digest, o.finish_reason, o.prompt_tokens,
       o.completion_tokens, o.latency_ms, o.batch_size, o.withheld_id, :now,
       o.reasoning_digest, o.reasoning
  FROM (SELECT ss.sample_id, g.replicate, min(g.id) AS origin_id
          FROM selection_sample ss
         CROSS JOIN sample s
         CROSS JOIN sample twin
         CROSS JOIN generation g
         WHERE ss.selection_id = :selection AND s.id = ss.sample_id
           AND twin.input_digest = s.input_digest AND twin.id <> s.id
           AND {_KEY} AND g.sample_id = twin.id AND g.origin_id IS NULL
           AND g.replicate < :replicates
           AND NOT EXISTS (SELECT 1 FROM generation h
                            WHERE h.model_version_id = :model AND h.config_id = :config
                              AND h.sample_id = ss.sample_id AND h.replicate = g.replicate
                              AND h.variant = 0)
         GROUP BY ss.sample_id, g.replicate) m
  JOIN generation o ON o.id = m.origin_id
 WHERE true
 ORDER BY m.sample_id, o.replicate
ON CONFLICT DO NOTHING RETURNING id
"""


def link_same_inputs(
    conn: Connection,
    run_id: int,
    model_version_id: int,
    config_id: int,
    selection_id: int,
    replicates: int,
) -> int:
    """Give samples that differ only in labels the answer stored for their input.

    The row is copied with its ``origin_id``; returns how many were.
    """
    lock_generations(conn, alone=False)
    known = _keys(model_version_id, config_id, selection_id, replicates)
    added = conn.execute(text(_LINK), {**known, "run": run_id, "now": now()})
    return len(added.all())


def withheld_samples(conn: Connection, samples: Sequence[int]) -> set[int]:
    """Return those of these samples that cannot be posed, for they or their images are withheld."""
    asked = f"SELECT s.id FROM sample s WHERE NOT ({_POSABLE}) AND s.id IN :ids"
    return _among(conn, asked, samples, {})


def withheld_from_judge(conn: Connection, judge_id: int, generations: Sequence[int]) -> set[int]:
    """Return those of these answers of which the judge would see something that is withheld."""
    asked = f"SELECT g.id FROM generation g WHERE NOT ({SHOWN}) AND g.id IN :ids"
    return _among(conn, asked, generations, {"judge": judge_id})


def _among(conn: Connection, asked: str, ids: Sequence[int], known: Mapping[str, Any]) -> set[int]:
    """Return those of ``ids`` that a statement with ``IN :ids`` finds."""
    statement = text(asked).bindparams(bindparam("ids", expanding=True))
    found: set[int] = set()
    for part in chunks(sorted(set(ids)), _LOOKED_UP):
        found |= set(conn.execute(statement, {**known, "ids": part}).scalars())
    return found


def count_samples(conn: Connection, selection_id: int) -> int:
    """Return how many samples a selection holds."""
    asked = text("SELECT sample_count FROM selection WHERE id = :id")
    return int(conn.execute(asked, {"id": selection_id}).scalar_one())


def pending_samples(
    conn: Connection,
    model_version_id: int,
    config_id: int,
    selection_id: int,
    replicates: int,
    *,
    retry: bool = False,
) -> list[PendingSample]:
    """Return what has no answer yet, replicate by replicate, in the selection's order.

    Leaves out what has failed for good or three times, unless ``retry``.
    """
    known = _keys(model_version_id, config_id, selection_id, replicates)
    given_up: set[tuple[int, int]] = set()
    if not retry:
        tried = conn.execute(text(_TRIED), known)
        given_up = {(one, replicate) for one, replicate, *how in tried if _given_up(*how)}
    found: list[PendingSample] = []
    for replicate in range(replicates):
        rows = conn.execute(text(_UNANSWERED), {**known, "replicate": replicate})
        found += [
            PendingSample(one, replicate, bytes(digest))
            for one, digest in rows
            if (one, replicate) not in given_up
        ]
    return found


def generate_progress(
    conn: Connection, model_version_id: int, config_id: int, selection_id: int, replicates: int
) -> GenerateProgress:
    """Return how far a selection is answered."""
    known = _keys(model_version_id, config_id, selection_id, replicates)
    total = count_samples(conn, selection_id) * replicates
    of_selection = "JOIN selection_sample ss ON ss.sample_id = g.sample_id"
    mine = f"WHERE {_KEY} AND g.replicate < :replicates AND ss.selection_id = :selection"
    cached = _count(conn, f"SELECT count(*) FROM generation g {of_selection} {mine}", known)
    without = f"""LEFT JOIN generation g ON {_KEY} AND g.sample_id = ss.sample_id
                  AND g.replicate = tried.replicate
                  WHERE ss.selection_id = :selection AND g.id IS NULL"""
    failed = _count(
        conn,
        f"""SELECT count(*) FROM ({_TRIED}) tried
              JOIN selection_sample ss ON ss.sample_id = tried.sample_id
              JOIN sample s ON s.id = ss.sample_id {without} AND {_POSABLE}""",
        known,
    )
    withheld = _count(
        conn,
        f"""SELECT count(*) FROM selection_sample ss JOIN sample s ON s.id = ss.sample_id
            WHERE ss.selection_id = :selection AND NOT ({_POSABLE})""",
        known,
    )
    pending = total - cached - failed
    if withheld:
        keys = (model_version_id, config_id, selection_id, replicates)
        listed = pending_samples(conn, *keys, retry=True)
        pending = len(listed) - failed
    return GenerateProgress(total, cached, failed, pending)


_NO_SCORE = """(SELECT 1 FROM score x WHERE x.judge_id = :judge
                    AND x.generation_id = g.id AND x.replicate = 0 LIMIT 1) IS NULL"""
_NO_FAILURE = """(SELECT 1 FROM failure f WHERE f.judge_id = :judge
                      AND f.generation_id = g.id LIMIT 1) IS NULL"""
WHOLE = """g.withheld_id IS NULL
   AND g.sample_id NOT IN (SELECT s.id FROM sample s JOIN behavior b ON b.id = s.behavior_id
                            WHERE s.withheld_id IS NOT NULL OR b.withheld_id IS NOT NULL)"""
# For one judge: what was left out of a bundle is missed only by a judge that would see it.
_SEES = "(SELECT j.sees FROM judge j WHERE j.id = :judge)"
_LEFT_OUT = f"(SELECT w.id FROM withholding w WHERE w.author = '{BUNDLE}')"
SHOWN = f"""g.withheld_id IS NULL
   AND g.sample_id NOT IN (
       SELECT s.id FROM sample s JOIN behavior b ON b.id = s.behavior_id
        WHERE (s.withheld_id IS NOT NULL
               AND (s.withheld_id NOT IN {_LEFT_OUT} OR {_SEES} LIKE '%"prompt"%'
                    OR {_SEES} LIKE '%"image"%'))
           OR (b.withheld_id IS NOT NULL
               AND (b.withheld_id NOT IN {_LEFT_OUT} OR {_SEES} LIKE '%"behavior"%')))
   AND g.sample_id NOT IN (
       SELECT sm.sample_id FROM sample_media sm JOIN media m ON m.id = sm.media_id
        WHERE m.withheld_id IS NOT NULL AND {_SEES} LIKE '%"image"%')"""
_ABOVE = """WITH g AS MATERIALIZED (SELECT id, sample_id, model_version_id, config_id, replicate,
                                run_id, text_digest, withheld_id FROM generation WHERE id > :mark)
"""
_ATTEMPTS = """
SELECT t.generation_id, t.attempts, f.retryable
  FROM (SELECT f.generation_id, count(*) AS attempts, max(f.id) AS last_id
          FROM failure f WHERE f.judge_id = :judge AND f.generation_id IS NOT NULL
         GROUP BY f.generation_id) t
  JOIN failure f ON f.id = t.last_id
"""


def pending_scores(
    conn: Connection, judge_id: int, scope: ScoreScope, *, retry: bool = False
) -> list[PendingScore]:
    """Return the generations in scope without a score under the judge, by id.

    Costs what is pending, not what is stored. Leaves out what has failed for good or three
    times, unless ``retry``.

    Raises:
        NotFoundError: the scope names a run, model or dataset that is not there.

    """
    where, known = scope_condition(conn, scope)
    known |= {"judge": judge_id, "mark": _watermark(conn, judge_id)}
    given_up = set() if retry else given_up_scores(conn, judge_id)
    above = conn.execute(
        text(f"{_ABOVE} SELECT g.id, g.text_digest FROM g WHERE {_NO_SCORE} AND {SHOWN}{where}"),
        known,
    )
    below = conn.execute(
        text(
            f"""SELECT g.id, g.text_digest
                  FROM (SELECT DISTINCT generation_id FROM failure
                         WHERE judge_id = :judge AND generation_id <= :mark) f
                  JOIN generation g ON g.id = f.generation_id
                 WHERE {_NO_SCORE} AND {SHOWN}{where}"""
        ),
        known,
    )
    rows = [(one, bytes(digest)) for one, digest in (*above, *below)]
    return [PendingScore(*row) for row in sorted(rows) if row[0] not in given_up]


def given_up_scores(conn: Connection, judge_id: int) -> set[int]:
    """Return the generations at which the judge has failed for good, or three times.

    Some may have a score from a later attempt.
    """
    tried = conn.execute(text(_ATTEMPTS), {"judge": judge_id})
    return {one for one, *how in tried if _given_up(*how)}


_LATEST = """FROM score x JOIN generation g ON g.id = x.generation_id
 WHERE x.judge_id = :judge AND x.replicate = 0
   AND NOT EXISTS (SELECT 1 FROM score later
                    WHERE later.judge_id = x.judge_id AND later.generation_id = x.generation_id
                      AND later.replicate = 0 AND later.revision > x.revision)"""


def unscored_status(
    conn: Connection, judge_id: int, scope: ScoreScope, statuses: Sequence[ScoreStatus]
) -> list[PendingScore]:
    """Return the generations in scope whose latest score has one of these statuses, by id.

    With them come all others, in scope or not, that the same finding is linked to: what shows
    the same is never left to stand under two.
    """
    where, known = scope_condition(conn, scope)
    words = {f"status{at}": str(status) for at, status in enumerate(statuses)}
    if not words:
        return []
    status = f"x.status IN ({', '.join(f':{word}' for word in words)})"
    asked = f"SELECT x.finding_id {_LATEST} AND {status} AND {SHOWN}{where}"
    rows = conn.execute(
        text(
            f"SELECT g.id, g.text_digest {_LATEST} AND {SHOWN} AND x.finding_id IN ({asked})"
            " ORDER BY g.id"
        ),
        {**known, **words, "judge": judge_id},
    )
    return [PendingScore(one, bytes(digest)) for one, digest in rows]


def advance_watermark(conn: Connection, judge_id: int) -> None:
    """Move the judge's watermark to just before the first generation it has not dealt with."""
    lock_generations(conn, alone=True)
    mark = _watermark(conn, judge_id)
    known = {"judge": judge_id, "mark": mark}
    first = conn.execute(text(f"SELECT min(id) FROM ({undone()}) undone"), known).scalar()
    if first is None:
        reached = conn.execute(text("SELECT max(id) FROM generation")).scalar() or 0
    else:
        reached = first - 1
    if reached > mark:
        row = {"judge_id": judge_id, "generation_id": mark}
        conn.execute(insert_statement(conn, judge_progress), [row])
        moved = text("UPDATE judge_progress SET generation_id = :id WHERE judge_id = :judge")
        conn.execute(moved, {"id": reached, "judge": judge_id})


def undone() -> str:
    """Return SQL for the generations above ``:mark`` that judge ``:judge`` has not dealt with."""
    return f"{_ABOVE} SELECT g.id FROM g WHERE {_NO_SCORE} AND {_NO_FAILURE} AND {SHOWN}"


def _keys(model: int, config: int, selection: int, replicates: int) -> dict[str, int]:
    return {"model": model, "config": config, "selection": selection, "replicates": replicates}


def _given_up(attempts: int, retryable: int) -> bool:
    return not retryable or attempts >= ATTEMPTS


def _count(conn: Connection, sql: str, known: Mapping[str, Any]) -> int:
    return int(conn.execute(text(sql), known).scalar_one())


def _watermark(conn: Connection, judge_id: int) -> int:
    asked = text("SELECT generation_id FROM judge_progress WHERE judge_id = :judge")
    return int(conn.execute(asked, {"judge": judge_id}).scalar() or 0)


def scope_condition(conn: Connection, scope: ScoreScope) -> tuple[str, dict[str, Any]]:
    """Return what to add to a WHERE on ``generation g``, with its values.

    Raises:
        NotFoundError: the scope names a run, model or dataset that is not there.

    """
    parts: list[str] = []
    known: dict[str, Any] = {}
    if scope.run_uid is not None:
        run = find_run(conn, scope.run_uid)
        known |= {"run": run.id, "run_selection": run.selection_id, "run_k": run.replicates}
        known |= {"run_model": run.model_version_id, "run_config": run.config_id}
        parts.append(
            "g.run_id = :run"
            if run.selection_id is None
            else "g.model_version_id = :run_model AND g.config_id = :run_config"
            " AND g.replicate < :run_k AND g.sample_id IN"
            " (SELECT sample_id FROM selection_sample WHERE selection_id = :run_selection)"
        )
    if scope.model is not None:
        ids = model_ids(conn, scope.model)
        parts.append(f"g.model_version_id IN ({', '.join(map(str, ids))})")
    if scope.dataset is not None:
        known["dataset_selection"] = find_dataset(conn, scope.dataset).selection_id
        parts.append(
            "g.sample_id IN (SELECT sample_id FROM selection_sample"
            " WHERE selection_id = :dataset_selection)"
        )
    return "".join(f" AND {part}" for part in parts), known
