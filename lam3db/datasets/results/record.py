"""One result as somebody else stored it: a model, a sample, an answer, what judges said of it.

What must hold: a record says what the file says and no more. What the file does not tell is
None or empty; it is never filled with a value that could be read as an answer or a verdict.
An attempt that gave no answer is a record with ``response=None``: it is stored as asked for and
not generated, and counts in the denominator.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lam3db.hashing import canonical_json
from lam3db.records import (
    IMPORTED_FAMILY,
    Attack,
    Finding,
    FinishReason,
    GenerationConfig,
    IdentityKind,
    JudgeIdentity,
    JudgeKind,
    ModelVersion,
    Sees,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lam3db.records import Behavior, Failed, JudgePolicy, Message

VERSION = "imported"
"""The version of an imported judge of which the file tells none."""
UNPUBLISHED = "(not published)"
"""The response of a record whose answer exists and whose text the source does not give."""
ADJUDICATOR = "adjudicator"
"""The ``role`` in the spec of a person whose label decides between annotators, as in reviews."""
NO_RESPONSE = "NoResponse"
"""The class of a failure of which a file says no more than that there is no answer."""
SEEN = (Sees.RESPONSE, Sees.PROMPT, Sees.BEHAVIOR, Sees.IMAGE)
"""What a judge is taken to have seen where nobody says: everything that there is."""


@dataclass(frozen=True, slots=True)
class ImportedJudge:
    """A judge or annotator of a file, and the threshold the file's authors applied, if any.

    Make each judge once per file and hand on the same object: its identity is hashed once.
    """

    identity: JudgeIdentity
    policy: JudgePolicy | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What one judge said of a record's response."""

    judge: ImportedJudge
    finding: Finding


@dataclass(frozen=True, slots=True)
class ResultRecord:
    """One attempt.

    Args:
        row: Where it stands: line, row or record number, from 1, as faults name it.
        model: Who was asked; made by :func:`declared_model`, once per model.
        config: The settings the file declares; made by :func:`declared_config`.
        behavior: The aim with its category, benign or not: the cluster of the statistics.
        messages: What was posed; None where no prompt is known, and then the sample is its
            behavior, attack and metadata.
        response: The answer; None where there was none. An empty text is an answer.
            :data:`UNPUBLISHED` where ``is_unpublished``: that text is not stored.
        key: The sample's name in its source. The same sample may come in many records.
        dataset: The dataset it belongs to, where one file holds several; else None.
        attack: Name and parameters.
        target: What the attack aims at as first words, where told.
        metadata: Labels of the *sample* (the same in every record of it): part of its identity.
        attempt: Records of one file with the same attempt (and model) are one attempt: the
            first brings the answer, each brings its findings. For tables with a row per
            annotator; None: every record is an attempt of its own.
        replicate: Which of several answers to the same sample, from 0; None: in file order.
        failed: Why there is no response, where the file says.
        finish_reason: Why the model stopped; ``stop`` where the file does not say.
        prompt_tokens: As counted by the source; 0 where not told.
        completion_tokens: As counted by the source; 0 where not told.
        latency_ms: As measured by the source; 0.0 where not told.
        reasoning: What the model thought before it answered, where the file holds it apart from
            the response; None where it does not.
        findings: What judges and annotators said, each judge at most once.
        is_unpublished: There was an answer, and the file has what was said of it without its text.

    """

    row: int
    model: ModelVersion
    config: GenerationConfig
    behavior: Behavior
    messages: tuple[Message, ...] | None
    response: str | None
    key: str | None = None
    dataset: str | None = None
    attack: Attack = field(default_factory=Attack)
    target: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    attempt: str | None = None
    replicate: int | None = None
    failed: Failed | None = None
    finish_reason: FinishReason = FinishReason.STOP
    prompt_tokens: int = 0
    completion_tokens: int = 0
    latency_ms: float = 0.0
    reasoning: str | None = None
    findings: tuple[Said, ...] = ()
    is_unpublished: bool = False


def declared_model(name: str, facts: Mapping[str, Any] | None = None) -> ModelVersion:
    """Return a model that is known by what a file calls it.

    ``facts`` are what else the file declares of the *model* (a defense, a provider, a system
    prompt that belongs to it); with the name they are its identity. Its source is not.
    """
    said = {"name": name, **({"facts": dict(facts)} if facts else {})}
    return ModelVersion(
        name=name,
        family=IMPORTED_FAMILY,
        source="declared",
        identity_kind=IdentityKind.DECLARED,
        declared=canonical_json(said),
    )


def declared_config(source: str, facts: Mapping[str, Any] | None = None) -> GenerationConfig:
    """Return the settings of answers that come from ``source`` (a dataset's or paper's name).

    ``facts`` are what the file declares: under ``decoding`` the keys that the store knows
    (temperature, top_p, max_new_tokens, do_sample, seed), anything else beside. Settings that
    nobody told are not those of another source: so the source is part of the identity.
    """
    return GenerationConfig({"imported": source, **(facts or {})})


def imported_judge(
    name: str,
    kind: JudgeKind,
    origin: Mapping[str, Any],
    *,
    version: str = VERSION,
    sees: Sequence[Sees] = SEEN,
    unsafe: Sequence[Verdict] = (),
    heading: str = "ASR",
    policy: JudgePolicy | None = None,
    scale: tuple[float, float] | None = None,
    adjudicates: bool = False,
) -> ImportedJudge:
    """Return a judge that spoke elsewhere.

    ``origin`` says where its findings come from and how they were read: the format, the source's
    name (not the file's digest: a file that grows is still the same judge's), the column, what
    its words mean. It becomes ``spec.origin``, so another reading of a column is another judge.
    People are of kind ``human``. ``unsafe`` are the verdicts that count as a success of the
    attack; a judge with values only has a ``policy`` or none. ``scale`` are the ends between which
    its values lie, where the file's authors say so; ``adjudicates``: its labels decide between
    annotators. Both are part of the identity only where they are given.
    """
    spec: dict[str, Any] = {"name": name, "origin": dict(origin)}
    if scale is not None:
        spec["scale"] = list(scale)
    if adjudicates:
        spec["role"] = ADJUDICATOR
    identity = JudgeIdentity(name, kind, version, spec, tuple(sees), tuple(unsafe), heading)
    return ImportedJudge(identity, policy)
