"""The frozen values that travel between the parts.

Nothing here knows a database, a library or a file. What must hold: a value never changes
after it is made (a change is a new value), and a digest depends on what the docstring of
its property names and on nothing else.

Texts are held as they came, NUL and lone surrogates included; the store escapes them on the
way in and out, and digests escape them on their own (see :mod:`lam3db.hashing`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from lam3db import hashing
from lam3db.records_judging import (
    LONGEST_ATTRIBUTE,
    Finding,
    JudgeIdentity,
    JudgePolicy,
    MemberFinding,
    Odds,
    Subject,
)
from lam3db.redaction import redact
from lam3db.vocabulary import (
    FinishReason,
    IdentityKind,
    JudgeKind,
    RunKind,
    RunStatus,
    ScoreStatus,
    Sees,
    Stage,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "IMPORTED_FAMILY", "LONGEST_ATTRIBUTE", "TEMPLATE_ROLE",
    "Answer", "Attack", "Behavior", "Dataset", "Failed",
    "FileEntry", "Finding", "FinishReason", "GenerationConfig", "IdentityKind", "ImagePart",
    "JudgeIdentity", "JudgeKind", "JudgePolicy", "Media", "MemberFinding", "Message",
    "ModelPlan", "ModelVersion", "Odds", "Request", "RunKind", "RunStatus", "Sample",
    "ScoreStatus", "Sees", "Stage", "Subject", "TextPart", "Verdict", "images_of",
    "input_digest", "selection_digest", "text_of",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class TextPart:
    """A piece of text in a message."""

    text: str

    def to_json(self) -> dict[str, Any]:
        """Return the canonical form."""
        return {"type": "text", "text": self.text}


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image in a message, known by the hex SHA-256 of its file's bytes."""

    sha256: str

    def to_json(self) -> dict[str, Any]:
        """Return the canonical form."""
        return {"type": "image", "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Message:
    """One turn: a role (``user``, ``system``, ``assistant``) and its ordered parts."""

    role: str
    parts: tuple[TextPart | ImagePart, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the canonical form."""
        return {"role": self.role, "parts": [part.to_json() for part in self.parts]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read back what :meth:`to_json` wrote."""
        parts = (
            TextPart(part["text"]) if part["type"] == "text" else ImagePart(part["sha256"])
            for part in value["parts"]
        )
        return cls(value["role"], tuple(parts))


TEMPLATE_ROLE = "template"
"""The role of a raw prompt's own pieces: only there do control markers mean what they say."""


IMPORTED_FAMILY = "imported"
"""The family of a model that is known from others' results only: by its name."""


def input_digest(messages: tuple[Message, ...]) -> bytes:
    """Return the identity of what a model will see: its messages, images by content."""
    return hashing.digest("input", [message.to_json() for message in messages])


def text_of(messages: tuple[Message, ...]) -> str:
    """Return the texts of a conversation's messages, one per line: the prompt for people."""
    return "\n".join(
        part.text for message in messages for part in message.parts if isinstance(part, TextPart)
    )


def images_of(messages: tuple[Message, ...]) -> tuple[str, ...]:
    """Return the image digests of a conversation in order, repetitions kept."""
    return tuple(
        part.sha256 for message in messages for part in message.parts if isinstance(part, ImagePart)
    )


@dataclass(frozen=True, slots=True)
class Behavior:
    """The aim, once; the unit by which samples are clustered."""

    text: str
    category: str = ""
    is_benign: bool = False

    @property
    def digest(self) -> bytes:
        """Identity: text, category, benign or not."""
        value: dict[str, Any] = {"text": self.text}
        if self.category:
            value["category"] = self.category
        if self.is_benign:
            value["benign"] = True
        return hashing.digest("behavior", value)


@dataclass(frozen=True, slots=True)
class Attack:
    """How a sample tries to break the model, by name and parameters."""

    name: str = "none"
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sample:
    """One input exactly as posed, with its labels. Belongs to no dataset."""

    messages: tuple[Message, ...]
    behavior: Behavior
    attack: Attack = field(default_factory=Attack)
    target: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def input_digest(self) -> bytes:
        """What the model will see of the sample: its messages, images by content."""
        return input_digest(self.messages)

    @property
    def digest(self) -> bytes:
        """Identity: the input and every label."""
        value: dict[str, Any] = {
            "input": self.input_digest.hex(),
            "behavior": self.behavior.digest.hex(),
        }
        if self.attack.name != "none" or self.attack.parameters:
            value["attack"] = {"name": self.attack.name, "parameters": dict(self.attack.parameters)}
        if self.target is not None:
            value["target"] = self.target
        if self.metadata:
            value["metadata"] = dict(self.metadata)
        return hashing.digest("sample", value)


@dataclass(frozen=True, slots=True)
class Media:
    """An image file whose bytes lie in the media root."""

    sha256: str
    mime_type: str
    byte_count: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Dataset:
    """A named selection on its way into the store: samples by their key in the source."""

    name: str
    samples: tuple[tuple[str, Sample], ...]
    media: tuple[Media, ...] = ()
    source: str = ""
    licence: str = ""

    @property
    def selection_digest(self) -> bytes:
        """Identity of the set: its (key, sample) pairs, whatever their order."""
        return selection_digest([(key, sample.digest) for key, sample in self.samples])


def selection_digest(pairs: list[tuple[str, bytes]]) -> bytes:
    """Return the identity of a set of samples given as (key, sample digest)."""
    return hashing.digest("selection", sorted([key, sample.hex()] for key, sample in pairs))


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a model version; ``path`` is relative, with forward slashes."""

    path: str
    sha256: str
    byte_count: int


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """Weights, processor, tokenizer and chat template, identified by content."""

    name: str
    family: str
    source: str
    revision: str | None = None
    manifest: tuple[FileEntry, ...] = ()
    identity_kind: IdentityKind = IdentityKind.WEIGHTS
    declared: str | None = None

    @property
    def digest(self) -> bytes:
        """Identity: the kind and the files (or, without files, what was declared)."""
        value: dict[str, Any] = {"identity_kind": str(self.identity_kind)}
        if self.manifest:
            value["files"] = {entry.path: entry.sha256 for entry in self.manifest}
        if self.declared is not None:
            value["declared"] = self.declared
        return hashing.digest("model_version", value)


@dataclass(frozen=True, slots=True)
class GenerationConfig:
    """The normalised settings that can change the text, and only those.

    ``value`` is JSON. Keys known to the store as columns: ``dtype``, ``quantization``
    (an object with ``method``), and below ``decoding``: ``do_sample``, ``temperature``,
    ``top_p``, ``max_new_tokens``, ``seed``.
    """

    value: Mapping[str, Any]

    @property
    def digest(self) -> bytes:
        """Identity: the whole value."""
        return hashing.digest("config", dict(self.value))


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """What a model will be, known before any weight is loaded.

    ``notes`` are sentences for the user: settings without effect, what was changed.
    ``options`` are what the loader needs and what changes no text (device, batch size).
    """

    version: ModelVersion
    config: GenerationConfig
    requested: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """One answer asked of a model. ``tag`` is the caller's own handle."""

    tag: int
    messages: tuple[Message, ...]
    input_digest: bytes
    replicate: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said. ``latency_ms`` is the wall time from its batch's start to its own end.

    ``reasoning`` is what it thought first, where it is known to think: no part of ``text``, and
    None where there is none. ``raw_text`` holds both, as far as they came in one text.
    """

    raw_text: str
    text: str
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    latency_ms: float
    batch_size: int = 1
    reasoning: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt that produced nothing, with its cause; never a stand-in for a result.

    ``of_sample``: the cause lies in this one sample (its length, its image, a filter), so that it
    says nothing of the others; not stored.
    """

    error_class: str
    message: str
    retryable: bool = False
    of_sample: bool = field(default=False, compare=False)

    @classmethod
    def from_exception(cls, error: BaseException, *, retryable: bool = False) -> Self:
        """Describe ``error``, without secrets and not endlessly long."""
        message = redact(str(error) or repr(error))[:_MESSAGE_LIMIT]
        of_sample = bool(getattr(error, "of_sample", False))
        return cls(type(error).__name__, message, retryable, of_sample)

    @property
    def fingerprint(self) -> str:
        """What failures of one cause have in common: class and message without particulars."""
        general = _PARTICULAR.sub("#", self.message)
        return hashing.digest("fingerprint", [self.error_class, general]).hex()[:16]


_MESSAGE_LIMIT = 4000
_PARTICULAR = re.compile(
    r"0x[0-9a-f]+|[0-9a-f]{16,}"
    r"|\b(?=[a-f]*\d)[0-9a-f]{8,}\b"  # the start of a digest, as messages show it
    r"|(?:/[\w.@+-]+)+|\d+(?:\.\d+)?",
    re.IGNORECASE,
)
