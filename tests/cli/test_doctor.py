"""``lam3db doctor`` finds each fault, names its cure, changes nothing and shows no secret."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer
from typer.testing import CliRunner

from lam3db.cli.doctor import doctor
from lam3db.pipeline.doctor import _numbers, _within, examine
from lam3db.resources import shipped
from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from lam3db.pipeline.doctor_check import Check

SECRET = "q7Xw9ZkLmN3p"  # noqa: S105 - of no use anywhere
app = typer.Typer()
app.command()(doctor)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder on a machine without a GPU."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.delenv("HF_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return work


def find(name: str, checks: list[Check]) -> Check:
    return next(check for check in checks if check.name == name)


def program(folder: Path, name: str, text: str) -> None:
    path = folder.parent / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def write(path: str, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")


def test_a_fresh_folder_has_no_fault_and_stays_empty(folder: Path) -> None:
    done = CliRunner().invoke(app, [])
    assert done.exit_code == 0, done.output
    assert "no faults" in done.output
    assert "is not there yet" in done.output
    assert list(folder.iterdir()) == []


def test_every_check_that_is_not_ok_has_a_cure() -> None:
    checks = examine(models=["demo-llava", "nobody"], judges=["refusal-gcg", "nobody"])
    assert {check.state for check in checks} >= {"ok", "fail"}
    assert all(check.cure for check in checks if check.state != "ok")
    assert len({check.name for check in checks}) == len(checks)


def test_json_for_programs() -> None:
    done = CliRunner().invoke(app, ["--format", "json", "--model", "nobody"])
    assert done.exit_code == 1
    checks = json.loads(done.stdout)
    assert {frozenset(check) for check in checks} == {
        frozenset(("name", "state", "detail", "cure"))
    }
    assert [check["name"] for check in checks if check["state"] == "fail"] == ["model nobody"]


# --- the database


def test_a_database_that_is_there_is_looked_at_only(sqlite_url: str) -> None:
    with open_store(sqlite_url, mode="write"):
        pass
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    before = (path.stat().st_mtime_ns, path.read_bytes())
    check = find("database", examine(sqlite_url))
    assert (check.state, "schema is current" in check.detail) == ("ok", True)
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before


def test_a_postgresql_database_without_tables_needs_to_be_asked(empty_postgres_url: str) -> None:
    check = find("database", examine(empty_postgres_url))
    assert (check.state, check.cure) == ("fail", "lam3db db upgrade")


def test_a_postgresql_database_that_is_current(postgres_url: str) -> None:
    assert find("database", examine(postgres_url)).state == "ok"


def test_a_server_that_does_not_answer_is_a_fault_without_its_password() -> None:
    checks = examine(f"postgresql://me:{SECRET}@127.0.0.1:1/db")
    assert find("database", checks).state == "fail"
    assert SECRET not in repr(checks)


def test_a_file_that_is_no_database() -> None:
    write("x.db", "not a database, but long enough to have been one" * 20)
    assert find("database", examine("x.db")).state == "fail"


def test_a_place_that_cannot_be_written_to() -> None:
    write("file", "x")
    check = find("database", examine("file/x.db"))
    assert check.state == "fail"
    assert "--db" in check.cure


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_media_root_that_cannot_be_written_to(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder / "media"
    root.mkdir(mode=0o500)
    monkeypatch.setenv("LAM3DB_MEDIA", str(root))
    assert find("media root", examine()).state == "fail"


def test_a_media_root_that_is_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write("media", "x")
    monkeypatch.setenv("LAM3DB_MEDIA", str(Path("media").absolute()))
    check = find("media root", examine())
    assert (check.state, "is not a folder" in check.detail) == ("fail", True)


def test_a_media_root_elsewhere_is_shown_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LAM3DB_MEDIA", f"sftp://me:{SECRET}@host/media")
    checks = examine()
    assert find("media root", checks).state == "warn"
    assert SECRET not in repr(checks)


# --- models and judges


def test_the_demo_models_are_complete() -> None:
    checks = examine(models=["demo-llava", "demo-idefics2"])
    assert [find(f"model demo-{name}", checks).state for name in ("llava", "idefics2")] == [
        "ok"
    ] * 2


def test_a_missing_file_of_a_model_is_named(folder: Path) -> None:
    copy = folder / "llava"
    shutil.copytree(shipped("data", "demo", "llava"), copy)
    (copy / "tokenizer.json").unlink()
    write("configs/models/mine.yaml", f"source: {copy}\n")
    check = find("model mine", examine(models=["mine"]))
    assert check.state == "fail"
    assert "tokenizer.json is missing" in check.detail


def test_a_big_model_that_is_not_here_is_a_fault_only_where_it_is_named() -> None:
    check = find("model llava-1.5-7b", examine())
    assert (check.state, "\n" in check.detail) == ("warn", False)
    assert "lam3db doctor --model llava-1.5-7b" in check.cure
    check = find("model llava-1.5-7b", examine(models=["llava-1.5-7b"]))
    assert check.state == "fail"
    assert "hf download" in check.cure


def test_a_wrong_config_is_told_with_its_line() -> None:
    write("configs/models/mine.yaml", "source: /x\nkindd: transformers\n")
    check = find("model mine", examine(models=["mine"]))
    assert "configs/models/mine.yaml:2: unknown key 'kindd'" in check.detail


def test_names_nobody_knows_have_a_near_one() -> None:
    checks = examine(models=["demo-lava"], judges=["refusal-gpt"])
    assert "did you mean 'demo-llava'" in find("model demo-lava", checks).detail
    assert "did you mean 'refusal-gcg'" in find("judge refusal-gpt", checks).detail


def test_each_missing_file_of_a_judge_is_told_with_how_to_fetch_it() -> None:
    check = find("judge detoxify-original", examine(judges=["detoxify-original"]))
    assert check.state == "fail"
    assert "toxic_original-c1212f89.ckpt" in check.detail
    assert "bert-base-uncased" in check.detail


def test_only_what_is_named_is_looked_at() -> None:
    names = [check.name for check in examine(judges=["refusal-gcg"]) if " " in check.name]
    assert [name for name in names if name.startswith(("model d", "judge"))] == [
        "judge refusal-gcg"
    ]


def test_a_classifier_that_is_not_here_is_told_with_how_to_fetch_it() -> None:
    check = find("judge rejection", examine(judges=["rejection"]))
    assert check.state == "fail"
    assert "models--protectai--distilroberta-base-rejection-v1" in check.detail
    assert "`hf download protectai/distilroberta-base-rejection-v1 --local-dir DIR`" in check.cure
    assert "`source: DIR`" in check.cure
    assert find("judge classifier-demo", examine(judges=["classifier-demo"])).state == "ok"


def test_looking_at_models_and_judges_imports_no_model_stack() -> None:
    words = (
        "import sys; from lam3db.pipeline.doctor import examine;"
        "examine(models=['demo-llava'], judges=['refusal-gcg']);"
        "print([m for m in ('torch', 'transformers', 'detoxify') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"


def test_a_terminal_folds_details_between_words_and_leaves_cures_whole() -> None:
    program = (
        "from lam3db.cli.doctor import show; from lam3db.pipeline.doctor_check import Check;"
        "show([Check('judge x', 'warn', 'a detail of many words ' * 5, 'ssh ' + 'x' * 70)])"
    )
    ours, theirs = pty.openpty()
    env = {**os.environ, "COLUMNS": "60", "TERM": "xterm", "NO_COLOR": "1", "LANG": "C.UTF-8"}
    subprocess.run([sys.executable, "-c", program], stdout=theirs, env=env, check=True)
    os.close(theirs)
    printed = re.sub(r"\x1b\[[0-9;]*m", "", os.read(ours, 65536).decode())
    os.close(ours)
    lines = printed.replace("\r\n", "\n").splitlines()
    cure = next(line for line in lines if "cure:" in line)
    assert cure == f"  cure: ssh {'x' * 70}"
    details = lines[: lines.index(cure)]
    assert len(details) > 1
    assert all(line.index("detail") < line.rindex("words") <= 55 for line in details)
    assert len({len(line) - len(line.lstrip()) for line in details[1:]}) == 1


# --- the machine


def test_without_a_gpu_the_cpu_is_used() -> None:
    check = find("GPU", examine(judges=["refusal-gcg"]))
    assert (check.state, "CPU" in check.detail) == ("ok", True)


def test_a_gpu_that_torch_cannot_use_is_told(folder: Path) -> None:
    pytest.importorskip("torch")
    program(folder, "nvidia-smi", "#!/bin/sh\necho 'Some GPU, 81559 MiB, 550.1'\n")
    check = find("GPU", examine(judges=["refusal-gcg"]))
    assert "Some GPU, 81559 MiB" in check.detail
    assert (check.state == "ok") == ("with CUDA" in check.detail)


def test_keys_are_named_but_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("OTHER_API_KEY", f"{SECRET}\n")
    checks = examine(judges=["refusal-gcg"])
    check = find("keys", checks)
    assert "OPENAI_API_KEY set" in check.detail
    assert "PERSPECTIVE_API_KEY not set" in check.detail
    assert (check.state, "OTHER_API_KEY" in check.cure) == ("warn", True)
    assert SECRET not in repr(checks)


def test_a_key_in_the_file_counts_as_the_judges_find_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "OPENAI_API_KEY", "PERSPECTIVE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    write(".env", f"export OPENAI_API_KEY='{SECRET}'\nHF_TOKEN={SECRET}\n")
    check = find("keys", examine(judges=["refusal-gcg"]))
    assert check.state == "ok"
    assert "OPENAI_API_KEY set in .env, PERSPECTIVE_API_KEY not set" in check.detail
    assert "HF_TOKEN not set" in check.detail  # its library does not look there
    write(".env", f'OPENAI_API_KEY="two words {SECRET}"\n')
    check = find("keys", examine(judges=["refusal-gcg"]))
    assert (check.state, "OPENAI_API_KEY" in check.cure) == ("warn", True)
    assert SECRET not in repr(check)


def test_proxies_are_shown_without_their_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{SECRET}@proxy.lab:3128")
    monkeypatch.setenv("no_proxy", "localhost")
    checks = examine(judges=["refusal-gcg"])
    detail = find("proxies", checks).detail
    assert "HTTPS_PROXY=http://me:***@proxy.lab:3128" in detail
    assert "no_proxy=localhost" in detail
    assert SECRET not in repr(checks)


def test_offline_flags_and_a_cache_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "HF_HUB_OFFLINE=1" in find("offline", examine(judges=["refusal-gcg"])).detail
    monkeypatch.setenv("TORCH_HOME", "/nowhere/torch")
    check = find("offline", examine(judges=["refusal-gcg"]))
    assert (check.state, "/nowhere/torch" in check.detail) == ("warn", True)


@pytest.mark.parametrize(
    ("installed", "bounds", "inside"),
    [
        ("2.13.0+cpu", "<2.14,>=2.6", True),
        ("2.14.0", "<2.14,>=2.6", False),
        ("2.14", "<2.14", False),
        ("2.5.1", ">=2.6", False),
        ("10.0", ">=9.1", True),
        ("1.0", "==1.0.0", True),
        ("0.5.4", "", True),
    ],
)
def test_versions_are_compared_as_numbers(installed: str, bounds: str, inside: bool) -> None:
    assert _within(installed, bounds) is inside


def test_a_version_is_what_stands_before_its_suffix() -> None:
    assert _numbers("2.13.0rc1") == (2, 13)


def test_a_missing_key_is_a_fault_of_who_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("A_KEY", raising=False)
    ends = "endpoint: {url: 'https://api.example/v1', key_env: A_KEY}\n"
    write("m.yaml", f"family: endpoint\nsource: some/model\n{ends}")
    write("j.yaml", f"kind: openai-moderation\nsettings:\n  {ends}")
    for name, option in (("model m.yaml", "models"), ("judge j.yaml", "judges")):
        file = name.split()[1]
        check = find(name, examine(**{option: [file]}))
        assert (check.state, "set A_KEY in the environment" in check.detail) == ("fail", True)
        monkeypatch.setenv("A_KEY", SECRET)
        check = find(name, examine(**{option: [file]}))
        assert (check.state, "A_KEY set in the environment" in check.detail) == ("ok", True)
        assert SECRET not in check.detail
        monkeypatch.delenv("A_KEY")
    write("gone.yaml", f"kind: openai-moderation\nends_on: 2020-01-01\nsettings:\n  {ends}")
    check = find("judge gone.yaml", examine(judges=["gone.yaml"]))
    assert (check.state, "ended on 2020-01-01" in check.detail) == ("ok", True)


def test_a_proxy_that_cannot_be_used_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"nothing://user:{SECRET}@host")
    check = find("proxies", examine(models=["demo-llava"]))
    assert check.state == "warn"
    assert "HTTPS_PROXY" in check.detail
    assert SECRET not in check.detail


def test_a_models_stops_and_room_are_told(folder: Path) -> None:
    check = find("model demo-llava", examine(models=["demo-llava"]))
    assert check.state == "ok"
    assert "an answer ends at" in check.detail
    assert "context of 2048 tokens, an image takes 64, an answer up to 256" in check.detail
    write("long.yaml", "max_new_tokens: 2000\nquantization: {enabled: false}\n")
    check = find("model demo-llava", examine(models=["demo-llava"], runtime="long.yaml"))
    assert check.state == "fail"
    assert "nothing is left for the prompt: ask for less" in check.detail
    shutil.copytree(shipped("data", "demo", "llava"), folder / "odd")
    for name in ("processor_config.json",):
        path = folder / "odd" / name
        path.write_text(path.read_text().replace('"patch_size": 8', '"patch_size": 16'))
    write("odd.yaml", "family: llava\nsource: odd\n")
    check = find("model odd.yaml", examine(models=["odd.yaml"]))
    assert (check.state, "the processor contradicts the model" in check.detail) == ("fail", True)
