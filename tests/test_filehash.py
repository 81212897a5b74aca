"""Remembered digests: right or not remembered, and never in the way."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import sys
from pathlib import Path

import pytest

from lam3db import filehash
from lam3db.filehash import cache_path, remembered_sha256

LONG_AGO_NS = 1_600_000_000 * 10**9


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files just written count as settled: no test waits two seconds."""
    monkeypatch.setattr(filehash, "_SETTLED_NS", -(10**18))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write(folder: Path, content: bytes, name: str = "weights.bin") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def told(path: Path) -> tuple[str, list[int]]:
    ticks: list[int] = []
    return remembered_sha256(path, ticks.append), ticks


def forge(path: Path) -> None:
    """Make the cache tell another digest for the file, to see whether it is asked."""
    remembered_sha256(path)
    with sqlite3.connect(cache_path()) as cache:
        cache.execute("UPDATE file_digest SET sha256 = ?", ("f" * 64,))


def test_the_digest_is_the_files(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    assert told(write(tmp_path, content)) == (sha256(content), [1 << 20, 1 << 20, 462_848])


@pytest.mark.usefixtures("settled")
def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    path = write(tmp_path, b"abc")
    forge(path)
    assert told(path) == ("f" * 64, [3])


@pytest.mark.usefixtures("settled")
def test_a_link_is_the_file_it_leads_to(tmp_path: Path) -> None:
    path = write(tmp_path, b"abc")
    forge(path)
    link = tmp_path / "link"
    link.symlink_to(path)
    assert remembered_sha256(link) == "f" * 64


@pytest.mark.usefixtures("settled")
def test_other_content_is_hashed_even_with_size_and_mtime_kept(tmp_path: Path) -> None:
    path = write(tmp_path, b"abc")
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
    forge(path)
    path.write_bytes(b"abd")
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))
    assert remembered_sha256(path) == sha256(b"abd")


@pytest.mark.usefixtures("settled")
def test_a_replaced_file_is_hashed(tmp_path: Path) -> None:
    path = write(tmp_path, b"abc")
    forge(path)
    write(tmp_path, b"abd", "new").replace(path)
    assert remembered_sha256(path) == sha256(b"abd")


def test_a_file_changed_a_moment_ago_is_not_remembered(tmp_path: Path) -> None:
    path = write(tmp_path, b"abc")
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))  # its change time is still now
    remembered_sha256(path)
    assert not cache_path().exists()


@pytest.mark.usefixtures("settled")
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, b"x" * (3 << 20))

    def grow(count: int) -> None:
        if count == 1 << 20:  # what is added is told too
            with path.open("ab") as stream:
                stream.write(b"y")

    with pytest.raises(OSError, match="changed while it was read"):
        remembered_sha256(path, grow)
    assert not cache_path().exists()
    assert remembered_sha256(path) == sha256(path.read_bytes())


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("content", [b"", b"no database" * 1000])
def test_a_broken_cache_is_made_anew(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path, b"abc")
    cache_path().parent.mkdir(parents=True)
    cache_path().write_bytes(content)
    for _ in range(2):
        assert remembered_sha256(path) == sha256(b"abc")
    forge(path)
    assert remembered_sha256(path) == "f" * 64


@pytest.mark.usefixtures("settled")
def test_a_cache_of_another_shape_fails_nobody(tmp_path: Path) -> None:
    cache_path().parent.mkdir(parents=True)
    with sqlite3.connect(cache_path()) as cache:
        cache.execute("CREATE TABLE file_digest (path TEXT)")
    assert remembered_sha256(write(tmp_path, b"abc")) == sha256(b"abc")


@pytest.mark.usefixtures("settled")
def test_nonsense_in_the_cache_is_not_taken(tmp_path: Path) -> None:
    path = write(tmp_path, b"abc")
    remembered_sha256(path)
    with sqlite3.connect(cache_path()) as cache:
        cache.execute("UPDATE file_digest SET sha256 = 'short'")
    assert remembered_sha256(path) == sha256(b"abc")


@pytest.mark.usefixtures("settled")
def test_no_place_for_a_cache_fails_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, b"abc")
    monkeypatch.setenv("XDG_CACHE_HOME", str(path))  # a file where a folder should be
    assert remembered_sha256(path) == sha256(b"abc")


@pytest.mark.usefixtures("settled")
def test_a_locked_cache_fails_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filehash, "_WAIT_S", 0.05)
    path = write(tmp_path, b"abc")
    remembered_sha256(path)
    other = write(tmp_path, b"abd", "other")
    lock = sqlite3.connect(cache_path(), isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    assert remembered_sha256(other) == sha256(b"abd")
    lock.close()


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        remembered_sha256(tmp_path / "none")


def test_the_cache_lies_where_caches_belong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert cache_path() == tmp_path / "cache" / "lam3db" / "file-digests.db"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_path() == tmp_path / ".cache" / "lam3db" / "file-digests.db"


@pytest.mark.usefixtures("settled")
@pytest.mark.skipif(sys.platform != "linux", reason="file names of any bytes")
def test_a_name_that_is_no_text_is_remembered_too(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.bin"))
    path.write_bytes(b"abc")
    forge(path)
    assert remembered_sha256(path) == "f" * 64
