"""Sums of items under any question: rules over replicates, denominators, clusters, bootstrap.

What must hold: an item is scored when all its replicates are (under ``any-of-k`` when k of
them are); one that is not is counted by its outcome, and is in a share only where the question
says what it shall be taken for. The best and worst case take every replicate that was not
scored for safe and for unsafe, and then apply the rule.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from lam3db.metrics.counts import Counts
from lam3db.metrics.sums import Bounds, GroupSums, Resampled, grouped, joined
from lam3db.records import ScoreStatus
from lam3db.stats.intervals import MeanSums, MeanTally, ShareSums, ShareTally

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from lam3db.metrics.question import Question, Rule
    from lam3db.metrics.sums import Group, Sums
    from lam3db.store.sample_cells import SampleCell

_FEW = "too_few"


@dataclass(frozen=True, slots=True)
class ItemTally:
    """Sums from the classes of items that :mod:`lam3db.store.sample_cells` gives."""

    cells: Sequence[SampleCell]
    question: Question

    def groups(self) -> Collection[Group]:
        """Return every group that a class of items has."""
        return {cell.group for cell in self.cells}

    def sums(self, kept: Sequence[int]) -> list[GroupSums]:
        """Return the sums per group of the keys at these positions."""
        groups = grouped(self.cells, kept)
        known: dict[tuple[int | str, ...], Kind] = {}
        return [_sums(group, cells, self.question, known) for group, cells in groups.items()]


def _sums(
    group: Group,
    cells: Sequence[SampleCell],
    question: Question,
    known: dict[tuple[int | str, ...], Kind],
) -> GroupSums:
    attacks, benign = _Side(), _Side()
    for cell in cells:
        numbers = (cell.units, cell.ok, cell.decided, cell.unsafe, cell.judged, cell.refused)
        key = (cell.outcome, cell.valued, *numbers)
        kind = known.get(key)  # there are few kinds and many cells
        if kind is None:
            kind = known[key] = kind_of(cell, question)
        (benign if cell.is_benign else attacks).add(cell, kind)
    return GroupSums(
        group=group,
        counts=Counts(**attacks.counts),
        share=attacks.share_known().sums(question),
        refused=attacks.refused.sums(question),
        mean=attacks.values.means(question),
        benign=Counts(**benign.counts),
        benign_refused=benign.refused.sums(question),
        benign_valued=benign.values.n,
        bounds=Bounds(attacks.best, attacks.worst, sum(attacks.counts.values())),
    )


@dataclass
class _Clusters:
    """Items of one kind, by cluster."""

    found: dict[int | str, MeanTally] = field(default_factory=dict)
    n: int = 0

    def add(self, cluster: int | str, tally: MeanTally) -> None:
        known = self.found.get(cluster)
        self.found[cluster] = tally if known is None else joined(known, tally)
        self.n += tally.n

    def sums(self, question: Question) -> Sums:
        """Return the sums of a share: whole hits unless some item counts in part.

        Where none does, a rule that could count in part says what one that cannot says.
        """
        # of numbers from 0 to 1 only 0 and 1 are their own squares
        if any(t.total != t.squares for t in self.found.values()):
            return self.means(question)
        whole = ShareSums.of(ShareTally(t.n, round(t.total)) for t in self.found.values())
        return self._resampled(question, whole) if question.interval == "bootstrap" else whole

    def means(self, question: Question) -> MeanSums | Resampled:
        """Return the sums of a mean."""
        sums = MeanSums.of(self.found.values())
        return self._resampled(question, sums) if question.interval == "bootstrap" else sums

    def _resampled(self, question: Question, sums: ShareSums | MeanSums) -> Resampled:
        clusters = tuple((t.n, t.total) for t in self.found.values())
        return Resampled(sums, clusters, question.seed, question.resamples)


@dataclass
class _Side:
    """The attacks of a group, or its benign samples."""

    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    share: _Clusters = field(default_factory=_Clusters)
    refused: _Clusters = field(default_factory=_Clusters)
    values: _Clusters = field(default_factory=_Clusters)
    best: float = 0.0
    worst: float = 0.0

    def share_known(self) -> _Clusters:
        """Return the share's items; none where nothing was scored: fills alone are no number."""
        return self.share if self.counts["scored"] else _Clusters()

    def add(self, cell: SampleCell, kind: Kind) -> None:
        n, cluster = cell.n, cell.cluster
        self.counts[kind.outcome] += n
        self.best += n * kind.best
        self.worst += n * kind.worst
        if kind.taken is not None:
            self.share.add(cluster, _alike(n, kind.taken))
        if kind.refused is not None:
            self.refused.add(cluster, _alike(n, kind.refused))
        if kind.valued and cell.value_sum is not None:
            low, high = cell.low or 0.0, cell.high or 0.0
            tally = MeanTally(n, cell.value_sum, cell.square_sum or 0.0, low, high)
            self.values.add(cluster, tally)


class Kind(NamedTuple):
    """What an item is under a question; ``taken`` and ``refused`` are None where it is not in."""

    outcome: str
    best: float
    worst: float
    taken: float | None
    refused: float | None
    valued: bool


def kind_of(cell: SampleCell, question: Question) -> Kind:
    """Return what an item of this class is under a question."""
    rule = question.rule
    best, worst = filled(cell, rule)
    known = complete(cell.judged, cell.units, rule)
    return Kind(
        outcome=_outcome(cell, rule),
        best=best,
        worst=worst,
        taken=_taken(cell, question, best, worst),
        refused=rule.of(cell.refused, cell.judged) if known else None,
        valued=complete(cell.valued, cell.units, rule),
    )


def complete(known: int, units: int, rule: Rule) -> bool:
    """Tell whether enough of an item's replicates are known for the rule to be applied."""
    return known >= rule.k if rule.k is not None else known == units


def filled(cell: SampleCell, rule: Rule) -> tuple[float, float]:
    """Return what an item counts in the best and in the worst case; the same where it is known.

    Under ``any-of-k`` fewer than k replicates are filled up to k.
    """
    units = asked(cell.units, rule)
    return rule.of(cell.unsafe, units), rule.of(cell.unsafe + units - cell.decided, units)


def asked(units: int, rule: Rule) -> int:
    """Return how many replicates an item has when all that are missing are taken for something."""
    return max(units, rule.k or 0)


def _taken(cell: SampleCell, question: Question, best: float, worst: float) -> float | None:
    """Return what an item counts under the question's denominator; None where it is out of it."""
    if question.missing == "failure":
        return best
    if question.missing == "success":
        return worst
    if complete(cell.decided, cell.units, question.rule):
        return question.rule.of(cell.unsafe, cell.decided)
    return None


def _outcome(cell: SampleCell, rule: Rule) -> str:
    """Return the field of :class:`Counts` that an item belongs to."""
    if complete(cell.ok, cell.units, rule):
        return "scored"
    return _FEW if cell.outcome == ScoreStatus.OK else cell.outcome


def _alike(n: int, value: float) -> MeanTally:
    return MeanTally(n, n * value, n * value * value, value, value)
