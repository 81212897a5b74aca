"""`lam3db merge` and `lam3db bundle` as a user types them, between two folders and two servers."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import merging
import pytest
import stored
from faulty_server import FaultyServer
from sqlalchemy import text
from stub_apis import moderate

sys.path.insert(0, str(Path(__file__).parent))
from typed import lam3db

from lam3db.records import Dataset
from lam3db.store import writes
from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lam3db.records import Sample


def shell(folder: Path, line: str) -> str:
    """Run a line that a command told the user to type."""
    ours = line.strip().replace("lam3db", f"{sys.executable} -m lam3db", 1)
    done = subprocess.run(
        ["/bin/sh", "-c", ours], cwd=folder, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout


@pytest.fixture
def gpu(tmp_path: Path) -> Path:
    """A folder on the GPU server: answers to prompts with images, no score yet."""
    folder = tmp_path / "gpu"
    folder.mkdir()
    (folder / "shape.png").write_bytes(merging.png("teal"))
    rows = [
        {
            "key": f"k{at}",
            "prompt": f"secret prompt {at}",
            "image": "shape.png",
            "behavior": f"b{at}",
        }
        for at in range(12)
    ]
    (folder / "many.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "null.yaml").write_text("name: 'null'\nkind: 'null'\nsource: 'null'\n")
    (folder / "runtime.yaml").write_text("seed: 1\nprecision: fp32\n")
    lam3db(folder, "dataset", "add", "many.jsonl", "--name", "many")
    words = ("generate", "--model", "null.yaml", "--dataset", "many", "--runtime", "runtime.yaml")
    lam3db(folder, *words)
    return folder


@pytest.mark.parametrize("extra", [(), ("--redact",)])
def test_a_bundle_goes_there_and_back_as_its_maker_says(
    gpu: Path, tmp_path: Path, extra: tuple[str, ...]
) -> None:
    there = tmp_path / "laptop"
    there.mkdir()
    made = lam3db(gpu, "bundle", "create", "--judge", "refusal-gcg", "-o", "to judge.db", *extra)
    lines = made.stdout.splitlines()
    assert "12 answers to judge" in lines[0]
    assert "left out: " in made.stdout
    (gpu / "to judge.db").rename(there / "to judge.db")
    on_the_way = lines[-3]
    assert on_the_way == "  lam3db judge --pending --judge refusal-gcg --db 'to judge.db'"
    assert ("secret" in (there / "to judge.db").read_bytes().decode(errors="ignore")) == (not extra)
    assert "12 pending, 12 scored" in shell(there, on_the_way)
    assert "many" not in lam3db(there, "status", "--db", "to judge.db").stdout
    lam3db(there, "db", "verify", "--db", "to judge.db")
    lam3db(there, "db", "check", "--db", "to judge.db")
    (there / "to judge.db").rename(gpu / "to judge.db")
    back = lam3db(gpu, "merge", "to judge.db")
    assert "merged: " in back.stdout
    done = lam3db(gpu, "judge", "--pending", "--judge", "refusal-gcg")
    assert "nothing pending" in done.stdout
    lam3db(gpu, "db", "verify")
    again = json.loads(lam3db(gpu, "merge", "to judge.db", "--format", "json").stdout)
    assert again["changes"] == 0
    assert again["bundle"] is True
    shown = lam3db(gpu, "report", "--format", "json").stdout
    assert "refusal-gcg" in shown


KEY = "sk-loopback-0123456789abcdef"


def test_a_service_is_asked_where_there_is_a_network(
    gpu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real judge behind a real HTTP server, which only the other folder may ask."""
    there = tmp_path / "laptop"
    there.mkdir()
    with FaultyServer(moderate) as server:
        for folder in (gpu, there):
            (folder / "mod.yaml").write_text(
                "kind: openai-moderation\nsettings:\n  sees: [response, image]\n"
                f"  endpoint: {{url: '{server.url}', key_env: OPENAI_API_KEY}}\n"
            )
        words = ("bundle", "create", "--judge", "mod.yaml", "-o", "carry.db", "--redact")
        made = lam3db(gpu, *words).stdout.splitlines()
        assert not server.asked
        for name in ("carry.db", "carry_media"):
            (gpu / name).rename(there / name)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("LAM3DB_MEDIA", str(tmp_path / "of another database"))
        assert made[-3] == "  LAM3DB_MEDIA= lam3db judge --pending --judge mod.yaml --db carry.db"
        assert "12 pending, 12 scored" in shell(there, made[-3])
        assert len(server.asked) >= 1
        monkeypatch.delenv("OPENAI_API_KEY")
        monkeypatch.delenv("LAM3DB_MEDIA")
        asked = len(server.asked)
        assert KEY.encode() not in (there / "carry.db").read_bytes()
        lam3db(gpu, "merge", str(there / "carry.db"))
        assert "nothing pending" in lam3db(gpu, "judge", "--pending", "-j", "mod.yaml").stdout
        assert len(server.asked) == asked
    lam3db(gpu, "db", "verify")
    lam3db(gpu, "export", "scores", "--judge", "mod", "-o", "mod.csv")
    assert (gpu / "mod.csv").read_text().count("omni-moderation-2024-09-26") >= 1


def test_two_servers_meet_in_postgresql(
    gpu: Path, tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lam3db(gpu, "judge", "--pending", "--judge", "refusal-gcg")
    other = tmp_path / "other"
    other.mkdir()
    merging.make(other / "lam3.db", "a")
    monkeypatch.setenv("LAM3DB_URL", postgres_url)
    monkeypatch.setenv("LAM3DB_MEDIA", str(tmp_path / "media of both"))
    look = lam3db(tmp_path, "merge", "gpu/lam3.db", "--dry-run")
    assert "dry run, nothing was written" in look.stdout
    for folder in ("gpu", "other"):
        told = lam3db(tmp_path, "merge", f"{folder}/lam3.db")
        assert "generation" in told.stdout
    lam3db(tmp_path, "db", "verify")
    assert "nothing to change" in lam3db(tmp_path, "merge", "gpu/lam3.db").stdout


def test_a_refusal_is_one_line_and_its_faults(gpu: Path, tmp_path: Path) -> None:
    (tmp_path / "page.db").write_text("hello")
    done = lam3db(gpu, "merge", str(tmp_path / "page.db"), code=1)
    assert "is no SQLite database" in done.stderr
    assert "Traceback" not in done.stderr
    assert "is the database itself" in lam3db(gpu, "merge", "lam3.db", code=1).stderr


def many(path: Path, count: int) -> str:
    """Make a database of ``count`` answers with a score each; return its URL."""
    url = f"sqlite:///{path}"
    with open_store(url, mode="write") as store, store.write() as conn:
        row = writes.put_dataset(conn, Dataset("many", tuple(_samples(count))))
        model, config = (
            writes.put_model_version(conn, stored.model()),
            writes.put_config(conn, stored.config()),
        )
        asked = {"model_version_id": model, "config_id": config, "selection_id": row.selection_id}
        run, _ = stored.start(conn, **asked)
        ids = stored.sample_ids(conn, row.selection_id)
        rows = [writes.GenerationIn(one, 0, stored.answer(f"a {one}")) for one in ids]
        writes.put_generations(conn, run, model, config, rows)
        judge = writes.put_judge(conn, stored.judge())
        said = [
            writes.FindingIn(stored.subject(words), stored.unsafe(), (one,))
            for one, words in conn.execute(text("SELECT id, text FROM generation")).all()
        ]
        writes.put_findings(conn, run, judge, said)
    return url


def _samples(count: int) -> Iterator[tuple[str, Sample]]:
    for at in range(count):
        yield f"m{at}", stored.sample(at, image=False)


@pytest.mark.slow
def test_a_killed_merge_leaves_the_target_as_it_was(tmp_path: Path) -> None:
    """SIGKILL soon after each step has begun, then once to the end."""
    many(tmp_path / "many.db", 4000)
    target = merging.make(tmp_path / "b.db", "b")
    whole = merging.copy(target, tmp_path / "whole.db")
    words = [sys.executable, "-m", "lam3db", "merge", str(tmp_path / "many.db"), "--db"]
    subprocess.run([*words, whole], cwd=tmp_path, check=True, capture_output=True)
    before, moments = merging.numbered(target), random.Random(20261125)
    steps = ("subject", "samples", "answers", "answers", "findings", "findings", "scores")
    for step in steps:
        with subprocess.Popen([*words, target], cwd=tmp_path, stderr=subprocess.PIPE) as at_work:
            assert at_work.stderr is not None
            for line in at_work.stderr:
                if line.strip() == f"merging: {step}".encode():
                    break
            time.sleep(moments.uniform(0, 0.05))
            at_work.send_signal(signal.SIGKILL)
        assert at_work.returncode == -signal.SIGKILL, step
        assert merging.numbered(target) == before
    subprocess.run([*words, target], cwd=tmp_path, check=True, capture_output=True)
    assert merging.facts(target) == merging.facts(whole)
    assert merging.faults(target) == []
