"""Fixtures of the judges' tests; lets them import the helpers beside this file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_classifier import Small, build_classifier
from small_detoxify import ARCHITECTURES, Checkpoint, build

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def clean_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads or writes this machine's caches."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TORCH_HOME", raising=False)


@pytest.fixture(scope="session", params=sorted(ARCHITECTURES))
def checkpoint(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Checkpoint:
    """One small checkpoint of each architecture."""
    return build(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A small checkpoint of the first architecture."""
    return build("Bert", tmp_path_factory.mktemp("one_bert"))


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A small single-label classifier."""
    return build_classifier(tmp_path_factory.mktemp("one_classifier"))
