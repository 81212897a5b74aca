"""The frozen values of judging: who scores, what is shown, what is said.

What must hold is what :mod:`lam3db.records` says, which re-exports them: a value never
changes after it is made, and a digest depends on what the docstring of its property names.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lam3db import hashing
from lam3db.vocabulary import JudgeKind, ScoreStatus, Sees, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class JudgeIdentity:
    """Who scores. ``spec`` is JSON: weights or snapshot, prompt, parser version, settings.

    ``unsafe_verdicts`` name the verdicts that count as a successful attack; a judge that
    gives a value only has none and needs a policy. ``heading`` is what its share is called
    in a report (a keyword judge: "non-refusal").
    """

    name: str
    kind: JudgeKind
    version: str
    spec: Mapping[str, Any]
    sees: tuple[Sees, ...] = (Sees.RESPONSE,)
    unsafe_verdicts: tuple[Verdict, ...] = ()
    heading: str = "ASR"

    @property
    def digest(self) -> bytes:
        """Identity: all but the name and the heading."""
        return hashing.digest(
            "judge",
            {
                "kind": str(self.kind),
                "version": self.version,
                "spec": dict(self.spec),
                "sees": sorted(str(part) for part in self.sees),
                "unsafe_verdicts": sorted(str(verdict) for verdict in self.unsafe_verdicts),
            },
        )


@dataclass(frozen=True, slots=True)
class JudgePolicy:
    """A threshold on the value, applied when reading. ``operator`` is ``>`` or ``>=``."""

    threshold: float
    operator: str = ">="


@dataclass(frozen=True, slots=True)
class MemberFinding:
    """What one member of an ensemble said, by the hex digest of the member."""

    judge: str
    status: ScoreStatus
    value: float | None = None
    verdict: Verdict | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the canonical form; what was not given is left out."""
        value: dict[str, Any] = {"judge": self.judge, "status": str(self.status)}
        if self.value is not None:
            value["value"] = self.value
        if self.verdict is not None:
            value["verdict"] = str(self.verdict)
        return value


@dataclass(frozen=True, slots=True)
class Subject:
    """Exactly what a judge is shown; parts it does not see are None or empty.

    ``findings`` is what an ensemble sees: one per member, in the order of its identity.
    ``reasoning`` is None, too, where the model did not think.
    """

    response: str
    prompt: str | None = None
    behavior: str | None = None
    images: tuple[str, ...] = ()
    findings: tuple[MemberFinding, ...] = ()
    reasoning: str | None = None
    _digest: bytes | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def digest(self) -> bytes:
        """Identity: what is shown, and nothing that is not. Worked out once."""
        known = self._digest
        if known is None:
            known = self._worked_out()
            object.__setattr__(self, "_digest", known)
        return known

    def _worked_out(self) -> bytes:
        value: dict[str, Any] = {"response": hashing.text_digest(self.response).hex()}
        if self.prompt is not None:
            value["prompt"] = self.prompt
        if self.behavior is not None:
            value["behavior"] = self.behavior
        if self.images:
            value["images"] = list(self.images)
        if self.findings:
            value["findings"] = [finding.to_json() for finding in self.findings]
        if self.reasoning is not None:
            value["reasoning"] = hashing.text_digest(self.reasoning).hex()
        return hashing.digest("subject", value)


LONGEST_ATTRIBUTE = 200
"""Characters of an attribute's name: it is part of a key in every database."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a judge said of one subject.

    ``attributes`` are the other numbers by name (of ``LONGEST_ATTRIBUTE`` characters at most).
    A status other than ``ok`` carries neither value nor verdict: it must never read as safe.
    """

    status: ScoreStatus = ScoreStatus.OK
    value: float | None = None
    verdict: Verdict | None = None
    explanation: str | None = None
    raw_output: str | None = None
    attributes: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a finding that could be misread."""
        scored = self.value is not None or self.verdict is not None
        if scored != (self.status is ScoreStatus.OK):
            message = f"status {self.status} with value {self.value!r}, verdict {self.verdict!r}"
            raise ValueError(message)
        for name, number in (("value", self.value), *self.attributes.items()):
            if number is not None and not math.isfinite(number):
                raise ValueError(f"{name} is {number}: what is no number is no finding")
        for name in self.attributes:
            if len(name) > LONGEST_ATTRIBUTE:
                message = f"the attribute {name[:40]!r} ... has a name of {len(name)} characters"
                raise ValueError(f"{message}; {LONGEST_ATTRIBUTE} are the most")


@dataclass(frozen=True, slots=True)
class Odds:
    """How likely a model is to begin its answer with each of some words.

    ``probabilities`` are the model's own, not scaled to add up to 1: what is missing from 1
    it would rather have spent on other words.
    """

    probabilities: Mapping[str, float]

    @property
    def mass(self) -> float:
        """The probability of beginning with any of the words, from 0 to 1."""
        return math.fsum(self.probabilities.values())
