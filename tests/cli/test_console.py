"""What is printed can be read back, and steers no terminal."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from lam3db.cli.app import app
from lam3db.cli.console import out, print_json, print_rows

HOSTILE = "[red]\x1b[2J\x9b1m\u202e\ud800 end"
COLUMNS = ("name", "n", "ok")


def test_json_carries_texts_exactly(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([(HOSTILE, 1.5, True), (None, None, None)], COLUMNS, "json")
    printed = capsys.readouterr().out
    assert json.loads(printed) == [
        {"name": HOSTILE, "n": 1.5, "ok": True},
        {"name": None, "n": None, "ok": None},
    ]
    assert not {"\x1b", "\x9b", "\u202e", "\ud800"} & set(printed)
    print_json({"字": "中文"})
    assert "中文" in capsys.readouterr().out


def test_csv_carries_all_that_can_be_encoded(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([('a "b",\nc \x1b', 2, None), ("\ud800", 3, None)], COLUMNS, "csv")
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows == [list(COLUMNS), ['a "b",\nc \x1b', "2", ""], ["\\ud800", "3", ""]]


def test_a_table_in_a_pipe_is_whole_and_plain(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([(HOSTILE, 1, True), ("x" * 300, None, False)], COLUMNS, "table")
    head, _, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "n", "ok"]
    assert first.split() == ["[red]\\x1b[2J\\x9b1m\\u202e\\ud800", "end", "1", "yes"]
    assert second.split() == ["x" * 300, "no"]


def test_markup_from_outside_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    out.print("[bold]x[/bold] [link=file:///]y")
    assert capsys.readouterr().out == "[bold]x[/bold] [link=file:///]y\n"


@pytest.mark.parametrize("output", ["table", "csv", "json"])
def test_no_escape_of_theirs_reaches_a_terminal(output: str) -> None:
    program = (
        "from lam3db.cli.console import print_rows\n"
        f"print_rows([('\\x1b]0;owned\\x07\\x1b[2J', 1)], ('a', 'b'), {output!r})"
    )
    ours, theirs = pty.openpty()
    done = subprocess.run([sys.executable, "-c", program], stdout=theirs, check=True)
    os.close(theirs)
    printed = os.read(ours, 65536)
    os.close(ours)
    assert done.returncode == 0
    assert b"owned" in printed
    assert b"\x1b]" not in printed
    assert b"\x1b[2J" not in printed


def on_a_terminal(rows: list[tuple[object, ...]], columns: tuple[str, ...], width: int) -> str:
    """What a terminal of this width is sent, without its colours."""
    program = (
        f"from lam3db.cli.console import print_rows\nprint_rows({rows!r}, {columns!r}, 'table')"
    )
    ours, theirs = pty.openpty()
    env = {**os.environ, "COLUMNS": str(width), "TERM": "xterm", "NO_COLOR": "1"}
    subprocess.run([sys.executable, "-c", program], stdout=theirs, env=env, check=True)
    os.close(theirs)
    printed = os.read(ours, 65536).decode()
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;]*m", "", printed).replace("\r\n", "\n")


def test_a_table_folds_one_column_to_fit_a_terminal() -> None:
    printed = on_a_terminal([("demo-llava", 5, "word " * 30)], ("model", "n", "text"), 60)
    assert printed.count("word") == 30
    assert "demo-llava" in printed.splitlines()[2]
    assert max(map(len, printed.splitlines())) <= 60


def test_where_two_columns_would_have_to_fold_each_row_is_a_block() -> None:
    rows = [("rubric-safe-unsafe", "word " * 20, None, "an answer " * 10), ("b", "c", 3, "d")]
    printed = on_a_terminal(rows, ("judge", "gives", "n", "weakness"), 60)
    lines = printed.splitlines()
    assert lines[0].strip() == "rubric-safe-unsafe"
    assert lines[1].split()[:2] == ["gives", "word"]
    assert [line.split() for line in lines[-4:]] == [
        ["b"],
        ["gives", "c"],
        ["n", "3"],
        ["weakness", "d"],
    ]
    first = lines[: [line.strip() for line in lines].index("b")]
    assert not any(line.startswith("  n ") for line in first)  # an empty cell is left out
    assert max(map(len, lines)) <= 60


def test_no_rows_are_said_to_be_none() -> None:
    assert on_a_terminal([], ("answer", "judge"), 60).splitlines()[-1] == "none"


def test_a_help_text_fills_its_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    shown = CliRunner().invoke(app, ["purge", "--help"]).output
    text = shown.partition("Their bodies")[2].partition("╭")[0]
    lines = [line.strip() for line in text.strip().splitlines()]
    assert all(len(line) > 40 for line in lines[1:-1])
