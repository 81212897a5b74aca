"""Plots in a terminal: within its width, without escape sequences, with the numbers beside."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))
from drawn import HOSTILE, fill
from PIL import Image
from scored import COMPLIED, World, refusal, sample

from lam3db.cli import report as commands
from lam3db.errors import Lam3Error
from lam3db.report import build_report
from lam3db.report.figure_shares import bars
from lam3db.report.figure_values import Bars, Distribution, Panel, Point
from lam3db.report.figures import figure
from lam3db.report.plot import plot
from lam3db.report.text import columns
from lam3db.store.engine import open_store

app = typer.Typer()
app.command()(commands.report)

if TYPE_CHECKING:
    from lam3db.report.build import Report


@pytest.fixture
def url(sqlite_url: str) -> str:
    with open_store(sqlite_url, mode="write") as store, store.write() as conn:
        fill(conn, ["demo", HOSTILE, "模型" * 20])
    return sqlite_url


def call(url: str, *words: str) -> Any:
    return CliRunner().invoke(app, [*words, "--db", url])


def drawn(report: Report, points: list[Point], width: int = 60) -> list[str]:
    labels = tuple((f"g{i}",) for i in range(len(points)))
    value = Bars(("g",), labels, (Panel("judge", "ASR", tuple(points)),), "", "", "")
    lines = plot(report, value, None, width).split("\n")
    return [line for line in lines if line.startswith("g")]


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_no_line_is_wider_than_the_terminal(url: str, width: int, ascii_only: bool) -> None:
    with open_store(url, mode="read") as store, store.read() as conn:
        report, values = build_report(conn), figure(conn, "distribution")
    assert isinstance(values, Distribution)
    shown = plot(report, bars(report), values, width, ascii_only=ascii_only)
    assert max(map(columns, shown.split("\n"))) <= width
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", shown)
    assert shown.isascii() or not ascii_only
    for row in report.rows:
        for number in row.numbers:
            assert number.share is not None
            assert number.share.value is not None
            assert f"{100 * number.share.value:.1f} % (n {number.share.n})" in shown


def test_a_bar_is_as_long_as_its_share_and_its_interval(url: str) -> None:
    with open_store(url, mode="read") as store, store.read() as conn:
        report = build_report(conn)
    some = Point(0.5, 0.25, 0.75, 8)
    none, alone = Point(None, None, None, 0), Point(1.0, None, None, 1, "one behavior")
    lines = drawn(report, [some, none, alone, Point(0.0, 0.0, 0.2, 9)])
    fields = [line.split("│")[1] for line in lines]
    room = len(fields[0])
    assert fields[0].count("█") == pytest.approx(room / 4, abs=1)
    assert fields[0].count("▓") == pytest.approx(room / 4, abs=1)
    assert fields[0].rstrip()[-1] == "┤"
    assert len(fields[0].rstrip()) == round(room * 0.75)
    assert "no data" in fields[1]
    assert "nothing scored" in lines[1]
    assert fields[2] == "█" * room
    assert set(fields[3].strip()) == {"─", "┤"}


def test_a_long_name_hides_no_attack(url: str) -> None:
    with open_store(url, mode="read") as store, store.read() as conn:
        shown = plot(build_report(conn), bars(build_report(conn)), None, 60)
    lines = shown.split("\n")
    (start, *_) = [i for i, line in enumerate(lines) if line.startswith("<script>")]
    assert lines[start + 1].startswith("  none ")
    assert lines[start + 2].startswith("  wrapper ")


def test_the_command_prints_it_in_utf8_and_in_ascii(url: str) -> None:
    for encoding in ("utf-8", "ascii"):
        done = subprocess.run(
            [sys.executable, "-m", "lam3db", "report", "--plot", "--db", url],
            env={**os.environ, "PYTHONIOENCODING": encoding},
            capture_output=True,
            check=True,
        )
        assert b"\x1b" not in done.stdout
        assert done.stdout.isascii() == (encoding == "ascii")
        assert b"non-refusal is not harm" in done.stdout


def test_figures_are_written_to_files(url: str, tmp_path: Path) -> None:
    path = tmp_path / "asr.svg"
    assert call(url, "--figure", "asr", "-o", str(path)).exit_code == 0
    assert path.read_text().startswith("<svg ")
    picture = tmp_path / "a.png"
    told = call(url, "--figure", "agreement", "-o", str(picture))
    assert told.exit_code == 0
    with Image.open(picture) as opened:
        assert opened.format == "PNG"
    assert isinstance(call(url, "--figure", "asr").exception, Lam3Error)
    assert isinstance(call(url, "--figure", "asr", "-o", str(path)).exception, Lam3Error)
    wrong = call(url, "--figure", "asr", "-o", str(tmp_path / "asr.pdf"))
    assert ".svg or .png" in str(wrong.exception)
    assert not list(tmp_path.glob("*.pdf"))


def test_judges_without_values_have_bars_alone(sqlite_url: str) -> None:
    with open_store(sqlite_url, mode="write") as store, store.write() as conn:
        world = World(conn)
        answered = world.answer(world.dataset([sample("a")]), world.model(), world.config())
        world.score(
            answered, world.judge(refusal()), dict.fromkeys(answered.ids.values(), COMPLIED)
        )
    shown = call(sqlite_url, "--plot").stdout
    assert "100.0 % (n 1)" in shown
    assert "heights as roots" not in shown
