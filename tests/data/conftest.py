"""Lets the tests of `data/` import its scripts, which stand outside of any package."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[2] / "data"
sys.path[:0] = [str(DATA / "demo"), str(DATA / "mini_bench")]


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder with the mini benchmark and the demo models."""
    return DATA
