"""Running commands as a user would, and filling in what they write."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def lam3db(folder: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command line in ``folder``; check the exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "lam3db", *words],
        cwd=folder,
        env={**os.environ, "COLUMNS": "120", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def read_csv(path: Path) -> list[dict[str, str]]:
    """Return an exported file's rows."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def label_csv(path: Path, rows: list[dict[str, str]]) -> None:
    """Write rows back as a spreadsheet program does."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
