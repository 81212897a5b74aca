"""Answers whole: one with everything known of it, or all of a scope as a stream.

What must hold: texts come back exactly as the model gave them; a body that was withheld is
None, never an empty text; nothing here holds more than a batch of rows in memory.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from lam3db.errors import NotFoundError
from lam3db.hashing import ESCAPE, unescape
from lam3db.records import Message
from lam3db.store import tables as t
from lam3db.store.aggregates import Frame, bound, population, values_of
from lam3db.store.values import as_datetime, from_json, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Connection

_BATCH = 1000
JSON_COLUMNS = frozenset({"attack_parameters", "metadata", "images", "image_paths", "settings"})
"""The columns of ``v_generation`` that hold JSON."""


@dataclass(frozen=True, slots=True)
class ScoreDetail:
    """What one judge said, in its latest revision (or an earlier one, marked so)."""

    judge: str
    judge_kind: str
    judge_version: str
    judge_digest: str
    replicate: int
    revision: int
    status: str
    value: float | None
    verdict: str | None
    explanation: str | None
    raw_output: str | None
    author: str | None
    reason: str | None
    attributes: Mapping[str, float]
    created_at: str


@dataclass(frozen=True, slots=True)
class AnswerDetail:
    """One answer with its sample, model, settings, run and every score."""

    generation_id: int
    model: str
    model_digest: str
    model_source: str
    config_digest: str
    settings: Mapping[str, Any]
    requested: Mapping[str, Any]
    effective: Mapping[str, Any]
    sample_digest: str
    datasets: tuple[str, ...]
    behavior: str | None
    category: str
    is_benign: bool
    attack: str
    attack_parameters: Mapping[str, Any]
    target: str | None
    metadata: Mapping[str, Any]
    messages: tuple[Message, ...] | None
    replicate: int
    variant: int
    raw_text: str | None
    text: str | None
    reasoning: str | None
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    latency_ms: float
    batch_size: int
    created_at: str
    origin_id: int | None
    withheld: str | None
    run_uid: str
    run_host: str
    run_started_at: str
    code_commit: str | None
    code_dirty: bool | None
    scores: tuple[ScoreDetail, ...]


def find_answers(conn: Connection, frame: Frame, limit: int | None = None) -> list[int]:
    """Return the ids of the answers in scope, in the order they were stored."""
    query = f"""{population(frame, ())}
    SELECT DISTINCT generation_id FROM unit WHERE generation_id IS NOT NULL
    ORDER BY generation_id {"" if limit is None else f"LIMIT {int(limit)}"}"""
    return list(conn.scalars(bound(query, values_of(frame))))


def load_answer(conn: Connection, generation_id: int) -> AnswerDetail:
    """Return one answer whole; raise NotFoundError."""
    row = conn.execute(_ANSWER.where(t.generation.c.id == generation_id)).one_or_none()
    if row is None:
        raise NotFoundError(
            f"no answer has the id {generation_id}: `lam3db show --where attack=NAME` finds answers"
        )
    messages = None if row.messages is None else from_json(row.messages)
    return AnswerDetail(
        generation_id=row.id,
        model=unescape(row.model),
        model_digest=row.model_digest.hex(),
        model_source=unescape(row.source),
        config_digest=row.config_digest.hex(),
        settings=from_json(row.settings),
        requested=from_json(row.requested),
        effective=from_json(row.effective),
        sample_digest=row.sample_digest.hex(),
        datasets=_datasets(conn, row.sample_id),
        behavior=plain(row.behavior),
        category=unescape(row.category),
        is_benign=bool(row.is_benign),
        attack=unescape(row.attack),
        attack_parameters=from_json(row.attack_parameters),
        target=plain(row.target),
        metadata=from_json(row.metadata),
        messages=None if messages is None else tuple(map(Message.from_json, messages)),
        replicate=row.replicate,
        variant=row.variant,
        raw_text=plain(row.raw_text),
        text=plain(row.text),
        reasoning=plain(row.reasoning),
        finish_reason=row.finish_reason,
        prompt_tokens=row.prompt_tokens,
        completion_tokens=row.completion_tokens,
        latency_ms=row.latency_ms,
        batch_size=row.batch_size,
        created_at=iso(row.created_at),
        origin_id=row.origin_id,
        withheld=None if row.reason is None else f"by {row.author}: {unescape(row.reason)}",
        run_uid=row.uid,
        run_host=unescape(row.host),
        run_started_at=iso(row.started_at),
        code_commit=row.code_commit,
        code_dirty=None if row.code_dirty is None else bool(row.code_dirty),
        scores=_scores(conn, generation_id),
    )


def iso(microseconds: int) -> str:
    """Return a stored time as an ISO text in UTC, to the second."""
    return as_datetime(microseconds).strftime("%Y-%m-%dT%H:%M:%SZ")


_g, _s, _b = t.generation.c, t.sample.c, t.behavior.c
_ANSWER = (
    select(
        *(_g.id, _g.sample_id, _g.replicate, _g.variant, _g.raw_text, _g.text, _g.finish_reason),
        *(_g.prompt_tokens, _g.completion_tokens, _g.latency_ms, _g.batch_size, _g.created_at),
        _g.origin_id,
        *(_s.messages, _s.attack, _s.attack_parameters, _s.target, _s.metadata),
        _s.digest.label("sample_digest"),
        *(_b.text.label("behavior"), _b.category, _b.is_benign),
        *(t.model_version.c.name.label("model"), t.model_version.c.source),
        t.model_version.c.digest.label("model_digest"),
        *(t.config.c.digest.label("config_digest"), t.config.c.value.label("settings")),
        *(t.run.c[x] for x in ("uid", "host", "started_at", "code_commit", "code_dirty")),
        *(t.run.c.requested, t.run.c.effective),
        *(_g.reasoning, t.withholding.c.author, t.withholding.c.reason),
    )
    .select_from(t.generation)
    .join(t.sample, _s.id == _g.sample_id)
    .join(t.behavior, _b.id == _s.behavior_id)
    .join(t.model_version, t.model_version.c.id == _g.model_version_id)
    .join(t.config, t.config.c.id == _g.config_id)
    .join(t.run, t.run.c.id == _g.run_id)
    .outerjoin(t.withholding, t.withholding.c.id == _g.withheld_id)
)


def _datasets(conn: Connection, sample_id: int) -> tuple[str, ...]:
    """Return where the sample lies, as ``name@version/key``."""
    d, ss = t.dataset.c, t.selection_sample.c
    query = (
        select(d.name, d.version, ss.key)
        .join(t.selection_sample, ss.selection_id == d.selection_id)
        .where(ss.sample_id == sample_id)
        .order_by(d.name, d.version)
    )
    rows = conn.execute(query)
    return tuple(f"{unescape(name)}@{version}/{unescape(key)}" for name, version, key in rows)


def _scores(conn: Connection, generation_id: int) -> tuple[ScoreDetail, ...]:
    j, sc, f = t.judge.c, t.score.c, t.finding.c
    query = (
        select(
            *(j.name, j.kind, j.version, j.digest, sc.replicate, sc.revision, sc.status, sc.value),
            *(sc.verdict, sc.author, sc.reason, sc.created_at, sc.finding_id),
            *(f.explanation, f.raw_output),
        )
        .join(t.judge, j.id == sc.judge_id)
        .join(t.finding, f.id == sc.finding_id)
        .where(sc.generation_id == generation_id)
        .order_by(j.name, j.id, sc.replicate, sc.revision)
    )
    return tuple(_score(conn, row) for row in conn.execute(query).all())


def _score(conn: Connection, row: Any) -> ScoreDetail:
    a = t.finding_attribute.c
    attributes = conn.execute(
        select(a.attribute, a.value).where(a.finding_id == row.finding_id).order_by(a.attribute)
    )
    return ScoreDetail(
        judge=unescape(row.name),
        judge_kind=row.kind,
        judge_version=unescape(row.version),
        judge_digest=row.digest.hex(),
        replicate=row.replicate,
        revision=row.revision,
        status=row.status,
        value=row.value,
        verdict=row.verdict,
        explanation=plain(row.explanation),
        raw_output=plain(row.raw_output),
        author=plain(row.author),
        reason=plain(row.reason),
        attributes={unescape(name): value for name, value in attributes},
        created_at=iso(row.created_at),
    )


def stream_answers(
    conn: Connection, frame: Frame
) -> tuple[Sequence[str], Iterator[dict[str, Any]]]:
    """Return the columns of ``v_generation`` and its rows in scope, batch by batch.

    One row per answer and dataset version in scope that holds its sample. Those of
    :data:`JSON_COLUMNS` are texts that :func:`json.loads` takes.
    """
    columns, rows = _stream(conn, frame, "v_generation", "v.generation_id")
    return columns, (dict(zip(columns, row, strict=True)) for row in rows)


def stream_answer_scores(
    conn: Connection, frame: Frame, judges: Sequence[str]
) -> tuple[Sequence[str], Iterator[tuple[Any, ...]]]:
    """Return the columns of ``v_score`` and its rows in scope, batch by batch.

    ``judges`` are the full digests of those whose scores are wanted.
    """
    return _stream(conn, frame, "v_score", "v.score_id", tuple(judges))


def _stream(
    conn: Connection, frame: Frame, view: str, order: str, judges: tuple[str, ...] | None = None
) -> tuple[Sequence[str], Iterator[tuple[Any, ...]]]:
    inside = "AND d.id IN :datasets" if frame.datasets else ""
    query = f"""{population(frame, ())}
    SELECT v.* FROM {view} v
    WHERE v.generation_id IN (SELECT generation_id FROM unit)
      {"" if judges is None else "AND v.judge_digest IN :judges"}
      AND (v.dataset IS NULL OR EXISTS (
        SELECT 1 FROM dataset d
        WHERE d.name = v.dataset AND d.version = v.dataset_version {inside}))
    ORDER BY {order}, v.dataset, v.dataset_version"""
    streaming = conn.execution_options(yield_per=_BATCH)
    result = streaming.execute(bound(query, values_of(frame) | {"judges": judges or ()}))
    columns = tuple(result.keys())
    readers = [_json if name in JSON_COLUMNS else _plain for name in columns]
    return columns, (
        tuple(read(value) for read, value in zip(readers, row, strict=True)) for row in result
    )


def _plain(value: Any) -> Any:
    return unescape(value) if isinstance(value, str) else value


def _json(text: str | None) -> str | None:
    """Return a stored JSON text with what the database does not take as JSON's own escapes."""
    if text is None or ESCAPE not in text:
        return text
    return json.dumps(from_json(text), separators=(",", ":"))
