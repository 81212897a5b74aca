"""Which answers a question is about, as places: those of a pair to one selection.

What must hold: together the places are the population of :mod:`lam3db.store.aggregates` for the
same scope and keys, as far as somebody answered or was asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lam3db.hashing import escape
from lam3db.store.aggregates import bound
from lam3db.store.rollup_build import Pair

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from lam3db.store.aggregates import Frame

    Group = tuple[int | str, ...]
    Standing = Mapping[Pair, frozenset[int] | None]

_FEW = 8


class Place(NamedTuple):
    """Answers that are asked about: a pair's to a selection, under the tags of a group.

    ``reach`` is how many replicates are asked about; None means all.
    """

    pair: Pair
    selection_id: int
    tags: Group
    reach: int | None = None


def by_run(frame: Frame, keys: Sequence[str]) -> bool:
    """Tell whether runs define the samples, and not datasets."""
    return bool(frame.runs) or "run" in keys


def find_places(
    conn: Connection, frame: Frame, keys: Sequence[str], found: Standing
) -> list[Place]:
    """Return the places of a scope without conditions on samples, grouped by ``keys``."""
    if by_run(frame, keys):
        return _of_runs(conn, frame, keys)
    return of_datasets(conn, frame, keys, found)


def find_dirty(found: Standing, places: Sequence[Place]) -> Standing | None:
    """Return whose sums have to be made on the spot; None where a scan is as well."""
    pairs = {place.pair for place in places}
    dirty = {pair: found.get(pair) for pair in pairs if found.get(pair) != frozenset()}
    return None if len(dirty) > min(_FEW, len(pairs) - len(dirty)) else dirty


def _of_runs(conn: Connection, frame: Frame, keys: Sequence[str]) -> list[Place]:
    """Return one place per run in scope."""
    which = "r.id IN :runs" if frame.runs else "r.dataset_id IN :datasets"
    query = f"""SELECT r.model_version_id, r.config_id, r.selection_id, r.replicates,
      r.id AS run, r.dataset_id AS dataset
      FROM run r JOIN model_version m ON m.id = r.model_version_id
      WHERE r.kind = 'generate' AND {which} {_named(frame)} ORDER BY r.id"""
    rows = conn.execute(bound(query, _values(frame))).all()
    tags = [key for key in ("dataset", "run") if key in keys]
    return [
        Place(Pair(row[0], row[1]), row[2], tuple(getattr(row, tag) for tag in tags), row[3])
        for row in rows
    ]


def of_datasets(
    conn: Connection, frame: Frame, keys: Sequence[str], found: Standing
) -> list[Place]:
    """Return every pair with every selection in scope, each selection once unless tagged."""
    query = "SELECT id, selection_id FROM dataset WHERE id IN :datasets ORDER BY id"
    rows = conn.execute(bound(query, _values(frame))).all()
    tagged = "dataset" in keys
    tags: list[tuple[Group, int]] = [((row.id,), row.selection_id) for row in rows]
    if not tagged:
        tags = [((), selection) for selection in dict.fromkeys(row.selection_id for row in rows)]
    models = models_of(conn, frame)
    return [
        Place(pair, selection, tag)
        for pair in sorted(found)
        if models is None or pair.model_version_id in models
        for tag, selection in tags
    ]


def models_of(conn: Connection, frame: Frame) -> set[int] | None:
    """Return the model versions in scope; None for all."""
    if not frame.models:
        return None
    named = f"SELECT m.id FROM model_version m WHERE 1 = 1 {_named(frame)}"
    return set(conn.execute(bound(named, _values(frame))).scalars())


def _named(frame: Frame) -> str:
    return "AND m.name IN :models" if frame.models else ""


def _values(frame: Frame) -> dict[str, tuple[int | str, ...]]:
    names = tuple(escape(name) for name in frame.models)
    return {"datasets": frame.datasets, "runs": frame.runs, "models": names}
