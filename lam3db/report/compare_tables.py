"""A comparison as tables of words, with the sentences that belong under them.

What must hold: a difference stands with its interval, its n and both sides' values; a
p-value with the correction and the test it is of; what was dropped is counted by side and
reason, with the first keys; what could not be compared says so where its number would stand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lam3db.records import JudgeKind
from lam3db.report.definitions import share_heading, value_name
from lam3db.report.tables import MISSING, Table, judge_note
from lam3db.stats.paired import ENUMERATED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lam3db.metrics.compare import Comparison, Key
    from lam3db.report.compare import Compared, Line, Pair

_HEADER = ("judge", "number", "pairs", "A", "B", "A - B", "only A", "only B", "p", "p (Holm)")
_LEFT = 2
_SHOWN = 3
_LEAST = 0.001
_WORDS = {
    "pending": "pending",
    "judge_failed": "failed judging",
    "abstained": "abstained",
    "unparsed": "unparsed",
    "judge_refused": "refused by the judge",
    "not_generated": "never generated",
    "generation_failed": "failed generating",
    "undecided": "neither safe nor unsafe",
}


def title(pair: Pair) -> str:
    """Return whom the table of a pair is about."""
    on = f" on {', '.join(pair.datasets)}" if pair.datasets else ""
    return f"A = {pair.a.label}, B = {pair.b.label}{on}"


def table(pair: Pair) -> Table | None:
    """Return the table of a pair; None where nothing of it could be compared."""
    if not pair.lines:
        return None
    cells = tuple(_cells(line) for line in pair.lines)
    return Table(title(pair), _HEADER, ("",) * len(_HEADER), _LEFT, cells)


def heading(line: Line) -> str:
    """Return what the number of a line is called."""
    metric = None if line.comparison is None else line.comparison.metric
    if metric == "mean":
        return f"{value_name(line.judge)}, mean"
    if metric == "benign_refused":
        return "benign refused"
    return share_heading(line.judge)


def _cells(line: Line) -> tuple[str, ...]:
    found = line.comparison
    if found is None:
        return (
            line.judge.label,
            heading(line),
            *([MISSING] * 3),
            "not comparable",
            *([MISSING] * 4),
        )
    n = str(found.n) if found.n == found.common else f"{found.n}/{found.common}"
    is_mean = found.metric == "mean"
    return (
        line.judge.label,
        heading(line),
        n,
        _value(found.a, is_mean=is_mean),
        _value(found.b, is_mean=is_mean),
        _difference(found, is_mean=is_mean),
        MISSING if found.only_a is None else str(found.only_a),
        MISSING if found.only_b is None else str(found.only_b),
        MISSING if found.test is None else _p(found.test.p),
        MISSING if line.adjusted is None else _p(line.adjusted),
    )


def _value(value: float | None, *, is_mean: bool) -> str:
    if value is None:
        return MISSING
    return f"{value:.3f}" if is_mean else f"{100 * value:.1f} %"


def _difference(found: Comparison, *, is_mean: bool) -> str:
    """Return ``+12.5 [ -3.1, +28.0]`` in percentage points, or a mean's in its own unit."""
    if found.difference is None:
        return MISSING
    low, high, method = found.interval.low, found.interval.high, found.interval.method
    scale, digits = (1, 3) if is_mean else (100, 1)
    value = f"{scale * found.difference:+.{digits}f}"
    if low is None or high is None:
        return f"{value} [{method.removeprefix('none: ')}]"
    return f"{value} [{scale * low:+6.{digits}f}, {scale * high:+6.{digits}f}]"


def _p(p: float) -> str:
    return f"<{_LEAST}" if p < _LEAST else f"{p:.3f}"


def pair_notes(pair: Pair, compared: Compared) -> list[str]:
    """Return the sentences right under one pair: what is not comparable, marked, dropped."""
    found = [f"Not comparable: {why}. --anyway compares all the same." for why in pair.refused]
    found += [f"MARKED, compared anyway: {why}." for why in pair.marked]
    found += [
        f"{line.judge.label}: not comparable: {line.reason}." for line in pair.lines if line.reason
    ]
    if not pair.lines and not pair.refused:
        found.append("No judge has scored answers of either: `lam3db judge --pending` scores them.")
    told: dict[str, list[str]] = {}
    for line in pair.lines:
        for sentence in _dropped(line, pair, compared):
            told.setdefault(sentence, []).append(f"{line.judge.label}, {heading(line)}")
    everywhere = sum(line.comparison is not None for line in pair.lines)
    for sentence, numbers in told.items():
        whose = "" if len(numbers) == everywhere else f"{'; '.join(numbers)}: "
        found.append(f"{whose}{sentence}")
    return [*found, *pair.notes]


def _dropped(line: Line, pair: Pair, compared: Compared) -> Iterator[str]:
    """Yield what is in no pair of a line."""
    if line.comparison is None:
        return
    dropped, a, b = line.comparison.dropped, pair.a.label, pair.b.label
    for side, keys in ((a, dropped.only_a), (b, dropped.only_b)):
        if keys:
            yield f"Dropped, asked of {side} only: {_keys(keys, compared)}."
    for side, unscored in ((a, dropped.unscored_a), (b, dropped.unscored_b)):
        for outcome, keys in unscored.items():
            yield f"Dropped, {_WORDS[outcome]} for {side}: {_keys(keys, compared)}."


def _keys(keys: Sequence[Key], compared: Compared) -> str:
    names = [key_name(key, compared) for key in keys[:_SHOWN]]
    more = (
        f", and {len(keys) - _SHOWN} more (--format json lists all)" if len(keys) > _SHOWN else ""
    )
    return f"{len(keys)} ({', '.join(names)}{more})"


def key_name(key: Key, compared: Compared) -> str:
    """Return a sample's key (or a behavior's text), and the replicate but for the first."""
    name = compared.keys.get(key.id, f"{compared.options.pair} {key.id}")
    return f"{name}/{key.replicate}" if key.replicate else name


def footnotes(compared: Compared) -> list[str]:
    """Return the sentences under all tables: what every number and test is."""
    lines = [line for pair in compared.pairs for line in pair.lines if line.comparison]
    used = {line.judge.label for line in lines}
    found = []
    for column in (one for one in compared.judges if one.label in used):
        human = _HUMAN if column.judge.kind == JudgeKind.HUMAN else ""
        found.append(judge_note(column, weighted=None) + human)
    if not lines:
        return found
    options = compared.options
    of = _RULES if options.pair == "sample" else _BEHAVIORS
    rule = of[options.rule.name].format(k=options.rule.k)
    found += [_PAIRS, rule, *_MISSING.get(options.missing, ()), *_tests(compared, lines)]
    if compared.tests > 1:
        found.append(
            f"p (Holm) is corrected for the {compared.tests} tests of this invocation "
            "(Holm 1979): read it where you look at more than one."
        )
    return found


_HUMAN = (
    " Pairs are of answers that people labelled, each as it is: where a review drew them, by lot"
    " or because they are disputed, the difference is theirs and not that of all answers."
)
_PAIRS = (
    "Pairs: what both sides were asked and the judge scored for both; pairs reads n/common where "
    "that is not all. A - B is in percentage points for shares, with its 95 % interval; only A and "
    "only B count the pairs in which one side alone was. Cluster: behavior."
)
_FILLED = (
    "In shares what was not scored counts as a {what} attack all the same, and no pair of theirs "
    "is left out for it (--missing {missing})."
)
_MISSING = {
    "failure": [_FILLED.format(what="FAILED", missing="failure")],
    "success": [_FILLED.format(what="SUCCESSFUL", missing="success")],
}
_BOTH = "Replicates: a sample is one pair, over the replicates that both sides have"
_ALL = "and only if all are scored"
_OF_K = (
    "with the chance that any of {k} drawn from them is unsafe and the expected largest of {k} "
    "values, and only if {k} are scored (--rule any-of-{k})."
)
_MAJORITY = f"unsafe if at least half are, its value their mean, {_ALL} (--rule majority)."
_RULES = {
    "each": "Replicates: replicate i of A is paired with replicate i of B (--rule each).",
    "any": f"{_BOTH}: unsafe if any of them is, its value the largest, {_ALL} (--rule any).",
    "mean": f"{_BOTH}: the mean of each side's, {_ALL} (--rule mean).",
    "majority": f"{_BOTH}: {_MAJORITY}",
    "any-of": f"{_BOTH}: {_OF_K}",
}
_BEHAVIOR = (
    "Pairs are behaviors (--pair behavior), each side being its samples and replicates of the "
    "behavior, whichever they are"
)
_BEHAVIORS = {
    "each": f"{_BEHAVIOR}: on average, {_ALL}.",
    "mean": f"{_BEHAVIOR}: on average, {_ALL}.",
    "any": (
        f"{_BEHAVIOR}: unsafe if any of them is, its value the largest, {_ALL} (--rule any): fair "
        "where both sides have as many."
    ),
    "majority": f"{_BEHAVIOR}: {_MAJORITY}",
    "any-of": f"{_BEHAVIOR}: {_OF_K}",
}
_TESTS = {
    "mcnemar-exact": "McNemar's exact test (every behavior is one pair)",
    "sign-flip-exact": "A and B flipped in whole behaviors, every flip counted (McNemar's test "
    "would take the samples of a behavior for independent)",
    "sign-flip": "A and B flipped in whole behaviors at random",
}
_INTERVALS = {
    "bonett-price": "Bonett and Price's for paired shares",
    "bonett-price-clustered": "Bonett and Price's for paired shares on the effective number of "
    "pairs, clustered by behavior",
    "cluster-bootstrap": "a mean's from drawing whole behaviors of pairs with replacement, "
    "reaching as far as rare unseen ones could move it",
}


def _tests(compared: Compared, lines: Sequence[Line]) -> list[str]:
    found = [line.comparison for line in lines if line.comparison is not None]
    tests = {one.test.method for one in found if one.test is not None}
    methods = {one.interval.method for one in found}
    drawn = f"{compared.options.resamples} resamples, seed {compared.options.seed}"
    told = [words for name, words in _TESTS.items() if name in tests]
    if "sign-flip" in tests:
        told[-1] += f" ({drawn}; all of them up to {ENUMERATED} behaviors)"
    intervals = [words for name, words in _INTERVALS.items() if name in methods]
    if "cluster-bootstrap" in methods:
        intervals[-1] += f" ({drawn})"
    if any(name.startswith("none: one") for name in methods):
        intervals.append("none where there is one behavior only, which tells nothing of others")
    sentences = [f"Tests, two-sided: {'; '.join(told)}."] if told else []
    return [*sentences, f"Intervals: 95 %; {'; '.join(intervals)}."]
