"""The small vocabularies: every word that a column or a record may hold, once.

What must hold: a word is never renamed or given another meaning; stored rows hold it. The
records re-export them, so that callers import from one place.
"""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """The categorical part of a finding."""

    SAFE = "safe"
    UNSAFE = "unsafe"
    REFUSED = "refused"
    NOT_REFUSED = "not_refused"


class ScoreStatus(StrEnum):
    """The judge answered, and this is how; only ``ok`` carries a value or a verdict."""

    OK = "ok"
    UNPARSED = "unparsed"
    JUDGE_REFUSED = "judge_refused"
    ABSTAINED = "abstained"


class JudgeKind(StrEnum):
    """What sort of thing scores."""

    RULE = "rule"
    CLASSIFIER = "classifier"
    API = "api"
    LLM = "llm"
    HUMAN = "human"
    ENSEMBLE = "ensemble"


class Sees(StrEnum):
    """What a judge is shown of a generation; part of its identity."""

    RESPONSE = "response"
    PROMPT = "prompt"
    BEHAVIOR = "behavior"
    IMAGE = "image"
    REASONING = "reasoning"
    """What the model thought before it answered: shown only to a judge whose file names it."""
    FINDINGS = "findings"
    """What other judges said: only an ensemble sees that."""


class IdentityKind(StrEnum):
    """On what the identity of a model version rests."""

    WEIGHTS = "weights"
    ENDPOINT = "endpoint"
    DECLARED = "declared"


class RunKind(StrEnum):
    """What a run did."""

    GENERATE = "generate"
    JUDGE = "judge"
    SMOKE = "smoke"


class RunStatus(StrEnum):
    """How a run stands; ``running`` with an old heartbeat: killed, and not yet marked so."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Stage(StrEnum):
    """Which step an attempt failed in."""

    GENERATE = "generate"
    JUDGE = "judge"


class FinishReason(StrEnum):
    """Why a model stopped."""

    STOP = "stop"
    LENGTH = "length"
