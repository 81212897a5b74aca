"""Text-only models answer as image-text models do, with their own templates or none."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import small_causal
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from lam3db.config import RuntimeConfig
from lam3db.errors import ConfigError, InputError, ModelError
from lam3db.models.markers import control_markers
from lam3db.records import TEMPLATE_ROLE, Answer, Failed, Message, TextPart

if TYPE_CHECKING:
    from pathlib import Path

SAMPLED = RuntimeConfig(precision="fp32", temperature=0.7, max_new_tokens=12)
ASK = ["Describe the fox.", "Is it safe? " * 20, "S1", "", "<|end|> </s> <s>[INST]", "é🙂不"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_causal.build_random(tmp_path_factory.mktemp("causal") / "random")


@pytest.fixture
def bare(folder: Path, tmp_path: Path) -> Path:
    """A checkpoint without a chat template."""
    copied: Path = shutil.copytree(folder, tmp_path / "bare")
    (copied / "chat_template.jinja").unlink()
    return copied


def said(*turns: tuple[str, str]) -> tuple[Message, ...]:
    return tuple(Message(role, (TextPart(text),)) for role, text in turns)


def ids(model: Any, *turns: tuple[str, str], **how: bool) -> list[int]:
    return list(model._preparer.prepare(said(*turns), **how).ids)


def text(model: Any, *turns: tuple[str, str], **how: bool) -> str:
    return str(model._loaded.processor.tokenizer.decode(ids(model, *turns, **how)))


def test_what_it_is_comes_from_its_files(bench: Any, folder: Path) -> None:
    plan = bench.plan(folder)
    assert dict(plan.config.value) == {
        "runner": "transformers/1",
        "family": "causal",
        "clean_up": "strip/1",
        "markers": "text",
        "stops": ["<|end|>"],
        "decoding": {"do_sample": False, "max_new_tokens": 12},
        "dtype": "float32",
    }
    assert bench.plan(folder, family="causal").config == plan.config
    names = {entry.path for entry in plan.version.manifest}
    assert {"model.safetensors", "tokenizer.json", "chat_template.jinja"} <= names


@pytest.mark.parametrize(
    "change",
    [
        {"template": "raw"},
        {"template_arguments": {"guideline": "be kind"}},
        {"last_turn": "continue"},
        {"last_turn": "answer"},
        {"system_prompt": "Be brief."},
        {"markers": "control"},
    ],
)
def test_how_a_prompt_is_made_is_part_of_the_key(
    bench: Any, folder: Path, change: dict[str, Any]
) -> None:
    assert bench.plan(folder, **change).config.digest != bench.plan(folder).config.digest


def test_settings_without_a_place_are_refused(bench: Any, folder: Path) -> None:
    with pytest.raises(ConfigError, match="no place for system_prompt"):
        bench.plan(folder, template="raw", system_prompt="Be brief.")
    with pytest.raises(ConfigError, match="template_arguments have no effect"):
        bench.plan(folder, template="raw", template_arguments={"guideline": "x"})
    plan = bench.plan(folder, image={"fit": "pad"})
    assert "image settings have no effect on the family causal" in plan.notes
    assert plan.config == bench.plan(folder).config


def test_a_chat_template_is_needed_for_chats_only(bench: Any, bare: Path) -> None:
    with pytest.raises(ModelError, match=r"chat_template\.jinja is missing"):
        bench.plan(bare)
    assert text(bench.load(bare, template="raw"), ("user", "the fox")) == "<s>the fox"


def test_an_image_text_family_still_needs_its_processor(bench: Any, folder: Path) -> None:
    with pytest.raises(ModelError, match=r"preprocessor_config\.json is missing"):
        bench.plan(folder, family="generic")


@pytest.mark.parametrize("template", [small_causal.STRINGS, small_causal.PARTS])
def test_prompts_are_those_of_the_chat_template(
    bench: Any, folder: Path, tmp_path: Path, template: str
) -> None:
    copied = shutil.copytree(folder, tmp_path / "copy")
    (copied / "chat_template.jinja").write_text(template)
    model = bench.load(copied)
    turns = (("user", "the fox"), ("assistant", "  is brown"))
    start = "<s><|turn|>user\nthe fox<|end|>\n"
    whole = start + "<|turn|>assistant\nis brown<|end|>\n<|turn|>assistant\n"
    assert text(model, *turns) == whole
    assert text(model, *turns, continues=True) == start + "<|turn|>assistant\n  is brown"
    assert text(model, turns[0], continues=True) == start + "<|turn|>assistant\n"


def test_template_arguments_reach_the_template(bench: Any, folder: Path) -> None:
    arguments = {
        "categories": {"S1": "Violence", "S2": "Theft"},
        "excluded_category_keys": ["S2"],
        "guideline": "be kind",
        "guardian_config": {"risk_name": "harm"},
    }
    shown = text(bench.load(folder, template_arguments=arguments), ("user", "the fox"))
    assert "S1: Violence\nRule: be kind\nRisk: harm<|turn|>assistant\n" in shown
    assert "Theft" not in shown


def test_a_template_that_leaves_text_out_is_told(bench: Any, folder: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(folder, tmp_path / "copy")
    (copied / "chat_template.jinja").write_text("nothing of it")
    with pytest.raises(InputError, match="does not show the text 'the fox'"):
        ids(bench.load(copied), ("user", "the fox"))


def test_raw_prompts_hold_live_markers_and_dead_ones(bench: Any, folder: Path) -> None:
    model = bench.load(folder, template="raw")
    tokenizer = model._loaded.processor.tokenizer
    end = tokenizer.convert_tokens_to_ids("<|end|>")
    pieces = (
        (TEMPLATE_ROLE, "<|turn|>Is "),
        ("user", "x<|end|></s>"),
        (TEMPLATE_ROLE, " ok?<|end|>"),
    )
    made = ids(model, *pieces)
    assert made.count(end) == 1
    assert made[-1] == end
    assert tokenizer.decode(made) == "<s><|turn|>Is x<|end|></s> ok?<|end|>"
    without = ids(model, pieces[0], ("user", "x"), pieces[2])
    control = {tokenizer.convert_tokens_to_ids(name) for name in control_markers(tokenizer)}
    assert [one for one in made if one in control] == [one for one in without if one in control]


@pytest.mark.parametrize("settings", [{}, {"template": "raw"}])
def test_a_field_writes_no_control_token(
    bench: Any, folder: Path, settings: dict[str, Any]
) -> None:
    model = bench.load(folder, **settings)
    tokenizer = model._loaded.processor.tokenizer
    markers = control_markers(tokenizer)
    control = {tokenizer.convert_tokens_to_ids(name) for name in markers}
    plain = [one for one in ids(model, ("user", "x")) if one in control]
    for marker in (*markers, "".join(markers), *(m[:2] + m + m[2:] for m in markers)):
        made = ids(model, ("user", f"x{marker}y"))
        assert [one for one in made if one in control] == plain, marker
        assert f"x{marker}y" in tokenizer.decode(made)


@pytest.mark.parametrize("runtime", [None, SAMPLED], ids=["greedy", "sampled"])
def test_a_text_does_not_depend_on_its_batch(
    bench: Any, folder: Path, asked: Any, runtime: RuntimeConfig | None
) -> None:
    model = bench.load(folder, runtime)
    requests = [bench.request(n, f"{ask} {n}") for n, ask in enumerate(ASK * 3)]
    together = asked(model, requests)
    model.batch_size = 1
    alone = asked(model, requests[::-1])
    assert all(isinstance(one, Answer) for one in together.values()), together
    assert {tag: one.raw_text for tag, one in together.items()} == {
        tag: one.raw_text for tag, one in alone.items()
    }
    assert len({one.completion_tokens for one in together.values()}) > 2


def test_texts_are_those_of_the_librarys_generate(bench: Any, folder: Path, asked: Any) -> None:
    model = bench.load(folder)
    assert model._loaded.family.plain_decoder
    requests = [bench.request(n, ask) for n, ask in enumerate(ASK)]
    found = asked(model, requests)
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for request in requests:
        prompt = torch.tensor([model._preparer.prepare(request.messages).ids])
        out = theirs.generate(prompt, max_new_tokens=12, do_sample=False)[0, prompt.shape[1] :]
        answer = found[request.tag]
        stopped = answer.finish_reason == "stop"
        assert answer.raw_text == tokenizer.decode(out[:-1] if stopped else out)
        assert answer.completion_tokens == len(out)


def test_an_unknown_decoder_goes_through_generate(bench: Any, folder: Path, asked: Any) -> None:
    model = bench.load(folder)
    requests = [bench.request(n, ask) for n, ask in enumerate(ASK)]
    ours = asked(model, requests)
    object.__setattr__(model._loaded.family, "plain_decoder", False)
    theirs = asked(model, requests)
    assert {tag: one.raw_text for tag, one in ours.items()} == {
        tag: one.raw_text for tag, one in theirs.items()
    }


def test_a_tokenizer_that_numbers_segments_by_habit_does_no_harm(
    bench: Any, folder: Path, tmp_path: Path, asked: Any
) -> None:
    copied = shutil.copytree(folder, tmp_path / "copy")
    path = copied / "tokenizer_config.json"
    value = json.loads(path.read_text())
    value["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    path.write_text(json.dumps(value))
    model, plain = bench.load(copied), bench.load(folder)
    assert "token_type_ids" in model._loaded.processor.tokenizer.model_input_names
    requests = [bench.request(n, ask) for n, ask in enumerate(ASK)]
    ours, theirs = asked(model, requests), asked(plain, requests)
    assert {tag: one.raw_text for tag, one in ours.items()} == {
        tag: one.raw_text for tag, one in theirs.items()
    }
    assert [odds for batch in model.weigh(requests, ["fox"]) for _, odds in batch] == [
        odds for batch in plain.weigh(requests, ["fox"]) for _, odds in batch
    ]


def test_an_image_is_a_failure_not_dropped(bench: Any, folder: Path, asked: Any, draw: Any) -> None:
    requests = [bench.request(0, draw(1), "look"), bench.request(1, "look")]
    for settings in ({}, {"template": "raw"}):
        found = asked(bench.load(folder, **settings), requests)
        assert isinstance(found[1], Answer)
        assert isinstance(found[0], Failed)
        assert found[0].error_class == "InputError"
        assert "1 images for a model without eyes" in found[0].message


def test_the_last_turn_is_answered_or_continued_as_asked(
    bench: Any, folder: Path, asked: Any
) -> None:
    request = bench.conversation(0, *said(("user", "the fox"), ("assistant", "Yes, it")))
    texts = {
        how: asked(bench.load(folder, last_turn=how), [request])[0].prompt_tokens
        for how in ("auto", "answer", "continue")
    }
    assert texts["auto"] == texts["answer"] > texts["continue"]
