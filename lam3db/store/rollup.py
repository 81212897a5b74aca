"""Keeping the roll-up: which pairs have to be summed again, and writing their sums.

Triggers leave a touch for whatever is written; :func:`settle` makes new sums from what is
stored and takes the touches away. For each pair it *claims* (takes its touches, marks the pair
stale), *scans* in one snapshot, and *writes*, each in a short transaction of its own, so nobody
waits for the scan.

What must hold: sums that are neither touched nor stale are those of the rows of this moment.
The snapshot is taken after the touches are gone, so it holds whatever they stood for; who writes
later leaves a new touch. Of two who settle one pair only the last to claim writes. A kill
between the steps leaves the pair stale, which costs the reader a scan and nothing else.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from lam3db.store import overview
from lam3db.store import tables_rollup as t
from lam3db.store.bulk import insert_new
from lam3db.store.insert import lock_rollup
from lam3db.store.rollup_build import NO_JUDGE, Builder, Pair, count_answers
from lam3db.store.rollup_members import Members, scan_members

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from sqlalchemy import Connection

    from lam3db.store.aggregates import JudgeRow
    from lam3db.store.engine import Store
    from lam3db.store.rollup_build import Block, Made

_COLUMNS = (
    *("part", "judge_id", "selection_id", "model_version_id", "config_id"),
    *("reach", "threshold", "operator", "sums"),
)
_UNIT_COLUMNS = ("judge_id", "model_version_id", "config_id", "units")
_MINE = "model_version_id = :model_version_id AND config_id = :config_id"
_CLAIM = """INSERT INTO rollup_pair
    (model_version_id, config_id, stamp, is_stale, dataset_reach, answers)
  VALUES (:model_version_id, :config_id, 1, 1, 0, 0)
  ON CONFLICT (model_version_id, config_id) DO UPDATE SET stamp = rollup_pair.stamp + 1,
    is_stale = 1 RETURNING stamp"""
_SETTLED = f"""UPDATE rollup_pair SET is_stale = 0, dataset_reach = :reach, answers = :answers
  WHERE {_MINE}"""
_NEWEST = "SELECT COALESCE(MAX(id), 0) FROM dataset"


def standing(conn: Connection) -> dict[Pair, frozenset[int] | None]:
    """Return whose sums of each pair cannot be read: nobody's (empty), some judges', or all (None).

    A pair that is not named has no answer and was asked for none.
    """
    rows = conn.execute(text("SELECT model_version_id, config_id FROM rollup_pair"))
    found: dict[Pair, frozenset[int] | None] = {Pair(*row): frozenset() for row in rows}
    for model, config, judge in conn.execute(text(_TOUCHED)):
        _note(found, Pair(model, config), judge)
    for model, config in conn.execute(text(_STALE)):
        _note(found, Pair(model, config), 0)
    return found


def due(conn: Connection, judges: Iterable[JudgeRow]) -> list[Pair]:
    """Return every pair of which some sums cannot be read, or stand under an old policy."""
    found = {pair for pair, judges in standing(conn).items() if judges != frozenset()}
    policies = {judge.id: (judge.threshold, judge.operator) for judge in judges}
    for judge, threshold, operator, model, config in conn.execute(text(_POLICIES)):
        if policies.get(judge) != (threshold, operator):
            found.add(Pair(model, config))
    return sorted(found)


_TOUCHED = "SELECT DISTINCT model_version_id, config_id, judge_id FROM rollup_touch"
_STALE = """SELECT model_version_id, config_id FROM rollup_pair
  WHERE is_stale = 1 OR dataset_reach < (SELECT COALESCE(MAX(id), 0) FROM dataset)"""
_POLICIES = """SELECT DISTINCT judge_id, threshold, operator, model_version_id, config_id
  FROM rollup WHERE part = 'whole' AND judge_id > 0"""


def _note(found: dict[Pair, frozenset[int] | None], pair: Pair, judge: int) -> None:
    known = found.get(pair)  # a pair without a row was never summed: all of it is due
    found[pair] = None if judge == 0 or known is None else known | {judge}


def settle(
    store: Store, seconds: float | None = None, tick: Callable[[int, int], None] | None = None
) -> int:
    """Bring the roll-up up to date; return how many pairs are left after ``seconds``.

    ``tick`` is told how many pairs are done, and of how many. What is left is scanned by
    reports until somebody settles it.
    """
    began = time.monotonic()
    with store.read() as conn:
        todo = due(conn, overview.report_judges(conn))
    kept: dict[int, Members] = {}
    for done, pair in enumerate(todo):
        if seconds is not None and time.monotonic() - began > seconds:
            return len(todo) - done
        _settle(store, pair, kept)
        if tick is not None:
            tick(done + 1, len(todo))
    return 0


def _settle(store: Store, pair: Pair, kept: dict[int, Members]) -> None:
    with store.write() as conn:
        stamp, judges = _claim(conn, pair)
    with store.read() as conn:
        builder = Builder(conn, overview.report_judges(conn), kept)
        made = builder.make(pair, judges)
        state = {
            "reach": conn.execute(text(_NEWEST)).scalar_one(),
            "answers": count_answers(conn, pair),
        }
    with store.write() as conn:
        if _is_ours(conn, pair, stamp):
            _put(conn, pair, made, judges)
            conn.execute(text(_SETTLED), {**pair._asdict(), **state})
        _put_members(conn, {block.selection_id for block in made.blocks}, kept)


def _claim(conn: Connection, pair: Pair) -> tuple[int, frozenset[int] | None]:
    """Take the pair's touches; return its new stamp and whose sums have to be made."""
    lock_rollup(conn)
    known = pair._asdict()
    asked = f"SELECT is_stale, dataset_reach FROM rollup_pair WHERE {_MINE}"
    before = conn.execute(text(asked), known).one_or_none()
    stamp = conn.execute(text(_CLAIM), known).scalar_one()
    gone = conn.execute(text(f"DELETE FROM rollup_touch WHERE {_MINE} RETURNING judge_id"), known)
    touched = set(gone.scalars())
    newest = conn.execute(text(_NEWEST)).scalar_one()
    everything = before is None or before.is_stale or before.dataset_reach < newest or 0 in touched
    if everything:
        return stamp, None
    policies = {row.id: (row.threshold, row.operator) for row in overview.report_judges(conn)}
    mine = conn.execute(text(f"{_POLICIES} AND {_MINE}"), known)
    outdated = {row.judge_id for row in mine if policies.get(row.judge_id) != tuple(row[1:3])}
    return stamp, frozenset(touched | outdated)


def _is_ours(conn: Connection, pair: Pair, stamp: int) -> bool:
    """Tell whether nobody has claimed the pair since; nobody can until the transaction ends."""
    lock_rollup(conn)
    asked = text(f"SELECT stamp FROM rollup_pair WHERE {_MINE}")
    return conn.execute(asked, pair._asdict()).scalar() == stamp


def _put(conn: Connection, pair: Pair, made: Made, judges: Collection[int] | None) -> None:
    """Write a pair's sums and units in place of those before."""
    known = pair._asdict()
    for table in ("rollup", "rollup_unit"):
        gone = f"DELETE FROM {table} WHERE {_MINE}"
        if judges is None:
            conn.execute(text(gone), known)
            continue
        each = text(f"{gone} AND judge_id = :judge")
        for judge in sorted(judges):
            conn.execute(each, {**known, "judge": judge})
    insert_new(conn, t.rollup, _COLUMNS, [row for block in made.blocks for row in _rows(block)])
    units = [(judge, *pair, told.to_bytes()) for judge, told in made.told.items()]
    if judges is None:
        units.append((NO_JUDGE, *pair, made.asked.to_bytes()))
    insert_new(conn, t.rollup_unit, _UNIT_COLUMNS, units)


def _rows(block: Block) -> list[tuple[Any, ...]]:
    key = (block.judge_id, block.selection_id, *block.pair)
    policy = (block.reach, block.threshold, block.operator)
    return [(part, *key, *policy, sums.to_bytes()) for part, sums in block.sums.items()]


def _put_members(conn: Connection, wanted: set[int], kept: Mapping[int, Members]) -> None:
    """Keep what groups the samples of these selections, where it is not kept yet."""
    there = set(conn.execute(text("SELECT selection_id FROM rollup_selection")).scalars())
    rows = [
        (kept.get(one) or scan_members(conn, one)).to_row(one) for one in sorted(wanted - there)
    ]
    if rows:
        insert_new(conn, t.rollup_selection, tuple(rows[0]), [tuple(row.values()) for row in rows])
