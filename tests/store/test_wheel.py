"""An installed wheel in an empty folder behaves as the clone does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_an_installed_wheel_makes_a_database_in_an_empty_folder(tmp_path: Path) -> None:
    dist, site, empty = tmp_path / "dist", tmp_path / "site", tmp_path / "empty"
    empty.mkdir()

    def run(*words: str | Path, cwd: Path = empty, **env: str) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=cwd,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **env},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("-m", "hatchling", "build", "-t", "wheel", "-d", dist, cwd=ROOT)
    (wheel,) = dist.glob("lam3db-*.whl")
    quiet = ("--quiet", "--disable-pip-version-check", "--no-index", "--no-deps")
    run("-m", "pip", "install", *quiet, "--target", site, wheel)
    where = run("-c", "import lam3db; print(lam3db.__file__)", PYTHONPATH=str(site))
    assert str(site) in where, "the wheel is tested, not the clone"
    told = run("-m", "lam3db", "db", "upgrade", PYTHONPATH=str(site))
    assert "schema none -> " in told
    assert {path.name for path in empty.iterdir()} >= {"lam3.db"}
    assert "as made" in run("-m", "lam3db", "db", "check", PYTHONPATH=str(site))
    sql = ("SELECT count(*) AS n FROM v_generation", "--format", "json")
    assert '"n": 0' in run("-m", "lam3db", "sql", *sql, PYTHONPATH=str(site))
    page = run("-m", "lam3db", "report", "--format", "html", PYTHONPATH=str(site))
    assert page.startswith("<!DOCTYPE html>"), "the template is in the wheel"
