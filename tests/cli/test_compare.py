"""``lam3db compare`` as typed: what it prints, and how it ends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from scored import COMPLIED, REFUSED, World, refusal, sample
from typer.testing import CliRunner

from lam3db.cli.app import app
from lam3db.errors import Lam3Error
from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def url(sqlite_url: str) -> str:
    with open_store(sqlite_url, mode="write") as store, store.write() as conn:
        world = World(conn)
        data, other = world.dataset([sample("a"), sample("b")]), [sample("a"), sample("c")]
        judge, config = world.judge(refusal()), world.config()
        for name in ("one", "two", "far"):
            asked = world.dataset(other, "elsewhere") if name == "far" else data
            answered = world.answer(asked, world.model(name), config, text=name)
            said = (COMPLIED, COMPLIED if name == "one" else REFUSED)
            world.score(answered, judge, dict(zip(answered.ids.values(), said, strict=True)))
    return sqlite_url


def call(url: str, *arguments: str) -> Any:
    return CliRunner().invoke(app, ["compare", *arguments, "--db", url])


def test_two_models_are_compared(url: str, tmp_path: Path) -> None:
    shown = call(url, "one", "two")
    assert shown.exit_code == 0, shown.exception
    assert "A = one, B = two on bench@1" in shown.stdout
    line = json.loads(call(url, "one", "two", "-f", "json").stdout)["pairs"][0]["lines"][0]
    assert (line["only_a"], line["only_b"], line["pairs"], line["p"]) == (1, 0, 2, 1)
    path = tmp_path / "c.md"
    assert call(url, "one", "two", "-f", "markdown", "-o", str(path)).exit_code == 0
    assert path.read_text().startswith("Scope: everything")


def test_the_exit_code_tells_what_could_not_be_compared(url: str) -> None:
    nothing = call(url, "one", "far")
    assert nothing.exit_code == 1
    assert "Not comparable: the dataset version differs" in nothing.stdout
    assert call(url, "one", "two", "far").exit_code == 3
    anyway = call(url, "one", "far", "--anyway")
    assert anyway.exit_code == 0
    assert "MARKED" in anyway.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("one",),
        ("one", "nobody"),
        ("one", "one"),
        ("one", "two", "--where", "model=one"),
        ("one", "two", "--where", "colour=red"),
        ("one", "two", "--dataset", "none"),
        ("one", "two", "--judge", "none"),
        ("one", "two", "--rule", "all"),
        ("one", "two", "--format", "pdf"),
    ],
)
def test_mistakes_are_errors_for_people(url: str, arguments: tuple[str, ...]) -> None:
    assert isinstance(call(url, *arguments).exception, Lam3Error)
