"""Google's Perspective API: how a comment sounds, attribute by attribute.

``value`` is the score of the first attribute asked for; every attribute is stored by its
name. It measures tone: a polite harmful answer scores near 0. Texts above the API's 20 KB are
asked about in overlapping windows, none of it dropped; of each attribute the highest score
counts, and an attribute ``windows`` holds their number. The service ends after 2026 (its
YAML says so, ``ends_on``); it was retrained without version numbers.

Attributes exist for some languages only. With ``languages`` set, one that does not exist for
them is a fault of the config; where the API finds the language, it refuses a whole request over
one attribute: then it is asked again without that one.

What must hold: a language in which the first attribute does not exist and a comment that the API
finds empty are ``abstained`` with the reason, never a score; an attribute that the API does not
give is absent, never 0, and told; a reply without the first one is a failure.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from lam3db.config_shapes import EndpointOptions  # noqa: TC001 - pydantic reads it
from lam3db.endpoints.budget import size_of
from lam3db.endpoints.client import Call, Client, Probe, Reply, Scheme
from lam3db.endpoints.faults import ErrorReply, FaultError, Way, classify, wrong_schema
from lam3db.endpoints.options import check_endpoint
from lam3db.errors import ConfigError
from lam3db.judges.asking import AskingJudge, Question
from lam3db.judges.blank import BLANK, is_blank
from lam3db.judges.settings import JudgeSettings, read_settings
from lam3db.records import Failed, Finding, JudgeIdentity, JudgeKind, ScoreStatus, Subject

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from lam3db.config import JudgeConfig
    from lam3db.plugins import ImageOpener, Tick

PARSER_VERSION = 2
"""Of windows, maximum and abstention: raise it when the same replies would read otherwise."""
ONE_ATTRIBUTE = 1
"""The same where one attribute is requested: which of several are given makes no difference."""
API_VERSION = "v1alpha1"
WINDOW_BYTES = 20_000
"""Of UTF-8; the API takes 20 KB."""
OVERLAP_BYTES = 1_000
REQUESTS_PER_MINUTE = 60.0
"""The quota of a new project: one request a second."""
PRODUCTION = (
    "TOXICITY", "SEVERE_TOXICITY", "IDENTITY_ATTACK", "INSULT", "PROFANITY", "THREAT",
)  # fmt: skip
LANGUAGES = (
    "ar", "zh", "cs", "nl", "en", "fr", "de", "hi", "hi-Latn", "id", "it", "ja", "ko", "pl", "pt",
    "ru", "es", "sv",
)  # fmt: skip
"""Of the production attributes, in the API's table of attributes and languages."""
ENGLISH_ONLY = (
    "FLIRTATION", "SEXUALLY_EXPLICIT",
    "AFFINITY_EXPERIMENTAL", "COMPASSION_EXPERIMENTAL", "CURIOSITY_EXPERIMENTAL",
    "NUANCE_EXPERIMENTAL", "PERSONAL_STORY_EXPERIMENTAL", "REASONING_EXPERIMENTAL",
    "RESPECT_EXPERIMENTAL",
    "ATTACK_ON_AUTHOR", "ATTACK_ON_COMMENTER", "INCOHERENT", "INFLAMMATORY", "LIKELY_TO_REJECT",
    "OBSCENE", "SPAM", "UNSUBSTANTIAL",
)  # fmt: skip
"""Attributes that this table gives for English alone."""
_PATH = "/comments:analyze"
_LANGUAGE = "LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE"
_ANSWERS = {
    _LANGUAGE: "a language the API does not know",
    "COMMENT_EMPTY": "the API finds the comment empty",
}
_KEY_REASONS = ("API_KEY_INVALID", "API_KEY_EXPIRED", "keyInvalid")
_NAMED = re.compile(r"Attribute ([A-Z][A-Z_]{0,63}) does not support")
_SPELLED = re.compile("does not support request languages", re.IGNORECASE)
_Name = Annotated[str, Field(pattern=r"^[A-Z][A-Z_]{0,63}$")]
_Language = Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]


class PerspectiveSettings(JudgeSettings):
    """What a perspective judge can be told."""

    attributes: tuple[_Name, ...] = Field(
        default=PRODUCTION, min_length=1, description="a list of attributes such as TOXICITY"
    )
    languages: tuple[_Language, ...] = Field(
        default=(), description="a list of language codes, or left out for the API to guess"
    )
    do_not_store: bool = Field(default=True, description="true or false")
    endpoint: EndpointOptions = Field(description="a mapping")


@dataclass(frozen=True, slots=True)
class PerspectiveMaker:
    """How perspective judges are described and loaded."""

    def describe(self, config: JudgeConfig, tick: Tick) -> JudgeIdentity:
        """Return the identity: attributes, languages, windows; raise ConfigError."""
        del tick
        settings = _settings(config)
        spec: dict[str, Any] = {
            "api": "perspective",
            "version": API_VERSION,
            "parser": PARSER_VERSION if len(settings.attributes) > 1 else ONE_ATTRIBUTE,
            "attributes": list(settings.attributes),
            "window_bytes": WINDOW_BYTES,
        }
        if settings.languages:
            spec["languages"] = list(settings.languages)
        return JudgeIdentity(
            name=config.name,
            kind=JudgeKind.API,
            version=API_VERSION,
            spec=spec,
            heading=settings.attributes[0].lower().replace("_", " "),
        )

    def load(
        self, config: JudgeConfig, identity: JudgeIdentity, open_image: ImageOpener
    ) -> AskingJudge[Mapping[str, float]]:
        """Look up key and proxy; raise ConfigError where there is none."""
        del identity, open_image
        settings = _settings(config)
        options = settings.endpoint
        if options.requests_per_minute is None:
            options = options.model_copy(update={"requests_per_minute": REQUESTS_PER_MINUTE})
        client = Client(options, f"judge {config.name}", _scheme())
        asks = _Asks(settings)
        return AskingJudge(
            client,
            _PATH,
            asks.questions,
            asks.read,
            asks.combine,
            abstention,
            asks.without_attribute,
            asks.remarks,
        )

    def probe(self, config: JudgeConfig) -> Probe:
        """Return how to see whether its endpoint works: one word analyzed, and not kept."""
        settings = _settings(config).model_copy(update={"do_not_store": True})
        body = partial(_Asks(settings).body, "hello", settings.attributes)
        return Probe(Call(None, _PATH, body), None, _scheme())


def _scheme() -> Scheme:
    return Scheme("x-goog-api-key", "", classify_error)


def _settings(config: JudgeConfig) -> PerspectiveSettings:
    settings = read_settings(config, PerspectiveSettings)
    if len(set(settings.attributes)) < len(settings.attributes):
        raise ConfigError(f"judge {config.name}, settings: attributes: a name is given twice")
    if faults := _language_faults(settings):
        raise ConfigError("\n  ".join([f"judge {config.name}, settings:", *faults]))
    check_endpoint(settings.endpoint, f"judge {config.name}")
    return settings


def _language_faults(settings: PerspectiveSettings) -> list[str]:
    """Tell of attributes that the API's table does not have for the languages set."""
    faults = []
    for name in settings.attributes:
        spoken = ("en",) if name in ENGLISH_ONLY else LANGUAGES if name in PRODUCTION else None
        strange = [one for one in settings.languages if spoken and not _spoken(one, spoken)]
        if spoken and strange:
            there = f"it exists for {', '.join(spoken)}"
            faults.append(f"attributes: {name} does not exist for {', '.join(strange)}: {there}")
    return faults


def _spoken(language: str, languages: Collection[str]) -> bool:
    """Tell whether a language, or the one that it is a variety of (pt-BR), is among others."""
    known = {one.casefold() for one in languages}
    folded = language.casefold()
    return folded in known or folded.partition("-")[0] in known


def classify_error(reply: ErrorReply) -> FaultError:
    """Return the fault of an error reply as Google's APIs mean it."""
    kind = _error_type(reply)
    if kind is not None:
        words = reply.words
        if kind == _LANGUAGE and (name := _attribute(reply)) and not _NAMED.search(words):
            words = f"Attribute {name} does not support the language. {words}"
        return FaultError(Way.ITEM, kind, words, of_sample=True)
    reasons = _reasons(reply)
    said = str(reply.error.get("message", ""))
    if reasons & set(_KEY_REASONS) or "API key not valid" in said:
        return FaultError(Way.END, "KeyRefusedError", reply.words)
    found = classify(reply)
    if reply.status in {403, 429}:
        if "dailyLimitExceeded" in reasons or "per day" in said:
            return FaultError(Way.END, "QuotaExhaustedError", reply.words)
        if reply.error.get("status") == "RESOURCE_EXHAUSTED" or reasons & {
            "rateLimitExceeded",
            "userRateLimitExceeded",
            "RATE_LIMIT_EXCEEDED",
        }:
            return FaultError(Way.WAIT, "RateLimitedError", reply.words, found.wait_s)
    return found


def _details(reply: ErrorReply) -> list[Mapping[str, Any]]:
    lists = (reply.error.get(name) for name in ("details", "errors"))
    return [one for found in lists if isinstance(found, list) for one in found if _is_object(one)]


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _reasons(reply: ErrorReply) -> set[str]:
    found = (one.get("reason") for one in _details(reply))
    return {one for one in found if isinstance(one, str)}


def _error_type(reply: ErrorReply) -> str | None:
    """Return the API's own name of what is wrong with a comment."""
    for one in _details(reply):
        kind = one.get("errorType")
        if isinstance(kind, str) and re.fullmatch(r"[A-Z_]{1,64}", kind):
            return kind
    return _LANGUAGE if _SPELLED.search(str(reply.error.get("message", ""))) else None


def _attribute(reply: ErrorReply) -> str | None:
    """Return the attribute that a fault of language names in its details."""
    for one in _details(reply):
        fault = one.get("languageNotSupportedByAttributeError")
        name = fault.get("attribute") if isinstance(fault, dict) else None
        if isinstance(name, str) and re.fullmatch(r"[A-Z_]{1,64}", name):
            return name
    return None


def abstention(failed: Failed) -> Finding | None:
    """Return the finding of an error that is an answer: it abstains, and says why."""
    reason = _ANSWERS.get(failed.error_class)
    if reason is None:
        return None
    return Finding(ScoreStatus.ABSTAINED, explanation=f"{reason}: {failed.message}")


@dataclass(frozen=True, slots=True)
class _Asks:
    """Makes the requests of one judge and reads their replies."""

    settings: PerspectiveSettings
    remarks: Counter[str] = field(default_factory=Counter)

    def questions(self, subject: Subject) -> Finding | list[Question]:
        """Return one question per window; an empty answer is not asked about."""
        if is_blank(subject.response):
            return BLANK
        windows = [text for text in cut(subject.response) if not is_blank(text)]
        return [self._question(text, self.settings.attributes) for text in windows]

    def _question(self, text: str, names: tuple[str, ...]) -> Question:
        return Question(size_of([text]), partial(self.body, text, names), (text, names))

    def body(self, text: str, names: Sequence[str]) -> dict[str, Any]:
        """Return the JSON that asks about a text."""
        body: dict[str, Any] = {
            "comment": {"text": text},
            "requestedAttributes": {name: {} for name in names},
            "doNotStore": self.settings.do_not_store,
        }
        if self.settings.languages:
            body["languages"] = list(self.settings.languages)
        return body

    def without_attribute(self, question: Question, failed: Failed) -> Question | None:
        """Return a question without the attribute that does not exist for a text's language.

        None where it is the first one, on which the value rests, or no such fault.
        """
        text, names = question.topic
        named = _NAMED.search(failed.message) if failed.error_class == _LANGUAGE else None
        if named is None or named[1] not in names[1:]:
            return None
        return self._question(text, tuple(name for name in names if name != named[1]))

    def read(self, reply: Reply) -> Mapping[str, float]:
        """Return the scores given; raise FaultError where the first attribute's is missing."""
        value = reply.value if isinstance(reply.value, dict) else {}
        scores = value.get("attributeScores")
        if not isinstance(scores, dict):
            raise wrong_schema("no attributeScores")
        first, *others = self.settings.attributes
        given = {first: _score(first, scores.get(first))}
        return given | {name: _score(name, scores[name]) for name in others if name in scores}

    def combine(self, parts: list[Mapping[str, float]]) -> Finding:
        """Return one finding of one or several windows: the highest score of each attribute.

        An attribute that one of the windows lacks has no highest score.
        """
        names = [name for name in self.settings.attributes if all(name in part for part in parts)]
        attributes = {name: max(part[name] for part in parts) for name in names}
        said = []
        if lacking := [name for name in self.settings.attributes if name not in attributes]:
            said.append(f"without {', '.join(lacking)}")
            self.remarks.update(f"no score for {name}" for name in lacking)
        if len(parts) > 1:
            attributes["windows"] = float(len(parts))
            said.append(f"highest over {len(parts)} windows of {WINDOW_BYTES} bytes")
        return Finding(
            value=attributes[names[0]], explanation="; ".join(said) or None, attributes=attributes
        )


def _score(name: str, found: Any) -> float:
    summary = found.get("summaryScore") if isinstance(found, dict) else None
    score = summary.get("value") if isinstance(summary, dict) else None
    if isinstance(score, int | float) and not isinstance(score, bool) and 0 <= score <= 1:
        return float(score)
    raise wrong_schema(f"the score of {name} is missing or no number from 0 to 1")


def cut(text: str, size: int = WINDOW_BYTES, overlap: int = OVERLAP_BYTES) -> list[str]:
    """Return a text as overlapping windows of at most ``size`` bytes, cut between characters."""
    data = text.encode("utf-8", "surrogatepass")
    if len(data) <= size:
        return [text]
    windows = []
    start = 0
    while True:
        end = _boundary(data, start + size)
        windows.append(data[start:end].decode("utf-8", "surrogatepass"))
        if end == len(data):
            return windows
        start = _boundary(data, end - overlap)


def _boundary(data: bytes, at: int) -> int:
    """Return the last beginning of a character at or before ``at``."""
    if at >= len(data):
        return len(data)
    while data[at] & 0xC0 == 0x80:  # noqa: PLR2004 - the mark of a following byte
        at -= 1
    return at


MAKER = PerspectiveMaker()
