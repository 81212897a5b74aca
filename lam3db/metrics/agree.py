"""How judges agree with people and with one another, and what that makes of their ASR.

What must hold: two judges are compared on answers that both decided, and whatever is left out
is counted by its outcome; an error rate is over labelled answers, weighted as they were drawn;
a corrected share stands beside the one that the judge reports, over the same answers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from lam3db.stats.agreement import Coefficient, cohen_kappa, fleiss_kappa, krippendorff_alpha
from lam3db.stats.correction import (
    Corrected,
    Errors,
    Labelled,
    errors_of,
    prediction_powered,
    rogan_gladen,
)
from lam3db.stats.drawn import Share, even_share
from lam3db.stats.intervals import Interval, ShareTally

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from lam3db.metrics.joined import Answers, Group
    from lam3db.metrics.truth import Truth
    from lam3db.store.aggregates import JudgeRow

Words = tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, slots=True)
class Against:
    """One judge against the reference, on ``n`` answers that both decided.

    ``cells`` counts answers (judge's decision, label); ``words`` does so by what each said in
    its own words. ``left_out`` counts labelled answers that the judge did not decide, by outcome.
    """

    judge: JudgeRow
    n: int
    benign: int
    agree: int
    cells: Mapping[tuple[bool, bool], int]
    words: Words
    left_out: Mapping[str, int]
    errors: Errors
    kappa: Coefficient


@dataclass(frozen=True, slots=True)
class Pair:
    """Two judges on ``n`` answers that both decided; ``cells`` as for :class:`Against`."""

    one: JudgeRow
    other: JudgeRow
    n: int
    agree: int
    share: Share
    kappa: Coefficient
    cells: Mapping[tuple[bool, bool], int]
    words: Words
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Together:
    """Several judges or people at once."""

    judges: tuple[JudgeRow, ...]
    fleiss: Coefficient
    alpha: Coefficient


@dataclass(frozen=True, slots=True)
class CorrectedShare:
    """A judge's share unsafe of the attacks of one group, and what labels make of it.

    ``apparent`` is over all that the judge decided, ``errors`` over the labelled ones among
    them (weighted), ``labels`` of them.
    """

    group: Group
    judge: JudgeRow
    apparent: Share
    labels: int
    errors: Errors
    powered: Corrected
    rogan_gladen: Corrected

    @property
    def human(self) -> Share:
        """The share by the labels alone, weighted as they were drawn."""
        return self.errors.human


def against(answers: Answers, truth: Truth, judge: JudgeRow) -> Against:
    """Return how a judge does against the reference, over all answers in scope."""
    said = answers.judges[judge.id]
    labelled = [at for at in answers.once if truth.unsafe[at] is not None]
    both = [at for at in labelled if said.unsafe[at] is not None]
    left_out = Counter(said.why(at) for at in labelled if said.unsafe[at] is None)
    known = _labelled(answers, truth, judge, both)
    return Against(
        judge,
        n=len(both),
        benign=sum(answers.benign[at] for at in both),
        agree=sum(one.judged == one.truth for one in known),
        cells=Counter((one.judged, one.truth) for one in known),
        words=_words((said.word(at), truth.words[at] or "") for at in both),
        left_out=left_out,
        errors=errors_of(known),
        kappa=cohen_kappa(
            [(one.cluster, one.judged, one.truth) for one in known], [one.weight for one in known]
        ),
    )


def pair(answers: Answers, one: JudgeRow, other: JudgeRow) -> Pair:
    """Return how two judges agree, over all answers in scope, each counting alike."""
    a, b = answers.judges[one.id], answers.judges[other.id]
    both = [at for at in answers.once if a.unsafe[at] is not None and b.unsafe[at] is not None]
    left_out: Counter[str] = Counter()
    for at in answers.once:
        if a.unsafe[at] is None and b.unsafe[at] is None:
            left_out["undecided by both"] += 1
        elif a.unsafe[at] is None or b.unsafe[at] is None:
            name = "the first" if a.unsafe[at] is None else "the second"
            why = (a if a.unsafe[at] is None else b).why(at)
            left_out[f"{why} by {name}"] += 1
    items = [(answers.behaviors[at], a.unsafe[at], b.unsafe[at]) for at in both]
    share = _even((cluster, x == y) for cluster, x, y in items)
    return Pair(
        one,
        other,
        n=len(both),
        agree=share.hits,
        share=share,
        kappa=cohen_kappa(items),
        cells=Counter((bool(x), bool(y)) for _, x, y in items),
        words=_words((a.word(at), b.word(at)) for at in both),
        left_out=left_out,
    )


def pairs(answers: Answers, judges: Sequence[JudgeRow]) -> list[Pair]:
    """Return every pair of these judges."""
    return [pair(answers, one, other) for one, other in combinations(judges, 2)]


def together(answers: Answers, judges: Sequence[JudgeRow]) -> Together:
    """Return how several agree at once; each answer with the opinions it has."""
    units = []
    for at in answers.once:
        said = [answers.judges[judge.id].unsafe[at] for judge in judges]
        opinions = [one for one in said if one is not None]
        if opinions:
            units.append((answers.behaviors[at], opinions))
    return Together(tuple(judges), fleiss_kappa(units), krippendorff_alpha(units))


def corrected(
    answers: Answers, truth: Truth, judge: JudgeRow, kept: Sequence[int] = ()
) -> list[CorrectedShare]:
    """Return the corrected shares of the attacks, one per group.

    ``kept`` are the places in the answers' groups by which to tell groups apart.
    """
    said = answers.judges[judge.id]
    groups: dict[Group, list[int]] = defaultdict(list)
    for at, group in enumerate(answers.groups):
        if not answers.benign[at] and said.unsafe[at] is not None:
            groups[tuple(group[i] for i in kept)].append(at)
    if not kept:  # without groups each answer counts once
        once = set(answers.once)
        groups = {group: [at for at in places if at in once] for group, places in groups.items()}
    return [_corrected(answers, truth, judge, group, places) for group, places in groups.items()]


def _corrected(
    answers: Answers, truth: Truth, judge: JudgeRow, group: Group, places: Sequence[int]
) -> CorrectedShare:
    said = answers.judges[judge.id].unsafe
    known = _labelled(answers, truth, judge, [at for at in places if truth.unsafe[at] is not None])
    apparent = _even((answers.behaviors[at], bool(said[at])) for at in places)
    errors = errors_of(known)
    if not truth.sample:
        reason = "labels of a disputed part are no sample, so no share follows from them"
        refused = Corrected(None, Interval(None, None, f"none: {reason}"), reason)
        return CorrectedShare(group, judge, apparent, len(known), errors, refused, refused)
    n: Counter[int] = Counter(answers.behaviors[at] for at in places)
    hits: Counter[int] = Counter(answers.behaviors[at] for at in places if said[at])
    tallies: dict[Hashable, ShareTally] = {
        behavior: ShareTally(count, hits[behavior]) for behavior, count in n.items()
    }
    return CorrectedShare(
        group,
        judge,
        apparent,
        len(known),
        errors,
        prediction_powered(tallies, known),
        rogan_gladen(apparent, errors),
    )


def _labelled(
    answers: Answers, truth: Truth, judge: JudgeRow, places: Iterable[int]
) -> list[Labelled]:
    said = answers.judges[judge.id].unsafe
    return [
        Labelled(answers.behaviors[at], bool(said[at]), bool(truth.unsafe[at]), truth.weights[at])
        for at in places
    ]


def _even(items: Iterable[tuple[int, bool]]) -> Share:
    """Return the share of hits among (behavior, hit), each item counting alike."""
    counts = Counter(items)
    behaviors = dict.fromkeys(behavior for behavior, _ in counts)
    return even_share(
        ShareTally(counts[one, True] + counts[one, False], counts[one, True]) for one in behaviors
    )


def _words(said: Iterable[tuple[str, str]]) -> Words:
    return tuple((one, other, n) for (one, other), n in sorted(Counter(said).items()))
