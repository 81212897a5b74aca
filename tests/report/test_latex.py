"""LaTeX: names are text, whatever they hold; the tables say what the report says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from drawn import fill

from lam3db.report import build_report, render
from lam3db.report.latex import escape
from lam3db.report.tables import footnotes
from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

SPECIAL = "\\input{/etc/passwd}%$&#^_~<>|\"'`[*]-- ,,{}\x1b[2J\u202e\u2265"
COMMANDS = (
    *("textbackslash", "textasciitilde", "textasciicircum", "textless", "textgreater"),
    *("textbar", "symbol", "textquoteright", "textendash", "ldots", "geq"),
)


@pytest.fixture
def conn(sqlite_url: str) -> Iterator[Connection]:
    with open_store(sqlite_url, mode="write") as store, store.write() as connection:
        yield connection


@pytest.mark.parametrize("character", sorted(set(SPECIAL) - set(" \x1b\u202e")))
@pytest.mark.parametrize("around", ["{}", "a{}b", "{0}{0}", "-{}-", ",{},"])
def test_every_special_character_stands_for_itself(character: str, around: str) -> None:
    shown = escape(around.format(character))
    assert _read(shown) == around.format(character)


def test_no_command_but_our_own_is_in_a_hostile_name() -> None:
    shown = escape(SPECIAL)
    assert set(re.findall(r"\\([a-z]+)", shown)) <= set(COMMANDS)
    assert "\x1b" not in shown
    assert "%" not in shown.replace("\\%", "")


def test_the_tables_hold_what_markdown_holds(conn: Connection) -> None:
    fill(conn)
    report = build_report(conn)
    shown = render(report, "latex")
    assert shown.count("\\begin{table}") == shown.count("\\end{table}") == shown.count("\\toprule")
    numbers = re.findall(r"\d+\.\d \\%", shown)
    assert sorted(numbers) == sorted(
        one.replace("%", "\\%") for one in re.findall(r"\d+\.\d %", render(report, "markdown"))
    ), "every share and coverage of the Markdown, and no other"
    for note in footnotes(report):
        assert escape(note) in shown
    for line in shown.split("\n"):
        assert not re.match(r"\s*[\[*]", line), "LaTeX reads that as an option of the line before"


def test_a_long_table_may_break_over_pages(conn: Connection) -> None:
    fill(conn, [f"model_{i}" for i in range(30)])
    shown = render(build_report(conn), "latex")
    assert "\\begin{longtable}" in shown
    assert "model\\_29" in shown


def test_nothing_to_show_is_a_comment(conn: Connection) -> None:
    shown = render(build_report(conn), "latex")
    assert all(line.startswith("%") for line in shown.splitlines())
    assert "No answers in this scope" in shown


def test_a_real_latex_takes_it(conn: Connection, tmp_path: Path) -> None:
    program = next((p for p in ("tectonic", "lualatex", "xelatex") if shutil.which(p)), None)
    if program is None:
        pytest.skip("no LaTeX is installed here")
    fill(conn, ["demo", SPECIAL])
    text = render(build_report(conn), "latex")
    head = "\\documentclass{article}\\usepackage{booktabs,longtable}\\begin{document}"
    (tmp_path / "t.tex").write_text(f"{head}\n{text}\n\\end{{document}}\n")
    words = [program, "t.tex"] if program == "tectonic" else [program, "-halt-on-error", "t.tex"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def _read(shown: str) -> str:
    """Read LaTeX as LaTeX does, as far as our own commands go; ligatures too."""
    named = {
        **{f"\\{name}{{}}": mark for name, mark in zip(COMMANDS[:6], "\\~^<>|", strict=True)},
        r"\symbol{34}": '"',
        r"\symbol{96}": "`",
        r"{\textquoteright}": "'",
        r"{\textendash}": "\u2013",
        r"{\ldots}": "\u2026",
        r"$\geq$": "\u2265",
        **{f"\\{mark}": mark for mark in "{}$&#_%"},
        **{f"{{{mark}}}": mark for mark in "[]*-,"},
    }
    tokens = re.compile("|".join(re.escape(x) for x in sorted(named, key=len, reverse=True)))
    rest = tokens.sub("", shown)
    assert not re.search(r"[\\{}$&#_%~^<>|\"`\[\]*]", rest), shown
    assert not re.search("--|,,", shown), "a ligature"
    return tokens.sub(lambda match: named[match[0]], shown)
