"""What cannot work is refused before any weight is loaded, with what to do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lam3db.config import ModelConfig, RuntimeConfig
from lam3db.errors import ConfigError, ModelError
from lam3db.models import original_llava
from lam3db.models.families import FAMILIES
from lam3db.models.image_tokens import image_tokens
from lam3db.models.set_up import positions, room_told
from lam3db.models.weights import find_checkpoint
from lam3db.plugins import model_kind

if TYPE_CHECKING:
    from pathlib import Path


def config(source: Any, **more: Any) -> ModelConfig:
    return ModelConfig(**{"name": "tiny", "source": str(source), **more})


def describe(source: Any, **runtime: Any) -> Any:
    asked = RuntimeConfig(**{"max_new_tokens": 8, "precision": "fp32", **runtime})
    return model_kind("transformers").describe(config(source), asked, lambda *_: None)


def edit(folder: Path, name: str, *place: str, **changed: Any) -> None:
    """Change settings of a JSON file, at ``place`` in it; None removes one."""
    path = folder / name
    whole = json.loads(path.read_text())
    part = whole
    for step in place:
        part = part[step]
    part |= changed
    for key in [key for key, value in changed.items() if value is None]:
        del part[key]
    path.write_text(json.dumps(whole))


CONTRADICTIONS = {
    "patch_size": ("processor_config.json", (), {"patch_size": 7}),
    "strategy": ("processor_config.json", (), {"vision_feature_select_strategy": "full"}),
    "class token": ("processor_config.json", (), {"num_additional_image_tokens": 0}),
    "pixels": (
        "processor_config.json",
        ("image_processor",),
        {"crop_size": {"height": 28, "width": 28}},
    ),
    "the model's own strategy": (
        "config.json",
        (),
        {"vision_feature_select_strategy": "full"},
    ),
    "the tower's picture": ("config.json", ("vision_config",), {"image_size": 70}),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_processor_that_contradicts_its_model_is_refused(name: str, copied: Any) -> None:
    folder = copied("llava")
    describe(folder)
    file, place, changed = CONTRADICTIONS[name]
    edit(folder, file, *place, **changed)
    with pytest.raises(ModelError, match="the processor contradicts the model") as caught:
        describe(folder)
    assert "tokens for an image" in str(caught.value)
    assert "processor_config.json" in str(caught.value)


def test_a_processor_published_without_its_numbers_is_completed(copied: Any) -> None:
    folder = copied("llava")
    edit(
        folder, "processor_config.json", patch_size=None, vision_feature_select_strategy=None,
        num_additional_image_tokens=None,
    )  # fmt: skip
    counts = image_tokens(find_checkpoint(config(folder)))
    assert counts is not None
    assert counts.written == counts.given == 16
    describe(folder)


def test_what_the_files_do_not_tell_is_not_guessed(copied: Any) -> None:
    folder = copied("llava")
    edit(folder, "processor_config.json", "image_processor", crop_size=None)
    assert image_tokens(find_checkpoint(config(folder))) is None
    describe(folder)
    edit(folder, "config.json", vision_config={"image_size": [1]})
    assert image_tokens(find_checkpoint(config(folder, family="llava"))) is None


def test_idefics2_is_held_to_its_resampler(copied: Any) -> None:
    folder = copied("idefics2")
    describe(folder)
    edit(folder, "processor_config.json", image_seq_len=5)
    with pytest.raises(ModelError, match=r"image_seq_len 5.*resampler_n_latents"):
        describe(folder)


def test_an_answer_that_fills_the_context_is_refused(copied: Any) -> None:
    folder = copied("llava")
    context = positions(find_checkpoint(config(folder)))
    assert context is not None
    describe(folder, max_new_tokens=context - 1)
    with pytest.raises(ConfigError, match=f"a context of {context} tokens: ask for less, --set"):
        describe(folder, max_new_tokens=context)


def test_the_room_for_a_prompt_is_told(copied: Any) -> None:
    folder = copied("llava")
    checkpoint = find_checkpoint(config(folder))
    told, fits = room_told(RuntimeConfig(max_new_tokens=8), FAMILIES["llava"], checkpoint)
    assert fits
    assert "an image takes 16" in told
    edit(folder, "config.json", "text_config", max_position_embeddings=20)
    told, fits = room_told(RuntimeConfig(max_new_tokens=8), FAMILIES["llava"], checkpoint)
    assert not fits
    assert "nothing is left for the prompt" in told
    edit(folder, "config.json", "text_config", max_position_embeddings=None)
    edit(folder, "tokenizer_config.json", model_max_length=33)
    assert positions(checkpoint) is None
    told, fits = room_told(RuntimeConfig(max_new_tokens=8), FAMILIES["llava"], checkpoint)
    assert (fits, "context of 33 tokens" in told) == (True, True)
    edit(folder, "tokenizer_config.json", model_max_length=10**30)
    assert room_told(RuntimeConfig(), FAMILIES["llava"], checkpoint) == ("", True)


ORIGINAL = {
    "architectures": ["LlavaLlamaForCausalLM"],
    "hidden_size": 4096,
    "mm_projector_type": "mlp2x_gelu",
    "mm_vision_tower": "openai/clip-vit-large-patch14-336",
    "model_type": "llava_llama",
}


@pytest.mark.parametrize(
    ("name", "changed", "taken"),
    [
        ("llava-v1.5-7b", {}, "llava-hf/llava-1.5-7b-hf"),
        ("llava-v1.5-13b", {"model_type": "llava"}, "llava-hf/llava-1.5-13b-hf"),
        ("llava-v1.6-mistral-7b", {"architectures": ["LlavaMistralForCausalLM"]},
         "llava-hf/llava-v1.6-mistral-7b-hf"),
        ("tuned", {}, "llava-hf/llava-1.5-7b-hf"),
        ("tuned", {"hidden_size": 5120}, "llava-hf/llava-1.5-13b-hf"),
        ("tuned", {"hidden_size": 1}, "its -hf repository"),
    ],
)  # fmt: skip
def test_the_original_layout_says_what_to_take(
    name: str, changed: dict[str, Any], taken: str, tmp_path: Path
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(ORIGINAL | changed))
    (folder / "mm_projector.bin").write_bytes(b"x")
    with pytest.raises(ModelError, match="must be converted first") as caught:
        find_checkpoint(config(folder))
    assert taken in str(caught.value)
    assert "is missing" not in str(caught.value)  # the root cause alone


def test_a_hub_name_of_the_original_layout_is_told_without_its_files() -> None:
    with pytest.raises(ModelError, match=r"llava-hf/llava-1\.5-7b-hf is it, converted"):
        find_checkpoint(config("liuhaotian/llava-v1.5-7b"))


def test_a_converted_checkpoint_is_never_taken_for_an_original_one(copied: Any) -> None:
    folder = copied("llava")
    (folder / "mm_projector.bin").write_bytes(b"kept beside it")
    describe(folder)
    assert not original_llava.is_original_name("llava-hf/llava-1.5-7b-hf")


REFUSES = (
    "{% for m in messages %}{% if m['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}{% endfor %}"
)
SILENT = "{% set messages = messages | rejectattr('role', 'equalto', 'system') | list %}"


@pytest.mark.parametrize(
    ("before", "why"),
    [
        (REFUSES, "System role not supported"),
        (SILENT, "does not show the text"),
    ],
)
def test_a_template_without_a_place_for_the_system_prompt_is_found_with_the_cure(
    before: str, why: str, copied: Any
) -> None:
    folder = copied("llava")
    path = folder / "chat_template.jinja"
    path.write_text(before + path.read_text())
    with pytest.raises(ConfigError, match="lam3db gives every model of the family llava") as caught:
        describe(folder)
    assert why in str(caught.value)
    assert 'system_prompt: ""' in str(caught.value)
    kind, runtime = model_kind("transformers"), RuntimeConfig(max_new_tokens=8)
    kind.describe(config(folder, system_prompt=""), runtime, lambda *_: None)
    with pytest.raises(ConfigError, match="the system_prompt of the model's config is refused"):
        kind.describe(config(folder, system_prompt="Be brief."), runtime, lambda *_: None)


def test_a_template_that_refuses_everything_is_not_blamed_on_the_system_prompt(
    copied: Any,
) -> None:
    folder = copied("llava")
    (folder / "chat_template.jinja").write_text("{{ raise_exception('needs tools') }}")
    describe(folder)
