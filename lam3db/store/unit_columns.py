"""The units in scope as columns, from what is kept beside the sums of the roll-up.

What must hold: the population, outcomes and policies of :mod:`lam3db.store.aggregates`, or
nothing, and then the caller scans. What is touched or stale is not read; a few pairs are read from
their rows on the spot. A sample that would be met twice in one group is a reason to scan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from lam3db.store.dense import dense
from lam3db.store.rollup import standing
from lam3db.store.rollup_build import NO_JUDGE, Builder, Pair, decided, joined, unsaid
from lam3db.store.rollup_members import load_members, shared_samples
from lam3db.store.rollup_places import by_run, find_dirty, find_places
from lam3db.store.rollup_read import KEYS
from lam3db.store.rollup_units import Asked, Told
from lam3db.store.sample_cells import CLUSTERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    from sqlalchemy import Connection

    from lam3db.store.aggregates import Frame, JudgeRow
    from lam3db.store.rollup_build import Said
    from lam3db.store.rollup_members import Members
    from lam3db.store.rollup_places import Group, Place, Standing

    Ints = npt.NDArray[np.int64]

_KEPT = "SELECT model_version_id, config_id, units FROM rollup_unit WHERE judge_id = :judge"


@dataclass(frozen=True, slots=True)
class Columns:
    """All units in scope, each answer (or missing one) of a sample beside its others.

    ``group`` is a place in ``groups``, whose keys are those of a cell; ``sample`` tells the
    samples of one group apart; ``cluster`` is what hangs together.
    """

    kept: _Kept
    groups: Sequence[Group]
    group: Ints
    place: Ints
    sample: Ints
    replicate: Ints
    cluster: Ints
    is_benign: npt.NDArray[np.bool_]
    rows: Ints

    def said(self, judge: JudgeRow) -> Said:
        """Return what a judge said of each unit, under its policy."""
        found = self.kept.said(judge)
        return joined([found], self.rows)


def load_columns(
    conn: Connection,
    frame: Frame,
    keys: Sequence[str],
    judges: Sequence[JudgeRow],
    cluster: str = "behavior",
) -> Columns | None:
    """Return the units in scope, to be asked about these judges; None where they are not kept.

    ``keys`` are those of a cell's group: model and config, then the others.
    """
    if frame.where or not KEYS.issuperset(keys) or cluster not in CLUSTERS:
        return None
    found = standing(conn)
    places = find_places(conn, frame, keys, found)
    dirty = find_dirty(found, places)
    if not places or dirty is None:
        return None
    members = {one: load_members(conn, one) for one in {place.selection_id for place in places}}
    if _meets_twice(frame, keys, places, members):
        return None
    kept = _read(conn, judges, sorted({place.pair for place in places}), dirty)
    return None if kept is None else _columns(kept, keys, places, members, cluster)


def _meets_twice(
    frame: Frame, keys: Sequence[str], places: Sequence[Place], members: Mapping[int, Members]
) -> bool:
    """Tell whether a pair's answer may lie in two places of one group."""
    if by_run(frame, keys):
        return len({(place.pair, place.tags) for place in places}) < len(places)
    return "dataset" not in keys and shared_samples(list(members.values())) > 0


@dataclass(frozen=True, slots=True)
class _Kept:
    """The units of some pairs, one pair after the other; ``fresh`` are read from their rows."""

    conn: Connection
    pairs: Sequence[Pair]
    asked: Mapping[Pair, Asked]
    dirty: Standing
    fresh: Mapping[Pair, Mapping[int, Told]]

    def starts(self) -> dict[Pair, int]:
        """Return where the units of each pair begin."""
        found, start = {}, 0
        for pair in self.pairs:
            found[pair] = start
            start += len(self.asked[pair].code)
        return found

    def said(self, judge: JudgeRow) -> Said:
        """Return what a judge said of every unit, under its policy."""
        rows = self.conn.execute(text(_KEPT), {"judge": judge.id})
        stored = {Pair(*pair): bytes(units) for *pair, units in rows}
        parts: list[Said] = []
        for pair in self.pairs:
            told = self._told(pair, judge.id, stored)
            code = self.asked[pair].code
            if told is not None and len(told.code) != len(code):
                raise ValueError(f"judge {judge.id}: {len(told.code)} units, not {len(code)}")
            parts.append(unsaid(code) if told is None else decided(judge, told))
        return joined(parts)

    def _told(self, pair: Pair, judge: int, stored: Mapping[Pair, bytes]) -> Told | None:
        gone = self.dirty.get(pair, frozenset())
        if gone is None or judge in gone:
            return self.fresh[pair].get(judge)
        return Told.of_bytes(stored[pair]) if pair in stored else None


def _read(
    conn: Connection, judges: Sequence[JudgeRow], pairs: Sequence[Pair], dirty: Standing
) -> _Kept | None:
    rows = conn.execute(text(_KEPT), {"judge": NO_JUDGE})
    stored = {Pair(*pair): bytes(units) for *pair, units in rows}
    builder = Builder(conn, list({judge.id: judge for judge in judges}.values()))
    asked, fresh = {}, {}
    for pair in pairs:
        whose = dirty.get(pair, frozenset())
        made = None if whose == frozenset() else builder.make(pair, whose)
        if made is not None:
            fresh[pair] = made.told
        if made is not None and whose is None:
            asked[pair] = made.asked
        elif pair in stored:
            asked[pair] = Asked.of_bytes(stored[pair])
        else:
            return None
    return _Kept(conn, pairs, asked, dirty, fresh)


def _columns(
    kept: _Kept,
    keys: Sequence[str],
    places: Sequence[Place],
    members: Mapping[int, Members],
    cluster: str,
) -> Columns:
    import numpy as np

    names = _Names({}, {})
    starts = kept.starts()
    parts = []
    for number, place in enumerate(places):
        asked, mine = kept.asked[place.pair], members[place.selection_id]
        at, rows = mine.found(asked.sample)
        if place.reach is not None:
            some = asked.replicate[rows] < place.reach
            at, rows = at[some], rows[some]
        attack, category = names.of(mine)
        parts.append(
            (
                np.full(len(at), number),
                attack[at],
                category[at],
                mine.behavior[at],
                mine.sample[at],
                mine.is_benign[at],
                asked.replicate[rows],
                rows + starts[place.pair],
            )
        )
    of, attack, category, behavior, sample, is_benign, replicate, rows = map(
        np.concatenate, zip(*parts, strict=True)
    )
    groups, group = _grouped(places, keys, names, (of, attack, category))
    clusters = {"behavior": behavior, "sample": sample, "category": category, "attack": attack}
    hanging = dense(clusters[cluster])[1]
    return Columns(kept, groups, group, of, sample, replicate, hanging, is_benign, rows)


@dataclass(frozen=True, slots=True)
class _Names:
    """Attacks and categories of all selections, numbered as they are met."""

    attacks: dict[str, int]
    categories: dict[str, int]

    def of(self, members: Members) -> tuple[Ints, Ints]:
        """Return the numbers of the members' attacks and categories."""
        return (
            _numbered(self.attacks, members.attacks)[members.attack],
            _numbered(self.categories, members.categories)[members.category],
        )


def _numbered(known: dict[str, int], names: Sequence[str]) -> Ints:
    import numpy as np

    return np.array([known.setdefault(name, len(known)) for name in names], dtype=np.int64)


def _grouped(
    places: Sequence[Place],
    keys: Sequence[str],
    names: _Names,
    columns: tuple[Any, Any, Any],
) -> tuple[list[Group], Ints]:
    """Return the groups of the finest grouping, and the group of each unit."""
    number, attack, category = columns
    by_attack, by_category = "attack" in keys, "category" in keys
    attacks, categories = max(1, len(names.attacks)), max(1, len(names.categories))
    code = number * attacks + (attack if by_attack else 0)
    codes, group = dense(code * categories + (category if by_category else 0))
    attack_names, category_names = list(names.attacks), list(names.categories)
    groups: list[Group] = []
    for one in codes.tolist():
        rest, kind = divmod(one, categories)
        at, way = divmod(rest, attacks)
        labels = (attack_names[way],) if by_attack else ()
        labels += (category_names[kind],) if by_category else ()
        groups.append((*places[at].pair, *places[at].tags, *labels))
    return groups, group
