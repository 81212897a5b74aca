"""What is behind one number of a report: rows, digests, statement, and how to make it again.

What must hold: the number is made anew by the report's own functions, and by the statement
that is shown; where the two differ that is an error and no answer. Rows are named by their ids,
and everything that has a digest by its digest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lam3db.errors import NotFoundError, StoreError
from lam3db.metrics import Rule
from lam3db.metrics.statement import trace
from lam3db.report.asked import locate
from lam3db.report.build import Source
from lam3db.store import overview, tracing
from lam3db.store.answers import iso
from lam3db.store.groups import group_keys
from lam3db.store.subjects import sample_keys
from lam3db.store.units import load_units

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from lam3db.metrics import Number, Question, Repeated
    from lam3db.metrics.statement import Trace
    from lam3db.report.asked import Located
    from lam3db.report.refs import Ref
    from lam3db.store.units import Unit


@dataclass(frozen=True, slots=True)
class CountedRow:
    """An answer in the number (or, without ids, one that is missing) and what it counts as."""

    generation_id: int | None
    score_id: int | None
    sample: str
    replicate: int
    is_benign: bool
    outcome: str
    verdict: str | None
    value: float | None
    unsafe: bool | None


@dataclass(frozen=True, slots=True)
class Explained:
    """One number (see :class:`lam3db.metrics.Number`) with everything that it rests on."""

    ref: Ref
    located: Located
    number: Number
    trace: Trace
    repeated: Trace | None
    rows: tuple[CountedRow, ...]
    models: tuple[dict[str, Any], ...]
    configs: tuple[dict[str, Any], ...]
    datasets: tuple[dict[str, Any], ...]
    judge: dict[str, Any]
    runs: tuple[tracing.RunTrace, ...]
    newest_answer: str | None
    newest_score: str | None


def explain(conn: Connection, ref: Ref) -> Explained:
    """Return what is behind the number that ``ref`` asks for.

    Raises:
        NotFoundError: this database has no such judge, model, dataset, run or group.
        ConfigError: a part of the question has several meanings here.
        StoreError: the report's number is not what its statement gives, which is a bug.

    """
    located = locate(conn, ref)
    keys = group_keys(list(located.group))
    number = _number(conn, located, keys)
    found = _trace(conn, located, keys, located.ref.question)
    _same(number, found.sums)
    repeated = None
    if number.repeated is not None:
        asked = replace(
            located.ref.question, rule=Rule("any-of", number.repeated.k), missing="scored"
        )
        repeated = _trace(conn, located, keys, asked)
        _same_repeated(number.repeated, repeated.sums)
    units = _units(conn, located)
    answers = [unit.generation_id for unit in units if unit.generation_id is not None]
    scores = tracing.score_rows(conn, located.column.judge.id, answers)
    made = tracing.generation_runs(conn, answers)
    runs = {run for run, _ in made.values()} | {score.run_id for score in scores.values()}
    configs = overview.config_values(conn, {unit.config_id for unit in units})
    names = sample_keys(conn, (unit.sample_id for unit in units), located.frame.datasets)
    return Explained(
        ref=located.ref,
        located=located,
        number=number,
        trace=found,
        repeated=repeated,
        rows=tuple(_row(unit, scores, names) for unit in units),
        models=tuple(tracing.model_facts(conn, sorted({unit.model_version_id for unit in units}))),
        configs=tuple({"digest": d, "settings": value} for d, value in configs.values()),
        datasets=tuple(tracing.dataset_facts(conn, located.frame.datasets)),
        judge=tracing.judge_facts(conn, located.column.judge),
        runs=tuple(tracing.run_traces(conn, runs)),
        newest_answer=_newest(at for _, at in made.values()),
        newest_score=_newest(score.created_at for score in scores.values()),
    )


def _number(conn: Connection, located: Located, keys: tuple[str, ...]) -> Number:
    """Return the number as a report has it."""
    source = Source(conn, located.frame, keys, located.ref.question)
    kept = [i for i, key in enumerate(keys) if key in located.group]
    wanted = tuple(located.group[keys[i]] for i in kept)
    numbers = source.numbers(located.column, kept)
    found = next((number for group, number in numbers.items() if group == wanted), None)
    if found is None:
        raise NotFoundError(
            "no answers in this group here: `lam3db report` lists the groups there are, and"
            " --format csv gives each its ref"
        )
    return replace(found, repeated=source.repeated(located.column, kept).get(found.group))


def _trace(conn: Connection, located: Located, keys: tuple[str, ...], question: Question) -> Trace:
    judge = located.column.judge
    return trace(conn, located.frame, keys, located.group, judge, question)


def _same(number: Number, sums: Mapping[str, float]) -> None:
    """Raise StoreError where the statement gives another number than the report."""
    told: dict[str, float] = {
        "total": number.counts.total,
        "scored": number.counts.scored,
        "benign_total": number.benign.total,
    }
    for estimate, hits, n in (
        (number.share, "unsafe", "decided"),
        (number.mean, "value_sum", "valued"),
        (number.refused, "refused", "judged"),
        (number.benign_refused, "benign_refused", "benign_judged"),
    ):
        if estimate is number.share and not number.counts.scored:
            continue  # what is missing alone makes no number, however it is filled
        if estimate is not None and number.weighted:
            told |= {f"{n}_n": estimate.n, hits: (estimate.value or 0.0) * sums[n]}
        elif estimate is not None:
            told |= {hits: (estimate.value or 0.0) * estimate.n, n: estimate.n}
    _compare(told, sums)


def _same_repeated(repeated: Repeated, sums: Mapping[str, float]) -> None:
    told: dict[str, float] = {}
    for estimate, hits, n in (
        (repeated.maximum, "value_sum", "valued"),
        (repeated.probability, "unsafe", "decided"),
    ):
        if estimate is not None:
            told |= {hits: (estimate.value or 0.0) * estimate.n, n: estimate.n}
    _compare(told, sums)


def _compare(told: Mapping[str, float], sums: Mapping[str, float]) -> None:
    differing = {
        name: (n, sums[name])
        for name, n in told.items()
        if not math.isclose(n, sums[name], rel_tol=1e-9, abs_tol=1e-9)
    }
    if differing:
        raise StoreError(
            f"the report's number and its statement differ: {differing}; that is a fault of"
            " lam3db's own, please report it: neither is to be trusted"
        )


def _units(conn: Connection, located: Located) -> list[Unit]:
    keys = group_keys(list(located.group))
    return [
        unit
        for unit in load_units(conn, located.frame, keys, located.column.judge)
        if all(
            unit.group[i] == located.group[key]
            for i, key in enumerate(keys)
            if key in located.group
        )
    ]


def _row(
    unit: Unit, scores: Mapping[int, tracing.ScoreTrace], keys: Mapping[int, str]
) -> CountedRow:
    score = None if unit.generation_id is None else scores.get(unit.generation_id)
    return CountedRow(
        generation_id=unit.generation_id,
        score_id=None if score is None else score.id,
        sample=keys.get(unit.sample_id, f"sample {unit.sample_id}"),
        replicate=unit.replicate,
        is_benign=unit.is_benign,
        outcome=unit.outcome,
        verdict=unit.verdict,
        value=unit.value,
        unsafe=unit.unsafe,
    )


def _newest(times: Iterable[int]) -> str | None:
    every: Sequence[int] = list(times)
    return iso(max(every)) if every else None
