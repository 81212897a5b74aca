"""What is printed can be read back, and steers no terminal."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys

import pytest

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
