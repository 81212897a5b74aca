"""What is asked for and what takes effect; every difference is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lam3db.config import Quantization, RuntimeConfig
from lam3db.errors import ConfigError
from lam3db.models.families import CAREFUL

LAB = RuntimeConfig(
    temperature=0.2, top_p=0.95, quantization=Quantization(enabled=True, compute_dtype="bf16")
)


def test_the_labs_table(bench: Any) -> None:
    plan = bench.plan("llava", LAB)
    assert dict(plan.config.value) == {
        "runner": "transformers/1",
        "family": "llava",
        "clean_up": "llava/1",
        "markers": "text",
        "system_prompt": CAREFUL,
        "image": {"decoder": "pil/1", "backend": "pil", "fit": "processor"},
        "decoding": {
            "do_sample": True, "max_new_tokens": 256, "temperature": 0.2, "top_p": 0.95,
            "seed": 42, "sampler": "gumbel-philox/1",
        },
        "dtype": "bfloat16",
        "quantization": {"method": "nf4"},
    }  # fmt: skip
    assert plan.notes == ()
    assert plan.requested["runtime"]["temperature"] == 0.2
    assert plan.requested["model"]["source"] == str(bench.folders["llava"])
    assert plan.options["device_map"] == "auto"
    json.dumps([plan.requested, plan.options])


def test_greedy_says_what_has_no_effect(bench: Any) -> None:
    greedy = RuntimeConfig(do_sample=False, temperature=0.2, top_p=0.95, seed=7)
    plan = bench.plan("llava", greedy)
    assert plan.config.value["decoding"] == {"do_sample": False, "max_new_tokens": 256}
    (note,) = plan.notes
    assert note == "decoding is greedy: temperature 0.2, top_p 0.95 and seed 7 have no effect"
    assert bench.plan("llava", RuntimeConfig(do_sample=False)).config == plan.config
    zero = bench.plan("llava", RuntimeConfig(do_sample=False, temperature=0))
    assert zero.config == plan.config
    assert zero.notes == ("decoding is greedy: seed 42 has no effect",)


@pytest.mark.parametrize("name", ["temperature", "top_p", "seed"])
def test_what_is_left_to_a_service_is_refused_here(bench: Any, name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: null .*--set {name}=") as caught:
        bench.plan("llava", RuntimeConfig(**{name: None}))
    assert "do_sample: false" in str(caught.value)
    greedy = bench.plan("llava", RuntimeConfig(do_sample=False, **{name: None}))
    assert greedy.config == bench.plan("llava", RuntimeConfig(do_sample=False)).config


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.3}, {"top_p": 0.9}, {"top_k": 5}, {"seed": 1}, {"max_new_tokens": 5},
        {"min_new_tokens": 2}, {"repetition_penalty": 1.1}, {"precision": "fp32"},
        {"quantization": Quantization(enabled=True)}, {"do_sample": False},
    ],
)  # fmt: skip
def test_what_can_change_a_text_changes_the_key(bench: Any, change: dict[str, Any]) -> None:
    base = bench.plan("llava", RuntimeConfig()).config.digest
    assert bench.plan("llava", RuntimeConfig(**change)).config.digest != base


@pytest.mark.parametrize("change", [{"batch_size": 4}, {"device_map": "cpu"}])
def test_what_cannot_does_not(bench: Any, change: dict[str, Any]) -> None:
    base = bench.plan("llava", RuntimeConfig()).config.digest
    assert bench.plan("llava", RuntimeConfig(**change)).config.digest == base


def test_model_settings_are_part_of_the_key(bench: Any) -> None:
    changes = ({}, {"system_prompt": ""}, {"image": {"fit": "pad"}}, {"markers": "control"})
    digests = {bench.plan("llava", **change).config.digest for change in changes}
    assert len(digests) == 4
    assert "system_prompt" not in bench.plan("llava", system_prompt="").config.value


def test_splitting_is_the_checkpoints_unless_asked(bench: Any, copied: Any) -> None:
    own = bench.plan("idefics2").config
    assert own.value["image"]["splitting"] is False
    assert bench.plan("idefics2", image={"splitting": False}).config == own
    asked = bench.plan("idefics2", image={"splitting": True}).config
    assert asked.digest != own.digest
    folder = copied("idefics2")
    path = folder / "processor_config.json"
    value = json.loads(path.read_text())
    value["image_processor"]["do_image_splitting"] = True
    path.write_text(json.dumps(value))
    assert bench.plan(folder).config == asked
    plan = bench.plan("llava", image={"splitting": True})
    assert "image.splitting: true has no effect on the family llava" in plan.notes


def test_precision_gives_way_to_quantization(bench: Any) -> None:
    plan = bench.plan(
        "llava", RuntimeConfig(precision="fp32", quantization=Quantization(enabled=True))
    )
    assert "precision fp32 has no effect" in plan.notes[0]
    assert (
        plan.config
        == bench.plan("llava", RuntimeConfig(quantization=Quantization(enabled=True))).config
    )
    eight = Quantization(enabled=True, bits=8, quant_type="fp4", double_quant=True)
    plan = bench.plan("llava", RuntimeConfig(quantization=eight))
    assert plan.config.value["quantization"] == {"method": "int8"}
    assert [note.partition(":")[0] for note in plan.notes] == [
        "quantization.double_quant", "quantization.quant_type",
        "8-bit arithmetic depends on the whole batch",
    ]  # fmt: skip


def test_the_checkpoints_own_settings_do_not_leak(bench: Any, copied: Any, asked: Any) -> None:
    folder = copied("llava")
    path = folder / "generation_config.json"
    value = json.loads(path.read_text())
    value |= {"do_sample": True, "temperature": 1.9, "repetition_penalty": 1.7, "max_new_tokens": 2}
    path.write_text(json.dumps(value))
    plan = bench.plan(folder)
    (note,) = [note for note in plan.notes if "generation_config.json" in note]
    assert note.endswith(
        "do_sample=True, max_new_tokens=2, repetition_penalty=1.7, temperature=1.9"
    )
    requests = bench.mixed(4)
    for family in ("llava", "generic"):
        spoiled, clean = (bench.load(one, family=family) for one in (folder, "llava"))
        texts = [
            {tag: one.raw_text for tag, one in asked(model, requests).items()}
            for model in (spoiled, clean)
        ]
        assert texts[0] == texts[1]


def test_contradictions_are_refused(bench: Any, copied: Any) -> None:
    with pytest.raises(ConfigError, match="device_map: 'gpu' is nothing we know"):
        bench.plan("llava", RuntimeConfig(device_map="gpu"))
    folder = copied("llava")
    path = folder / "config.json"
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"quantization_config": {"quant_method": "awq"}})
    )
    with pytest.raises(ConfigError, match=r"already quantized \(awq\)"):
        bench.plan(folder, LAB)
    plan = bench.plan(folder, RuntimeConfig())
    assert "itself quantized (awq)" in plan.notes[0]


def test_a_minimum_length_is_told(bench: Any) -> None:
    plan = bench.plan("llava", RuntimeConfig(min_new_tokens=64))
    assert "a short refusal is made to ramble" in plan.notes[0]
