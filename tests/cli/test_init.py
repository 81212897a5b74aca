"""``lam3db init`` copies what ships and never overwrites."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from lam3db.cli.init import init
from lam3db.config import list_configs, load_model_config, load_run_config
from lam3db.errors import ConfigError
from lam3db.resources import shipped

app = typer.Typer()
app.command()(init)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shipped_files() -> list[str]:
    return sorted(str(p.relative_to(shipped())) for p in shipped("configs").rglob("*.yaml"))


def test_everything_that_ships_is_copied_and_works_from_there() -> None:
    done = CliRunner().invoke(app, [])
    assert done.exit_code == 0, done.output
    assert sorted(str(path) for path in Path("configs").rglob("*.yaml")) == shipped_files()
    assert "configs/runtime.yaml" in shipped_files()
    assert f"{len(shipped_files())} written, 0 kept" in done.output
    for name in list_configs("models"):
        assert load_model_config(f"configs/models/{name}.yaml") == load_model_config(name)
    for name in list_configs("runs"):
        assert load_run_config(name).models


def test_a_second_time_keeps_what_was_edited() -> None:
    CliRunner().invoke(app, [])
    edited = Path("configs/runtime.yaml")
    edited.write_text("seed: 7\n", encoding="utf-8")
    Path("configs/runs/lab.yaml").unlink()
    done = CliRunner().invoke(app, [])
    assert done.exit_code == 0
    assert edited.read_text(encoding="utf-8") == "seed: 7\n"
    assert "kept   configs/runtime.yaml" in done.output
    assert "wrote  configs/runs/lab.yaml" in done.output
    assert f"1 written, {len(shipped_files()) - 1} kept" in done.output


def test_another_folder_is_made_and_named_in_the_next_steps() -> None:
    done = CliRunner().invoke(app, ["new/place"])
    assert done.exit_code == 0
    assert Path("new/place/configs/models/demo-llava.yaml").is_file()
    assert "  cd new/place\n" in done.output
    assert "lam3db doctor" in done.output


def test_a_file_in_the_way_is_told() -> None:
    Path("configs").write_text("mine", encoding="utf-8")
    done = CliRunner().invoke(app, [])
    assert isinstance(done.exception, ConfigError)
    assert "cannot be written" in str(done.exception)
    assert Path("configs").read_text(encoding="utf-8") == "mine"


def test_a_file_that_cannot_be_written_whole_is_not_left_behind() -> None:
    program = (
        "import pathlib, resource; resource.setrlimit(resource.RLIMIT_FSIZE, (9, 9));"
        "from lam3db.cli.init import copy_configs; copy_configs(pathlib.Path())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "File too large" in done.stderr.splitlines()[-1]
    assert not [path for path in Path().rglob("*") if path.is_file()]
