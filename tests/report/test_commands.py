"""The commands ``report``, ``status``, ``show`` and ``export`` on a small store."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import typer
from scored import COMPLIED, REFUSED, World, refusal, sample
from typer.testing import CliRunner

from lam3db.cli import report as commands
from lam3db.errors import Lam3Error
from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from pathlib import Path


app = typer.Typer()
app.command("report")(commands.report)
app.command("status")(commands.status)
app.command("show")(commands.show)
app.add_typer(commands.export_app, name="export")


@pytest.fixture
def url(sqlite_url: str) -> str:
    with open_store(sqlite_url, mode="write") as store, store.write() as conn:
        world = World(conn)
        data = world.dataset([sample("a"), sample("b", "wrapper")])
        answered = world.answer(data, world.model(), world.config())
        said = {answered.ids["k0", 0]: REFUSED, answered.ids["k1", 0]: COMPLIED}
        world.score(answered, world.judge(refusal()), said)
    return sqlite_url


def call(url: str, *arguments: str) -> Any:
    return CliRunner().invoke(app, [*arguments, "--db", url])


def test_report_prints_a_table_and_json_and_writes_a_file(url: str, tmp_path: Path) -> None:
    shown = call(url, "report")
    assert shown.exit_code == 0, shown.exception
    assert "wrapper" in shown.stdout
    value = json.loads(call(url, "report", "--by", "attack", "--format", "json").stdout)
    hits = {row["group"]["attack"]: row["numbers"][0]["share"]["hits"] for row in value["rows"]}
    assert hits == {"none": 0, "wrapper": 1}
    path = tmp_path / "report.md"
    call(url, "report", "--format", "markdown", "-o", str(path))
    assert path.read_text().startswith("Scope: dataset bench@1")
    again = call(url, "report", "-o", str(path))
    assert isinstance(again.exception, Lam3Error)


def test_status_show_and_export(url: str, tmp_path: Path) -> None:
    assert "refusal" in call(url, "status").stdout
    assert json.loads(call(url, "status", "--format", "json").stdout)["answers"][0]["stored"] == 2
    shown = call(url, "show", "--where", "model=demo", "--where", "attack=wrapper")
    assert "b by wrapper, 0" in shown.stdout
    assert "a by none" not in shown.stdout
    (answer,) = json.loads(call(url, "show", "1", "--format", "json").stdout)
    assert answer["generation_id"] == 1
    path = tmp_path / "out.jsonl"
    call(url, "export", "generations", "-o", str(path), "--where", "attack=none")
    (row,) = [json.loads(line) for line in path.read_text().splitlines()]
    assert row["behavior"] == "a"
    assert isinstance(row["settings"], dict)
    assert (row["images"], row["image_paths"], row["metadata"]) == ([], [], {})
    call(url, "export", "generations", "-o", str(tmp_path / "out.csv"))
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as stream:
        cells = list(csv.DictReader(stream))
    assert [json.loads(cell["settings"]) for cell in cells] == [row["settings"]] * 2
    assert len(call(url, "export", "generations", "-o", "-").stdout.splitlines()) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "--format", "pdf"),
        ("report", "--rule", "all"),
        ("status", "--format", "xml"),
        ("show", "77"),
        ("show", "--model", "demo", "--where", "model=demo"),
        ("export", "generations", "-o", "-", "--format", "xlsx"),
    ],
)
def test_mistakes_are_errors_for_people(url: str, arguments: tuple[str, ...]) -> None:
    assert isinstance(call(url, *arguments).exception, Lam3Error)


def test_printing_helpers_bring_no_database_along() -> None:
    code = "import sys, lam3db.report.text; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
