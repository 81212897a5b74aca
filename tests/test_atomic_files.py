"""A file is whole under its name or not there, and nothing is replaced unless it was asked for."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lam3db.atomic_files import new_binary, new_file, new_path
from lam3db.errors import InputError

_WRITING = """
import pathlib, sys
from lam3db.atomic_files import new_file
path, kind = pathlib.Path(sys.argv[1]), sys.argv[2]
print("begin", flush=True)
with new_file(path, force=kind == "force") as stream:
    for number in range(20_000):
        stream.write(f"{kind} {number}\\n")
"""
WHOLE = "".join(f"once {number}\n" for number in range(20_000))


def test_a_failed_block_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with pytest.raises(ZeroDivisionError), new_file(path, force=False) as stream:
        stream.write(f"half{1 // 0}")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_only_by_force(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with new_file(path, force=False) as stream:
        stream.write("whole\n")
    with pytest.raises(InputError, match="--force"), new_file(path, force=False):
        pass
    assert path.read_text() == "whole\n"
    with new_file(path, force=True) as stream:
        stream.write("new\n")
    assert path.read_text() == "new\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.jsonl"]


def test_a_file_that_appeared_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    with pytest.raises(InputError, match="already exists"), new_file(path, force=False):
        path.write_text("somebody else's")
    assert path.read_text() == "somebody else's"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.csv"]


def test_a_lone_surrogate_is_written_as_its_escape(tmp_path: Path) -> None:
    with new_file(tmp_path / "out", force=False) as stream:
        stream.write("a\ud800\x00b")
    assert (tmp_path / "out").read_bytes() == b"a\\ud800\x00b"


@pytest.mark.parametrize("force", [False, True])
def test_a_path_that_cannot_take_a_file_is_refused_before_the_work(
    tmp_path: Path, *, force: bool
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere" / "x")
    for path, message in (
        (tmp_path, "is a folder"),
        (tmp_path / "no" / "file", "no folder"),
        (tmp_path / "pipe", "not a regular file"),
        (Path("/dev/null"), "not a regular file"),
        (Path("/proc/out.csv"), r"cannot be written: \S"),
    ):
        with pytest.raises(InputError, match=message), new_binary(path, force=force):
            pytest.fail("the block ran")  # pragma: no cover
    assert Path("/dev/null").is_char_device()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["once", "force"])
def test_a_process_killed_at_any_moment_leaves_all_or_nothing(tmp_path: Path, kind: str) -> None:
    chance = random.Random(7)
    path = tmp_path / "out.txt"
    before = {None: 0, "old": 0, "whole": 0}
    for _ in range(12):
        path.unlink(missing_ok=True)
        if kind == "force":
            path.write_text("old")
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITING, str(path), kind], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.random() * 0.04)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        text = path.read_text() if path.exists() else None
        state = "whole" if text == WHOLE.replace("once", kind) else text
        assert state in before, text and text[:60]
        before[state] += 1
    assert before["old" if kind == "once" else None] == 0
    path.unlink(missing_ok=True)
    with new_path(path) as part:
        part.write_text("next")
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.txt"]
