"""Conversations as chat completions: the request's JSON, the reply's answer, its odds.

What must hold: a reply is an answer only where it holds a text and a known reason to have
stopped; a refusal in the field of that name is what the model said; odds come from the
likeliest first tokens as the endpoint reports them, and where it reports none, although it
was asked, everything ends with a message that says so.
"""

from __future__ import annotations

import logging
import math
import re
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from lam3db.endpoints.budget import size_of
from lam3db.endpoints.client import Call, Client, Reply
from lam3db.endpoints.faults import FaultError, Way, wrong_schema
from lam3db.endpoints.images import data_url
from lam3db.errors import ConfigError, EndpointError
from lam3db.finish_reasons import NoAnswer, read_finish_reason
from lam3db.models.families import FAMILIES, Family, clean
from lam3db.models.messages import with_system_prompt
from lam3db.models.reasoning import Tags, remark, unended
from lam3db.records import (
    Answer,
    FinishReason,
    ImagePart,
    Message,
    Odds,
    Request,
    TextPart,
    images_of,
    text_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lam3db.plugins import ImageOpener
    from lam3db.records import Failed

T = TypeVar("T")

TOP_LOGPROBS = 20
"""The most that OpenAI's API and vLLM's default give."""
_PATH = "/chat/completions"
_SERVED = ("reasoning_content", "reasoning")
"""Where vLLM, SGLang, DeepSeek, OpenRouter and Ollama put what the model thought."""
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}$")
_SHOWN = 80
_ROUNDING = 1e-3
_NOTHING = -1e6
_AMBIGUOUS = "AmbiguousWordsError"
_log = logging.getLogger("lam3db.models")


@dataclass(frozen=True, slots=True)
class Conversation:
    """How the requests of one model are written.

    ``seed`` is None where nothing is drawn; ``continues``: what the assistant said last is the
    beginning of the answer. ``family`` is that of the model that is served, ``tags`` are those it
    thinks between; ``tells_tags``: tags in a text are remarked on.
    """

    model: str
    system: str
    parameters: Mapping[str, Any]
    limit: str
    seed: int | None
    open_image: ImageOpener
    continues: bool = True
    family: Family = FAMILIES["generic"]
    tags: Tags | None = None
    tells_tags: bool = True

    def body(self, request: Request, more: Mapping[str, Any]) -> dict[str, Any]:
        """Return a request's JSON; raise InputError or MediaError for what cannot be sent."""
        messages = with_system_prompt(request.messages, self.system)
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [
                {"role": message.role, "content": self._content(message)} for message in messages
            ],
            **self.parameters,
        }
        if self.seed is not None:
            body["seed"] = self.seed + request.replicate
        if self.continues and messages[-1].role == "assistant":
            body |= {"add_generation_prompt": False, "continue_final_message": True}
        return {**body, **more}

    def call(self, request: Request, tokens: int, **more: Any) -> Call:
        """Return a request as a call; its images are opened when it is sent."""
        size = size_of(
            [self.system, text_of(request.messages)], len(images_of(request.messages)), tokens
        )
        return Call(request, _PATH, partial(self.body, request, more), size)

    def _content(self, message: Message) -> str | list[dict[str, Any]]:
        parts = message.parts or (TextPart(""),)
        first = parts[0]
        if len(parts) == 1 and isinstance(first, TextPart):
            return first.text  # every server takes a plain text
        return [self._part(part) for part in parts]

    def _part(self, part: TextPart | ImagePart) -> dict[str, Any]:
        if isinstance(part, TextPart):
            return {"type": "text", "text": part.text}
        return {"type": "image_url", "image_url": {"url": data_url(self.open_image(part.sha256))}}


@dataclass(slots=True)
class ChatModel:
    """A model behind an endpoint, at work."""

    client: Client
    conversation: Conversation
    _told: set[str] = field(default_factory=set)
    _fingerprint: str | None = None

    def answer(
        self, requests: Sequence[Request]
    ) -> Iterator[list[tuple[Request, Answer | Failed]]]:
        """Yield answers as they come; a batch may be empty while time passes."""
        tokens = self.conversation.parameters[self.conversation.limit]
        calls = (self.conversation.call(request, tokens) for request in requests)
        return self._ask(calls, self._read)

    def weigh(
        self, requests: Sequence[Request], words: Sequence[str]
    ) -> Iterator[list[tuple[Request, Odds | Failed]]]:
        """Yield the odds of beginning with each word, from the 20 likeliest first tokens.

        A token counts for a word that it begins, or that it begins with up to a word's end;
        white space before it does not matter. A word that none of the 20 begins has the
        probability 0: it is less likely than the last of them.

        Raises:
            ConfigError: a first token begins two of the words.
            EndpointError: the endpoint gives no log-probabilities.

        """
        more = {
            self.conversation.limit: 1,
            "logprobs": True,
            "top_logprobs": TOP_LOGPROBS,
            "temperature": 1,
            "top_p": 1,
        }
        calls = (self.conversation.call(request, 1, **more) for request in requests)
        try:
            yield from self._ask(calls, partial(self._read_odds, words))
        except EndpointError as error:
            if isinstance(error.__cause__, FaultError) and error.__cause__.kind == _AMBIGUOUS:
                raise ConfigError(str(error)) from error
            raise

    def close(self) -> None:
        """Close the connections, in the middle of whatever is in flight."""
        self.client.close()

    def _ask(
        self, calls: Iterator[Call], read: Callable[[Reply], T]
    ) -> Iterator[list[tuple[Request, T | Failed]]]:
        for batch in self.client.ask(calls, read):
            yield [(call.tag, outcome) for call, outcome in batch]

    def _read(self, reply: Reply) -> Answer:
        choice = self._choice(reply)
        message = choice.get("message")
        if not isinstance(message, dict):
            raise wrong_schema("a choice without a message")
        finish_reason = _finish_reason(choice.get("finish_reason"))
        served = self._served(message)
        if served and not any(message.get(name) for name in ("content", "refusal")):
            raise _unended(finish_reason)
        text = _spoken(message)
        usage = reply.usage
        if usage is None:
            self._tell("the endpoint reports no usage: token counts are stored as 0")
        rest, thoughts = self._parted(text, finish_reason, apart=bool(served))
        return Answer(
            raw_text=text,
            text=clean(self.conversation.family, rest),
            finish_reason=finish_reason,
            prompt_tokens=usage.input_tokens if usage else 0,
            completion_tokens=usage.output_tokens if usage else 0,
            latency_ms=reply.latency_ms,
            reasoning="\n\n".join(part for part in (served, thoughts) if part) or None,
        )

    def _served(self, message: Mapping[str, Any]) -> str:
        """Return the reasoning that the server has taken apart itself."""
        for name in _SERVED:
            value = message.get(name)
            if isinstance(value, str) and value.strip():
                return value.strip()
            if value is not None and not isinstance(value, str):
                self._tell(f"the field {name} of a reply is no text: it is not kept")
        return ""

    def _parted(self, text: str, reason: FinishReason, *, apart: bool) -> tuple[str, str]:
        """Return the answer in a text, and the reasoning before it.

        What the server has taken ``apart`` already is not looked for where the prompt began it.
        """
        tags = self.conversation.tags
        if tags is not None and apart:
            tags = replace(tags, opened=False)
        if tags is not None and tags.begin(text):
            parts = tags.split(text)
            if parts is None or (reason is FinishReason.LENGTH and not parts[1].strip()):
                raise _unended(reason)
            return parts[1], parts[0]
        if self.conversation.tells_tags and (sentence := remark(text, tags)):
            self._tell(sentence)
        return text, ""

    def _read_odds(self, words: Sequence[str], reply: Reply) -> Odds:
        logprobs = self._choice(reply).get("logprobs")
        content = _objects(logprobs.get("content") if isinstance(logprobs, dict) else None)
        top = _objects(content[0].get("top_logprobs") if content else None)
        if not top:
            raise FaultError(
                Way.END,
                "NoLogprobsError",
                "no log-probabilities came back although they were asked for: this server "
                "ignores `logprobs`; judge by its text instead",
            )
        return Odds(_odds(words, top))

    def _choice(self, reply: Reply) -> Mapping[str, Any]:
        """Return the one choice of a reply, having looked at who has answered."""
        value = reply.value if isinstance(reply.value, dict) else {}
        choices = value.get("choices")
        if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
            raise wrong_schema("choices is not a list of one object")
        self._check_model(value.get("model"))
        self._check_fingerprint(value.get("system_fingerprint"))
        choice: dict[str, Any] = choices[0]
        return choice

    def _check_model(self, name: Any) -> None:
        asked = self.conversation.model
        if not isinstance(name, str) or asked in name:
            return
        said = f"asked {asked}, and {name[:_SHOWN]!r} has answered"
        if _DATE.search(asked) and _DATE.search(name):
            raise FaultError(Way.LATER, "OtherModelError", f"{said}: another snapshot")
        self._tell(said)

    def _check_fingerprint(self, found: Any) -> None:
        """Tell when the endpoint says that what runs behind it is no longer the same."""
        if not isinstance(found, str) or not found or found == self._fingerprint:
            return
        if self._fingerprint is not None:
            before, after = self._fingerprint[:_SHOWN], found[:_SHOWN]
            self._tell(f"system_fingerprint has changed from {before!r} to {after!r}")
        self._fingerprint = found

    def _tell(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            _log.warning("%s: %s", self.client.what, sentence)


def _finish_reason(word: Any) -> FinishReason:
    """Return why the answer ended; raise FaultError where there is none, or nobody knows."""
    meaning = read_finish_reason(word) if isinstance(word, str) else None
    if isinstance(meaning, NoAnswer):
        filtered = meaning.error_class == "ContentFilterError"
        raise FaultError(Way.ITEM, meaning.error_class, meaning.why, of_sample=filtered)
    if meaning is None:
        said = f"stopped for {str(word)[:_SHOWN]!r}, which is no end of an answer"
        raise FaultError(Way.ITEM, "UnknownFinishError", said)
    return meaning


def _unended(reason: FinishReason) -> FaultError:
    failed = unended(reason)
    return FaultError(Way.ITEM, failed.error_class, failed.message)


def _spoken(message: Mapping[str, Any]) -> str:
    """Return what the model said: its content, or its refusal where that is all there is."""
    content, refusal = message.get("content"), message.get("refusal")
    if isinstance(content, str) and (content or not refusal):
        return content
    if content in (None, "") and isinstance(refusal, str) and refusal:
        return refusal
    if content is None:
        raise FaultError(Way.ITEM, "NoAnswerError", "a message without content")
    raise wrong_schema("content is no text")


def _objects(value: Any) -> list[dict[str, Any]]:
    """Return a list of objects as it is, and nothing for anything else."""
    if isinstance(value, list) and all(isinstance(one, dict) for one in value):
        return value
    return []


def _odds(words: Sequence[str], top: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the probability of each word from the likeliest first tokens."""
    found = dict.fromkeys(words, 0.0)
    whole = 0.0
    for entry in top:
        token, probability = entry.get("token"), _probability(entry.get("logprob"))
        if not isinstance(token, str):
            raise wrong_schema("top_logprobs without a token")
        whole += probability
        begun = [word for word in words if _begins(token.strip(), word)]
        if len(begun) > 1:
            both = " and ".join(map(repr, begun))
            cure = "choose words whose first tokens differ"
            raise FaultError(Way.END, _AMBIGUOUS, f"the token {token!r} begins {both}: {cure}")
        for word in begun:
            found[word] += probability
    if whole > 1 + _ROUNDING:
        raise wrong_schema(f"top_logprobs whose probabilities add up to {whole:.4f}")
    return found


def _probability(logprob: Any) -> float:
    if (
        isinstance(logprob, bool)
        or not isinstance(logprob, int | float)
        or not logprob <= _ROUNDING
    ):
        raise wrong_schema("top_logprobs without a log-probability")
    return math.exp(max(_NOTHING, min(0.0, logprob)))


def _begins(token: str, word: str) -> bool:
    """Tell whether a first token is, or begins, the word; or is the word and what ends it."""
    if not token:
        return False
    rest = token[len(word) :]
    return word.startswith(token) or (token.startswith(word) and not rest[:1].isalnum())
