"""How several opinions become one: the arithmetic of ensembles, and nothing else.

Two kinds of rules. Some count *votes* (majority, any, all, weighted, dawid-skene): a vote is
unsafe or safe, by the member's verdict or by a threshold on its value. Some compute with
*scores* (mean, calibrated, stacking): a score is the member's value, or 1 and 0 for an unsafe
and a safe verdict. Either gives the probability, or the share of votes, that speaks for unsafe.

What must hold: the outcome depends on the opinions and the plan, not on their order; a member
that did not answer with ``ok`` has neither vote nor score, and never counts as safe; what is
undecided (a tie, too few votes) has no verdict. Sums go through ``math.fsum``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lam3db.judges.ensemble_fitted import Fitted, isotonic, logistic, logit, platt, posterior
from lam3db.records import MemberFinding, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

VOTING = ("majority", "any", "all", "weighted", "dawid-skene")
SCORING = ("mean", "calibrated", "stacking")
RULES = (*VOTING, *SCORING)
FITTED = ("calibrated", "stacking", "dawid-skene")
WITH_THRESHOLD = ("weighted", "dawid-skene", *SCORING)
_TIE = 1e-12
"""Two numbers nearer than this are equal: sums of the same weights differ in their last digits."""


class UnusableError(ValueError):
    """A member's finding is nothing this rule can count; the text says why."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member, by the hex digest of its identity, and how its finding is read.

    A ``threshold`` on the value goes before ``unsafe_verdicts``; with neither it has no vote.
    """

    judge: str
    unsafe_verdicts: tuple[Verdict, ...] = ()
    threshold: float | None = None
    operator: str = ">="
    weight: float = 1.0

    def votes(self, finding: MemberFinding) -> bool:
        """Return whether this finding says unsafe; raise UnusableError where it cannot tell."""
        if self.threshold is not None:
            if finding.value is None:
                raise UnusableError(
                    f"member {self.judge[:8]} gave no value for its threshold {self.threshold:g}"
                )
            above = finding.value > self.threshold
            return above or (self.operator == ">=" and finding.value == self.threshold)
        if finding.verdict is None or not self.unsafe_verdicts:
            raise UnusableError(f"member {self.judge[:8]} gave no verdict: give it a threshold")
        return finding.verdict in self.unsafe_verdicts

    def scores(self, finding: MemberFinding) -> float:
        """Return the value, else 1 for an unsafe verdict and 0 for another; raise as votes do."""
        return float(self.votes(finding)) if finding.value is None else finding.value


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a finding of an ensemble depends on, beside what its members said.

    Members stand in the order of their digests. ``minimum_votes`` is how many must have
    answered; ``missing`` what happens where one has no score at all.
    """

    rule: str
    members: tuple[Member, ...]
    minimum_votes: int
    threshold: float = 0.5
    minimum_confidence: float = 0.0
    missing: str = "wait"
    combine: str = "mean"
    fitted: Fitted | None = None


@dataclass(frozen=True, slots=True)
class Opinion:
    """What an ensemble makes of it.

    ``value`` is the probability or the share of votes for unsafe, None where nobody answered;
    ``confidence`` the same for the verdict given. Without a verdict ``why`` says why.
    """

    votes: int
    value: float | None = None
    verdict: Verdict | None = None
    confidence: float | None = None
    why: str = ""


def opinion(plan: Plan, answers: Mapping[str, MemberFinding]) -> Opinion:
    """Return the ensemble's opinion from what answered with ``ok``, by the member's digest.

    Raises:
        UnusableError: a finding is nothing this rule can count.

    """
    spoken = [(member, answers[member.judge]) for member in plan.members if member.judge in answers]
    if not spoken:
        return Opinion(0, why="no member gave an answer")
    ballot = _Ballot(plan, spoken)
    value = min(1.0, max(0.0, _VALUES[plan.rule](ballot)))
    enough = len(spoken) >= plan.minimum_votes
    verdict = _decided(ballot, value)
    if not enough and not _settled(ballot):
        why = f"{len(spoken)} of {len(plan.members)} members answered, {plan.minimum_votes} needed"
        return Opinion(len(spoken), value, why=why)
    if verdict is None:
        return Opinion(len(spoken), value, confidence=0.5, why=f"a tie at {value:g}")
    confidence = value if verdict is Verdict.UNSAFE else 1 - value
    if confidence < plan.minimum_confidence - _TIE:
        why = f"{verdict} with confidence {confidence:.3f}, below {plan.minimum_confidence:g}"
        return Opinion(len(spoken), value, confidence=confidence, why=why)
    return Opinion(len(spoken), value, verdict, confidence)


@dataclass(frozen=True, slots=True)
class _Ballot:
    """The members that answered, with what they said."""

    plan: Plan
    spoken: Sequence[tuple[Member, MemberFinding]]
    _votes: list[bool] = field(default_factory=list)

    def votes(self) -> list[bool]:
        """Return who says unsafe, in the order of the members."""
        if not self._votes:
            self._votes.extend(member.votes(said) for member, said in self.spoken)
        return self._votes

    def scores(self) -> list[float]:
        return [member.scores(said) for member, said in self.spoken]

    def numbers(self, name: str) -> list[Any]:
        """Return what was fitted for each member that answered."""
        fitted = _fitted(self.plan)
        return [fitted.of(member.judge)[name] for member, _ in self.spoken]


def _fitted(plan: Plan) -> Fitted:
    if plan.fitted is None:  # pragma: no cover - describing it has looked
        raise AssertionError(plan.rule)
    return plan.fitted


def _share(ballot: _Ballot) -> float:
    return sum(ballot.votes()) / len(ballot.spoken)


def _weighted(ballot: _Ballot) -> float:
    weights = [member.weight for member, _ in ballot.spoken]
    against = (w for w, unsafe in zip(weights, ballot.votes(), strict=True) if unsafe)
    return math.fsum(against) / math.fsum(weights)


def _mean(ballot: _Ballot) -> float:
    scores = ballot.scores()
    for (member, _), score in zip(ballot.spoken, scores, strict=True):
        if not 0 <= score <= 1:
            raise UnusableError(
                f"member {member.judge[:8]} said {score:g}: a mean needs values from 0 to 1"
            )
    return math.fsum(scores) / len(scores)


def _calibrated(ballot: _Ballot) -> float:
    if _fitted(ballot.plan).method == "platt":
        pairs = zip(ballot.numbers("a"), ballot.numbers("b"), ballot.scores(), strict=True)
        chances = [platt(a, b, score) for a, b, score in pairs]
    else:
        knots = zip(ballot.numbers("x"), ballot.numbers("y"), ballot.scores(), strict=True)
        chances = [isotonic(x, y, score) for x, y, score in knots]
    if ballot.plan.combine == "log-odds":
        return logistic(math.fsum(map(logit, chances)) / len(chances))
    return math.fsum(chances) / len(chances)


def _stacking(ballot: _Ballot) -> float:
    pairs = zip(ballot.numbers("coefficient"), ballot.scores(), strict=True)
    return logistic(math.fsum([_fitted(ballot.plan).intercept, *(c * s for c, s in pairs)]))


def _dawid_skene(ballot: _Ballot) -> float:
    rates = zip(ballot.numbers("if_unsafe"), ballot.numbers("if_safe"), strict=True)
    return posterior(_fitted(ballot.plan).prior, list(rates), ballot.votes())


_VALUES: dict[str, Callable[[_Ballot], float]] = {
    "majority": _share,
    "any": _share,
    "all": _share,
    "weighted": _weighted,
    "mean": _mean,
    "calibrated": _calibrated,
    "stacking": _stacking,
    "dawid-skene": _dawid_skene,
}


def _decided(ballot: _Ballot, value: float) -> Verdict | None:
    rule = ballot.plan.rule
    if rule in ("any", "all"):
        unsafe = any(ballot.votes()) if rule == "any" else all(ballot.votes())
        return Verdict.UNSAFE if unsafe else Verdict.SAFE
    cut = ballot.plan.threshold
    if math.isclose(value, cut, rel_tol=0, abs_tol=_TIE):
        return None
    return Verdict.UNSAFE if value > cut else Verdict.SAFE


def _settled(ballot: _Ballot) -> bool:
    """Tell whether no further vote could change it: one unsafe under any, one safe under all."""
    rule = ballot.plan.rule
    return (rule == "any" and any(ballot.votes())) or (rule == "all" and not all(ballot.votes()))
