"""Why a model stopped: one vocabulary, without a default."""

from __future__ import annotations

import pytest

from lam3db.finish_reasons import NoAnswer, read_finish_reason
from lam3db.vocabulary import FinishReason

FILTER, ERROR = "ContentFilterError", "GenerationError"


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        ("stop STOP eos eos_token end_turn stop_sequence COMPLETE", FinishReason.STOP),
        ("length max_tokens MAX_TOKENS max_output_tokens model_length", FinishReason.LENGTH),
        ("model_context_window_exceeded REASON_MAX_LEN FinishReason.MAX_TOKENS", "length"),
        ("FINISH_REASON_STOP StopReason.stop max-tokens", None),
    ],
)
def test_services_say_the_same_in_many_words(words: str, meaning: str | None) -> None:
    found = {read_finish_reason(word) for word in words.split()}
    assert found == ({meaning} if meaning else {FinishReason.STOP, FinishReason.LENGTH})


@pytest.mark.parametrize(
    ("words", "error_class"),
    [
        ("content_filter SAFETY RECITATION guardrail_intervened refusal content_filtered", FILTER),
        ("error ERROR insufficient_system_resource", ERROR),
        ("abort cancelled USER_CANCEL", "CancelledError"),
        ("tool_calls function_call tool_use MALFORMED_FUNCTION_CALL", "ToolCallError"),
    ],
)
def test_what_ended_without_an_answer_is_a_failure(words: str, error_class: str) -> None:
    for word in words.split():
        meaning = read_finish_reason(word)
        assert isinstance(meaning, NoAnswer), word
        assert meaning.error_class == error_class, word


@pytest.mark.parametrize("word", ["unknown", "OTHER", "incomplete", "2", "stopp", "", "non-stop"])
def test_a_word_without_a_meaning_is_never_an_ordinary_end(word: str) -> None:
    assert read_finish_reason(word) is None


def test_a_user_may_give_a_word_a_meaning_and_take_one_away() -> None:
    meanings = {"2": "length", "stop": "failed"}
    assert read_finish_reason(" 2 ", meanings) is FinishReason.LENGTH
    assert isinstance(read_finish_reason("STOP", meanings), NoAnswer)
