"""The page of judges: its table is that of the files, and its own judge works as written."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest
import stored
from sqlalchemy import text

from lam3db.config import list_configs, load_judge_config
from lam3db.errors import Lam3Error
from lam3db.pipeline.catalog import COLUMNS, catalog, markdown
from lam3db.plugins import judge_maker
from lam3db.resources import shipped
from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from pathlib import Path

PAGE = shipped("configs", "judges", "README.md").read_text(encoding="utf-8")
NAMES = list_configs("judges")


def test_the_page_shows_the_files() -> None:
    shown = re.search(r"<!-- catalog -->\n(.*)<!-- /catalog -->", PAGE, re.DOTALL)
    assert shown is not None
    assert shown[1] == markdown(), "paste `lam3db judge catalog --format markdown` into the page"


def test_every_judge_tells_all_a_user_asks() -> None:
    for row in catalog():
        assert all(cell.strip() for cell in row), dict(zip(COLUMNS, row, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_what_a_judge_is_said_to_see_is_what_it_sees(name: str) -> None:
    config = load_judge_config(name)
    try:
        identity = judge_maker(config.kind).describe(config, lambda *_: None)
    except Lam3Error:  # its weights are not on this machine
        pytest.skip(f"{name} cannot be described without its weights")
    assert set(config.about.sees.split(", ")) == {str(part) for part in identity.sees}


def block(language: str, after: str) -> str:
    """Return the code block of a language that follows some words of the page."""
    found = re.search(rf"```{language}\n(.*?)```", PAGE[PAGE.index(after) :], re.DOTALL)
    assert found is not None, language
    return found[1]


def test_the_judge_of_the_page_works_as_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    code = block("python", "## Write your own")
    assert len(re.findall(r"^\s*\S", code, re.MULTILINE)) <= 20
    (source / "shouting.py").write_text(code, encoding="utf-8")
    (source / "pyproject.toml").write_text(block("toml", "## Write your own"), encoding="utf-8")
    (tmp_path / "shouting.yaml").write_text(block("yaml", "## Write your own"), encoding="utf-8")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path]
    subprocess.run([*build, source], check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "site")
    database = str(tmp_path / "lam3.db")
    with open_store(database, mode="write") as store, store.write() as conn:
        stored.answer_all(conn, stored.build(conn, 3), ["Stop!", "Go on", "!!"])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"), prepend=":")
    command = [sys.executable, "-m", "lam3db", "judge", "--pending", "--judge", "shouting.yaml"]
    subprocess.run([*command, "--db", database], cwd=tmp_path, check=True, capture_output=True)
    with open_store(database, mode="read") as store, store.read() as conn:
        asked = "SELECT g.text, s.value FROM v_score s JOIN generation g ON g.id = s.generation_id"
        assert dict(map(tuple, conn.execute(text(asked)))) == {"Stop!": 0.2, "Go on": 0, "!!": 1}
