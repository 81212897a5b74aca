"""Why a model stopped, in the words of the services and tools that report it.

One table for answers of an endpoint and for answers from elsewhere. Sources: the API references
of OpenAI (chat completions, responses), Anthropic, Google, Mistral, Cohere, Bedrock, xAI, DeepSeek
and Zhipu; vLLM, TGI, SGLang, llama.cpp, Ollama; ``StopReason`` of Inspect.

What must hold: a word that is not in the table has no meaning here, and is never ``stop``; an
answer that a filter, an error, a cancellation or a call of a tool ended is no answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lam3db.vocabulary import FinishReason

if TYPE_CHECKING:
    from collections.abc import Mapping

MEANINGS = ("stop", "length", "failed")
"""What a user can say that a word means."""
UNTOLD = frozenset({"", "none", "null", "nan", "unspecified"})
"""How a file writes that nobody has told why the model stopped."""
_STOP = (
    *("stop", "stopped", "eos", "eos_token", "endoftext", "end_of_text", "end_of_sequence"),
    *("end_turn", "stop_sequence", "stop_token", "stop_string", "stop_word", "word"),
    *("complete", "completed", "finish", "finished", "normal"),
)
_LENGTH = (
    *("length", "max_length", "max_len", "limit", "token_limit", "token_limit_reached"),
    *("max_tokens", "max_new_tokens", "max_output_tokens", "max_completion_tokens", "max_output"),
    *("model_length", "max_context", "context_length", "model_context_window_exceeded"),
    *("pause_turn", "repetition"),
)
_FILTERED = (
    *("content_filter", "content_filtered", "contentfilter", "content_policy", "blocked"),
    *("content_policy_violation", "moderation", "flagged", "sensitive", "error_toxic", "refusal"),
    *("safety", "recitation", "language", "blocklist", "prohibited_content", "spii"),
    *("image_safety", "image_recitation", "image_prohibited_content", "model_armor"),
    *("guardrail", "guardrail_intervened"),
)
_FAILED = (
    *("error", "failed", "failure", "exception", "server_error", "network_error", "error_limit"),
    *("timeout", "insufficient_system_resource", "invalid_query", "malformed_response"),
    *("malformed_model_output", "no_image"),
)
_CANCELLED = (
    *("abort", "aborted", "cancel", "canceled", "cancelled", "user_cancel"),
    *("interrupt", "interrupted"),
)
_TOOLS = (
    *("tool_calls", "tool_call", "tool_use", "function_call", "max_tool_invocations"),
    *("malformed_function_call", "malformed_tool_use", "unexpected_tool_call"),
    *("too_many_tool_calls",),
)
_PREFIX = re.compile(r"^(?:finish_?reason|stop_?reason|reason)[._]")


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The model stopped without an answer: the class of the failure, and a sentence for people."""

    error_class: str
    why: str


_TABLE: dict[str, FinishReason | NoAnswer] = {
    **dict.fromkeys(_STOP, FinishReason.STOP),
    **dict.fromkeys(_LENGTH, FinishReason.LENGTH),
    **dict.fromkeys(_FILTERED, NoAnswer("ContentFilterError", "a filter cut the answer off")),
    **dict.fromkeys(_FAILED, NoAnswer("GenerationError", "the generation failed")),
    **dict.fromkeys(_CANCELLED, NoAnswer("CancelledError", "the generation was cancelled")),
    **dict.fromkeys(_TOOLS, NoAnswer("ToolCallError", "the model called a tool")),
}


def bare_word(word: str) -> str:
    """Return a word as the table spells it: ``FinishReason.MAX_TOKENS`` is ``max_tokens``."""
    folded = re.sub(r"[\s-]+", "_", word.strip().casefold())
    return _PREFIX.sub("", folded)


def read_finish_reason(
    word: str, meanings: Mapping[str, str] | None = None
) -> FinishReason | NoAnswer | None:
    """Return what a word means; None for a word without a meaning.

    ``meanings`` come first: words, without case and outer spaces, with one of :data:`MEANINGS`.
    """
    chosen = (meanings or {}).get(word.strip().casefold())
    if chosen == "failed":
        return NoAnswer("ReportedFailure", f"stopped for {word!r}")
    if chosen is not None:
        return FinishReason(chosen)
    return _TABLE.get(bare_word(word))
