"""How far judges or people agree beyond chance: Cohen, Fleiss, Krippendorff.

All three are 1 - (disagreement seen) / (disagreement expected), and follow from sums over
clusters, so one bootstrap over behaviors serves them.

* Cohen (1960), Educ. Psychol. Meas. 20: two judges; expected from each one's own shares.
* Fleiss (1971), Psychol. Bull. 76: the same number of opinions on every item.
* Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, for nominal data: any number
  of opinions, missing ones too. With n_uc opinions c on unit u of m_u >= 2, o_cc is the sum of
  n_uc (n_uc - 1) / (m_u - 1), n_c the sum of n_uc and n that of n_c;
  alpha = 1 - (n - 1) (n - sum o_cc) / (n^2 - sum n_c^2).

What must hold: where chance alone would give full agreement (one category only) the number is not
defined, and None; an interval is never of zero width: few or no disagreements seen do not mean
none, so each interval also reaches as far as the interval of the observed disagreement does.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lam3db.stats.drawn import Drawn, even_share, share_of
from lam3db.stats.intervals import (
    Interval,
    MeanTally,
    ShareTally,
    mean_interval,
)
from lam3db.stats.resample import clustered_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

    from lam3db.stats.resample import Numbers

PAIR = 2


@dataclass(frozen=True, slots=True)
class Coefficient:
    """A coefficient over ``n`` items in ``clusters`` behaviors; None where it is not defined.

    ``left_out`` counts items that it cannot use (fewer than two opinions, or another number).
    """

    value: float | None
    interval: Interval
    n: int
    clusters: int
    left_out: int = 0


def cohen_kappa(
    items: Iterable[tuple[Hashable, Hashable, Hashable]], weights: Sequence[float] | None = None
) -> Coefficient:
    """Return Cohen's kappa of ``(cluster, said by one, said by the other)``.

    ``weights`` are those of how the items were drawn, one for each; without, all are alike.
    """
    import numpy as np

    items = list(items)
    if not items:
        return Coefficient(None, Interval(None, None, "none: nothing scored"), 0, 0)
    counts: dict[tuple[Hashable, Hashable, Hashable], float]
    if weights is None:
        counts = dict(Counter(items))
        disagreed = even_share(_disagreements(counts)).interval
    else:
        counts = defaultdict(float)
        for item, weight in zip(items, weights, strict=True):
            counts[item] += weight
        pairs = zip(items, weights, strict=True)
        disagreed = share_of(Drawn(c, w, one != other) for (c, one, other), w in pairs).interval
    words = _numbered({word for _, *said in counts for word in said})
    k = len(words)
    table: dict[Hashable, Numbers] = {}
    for (cluster, one, other), count in counts.items():
        table.setdefault(cluster, np.zeros((k, k)))[words[one], words[other]] += count

    def statistic(sums: Numbers) -> Numbers:
        cells = sums.reshape(-1, k, k)
        n = cells.sum((1, 2))
        same = np.trace(cells, axis1=1, axis2=2) / n
        expected = (cells.sum(1) * cells.sum(2)).sum(1) / n**2
        return _beyond(1 - same, 1 - expected)

    rows = np.array([cell.ravel() for cell in table.values()]).reshape(len(table), k * k)
    cells = rows.sum(0).reshape(k, k)
    expected = 1 - float((cells.sum(0) * cells.sum(1)).sum()) / float(cells.sum()) ** 2
    return _coefficient(rows, statistic, disagreed, expected, len(items))


def _disagreements(
    counts: Mapping[tuple[Hashable, Hashable, Hashable], float],
) -> Iterator[ShareTally]:
    n: Counter[Hashable] = Counter()
    differ: Counter[Hashable] = Counter()
    for (cluster, one, other), count in counts.items():
        n[cluster] += int(count)
        differ[cluster] += int(count) if one != other else 0
    return (ShareTally(count, differ[cluster]) for cluster, count in n.items())


def fleiss_kappa(units: Iterable[tuple[Hashable, Sequence[Hashable]]]) -> Coefficient:
    """Return Fleiss' kappa of ``(cluster, opinions)``, over units with the commonest number.

    The commonest number of opinions that is at least two; the larger of equally common ones.
    """
    import numpy as np

    units = list(units)
    sizes = Counter(len(said) for _, said in units if len(said) >= PAIR)
    if not sizes:
        return Coefficient(None, Interval(None, None, "none: nothing scored"), 0, 0, len(units))
    m = max(sizes, key=lambda size: (sizes[size], size))
    used = [(cluster, said) for cluster, said in units if len(said) == m]
    words = _numbered({word for _, said in used for word in said})

    def row(said: Sequence[Hashable]) -> Numbers:
        counts = _counts(said, words)
        agreed = (counts * (counts - 1)).sum() / (m * (m - 1))
        return np.array([1.0, m * (1 - agreed), *counts])

    def statistic(sums: Numbers) -> Numbers:
        n = m * sums[:, :1]
        return _beyond(sums[:, 1] / n[:, 0], 1 - ((sums[:, 2:] / n) ** 2).sum(1))

    return _over_units(used, row, statistic, len(units) - len(used))


def krippendorff_alpha(units: Iterable[tuple[Hashable, Sequence[Hashable]]]) -> Coefficient:
    """Return the nominal alpha of ``(cluster, opinions)``; a missing opinion is simply not there.

    Units with fewer than two opinions say nothing of agreement and are counted as left out.
    """
    import numpy as np

    units = list(units)
    used = [(cluster, said) for cluster, said in units if len(said) >= PAIR]
    words = _numbered({word for _, said in used for word in said})

    def row(said: Sequence[Hashable]) -> Numbers:
        counts = _counts(said, words)
        together = (counts * (counts - 1)).sum() / (len(said) - 1)
        return np.array([1.0, len(said) - together, *counts])

    def statistic(sums: Numbers) -> Numbers:
        n = sums[:, 2:].sum(1)
        expected = (n**2 - (sums[:, 2:] ** 2).sum(1)) / (n * (n - 1))
        return _beyond(sums[:, 1] / n, expected)

    return _over_units(used, row, statistic, len(units) - len(used))


def _over_units(
    used: Sequence[tuple[Hashable, Sequence[Hashable]]],
    row: Callable[[Sequence[Hashable]], Numbers],
    statistic: Callable[[Numbers], Numbers],
    left_out: int,
) -> Coefficient:
    """Return a coefficient from a row per unit: 1, disagreement times opinions, opinions by word.

    The disagreement of a unit is from 0 to 1.
    """
    import numpy as np

    if not used:
        return Coefficient(None, Interval(None, None, "none: nothing scored"), 0, 0, left_out)
    clusters: dict[Hashable, Counter[tuple[Hashable, ...]]] = defaultdict(Counter)
    for (cluster, said), n in Counter((cluster, tuple(said)) for cluster, said in used).items():
        clusters[cluster][tuple(sorted(said, key=repr))] += n
    kinds = {said: row(said) for cluster in clusters.values() for said in cluster}
    rows = np.array([sum(kinds[said] * n for said, n in c.items()) for c in clusters.values()])
    disagreed = mean_interval([_tally(kinds, cluster) for cluster in clusters.values()])
    total = rows.sum(0)
    opinions = total[2:].sum()
    value = float(statistic(total[None])[0])
    expected = 1 - float(((total[2:] / opinions) ** 2).sum())
    if np.isfinite(value) and value < 1:
        expected = float(total[1] / opinions) / (1 - value)
    return _coefficient(rows, statistic, disagreed, expected, len(used), left_out)


def _tally(
    kinds: Mapping[tuple[Hashable, ...], Numbers], cluster: Counter[tuple[Hashable, ...]]
) -> MeanTally:
    """Return the disagreements of one cluster's units."""
    values = [(float(kinds[said][1] / kinds[said][2:].sum()), n) for said, n in cluster.items()]
    return MeanTally(
        sum(n for _, n in values),
        sum(value * n for value, n in values),
        sum(value * value * n for value, n in values),
        min(value for value, _ in values),
        max(value for value, _ in values),
    )


def _coefficient(
    rows: Numbers,
    statistic: Callable[[Numbers], Numbers],
    disagreed: Interval,
    expected: float,
    n: int,
    left_out: int = 0,
) -> Coefficient:
    """Return the value and its interval, which reaches as far as the disagreement's does."""
    import numpy as np

    if not n:
        return Coefficient(None, Interval(None, None, "none: nothing scored"), 0, 0, left_out)
    value = float(statistic(rows.sum(0)[None])[0])
    if not np.isfinite(value):
        method = "none: all said the same word, so chance explains it"
        return Coefficient(None, Interval(None, None, method), n, len(rows), left_out)
    found = clustered_interval(rows, statistic)
    if found.low is not None and found.high is not None and disagreed.high is not None:
        assert disagreed.low is not None  # noqa: S101 - both or none
        low = min(value, found.low, 1 - disagreed.high / expected)
        high = max(value, found.high, 1 - disagreed.low / expected)
        found = Interval(max(-1.0, low), min(1.0, high), found.method)
    return Coefficient(value, found, n, len(rows), left_out)


def _beyond(seen: Numbers, expected: Numbers) -> Numbers:
    """Return 1 - seen / expected, NaN where nothing else could be expected."""
    import numpy as np

    safe = np.where(expected > _NOTHING, expected, 1.0)
    return np.where(expected > _NOTHING, 1 - seen / safe, np.nan)


_NOTHING = 1e-12


def _numbered(words: Iterable[Hashable]) -> dict[Hashable, int]:
    return {word: i for i, word in enumerate(sorted(set(words), key=repr))}


def _counts(said: Sequence[Hashable], words: Mapping[Hashable, int]) -> Numbers:
    import numpy as np

    counts = np.zeros(len(words))
    for word in said:
        counts[words[word]] += 1
    return counts
