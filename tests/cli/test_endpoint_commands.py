"""The commands that reach endpoints, as a user types them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from faulty_server import FaultyServer, Play, error, within
from stub_apis import play

from lam3db.judges.openai_moderation import SNAPSHOT

if TYPE_CHECKING:
    from pathlib import Path

KEY = "sk-loopback-0123456789abcdef"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with three answers of a null model."""
    rows = [{"id": f"k{n}", "prompt": f"prompt {n}", "behavior": "b"} for n in range(3)]
    (tmp_path / "three.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write(tmp_path, "models/nul", "kind: 'null'\nsource: 'null'\n")
    assert lam3db(tmp_path, "dataset", "add", "three.jsonl", "--name", "three")[0] == 0
    assert lam3db(tmp_path, "generate", "-m", "nul", "-d", "three")[0] == 0
    return tmp_path


def write(folder: Path, name: str, text: str) -> None:
    path = folder / "configs" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def judge(folder: Path, server: FaultyServer, kind: str, more: str = "") -> None:
    write(
        folder,
        f"judges/{kind}",
        f"kind: {kind}\n{more}settings:\n  endpoint:\n    url: {server.url}\n"
        "    key_env: STUB_KEY\n    requests_per_minute: 6000\n",
    )


def lam3db(folder: Path, *words: str, key: str | None = KEY) -> tuple[int, str]:
    """Return exit code and output; the key must not be in it."""
    environment = {k: v for k, v in os.environ.items() if k != "STUB_KEY"}
    if key is not None:
        environment["STUB_KEY"] = key
    done = subprocess.run(
        [sys.executable, "-m", "lam3db", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert KEY not in done.stdout + done.stderr
    return done.returncode, done.stdout + done.stderr


def test_a_key_of_the_env_file_judges_and_is_kept_nowhere(folder: Path) -> None:
    (folder / ".env").write_text(f"STUB_KEY={KEY}\n")
    with FaultyServer(play) as server:
        judge(folder, server, "openai-moderation")
        code, said = lam3db(folder, "judge", "--pending", "-j", "openai-moderation", key=None)
        assert server.asked[0].headers["Authorization"] == f"Bearer {KEY}"
    assert (code, "3 scored" in said) == (0, True)
    assert not [p for p in folder.glob("*.db*") if KEY.encode() in p.read_bytes()]


def test_a_missing_key_is_one_line(folder: Path) -> None:
    with FaultyServer(play) as server:
        judge(folder, server, "openai-moderation")
        code, said = lam3db(folder, "judge", "--pending", "-j", "openai-moderation", key=None)
    assert code == 1
    assert "set STUB_KEY in the environment" in said
    assert "Traceback" not in said


def test_a_budget_of_the_command_stands_above_the_file(folder: Path) -> None:
    with FaultyServer(play) as server:
        judge(folder, server, "openai-moderation")
        words = ("judge", "--pending", "-j", "openai-moderation", "--max-requests", "2")
        code, said = lam3db(folder, *words)
        assert (code, len(server.asked)) == (3, 2)
        assert said.count("max_requests") == 1
        code, said = lam3db(folder, *words)
        assert (code, len(server.asked)) == (0, 3)


def test_a_budget_for_what_asks_no_endpoint_is_an_error(folder: Path) -> None:
    code, said = lam3db(folder, "judge", "--pending", "-j", "refusal-gcg", "--max-requests", "2")
    assert (code, "refusal-gcg asks no endpoint" in said) == (1, True)
    code, said = lam3db(folder, "generate", "-m", "nul", "-d", "three", "--max-cost", "1")
    assert (code, "nul asks no endpoint" in said) == (1, True)
    with FaultyServer(play) as server:
        judge(folder, server, "perspective")
        code, said = lam3db(folder, "judge", "--pending", "-j", "perspective", "--max-cost", "1")
    assert (code, "input_price" in said) == (1, True)


def test_a_budget_of_generate_and_a_preview_that_asks_nobody(folder: Path) -> None:
    choice = {"message": {"content": "hi"}, "finish_reason": "stop"}
    with FaultyServer(lambda _: Play(body={"choices": [choice]})) as server:
        block = f"endpoint: {{url: '{server.url}', key_env: STUB_KEY}}"
        write(folder, "models/far", f"family: endpoint\nsource: x\n{block}\n")
        words = ("generate", "-m", "far", "-d", "three", "--max-requests", "2")
        code, said = lam3db(folder, *words, "--dry-run", key=None)
        assert (code, len(server.asked), "3 to generate" in said) == (0, 0, True)
        code, said = lam3db(folder, *words)
        assert (code, len(server.asked), "2 new" in said) == (3, 2, True)
        assert "max_requests" in said
        code, said = lam3db(folder, *words)
        assert (code, len(server.asked), "1 new" in said) == (0, 3, True)


def test_a_refused_key_ends_with_one_line_and_fails_nothing(folder: Path) -> None:
    with FaultyServer(lambda _: error(401, f"Incorrect API key: {KEY}")) as server:
        judge(folder, server, "openai-moderation")
        code, said = lam3db(folder, "judge", "--pending", "-j", "openai-moderation")
    assert code == 3
    assert "the key in STUB_KEY is refused" in said
    with FaultyServer(play) as server:
        judge(folder, server, "openai-moderation")
        code, said = lam3db(folder, "judge", "--pending", "-j", "openai-moderation")
    assert (code, "3 scored" in said) == (0, True)


def test_a_service_that_has_ended_says_so_and_ends_with_3(folder: Path) -> None:
    with FaultyServer(play) as server:
        judge(folder, server, "perspective", "ends_on: 2020-02-29\n")
        code, said = lam3db(folder, "judge", "--pending", "-j", "perspective", key=None)
        assert not server.asked
    assert code == 3
    assert "ended on 2020-02-29: 3 pending, 0 scored" in said
    assert "3 stay pending" in said
    with FaultyServer(play) as server:
        judge(folder, server, "perspective", "ends_on: 2999-01-01\n")
        code, said = lam3db(folder, "judge", "--pending", "-j", "perspective")
    assert (code, "perspective ends on 2999-01-01 (in " in said) == (0, True)


def test_doctor_online_in_one_screen(folder: Path) -> None:
    with FaultyServer(lambda _: Play(body={"data": [{"id": SNAPSHOT}]})) as server:
        judge(folder, server, "openai-moderation")
        code, said = lam3db(folder, "doctor", "--online", "-j", "openai-moderation")
        assert code == 0
        assert "STUB_KEY set in the environment" in said
    code, said = lam3db(folder, "doctor", "--online", "-j", "openai-moderation")
    assert (code, "cannot be reached" in said) == (3, True)
    code, said = lam3db(folder, "doctor", "-j", "openai-moderation")
    assert (code, "cannot be reached" in said) == (0, False), "without --online nobody is asked"


@pytest.mark.parametrize("kind", ["judge", "model"])
def test_an_endless_wait_is_told_and_left_at_once(folder: Path, kind: str) -> None:
    with FaultyServer(lambda _: error(429, "tomorrow", Retry_After="86400")) as server:
        judge(folder, server, "openai-moderation")
        block = f"endpoint: {{url: '{server.url}', key_env: STUB_KEY}}"
        write(folder, "models/far", f"family: endpoint\nsource: x\n{block}\n")
        words = {
            "judge": ("judge", "--pending", "-j", "openai-moderation"),
            "model": ("generate", "-m", "far", "-d", "three"),
        }[kind]
        process = subprocess.Popen(
            [sys.executable, "-m", "lam3db", *words],
            cwd=folder,
            env=os.environ | {"STUB_KEY": KEY},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert within(60, lambda: len(server.asked) > 0)
        time.sleep(1.5)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
        assert time.monotonic() - started < 10
    assert process.returncode == 130
    assert said.count("asks to wait 86400 s") == 1
    assert "interrupted" in said
    assert KEY not in said
    with FaultyServer(play) as server:
        judge(folder, server, "openai-moderation")
        code, said = lam3db(folder, "judge", "--pending", "-j", "openai-moderation")
    assert (code, "3 scored" in said) == (0, True), "nothing was lost or given up"
