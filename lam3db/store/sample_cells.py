"""The sums that rules over replicates, other clusters and other denominators need.

A row of :func:`load_sample_cells` is a class of items that are alike: same group, cluster and
outcome, same number of replicates, of scored ones and of unsafe ones. An item is a sample (or,
under ``each``, an answer); whatever a rule makes of a sample follows from these numbers.

What must hold: the population, outcomes and policies of :mod:`lam3db.store.aggregates`; a
replicate that was not scored is in ``units`` and in no other number.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING, Any

from lam3db.errors import ConfigError, did_you_mean
from lam3db.hashing import escape
from lam3db.store.aggregates import (
    ALWAYS,
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
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from lam3db.store.aggregates import Frame, JudgeRow

CLUSTERS = {
    "behavior": "s.behavior_id",
    "sample": "u.sample_id",
    "category": "b.category",
    "attack": "s.attack",
}
METADATA = "metadata."
MOST_REPLICATES = 200
EACH, MEAN, LARGEST = "each", "mean", "largest"


@dataclass(frozen=True, slots=True)
class SampleCell:
    """``n`` items that are alike.

    ``units`` are an item's replicates asked for; ``ok`` (those that were scored), ``decided``,
    ``unsafe``, ``judged``, ``refused`` and ``valued`` how many of them are so; ``outcome`` is
    the worst of them. The items' values (their sum, sum of squares, least and largest) are
    None without any.
    """

    group: tuple[int | str, ...]
    cluster: int | str
    is_benign: bool
    outcome: str
    units: int
    ok: int
    decided: int
    unsafe: int
    judged: int
    refused: int
    valued: int
    n: int
    value_sum: float | None
    square_sum: float | None
    low: float | None
    high: float | None


def load_sample_cells(
    conn: Connection,
    frame: Frame,
    by: Sequence[str],
    judge: JudgeRow,
    *,
    over: str = EACH,
    k: int | None = None,
    cluster: str = "behavior",
) -> list[SampleCell]:
    """Return the classes of items of one judge.

    ``over`` says what an item is and has for a value: ``each`` answer its own, a sample the
    ``mean`` of its replicates or their ``largest``; with ``k`` the largest expected among k
    of them drawn without replacement (none where fewer than k have a value).

    Raises:
        ConfigError: no such cluster key, or more replicates than ``k`` can be asked of.

    """
    keys = group_keys(by)
    names = ", ".join(f"k{i}" for i in range(len(keys)))
    kinds = f"{names}, cluster, is_benign, code, {_KINDS}"
    source, values = item_source(conn, frame, keys, judge, over=over, k=k, cluster=cluster)
    query = f"""{source}
    SELECT {kinds}, COUNT(*), SUM(y), SUM(y * y), MIN(y), MAX(y)
    FROM item GROUP BY {kinds} ORDER BY {kinds}"""
    rows = conn.execute(bound(query, values))
    return [_cell(tuple(row), len(keys)) for row in rows]


def item_source(
    conn: Connection,
    frame: Frame,
    keys: Sequence[str],
    judge: JudgeRow,
    *,
    over: str = EACH,
    k: int | None = None,
    cluster: str = "behavior",
) -> tuple[str, dict[str, Any]]:
    """Return the SQL of every item (``WITH ... item AS (...)``) and the values it mentions.

    ``keys`` are what :func:`lam3db.store.groups.group_keys` gives, as columns k0, k1 ...
    """
    names = ", ".join(f"k{i}" for i in range(len(keys)))
    columns = key_columns(keys, frame.dialect)
    most = most_replicates(conn, frame) if k is not None else 0
    query = f"""{population(frame, keys)},
    scored AS ({scored(judge, columns, cluster_column(cluster, frame.dialect))}),
    {_items(names, over, k, most)}"""
    values = {**values_of(frame), **judge_values(judge), **cluster_values(cluster, frame.dialect)}
    return query, values


def most_replicates(conn: Connection, frame: Frame) -> int:
    """Return the largest number of replicates of a sample in scope."""
    query = f"{population(frame, ALWAYS)} SELECT MAX(u.replicate) FROM unit u"
    found = conn.execute(bound(query, values_of(frame))).scalar()
    return 0 if found is None else int(found) + 1


_KINDS = "units, ok, decided, unsafe, judged, refused, valued"
_OK = "SUM(CASE WHEN code = 0 THEN {0} ELSE 0 END) AS {0}"
_EACH = """item AS (
      SELECT {names}, behavior_id AS cluster, is_benign, code, 1 AS units,
        CASE WHEN code = 0 THEN 1 ELSE 0 END AS ok, {flags},
        CASE WHEN code = 0 AND value IS NOT NULL THEN 1 ELSE 0 END AS valued,
        CASE WHEN code = 0 THEN value END AS y
      FROM scored)"""
_SAMPLE = """item AS (
      SELECT {names}, behavior_id AS cluster, is_benign, MAX(code) AS code, COUNT(*) AS units,
        COUNT(CASE WHEN code = 0 THEN 1 END) AS ok, {flags},
        COUNT(CASE WHEN code = 0 THEN value END) AS valued, {value} AS y
      FROM {source}
      GROUP BY {names}, behavior_id, is_benign, model_version_id, config_id, sample_id)"""
# the place of each value among its sample's, and how many values there are
_RANKED = """ranked AS (
      SELECT r.*, w.weight FROM (
        SELECT scored.*,
          ROW_NUMBER() OVER (PARTITION BY {same} ORDER BY
            CASE WHEN code = 0 AND value IS NOT NULL THEN 0 ELSE 1 END, value) AS place,
          COUNT(CASE WHEN code = 0 THEN value END) OVER (PARTITION BY {same}) AS many
        FROM scored) r
      LEFT JOIN weight w ON w.many = r.many AND w.place = r.place)"""
_WEIGHTS = "weight(many, place, weight) AS (VALUES {rows})"
_FLAGS = ("decided", "unsafe", "judged", "refused")


def _items(names: str, over: str, k: int | None, most: int) -> str:
    """Return the SQL of the items, each with its numbers of replicates and its value ``y``."""
    if over == EACH:
        flags = [f"CASE WHEN code = 0 THEN {name} ELSE 0 END AS {name}" for name in _FLAGS]
        return _EACH.format(names=names, flags=", ".join(flags))
    flags = [_OK.format(name) for name in _FLAGS]
    shape = {"names": names, "flags": ", ".join(flags), "source": "scored"}
    value = "CASE WHEN code = 0 THEN value END"
    if k is None:
        how = "MAX" if over == LARGEST else "AVG"
        return _SAMPLE.format(**shape, value=f"{how}({value})")
    if most <= k:
        largest = f"CASE WHEN COUNT({value}) >= {int(k)} THEN MAX({value}) END"
        return _SAMPLE.format(**shape, value=largest)
    same = f"{names}, model_version_id, config_id, sample_id"
    weights = _WEIGHTS.format(rows=", ".join(_weights(k, most)))
    shape["source"] = "ranked"
    item = _SAMPLE.format(**shape, value=f"SUM({value} * weight)")
    return f"{weights}, {_RANKED.format(same=same)}, {item}"


def _weights(k: int, most: int) -> list[str]:
    """Return how often the i-th smallest of n values is the largest of k drawn from them.

    C(i-1, k-1) / C(n, k): the other k-1 are among the i-1 smaller ones.
    """
    if most > MOST_REPLICATES:
        raise ConfigError(
            f"any of {k}: a sample here has {most} replicates; of more than {MOST_REPLICATES} "
            "this is not worked out"
        )
    return [
        f"({n}, {i}, {comb(i - 1, k - 1) / comb(n, k)!r})"
        for n in range(k, most + 1)
        for i in range(1, n + 1)
    ]


def cluster_column(cluster: str, dialect: str) -> str:
    """Return the SQL of a cluster key; samples without such metadata are one cluster, ''."""
    if cluster in CLUSTERS:
        return CLUSTERS[cluster]
    if not cluster.startswith(METADATA) or cluster == METADATA or '"' in cluster:
        known = [*CLUSTERS, "metadata.NAME"]
        raise ConfigError(f"--cluster {cluster}: no such key{did_you_mean(cluster, known)}")
    column = {"sqlite": "s.metadata", "postgresql": "CAST(s.metadata AS jsonb)"}[dialect]
    return f"COALESCE(CAST({column} -> :cluster_name AS TEXT), '')"


def cluster_values(cluster: str, dialect: str) -> dict[str, Any]:
    """Return what the SQL of a cluster key mentions."""
    name = escape(cluster.removeprefix(METADATA))
    return {"cluster_name": f'$."{name}"' if dialect == "sqlite" else name}


def _cell(row: tuple[Any, ...], keys: int) -> SampleCell:
    cluster, benign, code, *numbers = row[keys:]
    counts, values = numbers[:8], numbers[8:]
    return SampleCell(
        row[:keys], cluster, bool(benign), OUTCOMES[code], *(int(one) for one in counts), *values
    )
