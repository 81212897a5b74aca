"""A key of another type in a checkpoint's files is a message with file, key and value."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import small_causal

from lam3db.errors import Lam3Error, ModelError
from lam3db.models.setting_types import KEYS

if TYPE_CHECKING:
    from pathlib import Path

READ = [(file, key) for file, keys in KEYS.items() for key in keys]
WRONG: tuple[Any, ...] = ({"a": 1}, [1], "x", 5, True)


def spoil(folder: Path, file: str, key: str, value: Any) -> None:
    """Write a value into a file, in an object of its own where it belongs into one."""
    path = folder / file
    settings = json.loads(path.read_text()) if path.is_file() else {}
    above, _, last = key.rpartition(".")
    if above:
        settings.setdefault(above, {})[last] = value
    else:
        settings[last] = value
    path.write_text(json.dumps(settings))


@pytest.mark.parametrize(("file", "key"), READ)
def test_a_key_of_another_type_is_told(bench: Any, copied: Any, file: str, key: str) -> None:
    kinds = KEYS[file][key]
    fits = {"an object": 0, "a list": 1, "text": 2, "a number": 3, "true or false": 4}
    value = next(one for at, one in enumerate(WRONG) if at not in {fits[kind] for kind in kinds})
    folder = copied("idefics2" if "perceiver" in key or "splitting" in key else "llava")
    spoil(folder, file, key, value)
    with pytest.raises(ModelError) as told:
        bench.plan(folder)
    words = str(told.value)
    assert f"{folder / file}: {key} is {value!r}, which is not {kinds[0]}" in words


@pytest.mark.parametrize("file", ["config.json", "generation_config.json", "tokenizer_config.json"])
def test_null_is_as_if_it_were_left_out(bench: Any, copied: Any, file: str) -> None:
    folder = copied("llava")
    for key in ("quantization_config", "text_config", "eos_token_id", "eos_token", "chat_template"):
        spoil(folder, file, key, None)
    assert bench.plan(folder)


def test_all_faults_are_told_at_once(bench: Any, copied: Any) -> None:
    folder = copied("llava")
    spoil(folder, "config.json", "vision_config", 5)
    spoil(folder, "config.json", "model_type", ["llava"])
    spoil(folder, "tokenizer_config.json", "chat_template", 7)
    with pytest.raises(ModelError) as told:
        bench.plan(folder)
    assert str(told.value).count("which is not") == 3


def _sweep(folder: Path) -> list[tuple[str, str]]:
    """Return every key of every file of settings but those whose spoiling is allowed to pass."""
    names = [path for path in sorted(folder.glob("*.json")) if path.name != "tokenizer.json"]
    return [
        (path.name, key)
        for path in names
        for key in json.loads(path.read_text())
        if "index" not in path.name
    ]


def test_no_key_of_a_text_only_model_ends_in_a_traceback(bench: Any, tmp_path: Path) -> None:
    """Whatever the library makes of it: a model that loads, or a message."""
    whole = small_causal.build_random(tmp_path / "whole")
    refused = []
    for at, (file, key) in enumerate(_sweep(whole)):
        folder = shutil.copytree(whole, tmp_path / str(at))
        before = json.loads((folder / file).read_text())[key]
        spoil(folder, file, key, [{"x": 1}] if not isinstance(before, list) else 5)
        try:
            bench.load(folder).close()
        except Lam3Error as error:
            refused.append((file, key, str(error)))
    assert len(refused) > 10
    assert all(str(tmp_path) in words for _, _, words in refused)
