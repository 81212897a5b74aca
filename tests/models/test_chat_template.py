"""What a chat template says of its model: where a turn ends, and whether the model thinks."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import small_causal

from lam3db.errors import ConfigError, InputError
from lam3db.models.answering import _Ready
from lam3db.models.decode import Said
from lam3db.models.prompt import Prepared
from lam3db.records import Answer, Failed

if TYPE_CHECKING:
    from pathlib import Path

OPENS = small_causal.STRINGS.replace('assistant\\n" -}}', 'assistant\\n<think>\\n" -}}')
"""As QwQ and DeepSeek-R1: the prompt begins the block."""
SPEAKS = small_causal.STRINGS.replace(
    'message["content"] | trim', '(message["content"].split("</think>") | last | trim)'
)
"""As the distilled DeepSeek-R1: old thoughts are taken out, and the model begins the block."""
CLOSES = small_causal.STRINGS.replace(
    'assistant\\n" -}}',
    'assistant\\n" -}}{%- if enable_thinking is defined and not enable_thinking -%}'
    '{{- "<think>\\n\\n</think>\\n\\n" -}}{%- endif -%}',
)
"""As Qwen3: an argument closes the block before the model speaks."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_causal.build_random(tmp_path_factory.mktemp("thinking") / "random")


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Any:
    def copy(template: str) -> Path:
        made = shutil.copytree(folder, tmp_path / "copy")
        (made / "chat_template.jinja").write_text(template)
        return made

    return copy


def value(bench: Any, folder: Path, **model: Any) -> dict[str, Any]:
    return dict(bench.plan(folder, **model).config.value)


def test_the_token_that_ends_a_turn_is_a_stop(bench: Any, folder: Path) -> None:
    model = bench.load(folder)
    end = model._loaded.processor.tokenizer.convert_tokens_to_ids("<|end|>")
    assert value(bench, folder)["stops"] == ["<|end|>"]
    assert "ends a turn with <|end|>" in "; ".join(bench.plan(folder).notes)
    assert end in model._loaded.stops
    assert end not in bench.load(folder, template="raw")._loaded.stops


@pytest.mark.parametrize("family", ["llava", "idefics2"])
def test_a_family_whose_stops_are_named_keeps_its_key(bench: Any, family: str) -> None:
    assert "stops" not in value(bench, family)


def test_the_stop_of_an_image_text_model_of_no_family(bench: Any, folders: Any) -> None:
    """As Idefics3: every turn ends with a token that its eos ids do not name."""
    model = bench.load(folders["idefics2"], family="generic")
    assert value(bench, folders["idefics2"], family="generic")["stops"] == ["<end_of_utterance>"]
    end = model._loaded.processor.tokenizer.convert_tokens_to_ids("<end_of_utterance>")
    assert end in model._loaded.stops


@pytest.mark.parametrize("file", ["config.json", "generation_config.json", "tokenizer_config.json"])
def test_a_stop_that_the_files_name_changes_no_key(
    bench: Any, folder: Path, tmp_path: Path, file: str
) -> None:
    made = shutil.copytree(folder, tmp_path / "copy")
    settings = json.loads((made / file).read_text())
    if file == "tokenizer_config.json":
        settings |= {"eos_token": "<|end|>"}
    else:
        settings["eos_token_id"] = bench.load(folder)._loaded.processor.tokenizer.vocab["<|end|>"]
    (made / file).write_text(json.dumps(settings))
    assert "stops" not in value(bench, made)


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}",
        "{{ raise_exception('no') }}",
        "nothing of it",
        "{% for m in messages %}{{ m.role }}: {{ m.content }} END{% endfor %}",
    ],
)
def test_a_template_without_such_a_token_adds_none(bench: Any, copied: Any, template: str) -> None:
    assert "stops" not in value(bench, copied(template))


@pytest.mark.parametrize(
    ("template", "model", "tags"),
    [
        (small_causal.STRINGS, {}, None),
        (small_causal.STRINGS, {"reasoning": "think"}, {"start": "<think>", "end": "</think>"}),
        (OPENS, {}, None),
        (OPENS, {"reasoning": "think"}, {"start": "<think>", "end": "</think>", "opened": True}),
        (OPENS + "{# </think> #}", {}, {"start": "<think>", "end": "</think>", "opened": True}),
        (OPENS + "{# </think> #}", {"reasoning": "none"}, None),
        (SPEAKS, {}, {"start": "<think>", "end": "</think>"}),
        (CLOSES, {}, {"start": "<think>", "end": "</think>"}),
        (CLOSES, {"template_arguments": {"enable_thinking": False}}, None),
        (SPEAKS, {"reasoning": {"start": "[T]", "end": "[/T]"}}, {"start": "[T]", "end": "[/T]"}),
    ],
)
def test_who_thinks_says_the_template_or_the_file(
    bench: Any, copied: Any, template: str, model: dict[str, Any], tags: Any
) -> None:
    made = copied(template)
    assert value(bench, made, **model).get("reasoning") == tags
    told = "says that the model thinks" in "; ".join(bench.plan(made, **model).notes)
    assert told == bool(tags and "reasoning" not in model)


def outcome(model: Any, words: str, *, stopped: bool = True) -> Answer | Failed:
    """Return what becomes of an output, as if the model had said it."""
    tokenizer = model._loaded.processor.tokenizer
    tokens = tokenizer(words, add_special_tokens=False)["input_ids"]
    said = Said((*tokens, tokenizer.eos_token_id) if stopped else tuple(tokens), stopped, 0.1)
    request = _request()
    found: Answer | Failed = model._outcome(_Ready(request, Prepared((1,), {})), said, 1)
    return found


def _request() -> Any:
    from lam3db.records import Message, Request, TextPart

    return Request(0, (Message("user", (TextPart("hello"),)),), b"")


def test_a_block_at_the_beginning_is_kept_beside_the_answer(bench: Any, copied: Any) -> None:
    model = bench.load(copied(SPEAKS))
    found = outcome(model, "<think>\nI should refuse.\n</think>\n\nYes <think>no</think><|turn|>")
    assert isinstance(found, Answer)
    assert found.reasoning == "I should refuse."
    assert found.text == "Yes <think>no</think>"
    assert found.raw_text.startswith("<think>\nI should refuse.\n</think>\n\nYes")
    assert found.raw_text.endswith("<|turn|>")


@pytest.mark.parametrize(
    "words", ["Sure. <think>harm</think> done", "x<think>", "</think> yes", "<thinking> no", "<s>"]
)
def test_anywhere_else_tags_are_text(bench: Any, copied: Any, words: str) -> None:
    found = outcome(bench.load(copied(SPEAKS)), words)
    assert isinstance(found, Answer)
    assert found.reasoning is None
    assert found.text == words.replace("<s>", "")


def test_nobody_says_it_thinks(bench: Any, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = bench.load(folder)
    for _ in range(2):
        found = outcome(model, "<think>a</think>b")
        assert isinstance(found, Answer)
        assert (found.text, found.reasoning) == ("<think>a</think>b", None)
    (told,) = [one.message for one in caplog.records]
    assert "answers begin with <think>" in told
    assert "reasoning: think" in told
    outcome(bench.load(folder, reasoning="none"), "<think>a</think>b")
    assert len(caplog.records) == 1


def test_the_prompt_began_the_block(bench: Any, copied: Any) -> None:
    model = bench.load(copied(OPENS + "{# </think> #}"))
    found = outcome(model, "\nhm</think>yes")
    assert isinstance(found, Answer)
    assert (found.reasoning, found.text) == ("hm", "yes")
    found = outcome(model, "<think>again</think>yes")
    assert isinstance(found, Answer)
    assert (found.reasoning, found.text) == ("again", "yes")
    assert isinstance(outcome(model, "yes, without an end"), Failed)


@pytest.mark.parametrize(
    ("words", "stopped", "why"),
    [
        ("<think>on and on", False, "ask for more"),
        ("<think>on and on", True, "stopped there"),
        ("<think>on</think>  ", False, "ask for more"),
    ],
)
def test_a_block_without_end_is_no_answer(
    bench: Any, copied: Any, words: str, stopped: bool, why: str
) -> None:
    found = outcome(bench.load(copied(SPEAKS)), words, stopped=stopped)
    assert isinstance(found, Failed)
    assert (found.error_class, found.retryable) == ("ReasoningOnlyError", False)
    assert why in found.message


def test_an_empty_block_is_no_reasoning_and_an_empty_answer_is_one(bench: Any, copied: Any) -> None:
    found = outcome(bench.load(copied(SPEAKS)), "<think>\n\n</think>\n\n")
    assert isinstance(found, Answer)
    assert (found.text, found.reasoning) == ("", None)


def test_tags_that_are_control_tokens(bench: Any, folder: Path) -> None:
    """As Magistral's and gpt-oss's: they are gone from a text without control tokens."""
    tags = {"start": "<|obey|>", "end": "<|end|>"}
    found = outcome(bench.load(folder, reasoning=tags), "<|obey|>hm<|end|>the <|turn|>fox")
    assert isinstance(found, Answer)
    assert (found.reasoning, found.text) == ("hm", "the fox")


def test_a_template_that_refuses_is_told_with_the_roles(bench: Any, copied: Any) -> None:
    model = bench.load(copied("{{ messages.x.y }}"))
    with pytest.raises(InputError, match=r"refuses these messages \(user\): .*no attribute"):
        model._preparer.prepare(_request().messages)


def test_odds_of_a_thoughts_first_token_are_refused(bench: Any, copied: Any) -> None:
    model = bench.load(copied(OPENS + "{# </think> #}"))
    with pytest.raises(ConfigError, match="first token is a thought's"):
        list(model.weigh([_request()], ["safe", "unsafe"]))
