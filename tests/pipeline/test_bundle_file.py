"""A bundle that a killed process was making goes with the next one; a living one's stays."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from lam3db.pipeline.bundle_file import media_part, new_bundle

if TYPE_CHECKING:
    from pathlib import Path

_MAKING = """
import pathlib, sys
from lam3db.pipeline.bundle_file import media_part, new_bundle
path = pathlib.Path(sys.argv[1])
with new_bundle(path, path.with_name("out_media")) as part:
    part.write_text("half")
    part.with_name(part.name + "-wal").write_text("half")
    media_part(part).joinpath("image").write_text("half")
    print(part, flush=True)
    sys.stdin.read()
"""


def making(path: Path) -> subprocess.Popen[str]:
    """Start a process that is in the middle of making this file."""
    process = subprocess.Popen(
        [sys.executable, "-c", _MAKING, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip().endswith(".part")
    return process


def test_what_a_killed_process_left_goes_and_nothing_else(tmp_path: Path) -> None:
    path, media = tmp_path / "out.db", tmp_path / "out_media"
    for name in (".out.db.part", ".out.db.mine.part", ".other.db." + "0" * 32 + ".part"):
        (tmp_path / name).write_text("of somebody")
    others = set(tmp_path.iterdir())
    killed = making(path)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=30)
    assert len(set(tmp_path.iterdir()) - others) == 3
    with new_bundle(path, media) as part:
        assert set(tmp_path.iterdir()) - others == {part, media_part(part)}
    assert set(tmp_path.iterdir()) - others == {path}


def test_what_a_living_process_is_making_stays(tmp_path: Path) -> None:
    path, media = tmp_path / "out.db", tmp_path / "out_media"
    other = making(path)
    before = set(tmp_path.iterdir())
    assert len(before) == 3
    with new_bundle(tmp_path / "elsewhere.db", media), new_bundle(path, media) as part:
        part.write_text("whole")
        assert before < set(tmp_path.iterdir())
    assert path.read_text() == "whole"
    path.unlink()
    other.communicate("", timeout=30)
    assert other.returncode == 0
    assert (path.read_text(), (media / "image").read_text()) == ("half", "half")
    assert set(tmp_path.iterdir()) == {path, media, tmp_path / "elsewhere.db"}
