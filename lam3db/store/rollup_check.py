"""Making the roll-up again and comparing: for ``lam3db db verify``.

What must hold: only what a report would read is compared (what is touched, stale or under an old
policy is scanned anyway); whole numbers have to be the same, real ones within a billionth,
because a sum of real numbers depends on their order.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sqlalchemy import text

from lam3db.store import overview
from lam3db.store.rollup import standing
from lam3db.store.rollup_build import NO_JUDGE, Builder, Pair, count_answers
from lam3db.store.rollup_members import Members, scan_members
from lam3db.store.rollup_sums import PARTS, REAL, WHOLE, Sums, from_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Connection

    from lam3db.store.rollup_build import Made

    Key = tuple[int, int]

_CLOSE = 1e-9
_PAIRS = """SELECT m.id, c.id FROM model_version m CROSS JOIN config c
  WHERE EXISTS (SELECT 1 FROM generation g
    WHERE g.model_version_id = m.id AND g.config_id = c.id)
  OR EXISTS (SELECT 1 FROM run r
    WHERE r.model_version_id = m.id AND r.config_id = c.id AND r.kind = 'generate')"""
_KEPT = """SELECT part, judge_id, selection_id, reach, threshold, operator, sums FROM rollup
  WHERE model_version_id = :model_version_id AND config_id = :config_id"""


def rederived(conn: Connection) -> Iterator[tuple[str, str | None]]:
    """Yield what was made again, by name, with what is wrong of it (None: nothing)."""
    for row in conn.execute(text("SELECT selection_id, labels, members FROM rollup_selection")):
        same = _row(row.labels, row.members) == scan_members(conn, row.selection_id).parts()
        yield f"of selection {row.selection_id}", None if same else "its members are others"
    found = standing(conn)
    for pair in (Pair(*row) for row in conn.execute(text(_PAIRS)).all()):
        if pair not in found:
            yield _name(pair), "its answers are not known to the roll-up"
    judges = overview.report_judges(conn)
    builder = Builder(conn, judges, load=scan_members)  # nothing kept is believed
    policies = {judge.id: (judge.threshold, judge.operator) for judge in judges}
    for pair, stale in sorted(found.items()):
        if stale is not None:
            yield from _pair(builder, pair, stale, policies)


def _row(labels: str, members: bytes) -> object:
    try:
        return Members.of_row(labels, bytes(members)).parts()
    except (ValueError, KeyError, TypeError):
        return None


def _pair(
    builder: Builder,
    pair: Pair,
    stale: frozenset[int],
    policies: Mapping[int, tuple[float | None, str | None]],
) -> Iterator[tuple[str, str | None]]:
    kept: dict[Key, dict[str, tuple[int, bytes]]] = {}
    for row in builder.conn.execute(text(_KEPT), pair._asdict()):
        judge = row.judge_id
        if judge in stale or policies.get(judge, (None, None)) != (row.threshold, row.operator):
            policies = {name: one for name, one in policies.items() if name != judge}
            continue
        kept.setdefault((judge, row.selection_id), {})[row.part] = (row.reach, bytes(row.sums))
    asked = "SELECT answers FROM rollup_pair WHERE model_version_id = :m AND config_id = :c"
    answers = builder.conn.execute(text(asked), {"m": pair[0], "c": pair[1]}).scalar()
    right = count_answers(builder.conn, pair)
    yield _name(pair), None if answers == right else f"it has {right} answers, not {answers}"
    made = builder.make(pair)
    yield from _units(builder.conn, pair, made, stale)
    for block in made.blocks:
        key = (block.judge_id, block.selection_id)
        is_read = block.judge_id == 0 or block.judge_id in policies
        if block.judge_id in stale or not is_read:
            continue
        there = kept.pop(key, {})
        for part in PARTS:
            name = f"{_name(pair)}, selection {key[1]}, judge {key[0]}, {part}"
            yield name, _difference(there.get(part), block.reach, block.sums[part])
    for judge, selection in kept:
        yield f"{_name(pair)}, selection {selection}, judge {judge}", "there is nothing to sum"


def _units(
    conn: Connection, pair: Pair, made: Made, stale: frozenset[int]
) -> Iterator[tuple[str, str | None]]:
    """Compare the units of a pair, which do not depend on a policy."""
    right = {NO_JUDGE: made.asked.to_bytes()}
    right |= {judge: told.to_bytes() for judge, told in made.told.items()}
    rows = conn.execute(text(_UNITS), pair._asdict())
    there = {judge: bytes(units) for judge, units in rows}
    for judge in sorted({*right, *there} - stale):
        name = f"{_name(pair)}, judge {judge}, units"
        if judge not in there:
            yield name, "it is missing"
        elif judge not in right:
            yield name, "there is nothing to sum"
        else:
            same = there[judge] == right[judge]
            yield name, None if same else "they are not what is stored"


_UNITS = """SELECT judge_id, units FROM rollup_unit
  WHERE model_version_id = :model_version_id AND config_id = :config_id"""


def _difference(kept: tuple[int, bytes] | None, reach: int, right: Sums) -> str | None:
    """Return what is wrong of kept sums."""
    if kept is None:
        return "it is missing"
    if kept[0] != reach:
        return f"it reaches {kept[0]} replicates, not {reach}"
    try:
        return _rows_differ(from_bytes(kept[1]), right)
    except ValueError as error:
        return str(error)


def _rows_differ(there: Sums, right: Sums) -> str | None:
    if len(there) != len(right):
        return f"it has {len(there)} groups, not {len(right)}"
    for row in range(len(right)):
        for name, is_, ought in zip(WHOLE, there.whole[row], right.whole[row], strict=True):
            if is_ != ought:
                return f"{name} of group {row} is {is_}, not {ought}"
        for name, now, then in zip(REAL, there.real[row], right.real[row], strict=True):
            if not math.isclose(now, then, rel_tol=_CLOSE, abs_tol=_CLOSE):
                return f"{name} of group {row} is {now}, not {then}"
    return None


def _name(pair: Pair) -> str:
    return f"of model version {pair.model_version_id} and config {pair.config_id}"
