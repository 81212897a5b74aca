"""Writing answers.

What must hold: one key (model version, config, sample, replicate, variant) has one row, the
first; its digests are those of the texts as they came; no text of an answer to a sample that is
withheld by now is kept; the caller is told how many were really new.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lam3db.hashing import escape, text_digest
from lam3db.store import tables as t
from lam3db.store.bulk import insert_new
from lam3db.store.insert import lock_generations
from lam3db.store.values import now
from lam3db.store.withheld import withheld_samples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from lam3db.records import Answer

_COLUMNS = (
    "model_version_id",
    "config_id",
    "sample_id",
    "replicate",
    "variant",
    "run_id",
    "raw_text",
    "text",
    "text_digest",
    "finish_reason",
    "prompt_tokens",
    "completion_tokens",
    "latency_ms",
    "batch_size",
    "withheld_id",
    "created_at",
    "reasoning_digest",
    "reasoning",
)


@dataclass(frozen=True, slots=True)
class GenerationIn:
    """One answer on its way into the store.

    ``withheld_id`` is what withholds the text from the beginning: it is not kept, but its digest.
    """

    sample_id: int
    replicate: int
    answer: Answer
    withheld_id: int | None = None


def put_generations(
    conn: Connection,
    run_id: int,
    model_version_id: int,
    config_id: int,
    rows: Sequence[GenerationIn],
) -> int:
    """Write one batch of answers; return how many keys were really new."""
    if not rows:
        return 0
    gone = withheld_samples(conn, [row.sample_id for row in rows])
    lock_generations(conn, alone=False)
    withheld = {id(row): gone.get(row.sample_id, row.withheld_id) for row in rows}
    at = now()
    ordered = sorted(rows, key=lambda row: (row.sample_id, row.replicate))
    return insert_new(
        conn,
        t.generation,
        _COLUMNS,
        [
            (
                model_version_id,
                config_id,
                row.sample_id,
                row.replicate,
                0,
                run_id,
                None if by is not None else escape(answer.raw_text),
                None if by is not None else escape(answer.text),
                text_digest(answer.text),
                str(answer.finish_reason),
                answer.prompt_tokens,
                answer.completion_tokens,
                float(answer.latency_ms),
                answer.batch_size,
                by,
                at,
                *_reasoning(answer, is_gone=by is not None),
            )
            for row in ordered
            for answer, by in ((row.answer, withheld[id(row)]),)
        ],
    )


def _reasoning(answer: Answer, *, is_gone: bool) -> tuple[bytes | None, str | None]:
    """Return the digest of the reasoning, and the reasoning where it may be kept."""
    if answer.reasoning is None:
        return None, None
    return text_digest(answer.reasoning), None if is_gone else escape(answer.reasoning)
