"""Where a classifier judge's model is looked for, and what is refused of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_classifier import SINGLE, Small, build_classifier, config_of, refused, refused_on_loading
from small_detoxify import COMMIT, cached, no_image, outcomes, quiet

from lam3db.errors import JudgeError
from lam3db.judges.classifier import MAKER
from lam3db.records import Finding

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.usefixtures("no_network")
def test_a_hub_name_is_found_in_the_cache_without_asking_anyone(
    mine: Small, hub_cache: Path
) -> None:
    cached(hub_cache, "some-org/some-model", mine.folder)
    given = config_of("some-org/some-model")
    identity = MAKER.describe(given, quiet)
    assert identity.digest == MAKER.describe(config_of(mine.folder), quiet).digest
    assert MAKER.describe(config_of("some-org/some-model", revision=COMMIT), quiet) == identity
    judge = MAKER.load(given, identity, no_image)
    assert isinstance(outcomes(judge, ["red ball"])["red ball"], Finding)
    judge.close()
    message = refused(JudgeError, "some-org/other")
    assert "some-org/other is neither a folder here nor in the local Hugging Face cache" in message
    assert str(hub_cache / "models--some-org--other") in message
    assert message.splitlines()[-1].strip().startswith("Fetch it on a machine with internet")
    assert "`hf download some-org/other --local-dir DIR`" in message
    message = refused(JudgeError, "some-org/some-model", revision="f" * 40)
    assert f"some-org/some-model at revision {'f' * 40} is neither" in message


def test_a_snapshot_of_another_commit_is_refused(mine: Small, hub_cache: Path) -> None:
    snapshot = cached(hub_cache, "some-org/some-model", mine.folder)
    assert MAKER.describe(config_of(snapshot, revision=COMMIT), quiet)
    message = refused(JudgeError, snapshot, revision="f" * 40)
    assert f"revision: {'f' * 40} is asked for, but {snapshot} holds {COMMIT}" in message


@pytest.mark.parametrize("source", ["/nowhere/at/all", "./nowhere", "~/nowhere", "a/b/c"])
def test_a_folder_that_is_not_there_is_told(source: str) -> None:
    message = refused(JudgeError, source)
    assert f"the folder {source} does not exist" in message
    assert f"`hf download REPOSITORY --local-dir {source}`" in message


def test_everything_that_is_lacking_is_told_at_once(tmp_path: Path) -> None:
    message = refused(JudgeError, tmp_path)
    assert f"{tmp_path / 'model.safetensors'} is missing" in message
    assert f"{tmp_path / 'config.json'} is missing" in message
    assert "lacks a tokenizer" in message
    (tmp_path / "file").write_text("")
    assert "is a file, not a folder" in refused(JudgeError, tmp_path / "file")


def test_hatebert_as_published_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    """Its config names a masked language model, and so do its weights."""
    from transformers import BertForMaskedLM

    small = build_classifier(tmp_path)
    headed = json.loads((tmp_path / "config.json").read_text())
    torch.manual_seed(3)
    from transformers import BertConfig

    BertForMaskedLM(BertConfig.from_pretrained(tmp_path)).save_pretrained(tmp_path)
    message = refused(JudgeError, tmp_path)
    assert "holds a 'BertForMaskedLM', which has no classification head" in message
    assert "every load would be another judge" in message
    assert "hf download" not in message  # nothing is missing: the same again would not help
    # a config that promises a head does not make one
    small.change(architectures=headed["architectures"])
    message = refused(JudgeError, tmp_path)
    assert "are those of a language model, without a classification head" in message
    small.change(architectures=None)
    assert "without a classification head" in refused(JudgeError, tmp_path)


def test_a_model_without_its_head_is_refused_in_any_case(mine: Small) -> None:
    path = mine.folder / "model.safetensors"
    weights = load_file(path)
    for name in [name for name in weights if name.startswith("classifier")]:
        del weights[name]
    save_file(weights, path, metadata={"format": "pt"})
    message = refused_on_loading(mine.folder)
    assert "2 weights are missing (classifier.bias, classifier.weight)" in message
    assert "they would be random" in message


def test_a_head_of_another_size_is_refused(mine: Small) -> None:
    names = dict(enumerate([*SINGLE, "more"]))
    mine.change(id2label=names, label2id={name: number for number, name in names.items()})
    assert "weights have other sizes (classifier.bias" in refused_on_loading(mine.folder)


def test_a_tokenizer_of_another_model_is_refused(mine: Small) -> None:
    tokenizer = json.loads((mine.folder / "tokenizer.json").read_text())
    words = tokenizer["model"]["vocab"]
    words |= {f"more{number}": len(words) + number for number in range(9)}
    (mine.folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert "does not belong to a model of" in refused_on_loading(mine.folder)


def test_a_tokenizer_that_cuts_no_windows_is_refused(mine: Small) -> None:
    (mine.folder / "tokenizer.json").unlink()
    (mine.folder / "vocab.txt").write_text("a\n")
    (mine.folder / "tokenizer_config.json").write_text('{"tokenizer_class": "CanineTokenizer"}')
    assert "CanineTokenizer cuts no windows" in refused_on_loading(mine.folder)


def test_a_model_too_small_for_any_window_is_refused(tmp_path: Path) -> None:
    small = build_classifier(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    told = json.loads(path.read_text()) | {"model_max_length": 4}
    path.write_text(json.dumps(told))
    assert "windows of 4 tokens are too small to move on" in refused_on_loading(small.folder)


def pickled(small: Small) -> Path:
    """Replace the weights by the same ones pickled."""
    path = small.folder / "model.safetensors"
    torch.save(load_file(path), small.folder / "pytorch_model.bin")
    path.unlink()
    return small.folder / "pytorch_model.bin"


def test_pickles_need_to_be_asked_for_and_say_the_same(mine: Small) -> None:
    texts = ["red ball", "you are a liar"]
    safe = outcomes(mine.judge(), texts)
    identity = mine.describe()
    pickled(mine)
    message = refused(JudgeError, mine.folder)
    assert "only pickled weights (pytorch_model.bin)" in message
    assert "allow_pickle: true" in message
    assert outcomes(mine.judge(allow_pickle=True), texts) == safe
    assert mine.describe(allow_pickle=True).digest != identity.digest  # by content, as ever


class _Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


def test_a_pickle_that_would_run_code_runs_none(mine: Small, tmp_path: Path) -> None:
    path, mark = pickled(mine), tmp_path / "it-ran"
    torch.save({"classifier.weight": _Evil(mark)}, path)
    message = refused_on_loading(mine.folder, allow_pickle=True)
    assert "cannot be loaded" in message
    assert not mark.exists()


def test_code_of_a_checkpoint_is_never_run(mine: Small, tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    code = f"import os\nos.mkdir({str(mark)!r})\n"
    (mine.folder / "modeling_own.py").write_text(code)
    mine.change(
        model_type="ownbert",
        auto_map={
            "AutoConfig": "modeling_own.OwnConfig",
            "AutoModelForSequenceClassification": "modeling_own.OwnForSequenceClassification",
        },
    )
    assert "cannot be loaded" in refused_on_loading(mine.folder)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model_type": None}, "names no architecture"),
        ({"model_type": "../x"}, "names no architecture"),
        ({"id2label": {"0": "a", "2": "b"}}, "does not name each output from 0 on"),
        ({"id2label": {"0": "a", "1": 7}}, "does not name each output from 0 on"),
        ({"id2label": {"0": "a" * 101}}, "by a short plain text"),
        ({"id2label": {"0": "a\x1b[2Jb"}}, "by a short plain text"),
        ({"id2label": {}}, "id2label is no mapping"),
        ({"id2label": None, "num_labels": 10**9}, "is no number of labels"),
        ({"problem_type": 3}, "problem_type is no text"),
        ({"quantization_config": {"load_in_8bit": True}}, "stored quantized; take the full ones"),
    ],
)
def test_a_config_that_cannot_be_is_told(mine: Small, changes: dict[str, Any], told: str) -> None:
    mine.change(**changes)
    assert told in refused(JudgeError, mine.folder)


def test_hashing_is_told_in_bytes(mine: Small) -> None:
    ticks: list[tuple[str, int, int]] = []
    MAKER.describe(config_of(mine.folder), lambda *tick: ticks.append(tick))
    size = (mine.folder / "model.safetensors").stat().st_size
    assert ("model.safetensors", size, size) in ticks


def test_shards_are_one_model(mine: Small) -> None:
    whole = outcomes(mine.judge(), ["red ball"])
    weights = load_file(mine.folder / "model.safetensors")
    (mine.folder / "model.safetensors").unlink()
    names = sorted(weights)
    parts = {"model-1-of-2.safetensors": names[:9], "model-2-of-2.safetensors": names[9:]}
    for file, held in parts.items():
        chosen = {name: weights[name] for name in held}
        save_file(chosen, mine.folder / file, metadata={"format": "pt"})
    placed = {name: file for file, held in parts.items() for name in held}
    index = {"metadata": {}, "weight_map": placed}
    (mine.folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert outcomes(mine.judge(), ["red ball"]) == whole
    assert set(mine.describe().spec["files"]) > set(parts)
    (mine.folder / "model-2-of-2.safetensors").unlink()
    assert "named by model.safetensors.index.json" in refused(JudgeError, mine.folder)


def test_describing_loads_no_model_stack(mine: Small) -> None:
    code = (
        "import sys; from lam3db.config import JudgeConfig; from lam3db.plugins import judge_maker;"
        f"c = JudgeConfig(name='c', kind='classifier', settings={dict(mine.config().settings)!r});"
        "judge_maker('classifier').describe(c, lambda *_: None);"
        "print([name for name in ('torch', 'transformers', 'bitsandbytes') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
