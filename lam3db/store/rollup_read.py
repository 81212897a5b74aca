"""Reading sums that are kept, where they provably are what a scan would give.

What must hold: this answers for a judge or leaves it out, and then the caller scans. It answers
where every pair in scope has sums that are neither touched nor stale (a few that are not are
summed on the spot), under the judge's current policy; where the answers of a run are all that
are kept for its selection; and where sums are added, no behavior lies in two of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from sqlalchemy import text

from lam3db.store.aggregates import bound
from lam3db.store.rollup import standing
from lam3db.store.rollup_build import NO_JUDGE, Builder, Pair, count_answers
from lam3db.store.rollup_members import load_members, shared_behaviors
from lam3db.store.rollup_places import by_run, find_dirty, find_places, models_of, of_datasets
from lam3db.store.rollup_sums import PARTS, ROW_BYTES, WHOLE, Sums, added, from_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from lam3db.store.aggregates import Frame, JudgeRow
    from lam3db.store.rollup_members import Members
    from lam3db.store.rollup_places import Group, Place, Standing

KEYS = frozenset({"model", "config", "dataset", "run", "attack", "category"})
_ANSWERED = [WHOLE.index("n_pending"), WHOLE.index("benign_pending")]
"""Where nobody has judged, what is answered is pending."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """The group of each row of sums; groups may repeat. All judges have the same."""

    groups: Sequence[Group]
    _known: dict[tuple[int, ...], tuple[list[Group], list[int]] | None] = field(
        default_factory=dict
    )

    def places(self, kept: tuple[int, ...]) -> tuple[list[Group], list[int]] | None:
        """Return the groups of the keys at these positions, and the place of each row in them.

        None where one would hold the answers of two pairs: a behavior may lie in both.
        """
        if kept not in self._known:
            self._known[kept] = self._placed(kept)
        return self._known[kept]

    def _placed(self, kept: tuple[int, ...]) -> tuple[list[Group], list[int]] | None:
        places: dict[Group, int] = {}
        pairs: list[Group] = []
        at = []
        for group in self.groups:
            place = places.setdefault(tuple([group[i] for i in kept]), len(places))
            if place == len(pairs):
                pairs.append(group[:2])
            elif pairs[place] != group[:2]:
                return None
            at.append(place)
        return list(places), at


@dataclass(frozen=True, slots=True)
class Rolled:
    """The sums of one judge, row by row; what two rows of one group hold shares no behavior."""

    grouping: Grouping
    sums: Sums

    def regrouped(self, kept: Sequence[int]) -> tuple[list[Group], Sums] | None:
        """Return the sums per group of the keys at these positions; see :class:`Grouping`."""
        found = self.grouping.places(tuple(kept))
        if found is None:
            return None
        groups, at = found
        if len(groups) == len(at):
            return groups, self.sums
        import numpy as np

        return groups, added(self.sums, np.array(at), len(groups))


def read_sums(
    conn: Connection, frame: Frame, keys: Sequence[str], judges: Sequence[JudgeRow]
) -> dict[int, Rolled]:
    """Return the sums of these judges, by id; a judge that cannot be answered for is left out.

    ``keys`` are those of a cell's group: model and config, then the others.
    """
    if frame.where or not KEYS.issuperset(keys):
        return {}
    found = standing(conn)
    places = find_places(conn, frame, keys, found)
    dirty = find_dirty(found, places)
    if dirty is None:
        return {}
    kept = _Kept(conn, ("category" in keys, "attack" in keys), judges)
    kept.read(dirty, {place.selection_id for place in places})
    places = [place for place in places if kept.reach(place)]
    if not places or any(place.reach not in (None, kept.reach(place)) for place in places):
        return {}
    adds = not by_run(frame, keys) and "dataset" not in keys
    members = {}
    if adds or any(kept.has):
        members = kept.members({place.selection_id for place in places})
    if adds and shared_behaviors(list(members.values())):
        return {}
    grouping = kept.grouping(places, members)
    return {
        judge.id: Rolled(grouping, kept.rows(judge.id, places))
        for judge in judges
        if judge.id not in kept.outdated
    }


def read_outside(conn: Connection, frame: Frame) -> int | None:
    """Return how many answers of the models in scope are to no sample of its datasets.

    For datasets that share no sample; None where the roll-up cannot tell.
    """
    if frame.where or frame.runs:
        return None
    found = standing(conn)
    places = of_datasets(conn, frame, (), found)
    dirty = find_dirty(found, places)
    kept = _Kept(conn, (False, False), ())
    if not places or dirty is None:
        return None
    kept.read(dirty, {place.selection_id for place in places})
    places = [place for place in places if kept.reach(place)]
    rows = conn.execute(text("SELECT model_version_id, config_id, answers FROM rollup_pair"))
    answers: dict[Pair, int] = {Pair(*row[:2]): row[2] for row in rows}
    answers |= {pair: count_answers(conn, pair) for pair in dirty}
    models = models_of(conn, frame)
    mine = [pair for pair in found if models is None or pair.model_version_id in models]
    return sum(answers[pair] for pair in mine) - kept.answered(places)


@dataclass(slots=True)
class _Kept:
    """The sums of one part, of some judges and of none, as far as they are kept.

    ``outdated`` are judges of whom some sums stand under another policy.
    """

    conn: Connection
    has: tuple[bool, bool]
    judges: Sequence[JudgeRow]
    outdated: set[int] = field(default_factory=set)
    _sums: dict[tuple[int, int, int, int], bytes] = field(default_factory=dict)
    _reach: dict[tuple[int, int, int], int] = field(default_factory=dict)

    @property
    def _part(self) -> str:
        return next(part for part, has in PARTS.items() if has == self.has)

    def read(self, dirty: Standing, selections: Collection[int]) -> None:
        """Read what is kept on these selections, and sum what is dirty."""
        policies = {judge.id: (judge.threshold, judge.operator) for judge in self.judges}
        policies[NO_JUDGE] = (None, None)
        values = {
            "part": self._part,
            "judges": tuple(policies),
            "selections": tuple(selections),
        }
        rows = self.conn.execute(bound(_READ, values))
        for judge, selection, model, config, reach, threshold, operator, sums in rows:
            gone = dirty.get(Pair(model, config), frozenset())
            if gone is None or judge in gone:
                continue
            if policies[judge] != (threshold, operator):
                self.outdated.add(judge)
            self._keep((judge, selection, model, config), reach, sums)
        builder = Builder(self.conn, self.judges)
        for pair, whose in dirty.items():
            for block in builder.make(pair, whose).blocks:
                key = (block.judge_id, block.selection_id, *pair)
                self._keep(key, block.reach, block.sums[self._part].to_bytes())

    def _keep(self, key: tuple[int, int, int, int], reach: int, sums: bytes) -> None:
        self._sums[key] = sums
        if key[0] == NO_JUDGE:
            self._reach[key[1:]] = reach

    def reach(self, place: Place) -> int:
        """Return how many replicates there are of a place; 0 where there is no answer."""
        return self._reach.get((place.selection_id, *place.pair), 0)

    def answered(self, places: Sequence[Place]) -> int:
        """Return how many answers there are at these places."""
        return int(self.rows(NO_JUDGE, places).whole[:, _ANSWERED].sum())

    def members(self, selections: Iterable[int]) -> dict[int, Members]:
        """Return the members of these selections."""
        return {one: load_members(self.conn, one) for one in sorted(selections)}

    def rows(self, judge: int, places: Sequence[Place]) -> Sums:
        """Return a judge's sums at these places; where it has said nothing, all is pending."""
        keys = [(place.selection_id, *place.pair) for place in places]
        return from_bytes(
            b"".join([self._sums.get((judge, *key)) or self._sums[NO_JUDGE, *key] for key in keys])
        )

    def grouping(self, places: Sequence[Place], members: Mapping[int, Members]) -> Grouping:
        """Return the groups of these places, which are the same under every judge."""
        by_category, by_attack = self.has
        if not by_category and not by_attack:
            return Grouping([(*place.pair, *place.tags) for place in places])
        codes = iter(self.rows(NO_JUDGE, places).whole[:, :2].tolist())
        groups: list[Group] = []
        for place in places:
            start = (*place.pair, *place.tags)
            names = members[place.selection_id]
            size = len(self._sums[NO_JUDGE, place.selection_id, *place.pair]) // ROW_BYTES
            for category, attack in islice(codes, size):
                kind = (names.attacks[attack],) if by_attack else ()
                kind += (names.categories[category],) if by_category else ()
                groups.append(start + kind)
        return Grouping(groups)


_READ = """SELECT judge_id, selection_id, model_version_id, config_id, reach, threshold, operator,
    sums FROM rollup
  WHERE part = :part AND judge_id IN :judges AND selection_id IN :selections"""
