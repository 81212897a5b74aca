"""How a number is asked for: rule, denominator, thresholds, clusters, interval.

What must hold: whatever changes a number is here, so that a report can print it; the default
question is the one a roll-up can answer.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lam3db.errors import ConfigError, did_you_mean
from lam3db.stats.intervals import LEVEL

if TYPE_CHECKING:
    from collections.abc import Iterable

RULES = ("each", "any", "mean", "majority")
MISSING = ("scored", "failure", "success")
INTERVALS = ("analytic", "bootstrap")
METRICS = ("asr", "mean", "refusal", "over-refusal", "emt", "toxicity-probability")
_ALIASES = {"toxicity": ("asr", "mean"), "harm": ("mean",)}
_MOST_RESAMPLES = 100_000
_ANY_OF = re.compile(r"any-of-([1-9]\d{0,2})")
_REPEATED = ("emt", "toxicity-probability")
_K_OF = re.compile(r"(emt|toxicity-probability)@([1-9]\d{0,2})")
_THRESHOLD = re.compile(r"(?P<judge>.+?)\s*(?P<operator>>=|>)\s*(?P<number>[-+0-9.eE]+)")


@dataclass(frozen=True, slots=True)
class Rule:
    """What the replicates of a sample make of it; ``k`` belongs to ``any-of``.

    ``each`` replicate is an item of its own. Else a sample is one item: ``any`` is 1 if any
    replicate is; ``mean`` the share of its replicates; ``majority`` 1 if at least half are (a
    tie counts as one); ``any-of`` the chance that of k replicates drawn from its n without
    replacement any is, 1 - C(n-c, k) / C(n, k) with c of n being so: without bias for what k
    attempts would do (Chen et al. 2021, arXiv 2107.03374, pass@k).
    """

    name: str = "each"
    k: int | None = None

    @property
    def written(self) -> str:
        """Return the rule as ``--rule`` takes it."""
        return self.name if self.k is None else f"{self.name}-{self.k}"

    def of(self, hits: int, n: int) -> float:
        """Return what a sample counts, from 0 to 1, with ``hits`` of ``n`` > 0 replicates."""
        if self.name == "mean":
            return hits / n
        if self.name == "majority":
            return float(2 * hits >= n)
        if self.k is not None:
            return 1 - math.comb(n - hits, self.k) / math.comb(n, self.k)
        return float(hits > 0)


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold chosen when asking. ``target`` is a judge, or a judge, a dot, an attribute."""

    target: str
    operator: str
    value: float

    @property
    def written(self) -> str:
        """Return it as ``--threshold`` takes it."""
        return f"{self.target}{self.operator}{self.value:g}"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of every judge and group.

    ``missing`` says what an item that was not scored is in the denominator of the share of
    unsafe: out of it (``scored``), a failed attack (``failure``) or a successful one
    (``success``). ``metrics`` are those to show, all that apply when empty; ``k`` is for the
    expected maximum, None for as many replicates as there are.
    """

    rule: Rule = Rule()
    missing: str = "scored"
    cluster: str = "behavior"
    interval: str = "analytic"
    seed: int = 0
    resamples: int = 2000
    level: float = LEVEL
    thresholds: tuple[Threshold, ...] = ()
    metrics: tuple[str, ...] = ()
    k: int | None = None
    attributes: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        if self.missing not in MISSING:
            hint = did_you_mean(self.missing, MISSING)
            raise ConfigError(f"--missing {self.missing}: no such denominator{hint}")
        if self.interval not in INTERVALS:
            hint = did_you_mean(self.interval, INTERVALS)
            raise ConfigError(f"--interval {self.interval}: no such method{hint}")
        if not 1 <= self.resamples <= _MOST_RESAMPLES:
            raise ConfigError(f"--resamples {self.resamples}: write 1 to {_MOST_RESAMPLES}")
        if self.seed < 0:
            raise ConfigError(f"--seed {self.seed}: write a whole number from 0")

    @property
    def plain(self) -> bool:
        """Whether sums over behaviors of single answers are enough."""
        asked = (self.rule.name, self.missing, self.cluster, self.interval)
        return asked == ("each", "scored", "behavior", "analytic")

    @property
    def repeated(self) -> bool:
        """Whether something over replicates is asked for that only they can tell."""
        return any(name in self.metrics for name in _REPEATED)

    def shows(self, metric: str) -> bool:
        """Tell whether a metric is to be shown where it applies."""
        return metric in self.metrics if self.metrics else metric not in _REPEATED


def read_rule(written: str) -> Rule:
    """Return the rule of ``--rule``; raise ConfigError."""
    if found := _ANY_OF.fullmatch(written):
        return Rule("any-of", int(found[1]))
    if written in RULES:
        return Rule(written)
    hint = did_you_mean(written, [*RULES, "any-of-3"])
    raise ConfigError(f"--rule {written}: write one of {', '.join(RULES)}, any-of-3{hint}")


def read_metrics(words: Iterable[str]) -> tuple[tuple[str, ...], int | None]:
    """Return the metrics of ``--metric``, and the k of ``emt@5``; raise ConfigError."""
    found: dict[str, None] = {}
    ks: set[int] = set()
    for word in words:
        name = word
        if match := _K_OF.fullmatch(word):
            name = match[1]
            ks.add(int(match[2]))
        if name not in METRICS and name not in _ALIASES:
            known = [*METRICS, *_ALIASES, "emt@5"]
            raise ConfigError(f"--metric {word}: no such metric{did_you_mean(word, known)}")
        found.update(dict.fromkeys(_ALIASES.get(name, (name,))))
    if len(ks) > 1:
        raise ConfigError(f"--metric: one number of replicates at a time, not {sorted(ks)}")
    return tuple(found), min(ks, default=None)


def read_threshold(written: str) -> Threshold:
    """Return the threshold of ``--threshold``; raise ConfigError."""
    found = _THRESHOLD.fullmatch(written.strip())
    try:
        number = float(found["number"]) if found else math.nan
    except ValueError:
        number = math.nan
    if found is None or not math.isfinite(number):
        raise ConfigError(
            f"--threshold {written}: write 'JUDGE>=0.7', 'JUDGE>0.7' or 'JUDGE.insult>0.5', "
            "in quotes"
        )
    return Threshold(found["judge"].strip(), found["operator"], number)
