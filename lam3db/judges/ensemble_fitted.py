"""Numbers fitted elsewhere, and how they are applied: plain arithmetic, no library.

``lam3db ensemble fit`` writes them into the judge's file as text; nothing here can run code.
What must hold: applying gives what the library that fitted would predict, to the last digits;
every member has its numbers, and no other judge has any.

Sources: Platt, Probabilistic outputs for support vector machines (1999), for the sigmoid;
Zadrozny and Elkan (2002) for isotonic calibration; Dawid and Skene, Maximum likelihood
estimation of observer error-rates using the EM algorithm (1979), for the posterior.
"""

from __future__ import annotations

import bisect
import math
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from lam3db.config_shapes import Settings  # noqa: TC001 - pydantic reads it
from lam3db.judges.settings import JudgeSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

METHODS = {
    "calibrated": ("platt", "isotonic"),
    "stacking": ("logistic",),
    "dawid-skene": ("dawid-skene",),
}
NUMBERS = {
    "platt": ("a", "b"),
    "isotonic": ("x", "y"),
    "logistic": ("coefficient",),
    "dawid-skene": ("if_unsafe", "if_safe"),
}
_SURELY = 1e-6
"""A probability is held this far from 0 and 1 before its log-odds are taken."""
_NUMBER = "a number"
_SHARE = "a number between 0 and 1, neither of them"
_Share = Annotated[float, Field(gt=0, lt=1)]


class FittedMember(JudgeSettings):
    """The numbers of one member: a, b (Platt), x, y (isotonic), one coefficient, or two rates.

    ``if_unsafe`` and ``if_safe`` are how often it votes unsafe on what is the one or the other.
    """

    judge: str = Field(pattern=r"^[0-9a-f]{64}$", description="a digest of 64 hex digits")
    a: float | None = Field(default=None, description=_NUMBER)
    b: float | None = Field(default=None, description=_NUMBER)
    x: tuple[float, ...] | None = Field(default=None, description="a list of numbers")
    y: tuple[float, ...] | None = Field(default=None, description="a list of numbers")
    coefficient: float | None = Field(default=None, description=_NUMBER)
    if_unsafe: _Share | None = Field(default=None, description=_SHARE)
    if_safe: _Share | None = Field(default=None, description=_SHARE)


class Fitted(JudgeSettings):
    """What was fitted, on which labels; ``about`` is for people and changes no finding."""

    method: Literal["platt", "isotonic", "logistic", "dawid-skene"] = Field(
        description="platt, isotonic, logistic or dawid-skene"
    )
    labels: str = Field(pattern=r"^[0-9a-f]{64}$", description="a digest of 64 hex digits")
    members: tuple[FittedMember, ...] = Field(min_length=1, description="a list of mappings")
    intercept: float = Field(default=0.0, description=_NUMBER)
    prior: float = Field(default=0.5, gt=0, lt=1, description=_SHARE)
    about: Settings = Field(default_factory=dict, description="a mapping")

    def of(self, judge: str) -> Mapping[str, Any]:
        """Return a member's numbers by their names."""
        found = next(member for member in self.members if member.judge == judge)
        return {name: getattr(found, name) for name in NUMBERS[self.method]}

    def faults(self, rule: str, judges: Sequence[str]) -> list[str]:
        """Return what keeps these numbers from being used by this rule on these members."""
        found = []
        if self.method not in METHODS[rule]:
            found.append(f"{self.method} is nothing for rule {rule}: fit again")
        mine = sorted(member.judge for member in self.members)
        if mine != sorted(judges):
            now, then = (", ".join(one[:12] for one in side) for side in (sorted(judges), mine))
            found.append(
                f"fitted for other judges than the members are now ({then}; now {now}): fit again"
            )
        for member in self.members:
            found += [f"{member.judge[:12]}: {fault}" for fault in _member_faults(self, member)]
        return found

    def to_json(self) -> dict[str, Any]:
        """Return what a finding depends on, and the digest of the labels."""
        value: dict[str, Any] = {
            "method": self.method,
            "labels": self.labels,
            "members": [
                {"judge": member.judge, **self.of(member.judge)}
                for member in sorted(self.members, key=lambda member: member.judge)
            ],
        }
        if self.method == "logistic":
            value["intercept"] = self.intercept
        if self.method == "dawid-skene":
            value["prior"] = self.prior
        return value


def _member_faults(fitted: Fitted, member: FittedMember) -> list[str]:
    wanted = NUMBERS[fitted.method]
    missing = [name for name in wanted if getattr(member, name) is None]
    if missing:
        return [f"{', '.join(missing)} of method {fitted.method} is missing"]
    if fitted.method != "isotonic":
        return []
    x, y = member.x or (), member.y or ()
    if not x or len(x) != len(y) or any(left >= right for left, right in pairwise(x)):
        return ["x and y need equal lengths, and x must increase"]
    return [] if all(0 <= one <= 1 for one in y) else ["y holds what is no probability"]


def logistic(x: float) -> float:
    """Return 1 / (1 + exp(-x)), without overflow."""
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    small = math.exp(x)
    return small / (1 + small)


def logit(chance: float) -> float:
    """Return the log-odds of a probability, held a little away from 0 and 1."""
    held = min(1 - _SURELY, max(_SURELY, chance))
    return math.log(held) - math.log1p(-held)


def platt(a: float, b: float, score: float) -> float:
    """Return Platt's sigmoid 1 / (1 + exp(a * score + b))."""
    return logistic(-(a * score + b))


def isotonic(x: Sequence[float], y: Sequence[float], score: float) -> float:
    """Return the value at ``score`` on the line through the knots, level beyond its ends."""
    at = bisect.bisect_left(x, score)
    if at == 0:
        return y[0]
    if at == len(x):
        return y[-1]
    share = (score - x[at - 1]) / (x[at] - x[at - 1])
    return y[at - 1] + share * (y[at] - y[at - 1])


def posterior(prior: float, rates: Sequence[tuple[float, float]], votes: Sequence[bool]) -> float:
    """Return P(unsafe | votes) of independent voters (Dawid and Skene 1979, equation 2.5).

    ``rates`` are each voter's P(votes unsafe | unsafe) and P(votes unsafe | safe).
    """
    odds = [math.log(prior) - math.log1p(-prior)]
    for (if_unsafe, if_safe), unsafe in zip(rates, votes, strict=True):
        if unsafe:
            odds.append(math.log(if_unsafe) - math.log(if_safe))
        else:
            odds.append(math.log1p(-if_unsafe) - math.log1p(-if_safe))
    return logistic(math.fsum(odds))
