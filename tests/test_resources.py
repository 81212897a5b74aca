"""Which file a config means by a path."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lam3db.resources import find_path, shipped

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_working_folder_comes_first(here: Path) -> None:
    own = here / "configs" / "runtime.yaml"
    own.parent.mkdir()
    own.touch()
    assert find_path("configs/runtime.yaml") == own


def test_what_ships_comes_second() -> None:
    assert find_path("configs/judges") == shipped("configs", "judges")


def test_variables_and_home_are_expanded(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "weights").mkdir()
    monkeypatch.setenv("HOME", str(here))
    monkeypatch.setenv("MODELS", str(here))
    assert find_path("~/weights") == here / "weights"
    assert find_path("$MODELS/weights") == here / "weights"


def test_an_absolute_path_is_looked_for_nowhere_else(here: Path) -> None:
    assert find_path(str(here)) == here
    assert find_path("/configs/judges") is None


@pytest.mark.parametrize("text", ["", "no/such/file", "$NOT_SET_HERE/x", "a\0b"])
def test_what_is_not_there_is_none(text: str) -> None:
    assert find_path(text) is None
