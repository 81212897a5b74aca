"""Scores to numbers, each with what it needs to be believed.

One query per judge (see :mod:`lam3db.store.aggregates`) hands over tallies per group,
behavior and outcome; everything here is arithmetic on sums of those. What must hold:

* a share is taken over what was *scored*; what failed, was not parsed, abstained or is
  pending is counted beside it and never reads as safe;
* benign samples are no attacks: they are counted on their own, for their refusals;
* ``total`` is everything that is stored or that a run was asked for, so a generation that
  failed or was never made lowers the coverage;
* a number belongs to one judge: its digest, not its name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lam3db.metrics.sums import GroupSums, group_sums
from lam3db.records import Verdict
from lam3db.stats.intervals import Interval, mean_interval_of, share_interval_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lam3db.metrics.counts import Counts
    from lam3db.stats.intervals import MeanSums, ShareSums
    from lam3db.store.aggregates import Cell, JudgeRow

RULES = ("each", "any")


@dataclass(frozen=True, slots=True)
class Scope:
    """Which answers. Without ``run`` and ``dataset``: the latest version of every dataset.

    ``run`` is (the start of) a run's uid; its answers are found by its selection, model and
    config, so a run served from the cache has them all. ``dataset`` is ``name`` or ``name@2``.
    """

    run: str | None = None
    models: tuple[str, ...] = ()
    dataset: str | None = None
    where: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share or a mean over ``n`` items in ``clusters`` behaviors, with its interval.

    ``hits`` is the numerator of a share, None for a mean. ``value`` is None where n is 0.
    """

    value: float | None
    n: int
    clusters: int
    interval: Interval
    hits: int | None = None


@dataclass(frozen=True, slots=True)
class Number:
    """What one judge says of one group.

    ``share`` is None for a judge that has neither verdicts nor a threshold, ``mean`` for one
    without values, ``benign_refused`` for one that does not know refusals. ``counts`` are of
    samples that are not benign, ``benign`` of those that are.
    """

    group: tuple[int | str, ...]
    counts: Counts
    share: Estimate | None
    mean: Estimate | None
    benign: Counts
    benign_refused: Estimate | None


def measure(cells: Sequence[Cell], judge: JudgeRow) -> list[Number]:
    """Return the numbers of one judge, one per group, in the order of the groups' keys."""
    return measure_sums(group_sums(cells), judge)


def measure_sums(groups: Sequence[GroupSums], judge: JudgeRow) -> list[Number]:
    """Return the numbers that follow from these sums of one judge, in their order."""
    refusals = knows_refusals(judge, groups)
    return [_number(sums, judge, refusals=refusals) for sums in groups]


def knows_refusals(judge: JudgeRow, groups: Iterable[GroupSums]) -> bool:
    """Tell whether this judge can tell a refusal: by what it declares, or by having done so."""
    declared = {Verdict.REFUSED, Verdict.NOT_REFUSED} & set(judge.unsafe_verdicts)
    return bool(declared) or any(g.refused.hits or g.benign_refused.hits for g in groups)


def _number(sums: GroupSums, judge: JudgeRow, *, refusals: bool) -> Number:
    valued = sums.mean.n or sums.benign_valued
    return Number(
        group=sums.group,
        counts=sums.counts,
        share=share_of(sums.share) if judge.decides else None,
        mean=mean_of(sums.mean) if valued else None,
        benign=sums.benign,
        benign_refused=share_of(sums.benign_refused) if refusals and sums.benign.total else None,
    )


def share_of(sums: ShareSums) -> Estimate:
    """Return the share that follows from these sums, with its interval."""
    value = sums.hits / sums.n if sums.n else None
    return Estimate(value, sums.n, sums.clusters, share_interval_of(sums), sums.hits)


def mean_of(sums: MeanSums) -> Estimate:
    """Return the mean that follows from these sums, with its interval."""
    value = sums.total / sums.n if sums.n else None
    return Estimate(value, sums.n, sums.clusters, mean_interval_of(sums))
