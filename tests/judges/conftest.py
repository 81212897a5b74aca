"""Fixtures of the judges' tests; lets them import the helpers beside this file."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import small_causal
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_classifier import Small, build_classifier
from small_detoxify import ARCHITECTURES, Checkpoint, build

if TYPE_CHECKING:
    from collections.abc import Iterator

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def clean_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads or writes this machine's caches."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("TORCH_HOME", raising=False)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking any network fails the test, and no variable keeps a library from trying."""

    def refuse(*_: Any) -> None:
        raise AssertionError("a network was asked")

    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def nothing_changed(no_network: None) -> Iterator[None]:
    """The environment and the settings of transformers' log are as they were, after the test."""
    from transformers.utils import logging

    logging.enable_progress_bar()
    before = dict(os.environ), logging.get_verbosity(), logging.is_progress_bar_enabled()
    yield no_network
    after = dict(os.environ), logging.get_verbosity(), logging.is_progress_bar_enabled()
    assert after[1:] == before[1:]
    added = {"PYTEST_CURRENT_TEST"}  # pytest's own, which names the phase
    for one, other in ((before[0], after[0]), (after[0], before[0])):
        assert {name for name in one if one[name] != other.get(name)} <= added


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hugging Face cache."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


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


@pytest.fixture
def mine(tmp_path: Path) -> Small:
    """A classifier that a test may damage."""
    return build_classifier(tmp_path / "own")


@pytest.fixture(scope="session")
def random_causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small text-only model of random weights."""
    return small_causal.build_random(tmp_path_factory.mktemp("causal") / "random")


@pytest.fixture(scope="session")
def obedient_causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small text-only model that says ``safe`` once it reads ``<|obey|>``, else ``unsafe``."""
    return small_causal.build_obedient(tmp_path_factory.mktemp("causal") / "obedient")
