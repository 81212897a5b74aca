"""The ensemble judge: one finding out of what its members said of an answer.

Settings: ``rule`` (see :mod:`lam3db.judges.ensemble_rules`); ``members``, by the names of
their files or by digest; ``thresholds`` for members that give values and no verdict (part of
the identity: a member's own policy may change and is never read); ``unsafe_verdicts`` for
members given by digest; ``weights``; ``threshold``, ``minimum_votes``, ``minimum_confidence``
of the ensemble; ``missing``: what happens to an answer at which a member has failed for good
(``wait``, ``abstain``, or ``ignore`` it); ``fitted``: numbers ``lam3db ensemble fit`` wrote.

It sees ``findings`` and nothing of the answer. What must hold: a finding depends on the plan
and on what the members said; a member without ``ok`` is no vote; an ensemble that is undecided
or below its ``minimum_confidence`` is ``abstained``, with the estimate among the attributes and
the reason in the explanation. ``raw_output`` holds what was seen, so its digest can be checked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from lam3db.config_files import Faults, raise_faults
from lam3db.config_shapes import Policy, freeze
from lam3db.hashing import canonical_json
from lam3db.judges.ensemble_fitted import Fitted
from lam3db.judges.ensemble_members import KnownMember, known_members
from lam3db.judges.ensemble_rules import (
    FITTED,
    VOTING,
    WITH_THRESHOLD,
    Member,
    Opinion,
    Plan,
    UnusableError,
    opinion,
)
from lam3db.judges.settings import JudgeSettings, read_settings
from lam3db.records import (
    Failed,
    Finding,
    JudgeIdentity,
    JudgeKind,
    ScoreStatus,
    Sees,
    Subject,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lam3db.config import JudgeConfig
    from lam3db.plugins import ImageOpener, Tick

RULE_VERSION = "1"
"""Of the rules: raise it when the same plan would judge otherwise."""
_BATCH = 2048
_SHARE = "a number from 0 to 1"
_BY_MEMBER = "a mapping from members"


class EnsembleSettings(JudgeSettings):
    """What an ensemble can be told. None means "not given"."""

    rule: Literal[
        "majority", "any", "all", "weighted", "mean", "calibrated", "stacking", "dawid-skene"
    ] = Field(description="majority, any, all, weighted, mean, calibrated, stacking or dawid-skene")
    members: tuple[str, ...] = Field(min_length=1, description="a list of judges")
    thresholds: dict[str, Policy] = Field(default_factory=dict, description=_BY_MEMBER)
    unsafe_verdicts: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description=_BY_MEMBER
    )
    weights: dict[str, float] = Field(default_factory=dict, description=_BY_MEMBER)
    threshold: float | None = Field(default=None, ge=0, le=1, description=_SHARE)
    minimum_votes: int | None = Field(default=None, ge=1, description="a whole number from 1")
    minimum_confidence: float = Field(default=0.0, ge=0, le=1, description=_SHARE)
    missing: Literal["wait", "abstain", "ignore"] = Field(
        default="wait", description="wait, abstain or ignore"
    )
    combine: Literal["mean", "log-odds"] | None = Field(
        default=None, description="mean or log-odds"
    )
    fitted: Fitted | None = Field(default=None, description="a mapping")


@dataclass(frozen=True, slots=True)
class EnsembleMaker:
    """How ensembles are described and loaded."""

    def describe(self, config: JudgeConfig, tick: Tick) -> JudgeIdentity:
        """Return the identity: the members' digests and the plan; raise ConfigError."""
        settings = read_settings(config, EnsembleSettings)
        members = known_members(config, tick)
        plan = make_plan(config, settings, members)
        headings = sorted({member.heading or "ASR" for member in members})
        return JudgeIdentity(
            name=config.name,
            kind=JudgeKind.ENSEMBLE,
            version=RULE_VERSION,
            spec=plan_to_json(plan),
            sees=(Sees.FINDINGS,),
            unsafe_verdicts=(Verdict.UNSAFE,),
            heading="+".join(headings),
        )

    def load(
        self, config: JudgeConfig, identity: JudgeIdentity, open_image: ImageOpener
    ) -> EnsembleJudge:
        """Return the judge; all it needs is in its identity."""
        del config, open_image
        return EnsembleJudge(plan_from_json(identity.spec))


def make_plan(
    config: JudgeConfig,
    settings: EnsembleSettings,
    members: Sequence[KnownMember],
    *,
    unfitted: bool = False,
) -> Plan:
    """Return the plan of these settings; raise ConfigError with every fault.

    ``unfitted`` lets a rule stand whose numbers are still to be fitted.
    """
    faults = Faults(f"judge {config.name}, settings")
    _check_names(settings, faults)
    _check_unread(settings, faults)
    plan = Plan(
        rule=settings.rule,
        members=tuple(_member(settings, known, faults) for known in members),
        minimum_votes=_minimum_votes(settings, len(members), faults),
        threshold=0.5 if settings.threshold is None else settings.threshold,
        minimum_confidence=settings.minimum_confidence,
        missing=settings.missing,
        combine=settings.combine or "mean",
        fitted=settings.fitted,
    )
    if settings.rule in FITTED and settings.fitted is None and not unfitted:
        faults.add(("fitted",), "fitted is missing: `lam3db ensemble fit` writes it")
    if settings.rule in FITTED and settings.fitted is not None and not unfitted:
        judges = [member.digest for member in members]
        for fault in settings.fitted.faults(settings.rule, judges):
            faults.add(("fitted",), f"fitted: {fault}")
    raise_faults(faults)
    total = math.fsum(member.weight for member in plan.members)
    scaled = tuple(replace(one, weight=one.weight / total) for one in plan.members)
    return replace(plan, members=scaled) if plan.rule == "weighted" else plan


def _check_names(settings: EnsembleSettings, faults: Faults) -> None:
    for name in ("thresholds", "unsafe_verdicts", "weights"):
        for written in getattr(settings, name):
            if written not in settings.members:
                fault = f"{written!r} is none of the members ({', '.join(settings.members)})"
                faults.add((name, written), f"{name}: {fault}")
    words = sorted(map(str, Verdict))
    for written, verdicts in settings.unsafe_verdicts.items():
        if not verdicts or not set(verdicts) <= set(words):
            fault = f"{', '.join(verdicts) or 'nothing'} is none of {', '.join(words)}"
            faults.add(("unsafe_verdicts", written), f"unsafe_verdicts.{written}: {fault}")
    for written, weight in settings.weights.items():
        if weight <= 0:
            faults.add(("weights", written), f"weights.{written}: {weight:g} is not above 0")


def _check_unread(settings: EnsembleSettings, faults: Faults) -> None:
    """Refuse what this rule does not read: it would look like a setting and do nothing."""
    read = {
        "thresholds": settings.rule in VOTING,
        "weights": settings.rule == "weighted",
        "threshold": settings.rule in WITH_THRESHOLD,
        "combine": settings.rule == "calibrated",
        "fitted": settings.rule in FITTED,
    }
    for name, is_read in read.items():
        if not is_read and getattr(settings, name) not in (None, {}):
            faults.add((name,), f"{name} says nothing to rule {settings.rule}: leave it out")
    if settings.rule == "weighted":
        for written in settings.members:
            if written not in settings.weights:
                faults.add(("weights",), f"weights: {written} has none")


def _minimum_votes(settings: EnsembleSettings, count: int, faults: Faults) -> int:
    """Return how many must answer: by default more than half; all where the rule needs all."""
    default = count if settings.rule in ("any", "all", "stacking") else count // 2 + 1
    asked = default if settings.minimum_votes is None else settings.minimum_votes
    if asked > count:
        faults.add(("minimum_votes",), f"minimum_votes: {asked} of {count} members")
    if settings.rule == "stacking" and asked != count:
        fault = "stacking was fitted on complete answers: leave it out"
        faults.add(("minimum_votes",), f"minimum_votes: {fault}")
    return asked


def _member(settings: EnsembleSettings, known: KnownMember, faults: Faults) -> Member:
    policy = settings.thresholds.get(known.written)
    weight = settings.weights.get(known.written, 1.0)
    given = settings.unsafe_verdicts.get(known.written)
    if policy is not None:
        return Member(known.digest, (), policy.threshold, policy.operator, weight)
    if given is not None and known.unsafe_verdicts is not None:
        fault = f"{known.written}'s are in its own identity: leave them out"
        faults.add(("unsafe_verdicts", known.written), f"unsafe_verdicts: {fault}")
    words = [Verdict(one) for one in given or () if one in set(map(str, Verdict))]
    verdicts = words or list(known.unsafe_verdicts or ())
    if settings.rule == "mean" and known.grades is not None:
        low, high = known.grades
        fault = f"{known.written} grades from {low:g} to {high:g}, a mean is of values from 0 to 1"
        faults.add(("members",), f"members: {fault}: take a rule with thresholds, or a fitted one")
    if settings.rule in VOTING and not verdicts:
        hint = f"thresholds: {{{known.written}: {{threshold: 0.5}}}}"
        if known.unsafe_verdicts is None:
            hint += f", or unsafe_verdicts: {{{known.written[:8]}...: [unsafe]}}"
        fault = f"{known.written} has no vote without a threshold: write {hint}"
        faults.add(("members",), f"members: {fault}")
    return Member(known.digest, tuple(sorted(verdicts)), weight=weight)


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """Return the canonical form of a plan: what a finding depends on, neutral parts left out."""
    value: dict[str, Any] = {
        "ensemble": plan.rule,
        "members": [_member_to_json(plan, member) for member in plan.members],
        "minimum_votes": plan.minimum_votes,
        "missing": plan.missing,
    }
    if plan.rule in WITH_THRESHOLD:
        value["threshold"] = plan.threshold
    if plan.minimum_confidence:
        value["minimum_confidence"] = plan.minimum_confidence
    if plan.rule == "calibrated":
        value["combine"] = plan.combine
    if plan.fitted is not None:
        value["fitted"] = plan.fitted.to_json()
    return value


def _member_to_json(plan: Plan, member: Member) -> dict[str, Any]:
    value: dict[str, Any] = {"judge": member.judge}
    if member.unsafe_verdicts:
        value["unsafe_verdicts"] = [str(verdict) for verdict in member.unsafe_verdicts]
    if member.threshold is not None:
        value |= {"threshold": member.threshold, "operator": member.operator}
    if plan.rule == "weighted":
        value["weight"] = member.weight
    return value


def plan_from_json(spec: Mapping[str, Any]) -> Plan:
    """Read back what :func:`plan_to_json` wrote."""
    fitted = spec.get("fitted")
    return Plan(
        rule=spec["ensemble"],
        members=tuple(
            Member(
                one["judge"],
                tuple(Verdict(verdict) for verdict in one.get("unsafe_verdicts", ())),
                one.get("threshold"),
                one.get("operator", ">="),
                one.get("weight", 1.0),
            )
            for one in spec["members"]
        ),
        minimum_votes=spec["minimum_votes"],
        threshold=spec.get("threshold", 0.5),
        minimum_confidence=spec.get("minimum_confidence", 0.0),
        missing=spec["missing"],
        combine=spec.get("combine", "mean"),
        fitted=None if fitted is None else Fitted.model_validate(freeze(fitted)),
    )


@dataclass(frozen=True, slots=True)
class EnsembleJudge:
    """A plan at work."""

    plan: Plan

    def judge(
        self, subjects: Sequence[Subject]
    ) -> Iterator[list[tuple[Subject, Finding | Failed]]]:
        """Yield batches in the order asked."""
        for start in range(0, len(subjects), _BATCH):
            batch = subjects[start : start + _BATCH]
            yield [(subject, self._outcome(subject)) for subject in batch]

    def close(self) -> None:
        """Hold nothing."""

    def _outcome(self, subject: Subject) -> Finding | Failed:
        said = {finding.judge: finding for finding in subject.findings}
        members = [member.judge for member in self.plan.members]
        if len(said) < len(subject.findings) or not said.keys() <= set(members):
            return Failed("MemberError", "shown a finding that is no member's, or one twice")
        absent = [judge for judge in members if judge not in said]
        if absent and self.plan.missing == "wait":
            return Failed("MemberError", f"member {absent[0][:8]} has not judged it")
        seen = canonical_json([finding.to_json() for finding in subject.findings])
        if absent and self.plan.missing == "abstain":
            found = Opinion(len(said), why=f"member {absent[0][:8]} has failed at it for good")
            return self._finding(found, seen)
        answers = {judge: one for judge, one in said.items() if one.status is ScoreStatus.OK}
        try:
            return self._finding(opinion(self.plan, answers), seen)
        except UnusableError as error:
            return Failed("MemberError", str(error))

    def _finding(self, found: Opinion, seen: str) -> Finding:
        numbers = {"votes": float(found.votes), "members": float(len(self.plan.members))}
        if found.confidence is not None:
            numbers["confidence"] = found.confidence
        if found.verdict is not None:
            return Finding(
                value=found.value, verdict=found.verdict, raw_output=seen, attributes=numbers
            )
        if found.value is not None:
            numbers["estimate"] = found.value
        return Finding(
            ScoreStatus.ABSTAINED, explanation=found.why, raw_output=seen, attributes=numbers
        )


MAKER = EnsembleMaker()
