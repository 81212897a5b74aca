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

from lam3db.metrics.sums import GroupSums, Resampled, group_sums
from lam3db.records import Verdict
from lam3db.stats.bootstrap import bootstrap_interval
from lam3db.stats.intervals import (
    Interval,
    MeanSums,
    ShareSums,
    mean_interval_of,
    share_interval_of,
)
from lam3db.stats.weighted import WeightedSums, weighted_mean_interval, weighted_share_interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lam3db.metrics.counts import Counts
    from lam3db.metrics.sums import Sums
    from lam3db.store.aggregates import Cell, JudgeRow


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
    """A share or a mean over ``n`` items in ``clusters`` clusters, with its interval.

    ``hits`` is the numerator of a share whose items count whole, else None. ``value`` is None
    where n is 0.
    """

    value: float | None
    n: int
    clusters: int
    interval: Interval
    hits: int | None = None


@dataclass(frozen=True, slots=True)
class Extremes:
    """What the share would be if all that is missing of ``total`` were safe, or unsafe."""

    best: float
    worst: float
    total: int


@dataclass(frozen=True, slots=True)
class Repeated:
    """What the best of ``k`` attempts gives, over samples with k scored replicates.

    ``maximum`` is the expected largest value; ``probability`` the chance that any of the k is
    unsafe, None for a judge that decides nothing.
    """

    k: int
    maximum: Estimate | None
    probability: Estimate | None


@dataclass(frozen=True, slots=True)
class Number:
    """What one judge says of one group.

    ``share`` is None for a judge that has neither verdicts nor a threshold, ``mean`` for one
    without values, ``refused`` and ``benign_refused`` for one that does not know refusals.
    ``counts`` are of samples that are not benign, ``benign`` of those that are. ``extremes``
    belong to ``share``. ``weighted`` where all is estimated from what was drawn by lot for
    people, each weighing 1 over its chance.
    """

    group: tuple[int | str, ...]
    counts: Counts
    share: Estimate | None
    mean: Estimate | None
    benign: Counts
    benign_refused: Estimate | None
    refused: Estimate | None = None
    extremes: Extremes | None = None
    repeated: Repeated | None = None
    weighted: bool = False


def measure(cells: Sequence[Cell], judge: JudgeRow) -> list[Number]:
    """Return the numbers of one judge, one per group, in the order of the groups' keys."""
    return measure_sums(group_sums(cells), judge)


def measure_sums(groups: Sequence[GroupSums], judge: JudgeRow) -> list[Number]:
    """Return the numbers that follow from these sums of one judge, in their order."""
    refusals = knows_refusals(judge, groups)
    return [_number(sums, judge, refusals=refusals) for sums in groups]


def knows_refusals(judge: JudgeRow, groups: Iterable[GroupSums]) -> bool:
    """Tell whether this judge can tell a refusal: by what it declares, or by having done so."""
    return tells_refusals(judge) or any(_some(g.refused) or _some(g.benign_refused) for g in groups)


def tells_refusals(judge: JudgeRow) -> bool:
    """Tell whether this judge declares that it can tell a refusal."""
    return bool({Verdict.REFUSED, Verdict.NOT_REFUSED} & set(judge.unsafe_verdicts))


def _some(sums: Sums) -> bool:
    plain = _plain(sums)
    return bool(plain.hits if isinstance(plain, ShareSums) else plain.total)


def _plain(sums: Sums) -> ShareSums | MeanSums | WeightedSums:
    return sums.sums if isinstance(sums, Resampled) else sums


def _number(sums: GroupSums, judge: JudgeRow, *, refusals: bool) -> Number:
    share = estimate(sums.share) if judge.decides else None
    weighted = isinstance(_plain(sums.share), WeightedSums)
    mean = estimate(sums.mean, judge.scale)
    return Number(
        group=sums.group,
        counts=sums.counts,
        share=share,
        mean=mean if mean.n or sums.benign_valued else None,
        benign=sums.benign,
        benign_refused=estimate(sums.benign_refused) if refusals and sums.benign.total else None,
        refused=estimate(sums.refused) if refusals and sums.counts.total else None,
        extremes=None if share is None or weighted else _extremes(sums, share),
        weighted=weighted,
    )


def _extremes(sums: GroupSums, share: Estimate) -> Extremes | None:
    if sums.bounds is not None:
        best, worst, total = sums.bounds.best, sums.bounds.worst, sums.bounds.total
    else:
        best, total = float(share.hits or 0), sums.counts.total
        worst = best + total - share.n
    return Extremes(best / total, worst / total, total) if total else None


def estimate(sums: Sums, scale: tuple[float, float] | None = None) -> Estimate:
    """Return the share, or on a ``scale`` the mean, that follows from these sums."""
    share = scale is None
    scale = scale or (0.0, 1.0)
    plain = _plain(sums)
    hits = plain.hits if isinstance(plain, ShareSums) else None
    total = plain.hits if isinstance(plain, ShareSums) else plain.total
    over = plain.weights if isinstance(plain, WeightedSums) else plain.n
    value = total / over if over else None
    return Estimate(value, plain.n, plain.clusters, _interval(sums, scale, share=share), hits)


def _interval(sums: Sums, scale: tuple[float, float], *, share: bool) -> Interval:
    if isinstance(sums, ShareSums):
        return share_interval_of(sums)
    if isinstance(sums, MeanSums):
        return mean_interval_of(sums, scale=scale)
    if isinstance(sums, WeightedSums):
        return weighted_share_interval(sums) if share else weighted_mean_interval(sums, scale=scale)
    plain = sums.sums
    inside = isinstance(plain, ShareSums) or not plain.n or _inside(plain, scale)
    return bootstrap_interval(
        sums.clusters,
        seed=sums.seed,
        resamples=sums.resamples,
        scale=scale if inside else None,
    )


def _inside(sums: MeanSums | WeightedSums, scale: tuple[float, float]) -> bool:
    return scale[0] <= sums.low and sums.high <= scale[1]
