"""Reading sums that are kept, where they provably are what a scan would give.

What must hold: this answers for a judge or leaves it out, and then the caller scans. It answers
where every pair in scope has sums that are neither touched nor stale (a few that are not are
summed on the spot), under the judge's current policy; where the answers of a run are all that
are kept for its selection; and where sums are added, no behavior lies in two of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import text

from lam3db.hashing import escape
from lam3db.store.aggregates import bound
from lam3db.store.rollup import standing
from lam3db.store.rollup_build import NO_JUDGE, Builder, Pair, count_answers
from lam3db.store.rollup_members import load_members, shared_behaviors, shared_samples
from lam3db.store.rollup_sums import PARTS, WHOLE, Sums, added, from_bytes, joined

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from lam3db.store.aggregates import Frame, JudgeRow
    from lam3db.store.rollup_members import Members

    Group = tuple[int | str, ...]
    Standing = Mapping[Pair, frozenset[int] | None]

KEYS = frozenset({"model", "config", "dataset", "run", "attack", "category"})
_FEW = 8
_ANSWERED = [WHOLE.index("n_pending"), WHOLE.index("benign_pending")]
"""Where nobody has judged, what is answered is pending."""


@dataclass(frozen=True, slots=True)
class Rolled:
    """The sums of one judge, a row for each of ``groups``; groups may repeat.

    What two rows of one group stand for shares no behavior.
    """

    groups: Sequence[Group]
    sums: Sums

    def regrouped(self, kept: Sequence[int]) -> tuple[list[Group], Sums] | None:
        """Return the sums per group of the keys at these positions.

        None where that would add the answers of two pairs: a behavior may lie in both.
        """
        places: dict[Group, int] = {}
        pairs: dict[Group, Group] = {}
        at = []
        for group in self.groups:
            key = tuple([group[i] for i in kept])
            if pairs.setdefault(key, group[:2]) != group[:2]:
                return None
            at.append(places.setdefault(key, len(places)))
        if len(places) == len(at):
            return list(places), self.sums
        import numpy as np

        return list(places), added(self.sums, np.array(at), len(places))


class _Place(NamedTuple):
    """Answers that are asked about: a pair's to a selection, under the tags of a group.

    ``reach`` is how many replicates are asked about; None means all.
    """

    pair: Pair
    selection_id: int
    tags: Group
    reach: int | None = None


def read_sums(
    conn: Connection, frame: Frame, keys: Sequence[str], judges: Sequence[JudgeRow]
) -> dict[int, Rolled]:
    """Return the sums of these judges, by id; a judge that cannot be answered for is left out.

    ``keys`` are those of a cell's group: model and config, then the others.
    """
    if frame.where or not KEYS.issuperset(keys):
        return {}
    found = standing(conn)
    by_run = bool(frame.runs) or "run" in keys
    places = _of_runs(conn, frame, keys) if by_run else _of_datasets(conn, frame, keys, found)
    dirty = _dirty(found, places)
    if dirty is None:
        return {}
    kept = _Kept(conn, ("category" in keys, "attack" in keys), judges)
    kept.read(dirty, {place.selection_id for place in places})
    places = [place for place in places if kept.reach(place)]
    if not places or any(place.reach not in (None, kept.reach(place)) for place in places):
        return {}
    members = kept.members({place.selection_id for place in places})
    if not by_run and "dataset" not in keys and shared_behaviors(list(members.values())):
        return {}
    return {
        judge.id: kept.rolled(judge.id, places, members)
        for judge in judges
        if judge.id not in kept.outdated
    }


def read_outside(conn: Connection, frame: Frame) -> int | None:
    """Return how many answers of the models in scope are to no sample of its datasets.

    None where the roll-up cannot tell.
    """
    if frame.where or frame.runs:
        return None
    found = standing(conn)
    places = _of_datasets(conn, frame, (), found)
    dirty = _dirty(found, places)
    kept = _Kept(conn, (False, False), ())
    if not places or dirty is None:
        return None
    kept.read(dirty, {place.selection_id for place in places})
    places = [place for place in places if kept.reach(place)]
    if shared_samples(list(kept.members({place.selection_id for place in places}).values())):
        return None
    rows = conn.execute(text("SELECT model_version_id, config_id, answers FROM rollup_pair"))
    answers: dict[Pair, int] = {Pair(*row[:2]): row[2] for row in rows}
    answers |= {pair: count_answers(conn, pair) for pair in dirty}
    models = _models(conn, frame)
    mine = [pair for pair in found if models is None or pair.model_version_id in models]
    return sum(answers[pair] for pair in mine) - kept.answered(places)


def _dirty(found: Standing, places: Sequence[_Place]) -> Standing | None:
    """Return whose sums have to be made on the spot; None where a scan is as well."""
    pairs = {place.pair for place in places}
    dirty = {pair: found.get(pair) for pair in pairs if found.get(pair) != frozenset()}
    return None if len(dirty) > min(_FEW, len(pairs) - len(dirty)) else dirty


def _of_runs(conn: Connection, frame: Frame, keys: Sequence[str]) -> list[_Place]:
    """Return one place per run in scope."""
    which = "r.id IN :runs" if frame.runs else "r.dataset_id IN :datasets"
    query = f"""SELECT r.model_version_id, r.config_id, r.selection_id, r.replicates,
      r.id AS run, r.dataset_id AS dataset
      FROM run r JOIN model_version m ON m.id = r.model_version_id
      WHERE r.kind = 'generate' AND {which} {_named(frame)} ORDER BY r.id"""
    rows = conn.execute(bound(query, _values(frame))).all()
    tags = [key for key in ("dataset", "run") if key in keys]
    return [
        _Place(Pair(row[0], row[1]), row[2], tuple(getattr(row, tag) for tag in tags), row[3])
        for row in rows
    ]


def _of_datasets(
    conn: Connection, frame: Frame, keys: Sequence[str], found: Standing
) -> list[_Place]:
    """Return every pair with every selection in scope, each selection once unless tagged."""
    query = "SELECT id, selection_id FROM dataset WHERE id IN :datasets ORDER BY id"
    rows = conn.execute(bound(query, _values(frame))).all()
    tagged = "dataset" in keys
    tags: list[tuple[Group, int]] = [((row.id,), row.selection_id) for row in rows]
    if not tagged:
        tags = [((), selection) for selection in dict.fromkeys(row.selection_id for row in rows)]
    models = _models(conn, frame)
    return [
        _Place(pair, selection, tag)
        for pair in sorted(found)
        if models is None or pair.model_version_id in models
        for tag, selection in tags
    ]


def _models(conn: Connection, frame: Frame) -> set[int] | None:
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


@dataclass(slots=True)
class _Kept:
    """The sums of one part, of some judges and of none, as far as they are kept.

    ``outdated`` are judges of whom some sums stand under another policy.
    """

    conn: Connection
    has: tuple[bool, bool]
    judges: Sequence[JudgeRow]
    outdated: set[int] = field(default_factory=set)
    _sums: dict[tuple[int, int, int, int], Sums] = field(default_factory=dict)
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
            self._keep((judge, selection, model, config), reach, from_bytes(sums))
        builder = Builder(self.conn, self.judges)
        for pair, whose in dirty.items():
            for block in builder.blocks(pair, whose):
                key = (block.judge_id, block.selection_id, *pair)
                self._keep(key, block.reach, block.sums[self._part])

    def _keep(self, key: tuple[int, int, int, int], reach: int, sums: Sums) -> None:
        self._sums[key] = sums
        if key[0] == NO_JUDGE:
            self._reach[key[1:]] = reach

    def reach(self, place: _Place) -> int:
        """Return how many replicates there are of a place; 0 where there is no answer."""
        return self._reach.get((place.selection_id, *place.pair), 0)

    def answered(self, places: Iterable[_Place]) -> int:
        """Return how many answers there are at these places."""
        rows = (self._sums[NO_JUDGE, place.selection_id, *place.pair] for place in places)
        return sum(int(sums.whole[:, _ANSWERED].sum()) for sums in rows)

    def members(self, selections: Iterable[int]) -> dict[int, Members]:
        """Return the members of these selections."""
        return {one: load_members(self.conn, one) for one in sorted(selections)}

    def rolled(
        self, judge: int, places: Sequence[_Place], members: Mapping[int, Members]
    ) -> Rolled:
        """Return a judge's sums at these places; where it has said nothing, all is pending."""
        by_category, by_attack = self.has
        groups: list[Group] = []
        found = []
        for place in places:
            key = (place.selection_id, *place.pair)
            sums = self._sums.get((judge, *key)) or self._sums[NO_JUDGE, *key]
            found.append(sums)
            start = (*place.pair, *place.tags)
            if not by_category and not by_attack:
                groups.append(start)
                continue
            names = members[place.selection_id]
            for category, attack in sums.whole[:, :2].tolist():
                kind = (names.attacks[attack],) if by_attack else ()
                kind += (names.categories[category],) if by_category else ()
                groups.append(start + kind)
        return Rolled(groups, joined(found))


_READ = """SELECT judge_id, selection_id, model_version_id, config_id, reach, threshold, operator,
    sums FROM rollup
  WHERE part = :part AND judge_id IN :judges AND selection_id IN :selections"""
