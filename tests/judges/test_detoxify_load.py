"""What a checkpoint may hold, and that every weight is the checkpoint's own."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import torch
from small_detoxify import Checkpoint, build, save_checkpoint

from lam3db.errors import JudgeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def changed(bert: Checkpoint, tmp_path: Path) -> Callable[..., str]:
    """Saves the checkpoint anew after a change and returns why it is refused."""

    def refusal(change: Callable[[dict[str, Any]], None]) -> str:
        loaded = torch.load(bert.path, weights_only=True)
        change(loaded)
        config = loaded["config"]
        arguments, classes = config["arch"]["args"], config["dataset"]["args"]["classes"]
        path = save_checkpoint(tmp_path, arguments, classes, loaded["state_dict"])
        with pytest.raises(JudgeError) as error:
            Checkpoint(path, bert.folder, bert.base).judge()
        return str(error.value)

    return refusal


class Pickled:
    """An object that would leave a file behind when opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        """Be opened as a call."""
        return os.mkdir, (str(self.path),)


def test_a_pickle_is_refused_and_does_not_run(bert: Checkpoint, tmp_path: Path) -> None:
    left = tmp_path / "left-behind"
    path = tmp_path / "evil.ckpt"
    torch.save({"config": Pickled(left), "state_dict": {}}, path)
    with pytest.raises(JudgeError, match="holds Python objects, which can run code"):
        Checkpoint(path, bert.folder, bert.base).judge()
    assert not left.exists()


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04" + b"x" * 100])
def test_what_is_no_checkpoint_is_refused(bert: Checkpoint, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.ckpt"
    path.write_bytes(content)
    with pytest.raises(JudgeError, match=r"any\.ckpt (is not read|cannot be read)"):
        Checkpoint(path, bert.folder, bert.base).judge()


def test_a_cut_off_checkpoint_without_a_digest_in_its_name_is_refused(
    bert: Checkpoint, tmp_path: Path
) -> None:
    path = tmp_path / "half.ckpt"
    content = bert.path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(JudgeError, match=r"half\.ckpt"):
        Checkpoint(path, bert.folder, bert.base).judge()


def test_bare_weights_are_no_detoxify_checkpoint(bert: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / "bare.ckpt"
    torch.save(torch.load(bert.path, weights_only=True)["state_dict"], path)
    with pytest.raises(JudgeError, match="no `config` and `state_dict`"):
        Checkpoint(path, bert.folder, bert.base).judge()


def test_a_missing_head_is_not_made_up(changed: Callable[..., str]) -> None:
    message = changed(lambda one: one["state_dict"].pop("classifier.weight"))
    assert "missing in the checkpoint: classifier.weight" in message
    assert "would be random" in message


def test_a_weight_of_nothing_is_refused(changed: Callable[..., str]) -> None:
    message = changed(lambda one: one["state_dict"].update({"extra.weight": torch.zeros(2)}))
    assert "unknown to the model: extra.weight" in message


def test_a_weight_of_another_shape_is_refused(changed: Callable[..., str]) -> None:
    message = changed(lambda one: one["state_dict"].update({"classifier.bias": torch.zeros(3)}))
    assert "does not fit" in message


def test_weights_that_are_no_numbers_are_refused(changed: Callable[..., str]) -> None:
    message = changed(lambda one: one["state_dict"]["classifier.bias"].fill_(torch.nan))
    assert "not taken over: classifier.bias" in message


def test_constants_of_older_releases_are_taken(bert: Checkpoint, tmp_path: Path) -> None:
    loaded = torch.load(bert.path, weights_only=True)
    loaded["state_dict"]["bert.embeddings.position_ids"] = torch.arange(48)[None]
    config = loaded["config"]
    path = save_checkpoint(
        tmp_path, config["arch"]["args"], config["dataset"]["args"]["classes"], loaded["state_dict"]
    )
    Checkpoint(path, bert.folder, bert.base).judge().close()


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("model_name", "BertModel", "is no sequence classifier"),
        ("model_name", "NoSuchForSequenceClassification", "this transformers has no NoSuch"),
        ("tokenizer_name", "pipeline", "is no tokenizer"),
        ("device_map", "auto", "config.arch.args are"),
        ("num_classes", 5, "does not fit"),
    ],
)
def test_a_config_that_asks_for_other_things_is_refused(
    changed: Callable[..., str], key: str, value: Any, told: str
) -> None:
    assert told in changed(lambda one: one["config"]["arch"]["args"].update({key: value}))


@pytest.mark.parametrize(
    ("classes", "told"),
    [
        (["obscene"], "`toxicity` among them"),
        (["toxic", "toxicity"], "needed is one name for each"),
        (["toxic", *"abcdefg"], "needed is one name for each"),
        ("toxic", "no list of names"),
        ([1], "no list of names"),
    ],
)
def test_outputs_must_have_names(changed: Callable[..., str], classes: Any, told: str) -> None:
    assert told in changed(lambda one: one["config"]["dataset"]["args"].update(classes=classes))


def test_the_folder_of_another_architecture_is_refused(bert: Checkpoint, tmp_path: Path) -> None:
    other = build("Albert", tmp_path)
    with pytest.raises(JudgeError, match="config of a 'albert' model"):
        Checkpoint(bert.path, other.folder, bert.base).judge()


def test_the_config_of_another_size_is_refused(tmp_path: Path) -> None:
    own = build("Bert", tmp_path)
    path = own.folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"intermediate_size": 80}))
    with pytest.raises(JudgeError, match="does not fit"):
        own.judge()


def test_fewer_layers_than_the_checkpoint_are_refused(tmp_path: Path) -> None:
    own = build("Bert", tmp_path)
    path = own.folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_hidden_layers": 1}))
    with pytest.raises(JudgeError, match=r"unknown to the model: bert\.encoder\.layer\.1"):
        own.judge()


def test_a_larger_tokenizer_than_the_model_is_refused(tmp_path: Path) -> None:
    own = build("Bert", tmp_path)
    path = own.folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["model"]["vocab"] |= {"toomuch": len(tokenizer["model"]["vocab"])}
    path.write_text(json.dumps(tokenizer))
    with pytest.raises(JudgeError, match="does not belong to a model"):
        own.judge()
