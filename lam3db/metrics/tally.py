"""Where the sums of a judge come from: the one place that chooses.

What must hold: whatever is chosen, the same question has the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lam3db.metrics.drawn import DrawnTally
from lam3db.metrics.items import ItemTally
from lam3db.metrics.numbers import Repeated, measure_sums
from lam3db.metrics.question import Question, Rule
from lam3db.metrics.sums import CellTally
from lam3db.metrics.units import Items, UnitTally
from lam3db.records import JudgeKind
from lam3db.store import drawn, sample_cells
from lam3db.store.aggregates import load_cells
from lam3db.store.unit_columns import load_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from lam3db.metrics.numbers import Number
    from lam3db.metrics.sums import Group, Tally
    from lam3db.store.aggregates import Frame, JudgeRow

_OVER = {"each": sample_cells.EACH, "any": sample_cells.LARGEST}


def values_over(rule: Rule) -> str:
    """Return what an item has for a value under a rule, as ``load_sample_cells`` calls it."""
    return _OVER.get(rule.name, sample_cells.MEAN)


def is_weighted(conn: Connection, judge: JudgeRow) -> bool:
    """Tell whether a judge's numbers are estimated from what was drawn by lot for people."""
    people = judge.of_people or judge.kind == JudgeKind.HUMAN
    return people and drawn.is_drawn(conn, judge.id)


def load_tally(
    conn: Connection,
    frame: Frame,
    keys: Sequence[str],
    judge: JudgeRow,
    question: Question | None = None,
) -> Tally:
    """Return what a judge's numbers follow from, grouped by ``keys``.

    Raises:
        ConfigError: no such grouping or cluster key.

    """
    question = question or Question()
    if is_weighted(conn, judge):
        found = drawn.load_drawn_cells(conn, frame, keys, judge, question.cluster)
        return DrawnTally(found, question)
    if question.plain:
        return CellTally(load_cells(conn, frame, keys, judge))
    cells = sample_cells.load_sample_cells(
        conn,
        frame,
        keys,
        judge,
        over=values_over(question.rule),
        k=question.rule.k,
        cluster=question.cluster,
    )
    return ItemTally(cells, question)


@dataclass(slots=True)
class UnitSource:
    """What the numbers of several judges follow from: units that are kept, else a scan each."""

    conn: Connection
    frame: Frame
    keys: Sequence[str]
    judges: Sequence[JudgeRow]
    question: Question
    _items: Items | None = None
    _is_read: bool = False

    def tally(self, judge: JudgeRow) -> Tally:
        """Return what one judge's numbers follow from."""
        if judge.attribute is None and not is_weighted(self.conn, judge):
            items = self._found()
            if items is not None:
                return UnitTally(items, judge, self.question)
        return load_tally(self.conn, self.frame, self.keys, judge, self.question)

    def _found(self) -> Items | None:
        if not self._is_read:
            self._is_read = True
            cluster = self.question.cluster
            found = load_columns(self.conn, self.frame, self.keys, self.judges, cluster)
            most = 0 if found is None else int(found.replicate.max(initial=0)) + 1
            is_small = self.question.rule.k is None or most <= sample_cells.MOST_REPLICATES
            if found is not None and is_small:
                self._items = Items.find(found, self.question)
        return self._items


def load_repeated(
    conn: Connection, frame: Frame, keys: Sequence[str], judge: JudgeRow, question: Question
) -> tuple[int, Tally]:
    """Return k and the sums of what the best of k attempts gives.

    k is the question's, else that of its rule, else the largest number of replicates in scope.
    """
    k = question.k or question.rule.k or sample_cells.most_replicates(conn, frame) or 1
    asked = replace(question, rule=Rule("any-of", k), missing="scored")
    return k, load_tally(conn, frame, keys, judge, asked)


def repeated_numbers(
    k: int, tally: Tally, kept: Sequence[int], judge: JudgeRow
) -> dict[Group, Repeated]:
    """Return the numbers over k attempts, by group."""
    return {number.group: _repeated(k, number) for number in measure_sums(tally.sums(kept), judge)}


def _repeated(k: int, number: Number) -> Repeated:
    return Repeated(k, number.mean, number.share)
