"""Two sides' units under one judge, in pairs: what each said of the same sample.

What must hold: a pair is one sample that both sides were asked (and one replicate, or, by
rule, their common replicates), or one behavior where that is asked for; it counts only where
both were scored. Everything else is listed with its reason, and pairs and dropped ones add up
to what there is.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from math import comb
from typing import TYPE_CHECKING, NamedTuple

from lam3db.metrics.items import asked, complete
from lam3db.metrics.question import Rule
from lam3db.records import Verdict
from lam3db.stats.paired import (
    RESAMPLES,
    SEED,
    DifferenceTally,
    PairedTest,
    PairTally,
    mcnemar,
    shares_interval,
    shares_test,
    values_interval,
    values_test,
)
from lam3db.store.aggregates import OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lam3db.stats.intervals import Interval
    from lam3db.store.aggregates import JudgeRow
    from lam3db.store.units import Unit

PAIRINGS = ("sample", "behavior")
UNDECIDED = "undecided"


class Key(NamedTuple):
    """What is paired: a sample and its replicate (None where they were put together).

    ``id`` is a behavior's where behaviors are paired.
    """

    id: int
    replicate: int | None


@dataclass(frozen=True, slots=True)
class Item:
    """What one side is under the judge: None where that is not known, see ``outcome``."""

    behavior_id: int
    outcome: str
    unsafe: float | None
    value: float | None
    refused: float | None


@dataclass(frozen=True, slots=True)
class Dropped:
    """What is in no pair: asked of one side only, or not scored, by outcome."""

    only_a: tuple[Key, ...] = ()
    only_b: tuple[Key, ...] = ()
    unscored_a: Mapping[str, tuple[Key, ...]] = field(default_factory=dict)
    unscored_b: Mapping[str, tuple[Key, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One number of A and B over ``n`` pairs in ``clusters`` behaviors.

    ``metric`` is ``share`` (of unsafe), ``mean`` (of the value) or ``benign_refused``.
    ``a``, ``b`` and ``difference`` (A - B) are None where n is 0. ``common`` is what both were
    asked: the pairs and what one of them was not scored in. The four counts and McNemar's
    plain p-value (right only where ``clusters`` is n) are of yes and no, else None.
    """

    metric: str
    common: int
    n: int
    clusters: int
    a: float | None
    b: float | None
    difference: float | None
    interval: Interval
    test: PairedTest | None
    dropped: Dropped
    both: int | None = None
    only_a: int | None = None
    only_b: int | None = None
    neither: int | None = None
    mcnemar_p: float | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """What to pair (one of :data:`PAIRINGS`), how to count (as a report does), how to draw.

    Under ``each`` a behavior is what its samples and replicates are on average. ``missing``
    says what an answer that was not scored counts as in the share of unsafe.
    """

    pair: str = "sample"
    rule: Rule = field(default_factory=Rule)
    missing: str = "scored"
    resamples: int = RESAMPLES
    seed: int = SEED


def compare_units(
    a: Sequence[Unit], b: Sequence[Unit], judge: JudgeRow, options: Options
) -> list[Comparison]:
    """Return A against B under one judge: each number that it gives of both."""
    found = []
    attacks = tuple([unit for unit in side if not unit.is_benign] for side in (a, b))
    benign = tuple([unit for unit in side if unit.is_benign] for side in (a, b))
    if judge.decides:
        found.append(_compared("share", attacks, lambda item: item.unsafe, options))
    if any(unit.value is not None for unit in (*a, *b)):
        width = judge.scale[1] - judge.scale[0]
        found.append(_compared("mean", attacks, lambda item: item.value, options, width))
    if any(benign) and _knows_refusals(judge, (*a, *b)):
        found.append(_compared("benign_refused", benign, lambda item: item.refused, options))
    return found


def _knows_refusals(judge: JudgeRow, units: Iterable[Unit]) -> bool:
    declared = {Verdict.REFUSED, Verdict.NOT_REFUSED} & set(judge.unsafe_verdicts)
    return bool(declared) or any(unit.verdict == Verdict.REFUSED for unit in units)


def _compared(
    metric: str,
    sides: Sequence[Sequence[Unit]],
    pick: Callable[[Item], float | None],
    options: Options,
    width: float = 1.0,
) -> Comparison:
    keyed = [_keyed(side, options) for side in sides]
    common = keyed[0].keys() & keyed[1].keys()
    items_a, items_b = (_items(side, sorted(common), options) for side in keyed)
    pairs: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for key, item in items_a.items():
        said_a, said_b = pick(item), pick(items_b[key])
        if said_a is not None and said_b is not None:
            pairs[item.behavior_id].append((said_a, said_b))
    dropped = Dropped(
        tuple(sorted(keyed[0].keys() - common)),
        tuple(sorted(keyed[1].keys() - common)),
        _unscored(items_a, pick),
        _unscored(items_b, pick),
    )
    said = {one for some in pairs.values() for pair in some for one in pair}
    if metric != "mean" and said <= {0, 1}:
        return _shares(metric, len(items_a), list(pairs.values()), dropped, options)
    return _values(metric, len(items_a), list(pairs.values()), dropped, options, width)


def _keyed(units: Iterable[Unit], options: Options) -> dict[Key, list[Unit]]:
    """Return the units of one side by what is asked of both sides in common."""
    found: dict[Key, list[Unit]] = defaultdict(list)
    for unit in units:
        by_sample = Key(unit.sample_id, unit.replicate)
        key = by_sample if options.pair == "sample" else Key(unit.behavior_id, None)
        found[key].append(unit)
    return found


def _items(
    keyed: Mapping[Key, Sequence[Unit]], common: Iterable[Key], options: Options
) -> dict[Key, Item]:
    """Return what one side is in each pair: the replicates of a sample together, by rule."""
    apart = options.pair == "sample" and options.rule.name == "each"
    together: dict[Key, list[Unit]] = defaultdict(list)
    for key in common:
        together[key if apart else Key(key.id, None)] += keyed[key]
    rule = Rule("mean") if options.rule.name == "each" else options.rule
    return {key: _item(units, rule, options.missing) for key, units in together.items()}


def _item(units: Sequence[Unit], rule: Rule, missing: str) -> Item:
    """Return answers as one by a rule; it is scored only where enough of them are."""
    refused = [None if u.verdict is None else u.verdict == Verdict.REFUSED for u in units]
    return Item(
        units[0].behavior_id,
        max((unit.outcome for unit in units), key=OUTCOMES.index),
        _hits([unit.unsafe for unit in units], rule, missing),
        _value([unit.value for unit in units if unit.value is not None], len(units), rule),
        _hits(refused, rule),
    )


def _hits(said: Sequence[bool | None], rule: Rule, missing: str = "scored") -> float | None:
    """Return what answers count by a rule, from 0 to 1; None where too few are known."""
    hits, known, units = said.count(True), len(said) - said.count(None), len(said)
    if missing == "scored":
        return rule.of(hits, known) if complete(known, units, rule) else None
    whole = asked(units, rule)
    return rule.of(hits + (whole - known if missing == "success" else 0), whole)


def _value(values: Sequence[float], units: int, rule: Rule) -> float | None:
    """Return the value of several answers: their largest, expected largest of k, or mean."""
    n, k = len(values), rule.k
    if not complete(n, units, rule):
        return None
    if rule.name == "any":
        return max(values)
    if k is None:
        return sum(values) / n
    # the i-th smallest of n is the largest of k drawn from them C(i-1, k-1) of C(n, k) times
    largest = (v * comb(i, k - 1) for i, v in enumerate(sorted(values)))
    return sum(largest) / comb(n, k)


def _unscored(
    items: Mapping[Key, Item], pick: Callable[[Item], float | None]
) -> dict[str, tuple[Key, ...]]:
    found: dict[str, list[Key]] = defaultdict(list)
    for key, item in items.items():
        if pick(item) is None:
            found[item.outcome if item.outcome != OUTCOMES[0] else UNDECIDED].append(key)
    return {outcome: tuple(found[outcome]) for outcome in (*OUTCOMES, UNDECIDED) if found[outcome]}


def _shares(
    metric: str,
    common: int,
    clusters: list[list[tuple[float, float]]],
    dropped: Dropped,
    options: Options,
) -> Comparison:
    tallies = [
        PairTally(len(c), sum(a > b for a, b in c), sum(b > a for a, b in c)) for c in clusters
    ]
    pairs = [pair for cluster in clusters for pair in cluster]
    n, both = len(pairs), sum(a == b == 1 for a, b in pairs)
    only_a, only_b = sum(t.only_a for t in tallies), sum(t.only_b for t in tallies)
    return Comparison(
        metric=metric,
        common=common,
        n=n,
        clusters=len(clusters),
        a=(both + only_a) / n if n else None,
        b=(both + only_b) / n if n else None,
        difference=(only_a - only_b) / n if n else None,
        interval=shares_interval(tallies),
        test=_told(shares_test(tallies, options.resamples, options.seed), tallies),
        dropped=dropped,
        both=both,
        only_a=only_a,
        only_b=only_b,
        neither=n - both - only_a - only_b,
        mcnemar_p=mcnemar(only_a, only_b) if n else None,
    )


def _values(
    metric: str,
    common: int,
    clusters: list[list[tuple[float, float]]],
    dropped: Dropped,
    options: Options,
    width: float,
) -> Comparison:
    tallies = [_difference(cluster) for cluster in clusters]
    pairs = [pair for cluster in clusters for pair in cluster]
    n = len(pairs)
    return Comparison(
        metric=metric,
        common=common,
        n=n,
        clusters=len(clusters),
        a=sum(a for a, _ in pairs) / n if n else None,
        b=sum(b for _, b in pairs) / n if n else None,
        difference=sum(t.total for t in tallies) / n if n else None,
        interval=values_interval(tallies, options.resamples, options.seed, width=width),
        test=_told(values_test(tallies, options.resamples, options.seed), tallies),
        dropped=dropped,
    )


def _difference(cluster: list[tuple[float, float]]) -> DifferenceTally:
    differences = [a - b for a, b in cluster]
    return DifferenceTally(len(cluster), sum(differences), min(differences), max(differences))


def _told(test: PairedTest, tallies: Sequence[PairTally | DifferenceTally]) -> PairedTest | None:
    """Return the test where it tells anything: one behavior of several pairs tests nothing."""
    n = sum(tally.n for tally in tallies)
    return test if n and (len(tallies) > 1 or n == 1) else None
