"""The command line as a user types it, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def lam3db(folder: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command line in ``folder`` as a user would; check the exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "lam3db", *words],
        cwd=folder,
        env={**os.environ, "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def query(folder: Path, text: str) -> list[dict[str, object]]:
    """Return the rows of an SQL question to the folder's database."""
    found: list[dict[str, object]] = json.loads(
        lam3db(folder, "sql", text, "--format", "json").stdout
    )
    return found
