"""SIGKILL at random moments of generate and judge ends in the rows of an undisturbed run.

Two dozen kills through the real command line on a real file, with the shipped null model and
judge (deterministic, slowed down so that kills land between and within batches).
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SAMPLES, REPLICATES, KILLS = 600, 2, 12


def generate(speed: str) -> list[str]:
    return [
        *("generate", "--model", f"{speed}.yaml", "--dataset", "many", "--batch-size", "8"),
        *("--replicates", str(REPLICATES), "--runtime", "runtime.yaml"),
    ]


def judge(speed: str) -> list[str]:
    return ["judge", "--pending", "--judge", f"{speed}-judge.yaml"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [
        {"key": f"k{number}", "prompt": f"say {number}", "behavior": f"b{number % 7}"}
        for number in range(SAMPLES)
    ]
    (tmp_path / "many.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "runtime.yaml").write_text("seed: 1\nprecision: fp32\n")
    for speed, delay in (("fast", 0), ("slow", 150)):  # one identity: a delay changes no answer
        (tmp_path / f"{speed}.yaml").write_text(
            f"name: 'null'\nkind: 'null'\nsource: 'null?delay_ms={delay}'\n"
        )
        (tmp_path / f"{speed}-judge.yaml").write_text(
            f"name: half\nkind: 'null'\nsettings: {{delay_ms: {delay}, batch: 8}}\n"
        )
    return tmp_path


def start(folder: Path, db: str, words: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "lam3db", *words, "--db", db],
        cwd=folder,
        env={**os.environ, "PYTHONHASHSEED": "random"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def finish(folder: Path, db: str, words: list[str]) -> None:
    process = start(folder, db, words)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors.decode()


def kill_at_random(folder: Path, db: str, words: list[str], moments: random.Random) -> bool:
    """Start, wait a random while, kill; return whether it was still alive then."""
    process = start(folder, db, words)
    time.sleep(moments.uniform(0.6, 2.6))
    alive = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    return alive


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(path) as conn:
        return conn.execute(query).fetchall()


def healthy(path: Path) -> None:
    """Check what must hold after every kill."""
    if not path.exists() or not rows(path, "SELECT 1 FROM sqlite_master WHERE name = 'score'"):
        return
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    assert rows(path, "PRAGMA foreign_key_check") == []
    for table, key in (
        ("generation", "model_version_id, config_id, sample_id, replicate, variant"),
        ("score", "judge_id, generation_id, replicate, revision"),
    ):
        twice = f"SELECT 1 FROM {table} GROUP BY {key} HAVING count(*) > 1"
        assert rows(path, twice) == []


ANSWERS = "SELECT sample, replicate, text FROM v_generation ORDER BY sample, replicate"
SCORES = (
    "SELECT sample, replicate, judge, status, verdict, value FROM v_score "
    "ORDER BY sample, replicate, judge"
)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_dozen_kills_end_in_the_same_rows(folder: Path) -> None:
    for db in ("calm.db", "killed.db"):
        finish(folder, db, ["dataset", "add", "many.jsonl", "--name", "many"])
    finish(folder, "calm.db", generate("fast"))
    finish(folder, "calm.db", judge("fast"))
    moments = random.Random(20261123)
    killed = folder / "killed.db"
    landed = 0
    for words in (generate, judge):
        for _ in range(KILLS):
            landed += kill_at_random(folder, "killed.db", words("slow"), moments)
            healthy(killed)
        finish(folder, "killed.db", words("fast"))
    assert landed >= 20, "too many runs ended before they were killed: slow the null model down"
    calm = folder / "calm.db"
    assert len(rows(calm, ANSWERS)) == SAMPLES * REPLICATES
    assert rows(killed, ANSWERS) == rows(calm, ANSWERS)
    assert len(rows(calm, SCORES)) == SAMPLES * REPLICATES
    assert rows(killed, SCORES) == rows(calm, SCORES)
    finish(folder, "killed.db", ["db", "verify"])
