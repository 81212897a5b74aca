"""Sums from the roll-up, in the shape that numbers are made of.

What must hold: whatever the roll-up cannot answer is scanned, so the numbers are the same.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from operator import itemgetter
from typing import TYPE_CHECKING

from lam3db.metrics.counts import Counts
from lam3db.metrics.sums import GroupSums
from lam3db.stats.intervals import MeanSums, ShareSums
from lam3db.store.aggregates import OUTCOMES
from lam3db.store.rollup_read import read_sums
from lam3db.store.rollup_sums import WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from sqlalchemy import Connection

    from lam3db.metrics.sums import Group, Tally
    from lam3db.store.aggregates import Frame, JudgeRow
    from lam3db.store.rollup_read import Rolled

_COUNTS = ["scored" if outcome == "ok" else outcome for outcome in OUTCOMES]
# too_few comes last, and is of rules over replicates: no sums are kept of those
_in_order = itemgetter(*(_COUNTS.index(f.name) for f in fields(Counts) if f.name != "too_few"))
_NOTHING, _NO_SHARE, _NO_MEAN = Counts(), ShareSums(), MeanSums()
_SHARES = [WHOLE.index(f"{name}_clusters") for name in ("share", "refused", "benign_refused")]
_WIDTH = _SHARES[1] - _SHARES[0]
_VALUED = WHOLE.index("benign_valued")
_MEAN = WHOLE.index("mean_clusters")


@dataclass(frozen=True, slots=True)
class RolledTally:
    """Sums that are kept; ``scan`` gives those that would have to be summed from clusters."""

    rolled: Rolled
    scan: Callable[[], Tally]

    def groups(self) -> Collection[Group]:
        """Return every group of the finest grouping."""
        return set(self.rolled.grouping.groups)

    def sums(self, kept: Sequence[int]) -> list[GroupSums]:
        """Return the sums per group of the keys at these positions."""
        found = self.rolled.regrouped(kept)
        if found is None:
            return self.scan().sums(kept)
        groups, sums = found
        rows = zip(groups, sums.whole.tolist(), sums.real.tolist(), strict=True)
        return sorted((_group_sums(*row) for row in rows), key=lambda one: one.group)


def tallies(
    conn: Connection,
    frame: Frame,
    keys: Sequence[str],
    judges: Sequence[JudgeRow],
    scan: Callable[[JudgeRow], Tally],
) -> list[Tally]:
    """Return one source of numbers per judge: sums that are kept where they will do."""
    rolled = read_sums(conn, frame, keys, judges)
    return [
        RolledTally(rolled[judge.id], lambda judge=judge: scan(judge))  # type: ignore[misc]
        if judge.id in rolled
        else scan(judge)
        for judge in judges
    ]


def _group_sums(group: Group, whole: list[int], real: list[float]) -> GroupSums:
    share, refused, benign_refused = [
        ShareSums(*whole[at : at + _WIDTH]) if whole[at] else _NO_SHARE for at in _SHARES
    ]
    return GroupSums(
        group=group,
        counts=_counts(whole[2:10]),
        share=share,
        refused=refused,
        mean=_mean(whole[_MEAN:], real) if whole[_MEAN] else _NO_MEAN,
        benign=_counts(whole[10:18]),
        benign_refused=benign_refused,
        benign_valued=whole[_VALUED],
    )


def _counts(numbers: list[int]) -> Counts:
    return Counts(*_in_order(numbers)) if any(numbers) else _NOTHING


def _mean(whole: list[int], real: list[float]) -> MeanSums:
    clusters, n, n_n = whole
    total, squares, n_total, total_total, low, high = real
    return MeanSums(clusters, n, total, squares, n_n, n_total, total_total, low, high)
