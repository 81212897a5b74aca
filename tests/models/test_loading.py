"""Loading: whole, offline, in the precision asked for, beside another model."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lam3db.config import Quantization, RuntimeConfig
from lam3db.errors import ModelError
from lam3db.records import Answer

if TYPE_CHECKING:
    from pathlib import Path

FAMILIES = ("llava", "idefics2")


def _spoil(folder: Any, change: dict[str, Any]) -> Any:
    path = folder / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path, metadata={"format": "pt"})


def _head(weights: Any) -> Any:
    """Return the head's name: LLaVA is saved under its old one."""
    return next(name for name in weights if name.endswith("lm_head.weight"))


def _behead(weights: Any) -> Any:
    del weights[_head(weights)]


def _texts(asked: Any, model: Any, requests: Any) -> Any:
    found = asked(model, requests)
    assert all(isinstance(outcome, Answer) for outcome in found.values()), found
    return {tag: outcome.raw_text for tag, outcome in found.items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_missing_weight_is_refused(bench: Any, copied: Any, family: str) -> None:
    folder = copied(family)
    _spoil(folder, _behead)
    with pytest.raises(ModelError, match=r"1 weights are missing \(lm_head.weight\)"):
        bench.load(folder)


def test_a_weight_of_another_size_is_refused(bench: Any, copied: Any) -> None:
    folder = copied("llava")
    _spoil(folder, lambda weights: weights.update({_head(weights): torch.zeros(8, 128)}))
    with pytest.raises(ModelError, match=r"1 weights have other sizes \(lm_head.weight"):
        bench.load(folder)


def test_unmerged_adapter_weights_are_refused(bench: Any, copied: Any) -> None:
    folder = copied("llava")
    _spoil(folder, lambda weights: weights.update({"lm_head.lora_A.weight": torch.zeros(8, 128)}))
    with pytest.raises(ModelError, match="adapter weights"):
        bench.load(folder)


@pytest.mark.parametrize("repo", ["", "evil/repo--"])
def test_code_beside_a_model_is_not_run(bench: Any, copied: Any, tmp_path: Path, repo: str) -> None:
    folder, mark = copied("llava"), tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    for name in ("config", "tokenizer_config", "processor_config", "generation_config"):
        path = folder / f"{name}.json"
        values = json.loads(path.read_text()) if path.exists() else {}
        parts = ("Config", "ModelForImageTextToText", "Tokenizer", "Processor", "ImageProcessor")
        values["auto_map"] = {f"Auto{part}": f"{repo}evil.X" for part in parts}
        values["trust_remote_code"] = True
        path.write_text(json.dumps(values))
    bench.load(folder)
    assert not mark.exists()


def test_a_text_model_is_refused(bench: Any, copied: Any) -> None:
    folder = copied("llava")
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text())["text_config"]))
    with pytest.raises(ModelError):
        bench.load(folder)


@pytest.mark.parametrize(
    ("name", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_the_dtype_is_the_one_asked_for(bench: Any, name: str, dtype: torch.dtype) -> None:
    model = bench.load("idefics2", RuntimeConfig(precision=name))._loaded.model
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("quantization", "kind"),
    [
        (Quantization(enabled=True, compute_dtype="fp32"), "Linear4bit"),
        (Quantization(enabled=True, bits=8, compute_dtype="fp32"), "Linear8bitLt"),
    ],
    ids=["nf4", "int8"],
)
def test_quantized_on_a_cpu(
    bench: Any, asked: Any, family: str, quantization: Quantization, kind: str
) -> None:
    runtime = RuntimeConfig(do_sample=False, max_new_tokens=6, quantization=quantization)
    model = bench.load(family, runtime)
    kinds = [type(part).__name__ for part in model._loaded.model.modules()]
    assert kinds.count(kind) > 10
    requests = bench.mixed(4)
    texts = _texts(asked, model, requests)
    if kind == "Linear4bit":
        model.batch_size = 1
        assert _texts(asked, model, requests) == texts


def test_two_models_do_not_disturb_each_other(bench: Any, asked: Any) -> None:
    requests = bench.mixed(4)
    alone = {family: _texts(asked, bench.load(family), requests) for family in FAMILIES}
    low = RuntimeConfig(precision="bf16", do_sample=False, max_new_tokens=4)
    quantized = low.model_copy(update={"quantization": Quantization(enabled=True)})
    together = [
        bench.load("llava"),
        bench.load("idefics2", quantized),
        bench.load("idefics2"),
        bench.load("llava", low),
    ]
    assert torch.get_default_dtype() == torch.float32
    assert torch.empty(0).device.type == "cpu"
    _texts(asked, together[1], requests)
    _texts(asked, together[3], requests)
    assert _texts(asked, together[0], requests) == alone["llava"]
    assert _texts(asked, together[2], requests) == alone["idefics2"]
    together[0].close()
    assert _texts(asked, together[2], requests) == alone["idefics2"]


def test_a_failed_load_leaves_the_defaults_alone(bench: Any, copied: Any) -> None:
    folder = copied("llava")
    _spoil(folder, _behead)
    with pytest.raises(ModelError):
        bench.load(folder, RuntimeConfig(precision="bf16"))
    assert torch.get_default_dtype() == torch.float32


def test_an_old_processor_is_completed(bench: Any, asked: Any, copied: Any) -> None:
    folder = copied("llava")
    path = folder / "processor_config.json"
    image = json.loads(path.read_text())["image_processor"]
    (folder / "preprocessor_config.json").write_text(json.dumps(image))
    path.unlink()
    requests = bench.mixed(4)
    old, new = bench.load(folder), bench.load("llava")
    assert _texts(asked, old, requests) == _texts(asked, new, requests)


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
def test_a_gpu_that_is_not_there_is_told(bench: Any) -> None:
    with pytest.raises(ModelError, match="torch sees no GPU here"):
        bench.load("llava", RuntimeConfig(device_map="cuda:0"))
    assert bench.load("llava").device == "cpu"


def test_layers_behind_the_devices_back_are_refused() -> None:
    from lam3db.models.loading import _refuse_offload

    spilled = SimpleNamespace(hf_device_map={"model": 0, "lm_head": "disk"})
    with pytest.raises(ModelError, match=r"1 modules would lie on CPU or disk \(lm_head"):
        _refuse_offload("folder", spilled, "auto")
