"""A folder of weights is read as an untrusted one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file

from lam3db.weightfiles import read_object, tensor_names, weight_files

if TYPE_CHECKING:
    from pathlib import Path

SHARD = "model-00001-of-00001.safetensors"


def sharded(folder: Path, name: str) -> list[str]:
    """The faults of a folder whose index names one shard this way."""
    save_file({"a": torch.zeros(2)}, folder / SHARD)
    index = {"weight_map": {"a": name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    faults: list[str] = []
    weight_files(folder, faults, allow_pickle=False)
    return faults


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "below/it.safetensors", ".."])
def test_an_index_names_files_of_its_own_folder_only(tmp_path: Path, name: str) -> None:
    assert sharded(tmp_path, SHARD) == []
    faults = sharded(tmp_path, name)
    assert len(faults) == 1
    assert name in faults[0]
    assert "no file of this folder" in faults[0] or "is missing" in faults[0]


def test_an_index_of_other_things_is_none(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": 3}}')
    faults: list[str] = []
    weight_files(tmp_path, faults, allow_pickle=False)
    assert len(faults) == 1
    assert "no index of weights" in faults[0]


def test_names_of_tensors_come_from_the_header(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"b": torch.zeros(2), "a": torch.zeros(3)}, path, metadata={"format": "pt"})
    assert sorted(tensor_names(path)) == ["a", "b"]
    path.write_bytes(b"\xff" * 100)
    assert tensor_names(path) == []


@pytest.mark.parametrize("content", ["[" * 100_000, "[1]", "{", "\ud800", ""])
def test_what_is_no_object_is_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(ValueError, match=r"config\.json (cannot be read as JSON|is no JSON)"):
        read_object(path)
