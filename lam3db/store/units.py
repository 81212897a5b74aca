"""Single units under one judge: what resampling, pairing and agreement need.

A unit is what :mod:`lam3db.store.aggregates` counts: an answer, or something asked for that
has none. What must hold: the same population, outcomes and policy as there, so that the sums
over these rows are the sums of a report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from lam3db.store.aggregates import (
    OUTCOMES,
    bound,
    group_keys,
    judge_values,
    population,
    scored,
    values_of,
)
from lam3db.store.groups import key_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from lam3db.store.aggregates import Frame, JudgeRow


class Unit(NamedTuple):
    """One answer (or missing answer, ``generation_id`` None) under one judge.

    ``group`` holds the keys asked for, model version and config first. ``unsafe`` is None
    where nothing decides; ``value`` and ``verdict`` are None unless ``outcome`` is ``ok``.
    """

    group: tuple[int | str, ...]
    model_version_id: int
    config_id: int
    sample_id: int
    behavior_id: int
    is_benign: bool
    replicate: int
    generation_id: int | None
    outcome: str
    unsafe: bool | None
    value: float | None
    verdict: str | None


def load_units(
    conn: Connection, frame: Frame, by: Sequence[str], judge: JudgeRow
) -> Iterator[Unit]:
    """Yield every unit in scope under ``judge``, in the order of groups, samples, replicates."""
    keys = group_keys(by)
    columns = key_columns(keys, frame.dialect)
    names = ", ".join(f"k{i}" for i in range(len(keys)))
    query = f"""{population(frame, keys)}, scored AS ({scored(judge, columns)})
    SELECT {names}, model_version_id, config_id, sample_id, behavior_id, is_benign, replicate,
      generation_id, code, decided, unsafe, value, verdict
    FROM scored ORDER BY {names}, model_version_id, config_id, sample_id, replicate"""
    rows = conn.execute(bound(query, {**values_of(frame), **judge_values(judge)}))
    for row in rows:
        yield _unit(tuple(row), len(keys))


def _unit(row: tuple[Any, ...], keys: int) -> Unit:
    model, config, sample, behavior, benign, replicate, generation, *said = row[keys:]
    code, decided, unsafe, value, verdict = said
    ok = code == 0
    return Unit(
        group=row[:keys],
        model_version_id=model,
        config_id=config,
        sample_id=sample,
        behavior_id=behavior,
        is_benign=bool(benign),
        replicate=replicate,
        generation_id=generation,
        outcome=OUTCOMES[code],
        unsafe=bool(unsafe) if ok and decided else None,
        value=value if ok else None,
        verdict=verdict if ok else None,
    )
