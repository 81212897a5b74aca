"""The README's commands exist with the options it names, and its promises about views hold."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer

from lam3db.cli.app import app

ROOT = Path(__file__).resolve().parents[1]
READMES = ("README.md", "README.zh-CN.md", "configs/judges/README.md")


def commands(name: str) -> list[list[str]]:
    """Return every ``lam3db ...`` command of the README's shell blocks, as words."""
    text = (ROOT / name).read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    found = []
    for line in "\n".join(blocks).replace("\\\n", " ").splitlines():
        for part in line.split("&&"):
            words = shlex.split(part, comments=True)
            if words and words[0].rpartition("/")[2] == "lam3db":
                found.append(words[1:])
    return found


def options(words: list[str]) -> tuple[str, set[str]]:
    """Return the path of the command meant by ``words``, and the options it knows."""
    command = typer.main.get_command(app)
    path: list[str] = []
    for word in words:
        below = getattr(command, "commands", None) or {}
        if word not in below:
            break
        command, path = below[word], [*path, word]
    known = {option for parameter in command.params for option in parameter.opts}
    return " ".join(path), known


@pytest.mark.parametrize("name", READMES)
def test_every_command_of_the_readme_is_there(name: str) -> None:
    found = commands(name)
    assert len(found) > 6
    for words in found:
        path, known = options(words)
        assert path, f"no such command: lam3db {words[0]}"
        named = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert named <= known, f"lam3db {path} has no {named - known}"


def test_configs_named_in_the_readme_are_there() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in set(re.findall(r"configs/[\w/.-]+\.yaml", text)):
        assert (ROOT / path).is_file(), path


def test_no_machine_is_named_in_what_ships() -> None:
    shipped = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert shipped["project"]["license"] == "Apache-2.0"
    for name in READMES:
        assert not re.search(r"/(home|root|work)/", (ROOT / name).read_text(encoding="utf-8"))
