"""A checkpoint's files: found, complete, named; its identity is their content."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lam3db.config import ModelConfig, RuntimeConfig
from lam3db.errors import ModelError
from lam3db.models.weights import find_checkpoint
from lam3db.plugins import model_kind

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def _config(source: Any, **more: Any) -> Any:
    return ModelConfig(name="tiny", source=str(source), **more)


def _digest(folder: Any) -> Any:
    kind = model_kind("transformers")
    plan = kind.describe(_config(folder), RuntimeConfig(), lambda *_: None)
    return plan.version.digest


def test_identity_is_the_content(copied: Any) -> None:
    folder = copied("llava")
    base = _digest(folder)
    (folder / "README.md").write_text("Words about the model.")
    (folder / "training_args.bin").write_bytes(b"nothing that is loaded")
    assert _digest(folder) == base
    moved = folder.rename(folder.with_name("elsewhere"))
    assert _digest(moved) == base
    seen = {base}
    for name in (
        "config.json", "generation_config.json", "processor_config.json", "tokenizer.json",
        "tokenizer_config.json", "chat_template.jinja",
    ):  # fmt: skip
        path = moved / name
        old = path.read_text()
        path.write_text(old + "\n")
        seen.add(_digest(moved))
        path.write_text(old)
    weights = load_file(moved / "model.safetensors")
    next(iter(weights.values())).view(-1)[0] += 1
    save_file(weights, moved / "model.safetensors", metadata={"format": "pt"})
    seen.add(_digest(moved))
    assert len(seen) == 8


def test_progress_is_told(folders: dict[str, Path]) -> None:
    ticks = []
    model_kind("transformers").describe(
        _config(folders["llava"]), RuntimeConfig(), lambda *tick: ticks.append(tick)
    )
    last = {name: (done, total) for name, done, total in ticks}
    assert last["model.safetensors"][0] == last["model.safetensors"][1] > 1_000_000
    assert all(done == total for done, total in last.values())


def test_every_fault_is_told_at_once(copied: Any) -> None:
    folder = copied("idefics2")
    for name in ("tokenizer.json", "chat_template.jinja", "model.safetensors"):
        (folder / name).unlink()
    (folder / "config.json").write_text("{not json")
    with pytest.raises(ModelError) as caught:
        find_checkpoint(_config(folder))
    message = str(caught.value)
    for part in (
        f"{folder / 'model.safetensors'} is missing", f"{folder / 'tokenizer.json'} is missing",
        "config.json cannot be read as JSON", "chat_template.jinja is missing",
        f"hf download REPOSITORY --local-dir {folder}",
    ):  # fmt: skip
        assert part in message


def test_a_wrong_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"the folder .*nowhere does not exist"):
        find_checkpoint(_config(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match="is not a complete checkpoint"):
        find_checkpoint(_config(tmp_path))
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="is a file, not a folder"):
        find_checkpoint(_config(tmp_path / "file"))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "Git LFS pointer"),
        (b"", "is no safetensors file"),
        (b"\xff" * 100, "is no safetensors file"),
        (b"\x04\0\0\0\0\0\0\0[1] ", "header cannot be read"),
    ],
)
def test_what_is_no_safetensors_file_is_told(copied: Any, content: bytes, fault: str) -> None:
    folder = copied("llava")
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=fault):
        find_checkpoint(_config(folder))


def test_a_download_cut_short_is_told(copied: Any) -> None:
    path = copied("llava") / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[:-100])
    match = f"has {len(data) - 100} bytes where its header promises {len(data)}"
    with pytest.raises(ModelError, match=match):
        find_checkpoint(_config(path.parent))


def test_a_missing_shard_is_named(copied: Any) -> None:
    folder = copied("llava")
    shard = "model-00001-of-00002.safetensors"
    (folder / "model.safetensors").rename(folder / shard)
    index = {"weight_map": {"a": shard, "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError) as caught:
        find_checkpoint(_config(folder))
    assert "model-00002-of-00002.safetensors is missing (named by model.safetensors.index" in str(
        caught.value
    )
    shutil.copy(folder / shard, folder / "model-00002-of-00002.safetensors")
    assert len(find_checkpoint(_config(folder)).weights) == 3


def test_pickles_need_to_be_asked_for(bench: Any, asked: Any, copied: Any) -> None:
    folder = copied("llava")
    weights = load_file(folder / "model.safetensors")
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="only pickled weights"):
        find_checkpoint(_config(folder))
    assert find_checkpoint(_config(folder, allow_pickle=True)).weights == ("pytorch_model.bin",)
    model = bench.load(folder, allow_pickle=True)
    requests = bench.mixed(2)
    texts = {tag: one.raw_text for tag, one in asked(model, requests).items()}
    safe = asked(bench.load("llava"), requests)
    assert texts == {tag: one.raw_text for tag, one in safe.items()}


def test_adapters_are_refused(copied: Any) -> None:
    folder = copied("llava")
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="merge it first"):
        find_checkpoint(_config(folder))


@pytest.fixture
def hub(folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A Hugging Face cache with one snapshot, as the hub lays it out."""
    from huggingface_hub import constants

    repository = tmp_path / "models--lab--tiny"
    snapshot = repository / "snapshots" / COMMIT
    shutil.copytree(folders["llava"], snapshot)
    blobs = repository / "blobs"
    blobs.mkdir()
    (snapshot / "model.safetensors").rename(blobs / "aa")
    (snapshot / "model.safetensors").symlink_to("../../blobs/aa")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return repository


@pytest.mark.usefixtures("hub")
def test_a_snapshot_is_found_offline_and_its_commit_recorded(
    bench: Any, folders: dict[str, Path]
) -> None:
    plan = bench.plan("lab/tiny")
    assert plan.version.revision == COMMIT
    assert plan.version.source == "lab/tiny"
    assert plan.version.digest == _digest(folders["llava"])
    assert bench.plan("lab/tiny", revision=COMMIT).version.revision == COMMIT
    named = bench.plan("lab/tiny", revision="main")
    assert named.version.revision == COMMIT
    assert f"revision main is commit {COMMIT}" in named.notes
    bench.load("lab/tiny").close()


@pytest.mark.usefixtures("hub")
def test_what_is_not_in_the_cache_is_told_with_a_cure() -> None:
    with pytest.raises(ModelError) as caught:
        find_checkpoint(_config("lab/other", revision="v2"))
    message = str(caught.value)
    assert "lab/other at revision v2 is neither a folder here nor in the local" in message
    assert "models--lab--other; local_files_only is on" in message
    assert "`hf download lab/other --revision v2 --local-dir DIR`" in message
    with pytest.raises(ModelError, match="neither a folder"):
        find_checkpoint(_config("lab/tiny", revision="f" * 40))
    with pytest.raises(ModelError, match="neither a folder"):
        find_checkpoint(_config("no such/name"))


def test_a_folders_own_note_of_its_commit_is_read(copied: Any) -> None:
    folder = copied("llava")
    note = find_checkpoint(_config(folder, revision="v1")).notes
    assert "cannot be checked" in note[0]
    download = folder / ".cache" / "huggingface" / "download"
    download.mkdir(parents=True)
    (download / "config.json.metadata").write_text(f"{COMMIT}\nabc\n1700000000\n")
    assert find_checkpoint(_config(folder)).revision == COMMIT
    with pytest.raises(ModelError, match=f"revision {'f' * 40} is asked for"):
        find_checkpoint(_config(folder, revision="f" * 40))


def test_describing_imports_no_torch(folders: dict[str, Path]) -> None:
    program = (
        "import sys\n"
        "from lam3db.config import ModelConfig, RuntimeConfig\n"
        "from lam3db.plugins import model_kind\n"
        f"config = ModelConfig(name='tiny', source={str(folders['llava'])!r})\n"
        "model_kind('transformers').describe(config, RuntimeConfig(), lambda *_: None)\n"
        "from lam3db.models.environment import model_environment\n"
        "assert model_environment()['packages']['torch']\n"
        "heavy = {'torch', 'transformers', 'numpy', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
