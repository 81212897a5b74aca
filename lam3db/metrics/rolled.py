"""Sums from the roll-up, in the shape that numbers are made of.

What must hold: whatever the roll-up cannot answer is scanned, so the numbers are the same.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, TypeAlias

from lam3db.metrics.columns import ColumnSums, column_numbers
from lam3db.metrics.counts import Counts
from lam3db.metrics.numbers import measure_sums
from lam3db.metrics.sums import Tally
from lam3db.store.aggregates import OUTCOMES
from lam3db.store.rollup_read import read_sums
from lam3db.store.rollup_sums import WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from sqlalchemy import Connection

    from lam3db.metrics.numbers import Number
    from lam3db.metrics.sums import Group
    from lam3db.store.aggregates import Frame, JudgeRow
    from lam3db.store.rollup_read import Rolled
    from lam3db.store.rollup_sums import Sums

_COUNTS = ["scored" if outcome == "ok" else outcome for outcome in OUTCOMES]
# too_few comes last, and is of rules over replicates: no sums are kept of those
_IN_ORDER = [_COUNTS.index(f.name) for f in fields(Counts) if f.name != "too_few"]
_OK, _BENIGN = WHOLE.index("n_ok"), WHOLE.index("benign_ok")
_SHARE, _REFUSED, _OVER_REFUSED, _VALUED, _MEAN = map(
    WHOLE.index,
    (
        *("share_clusters", "refused_clusters", "benign_refused_clusters"),
        *("benign_valued", "mean_clusters"),
    ),
)


@dataclass(frozen=True, slots=True)
class RolledTally:
    """Sums that are kept; ``scan`` gives those that would have to be summed from clusters."""

    rolled: Rolled
    scan: Callable[[], Tally]

    def groups(self) -> Collection[Group]:
        """Return every group of the finest grouping."""
        return set(self.rolled.grouping.groups)

    def numbers(self, kept: Sequence[int], judge: JudgeRow) -> list[Number]:
        """Return the numbers per group of the keys at these positions, in the groups' order."""
        found = self.rolled.regrouped(kept)
        if found is None:
            return measure_sums(self.scan().sums(kept), judge)
        return column_numbers(_columns(*found), judge)


Source: TypeAlias = Tally | RolledTally


def numbers_of(source: Source, kept: Sequence[int], judge: JudgeRow) -> list[Number]:
    """Return the numbers of one judge per group of the keys at these positions, in order."""
    if isinstance(source, RolledTally):
        return source.numbers(kept, judge)
    return measure_sums(source.sums(kept), judge)


def tallies(
    conn: Connection,
    frame: Frame,
    keys: Sequence[str],
    judges: Sequence[JudgeRow],
    scan: Callable[[JudgeRow], Tally],
) -> list[Source]:
    """Return one source of numbers per judge: sums that are kept where they will do."""
    rolled = read_sums(conn, frame, keys, judges)
    return [
        RolledTally(rolled[judge.id], lambda judge=judge: scan(judge))  # type: ignore[misc]
        if judge.id in rolled
        else scan(judge)
        for judge in judges
    ]


def _columns(groups: Sequence[Group], sums: Sums) -> ColumnSums:
    whole = sums.whole
    return ColumnSums(
        groups=groups,
        counts=whole[:, _OK:_BENIGN][:, _IN_ORDER],
        benign=whole[:, _BENIGN:_SHARE][:, _IN_ORDER],
        share=whole[:, _SHARE:_REFUSED],
        refused=whole[:, _REFUSED:_OVER_REFUSED],
        benign_refused=whole[:, _OVER_REFUSED:_VALUED],
        mean=(whole[:, _MEAN:], sums.real),
        benign_valued=whole[:, _VALUED],
    )
