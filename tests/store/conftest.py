"""Databases to merge, and one of either engine to merge them into."""

from __future__ import annotations

from typing import TYPE_CHECKING

import merging
import pytest

from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def sides(tmp_path: Path) -> tuple[str, str]:
    """The URLs of two databases that partly agree; images lie beside each."""
    return merging.make(tmp_path / "a.db", "a"), merging.make(tmp_path / "b.db", "b")


@pytest.fixture
def target(store_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """An empty database of either engine with a media root of its own."""
    monkeypatch.setenv("LAM3DB_MEDIA", str(tmp_path / "target-media"))
    open_store(store_url, mode="write").close()
    return store_url
