"""Large files are hashed once, and a changed file is never taken for the old one."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from typing import TYPE_CHECKING, Any

import pytest

from lam3db.models import hash_cache
from lam3db.models.hash_cache import LARGE, cache_folder, sha256_of

if TYPE_CHECKING:
    from pathlib import Path

OLD = (1_600_000_000, 1_600_000_000)


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let files count as settled at once: change times cannot be set back."""
    monkeypatch.setattr(hash_cache, "_SETTLED_NS", -(10**18))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Any:
    seen = []
    real = hash_cache.file_sha256

    def counted(path: Any, tick: Any = None) -> Any:
        seen.append(path)
        return real(path, tick)

    monkeypatch.setattr(hash_cache, "file_sha256", counted)
    return seen


def _file(tmp_path: Path, fill: Any = b"a", size: Any = LARGE) -> Any:
    path = tmp_path / "model.safetensors"
    path.write_bytes(fill * size)
    return path


def _is(path: Any) -> Any:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.usefixtures("settled")
def test_a_large_file_is_read_once(tmp_path: Path, reads: Any) -> None:
    path = _file(tmp_path)
    ticks = []
    assert sha256_of(path) == sha256_of(path, ticks.append) == _is(path)
    assert len(reads) == 1
    assert sum(ticks) == LARGE
    link = tmp_path / "link"
    link.symlink_to(path)
    assert sha256_of(link) == _is(path)
    assert len(reads) == 1


@pytest.mark.usefixtures("settled")
def test_a_changed_file_is_read_again(tmp_path: Path, reads: Any) -> None:
    path = _file(tmp_path)
    os.utime(path, OLD)
    sha256_of(path)
    path.write_bytes(b"b" * LARGE)
    os.utime(path, OLD)  # same size, same modification time: the change time tells
    assert sha256_of(path) == _is(path)
    assert len(reads) == 2


@pytest.mark.usefixtures("settled")
def test_another_file_under_the_name_is_read(tmp_path: Path, reads: Any) -> None:
    path = _file(tmp_path)
    os.utime(path, OLD)
    sha256_of(path)
    other = tmp_path / "other"
    other.write_bytes(b"c" * LARGE)
    os.utime(other, OLD)
    other.replace(path)
    assert sha256_of(path) == _is(path)
    assert len(reads) == 2


def test_a_young_file_is_not_remembered(tmp_path: Path, reads: Any) -> None:
    path = _file(tmp_path)
    sha256_of(path)
    sha256_of(path)
    assert len(reads) == 2


@pytest.mark.usefixtures("settled")
def test_a_small_file_is_not_remembered(tmp_path: Path, reads: Any) -> None:
    path = _file(tmp_path, size=10)
    sha256_of(path)
    sha256_of(path)
    assert len(reads) == 2
    assert not cache_folder().exists()


def test_a_file_that_changes_while_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _file(tmp_path)
    real = hash_cache.file_sha256

    def slow(found: Any, tick: Any = None) -> Any:
        digest = real(found, tick)
        time.sleep(0.01)
        found.write_bytes(b"z" * LARGE)
        return digest

    monkeypatch.setattr(hash_cache, "file_sha256", slow)
    with pytest.raises(OSError, match="was changed while it was read"):
        sha256_of(path)


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("spoil", ["garbage", "folder", "other table"])
def test_a_broken_cache_is_no_obstacle(tmp_path: Path, spoil: str) -> None:
    cache_folder().mkdir(parents=True)
    place = cache_folder() / "hashes.sqlite"
    if spoil == "garbage":
        place.write_bytes(b"this is no database" * 100)
    elif spoil == "folder":
        place.mkdir()
    else:
        connection = sqlite3.connect(place)
        connection.execute("CREATE TABLE file (other TEXT)")
        connection.close()
    path = _file(tmp_path)
    assert sha256_of(path) == sha256_of(path) == _is(path)
