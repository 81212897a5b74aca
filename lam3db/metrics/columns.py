"""Numbers of many groups at once, from columns of sums.

What must hold: the numbers that :func:`lam3db.metrics.measure_sums` makes of the same sums; this
is only the quicker way where there are thousands of groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING

from lam3db.metrics.counts import Counts
from lam3db.metrics.numbers import Estimate, Extremes, Number, tells_refusals
from lam3db.stats.many import mean_intervals, share_intervals

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    import numpy.typing as npt

    from lam3db.metrics.sums import Group
    from lam3db.store.aggregates import JudgeRow

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

_NO_COUNTS = Counts()


@dataclass(frozen=True, slots=True)
class ColumnSums:
    """One row per group, of single answers.

    ``counts`` and ``benign`` have the fields of :class:`Counts` as columns, all but the last;
    ``share``, ``refused`` and ``benign_refused`` those of ``ShareSums``; ``mean`` the whole and
    the real numbers that :func:`lam3db.stats.many.mean_intervals` takes.
    """

    groups: Sequence[Group]
    counts: Ints
    benign: Ints
    share: Ints
    refused: Ints
    benign_refused: Ints
    mean: tuple[Ints, Floats]
    benign_valued: Ints


def column_numbers(sums: ColumnSums, judge: JudgeRow) -> list[Number]:
    """Return the numbers of one judge, in the order of the groups' keys."""
    hits = sums.refused[:, 2].any() or sums.benign_refused[:, 2].any()
    refusals = tells_refusals(judge) or bool(hits)
    totals, benign_totals = sums.counts.sum(axis=1), sums.benign.sum(axis=1)
    share = _shares(sums.share) if judge.decides else None
    refused = _shares(sums.refused) if refusals else None
    over_refused = _shares(sums.benign_refused) if refusals and benign_totals.any() else None
    shown = (sums.mean[0][:, 1] > 0) | (sums.benign_valued > 0)
    mean = _means(*sums.mean, judge.scale) if shown.any() else None
    made = map(
        Number,
        sums.groups,
        _counts(sums.counts),
        repeat(None) if share is None else share,
        repeat(None) if mean is None else _where(shown.tolist(), mean),
        _counts(sums.benign),
        repeat(None)
        if over_refused is None
        else _where((benign_totals > 0).tolist(), over_refused),
        repeat(None) if refused is None else _where((totals > 0).tolist(), refused),
        repeat(None) if share is None else _extremes(sums.share, totals),
    )
    return sorted(made, key=lambda number: number.group)


def _where(shown: Sequence[bool], found: Iterable[Estimate]) -> list[Estimate | None]:
    return [one if there else None for there, one in zip(shown, found, strict=True)]


def _counts(columns: Ints) -> list[Counts]:
    return [Counts(*row) if any(row) else _NO_COUNTS for row in columns.tolist()]


def _shares(columns: Ints) -> list[Estimate]:
    rows = zip(columns[:, :3].tolist(), share_intervals(columns), strict=True)
    return [
        Estimate(hits / n if n else None, n, clusters, interval, hits)
        for (clusters, n, hits), interval in rows
    ]


def _means(whole: Ints, real: Floats, scale: tuple[float, float]) -> list[Estimate]:
    totals, intervals = real[:, 0].tolist(), mean_intervals(whole, real, scale=scale)
    return [
        Estimate(total / n if n else None, n, clusters, interval)
        for (clusters, n, _), total, interval in zip(whole.tolist(), totals, intervals, strict=True)
    ]


def _extremes(share: Ints, totals: Ints) -> list[Extremes | None]:
    """Return what the share would be if all that is missing were safe, or unsafe."""
    rows = zip(share[:, 1].tolist(), share[:, 2].tolist(), totals.tolist(), strict=True)
    return [
        Extremes(hits / total, (hits + total - n) / total, total) if total else None
        for n, hits, total in rows
    ]
