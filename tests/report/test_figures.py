"""Figures: their numbers are the report's, their files are drawing and nothing else."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from defusedxml.ElementTree import fromstring
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from drawn import HOSTILE, fill
from scored import REFUSED, World, refusal, sample
from sklearn.metrics import cohen_kappa_score

from lam3db.errors import ConfigError
from lam3db.metrics import Question
from lam3db.report import build_report
from lam3db.report.chart_parts import labels
from lam3db.report.figure_files import file_bytes, png, svg, unwritable
from lam3db.report.figure_shares import bars
from lam3db.report.figure_units import kappa
from lam3db.report.figure_values import Agreement, Bars, Curves, Distribution, Heat
from lam3db.report.figures import NAMES, chart_of, figure, report_chart
from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

    from sqlalchemy import Connection


@pytest.fixture
def empty(sqlite_url: str) -> Iterator[Connection]:
    with open_store(sqlite_url, mode="write") as store, store.write() as connection:
        yield connection


@pytest.fixture
def conn(empty: Connection) -> Connection:
    fill(empty)
    return empty


def test_bars_show_the_numbers_of_the_report(conn: Connection) -> None:
    report, value = build_report(conn), figure(conn, "asr")
    assert isinstance(value, Bars)
    assert value.labels == tuple(row.labels for row in report.rows)
    assert [panel.judge for panel in value.panels] == [c.label for c in report.judges]
    assert {panel.what for panel in value.panels} == {"ASR", "non-refusal", "toxicity > 0.5"}
    for i, panel in enumerate(value.panels):
        for row, point in zip(report.rows, panel.points, strict=True):
            share = row.numbers[i].share
            assert share is not None
            assert (point.value, point.n) == (share.value, share.n)
            assert (point.low, point.high) == (share.interval.low, share.interval.high)
    assert "Student" not in value.intervals, "means are not drawn here"


def test_another_denominator_is_in_the_title_and_in_the_numbers(conn: Connection) -> None:
    question = Question(missing="success")
    value = bars(build_report(conn, question=question))
    told = " ".join(svg(chart_of(value)).split())
    assert "what was not scored being a successful attack" in told
    plain = bars(build_report(conn))
    assert "Share of what was scored" in svg(chart_of(plain))
    pairs = zip(value.panels[0].points, plain.panels[0].points, strict=True)
    assert any(one.n > other.n for one, other in pairs)


def test_a_cell_without_data_is_not_one_of_0_percent(conn: Connection) -> None:
    value = figure(conn, "heatmap", by=["attack", "category"])
    assert isinstance(value, Heat)
    assert (value.rows, value.columns) == (("none", "wrapper"), ("plants", "weapons"))
    (panel,) = [panel for panel in value.panels if panel.what == "toxicity > 0.5"]
    assert panel.points[3].value is None
    assert panel.points[3].n == 0
    drawn = svg(chart_of(value))
    assert ">–<" in drawn  # noqa: RUF001 - the dash of an empty cell
    assert ">0 %<" in drawn


def test_a_curve_at_the_judges_threshold_is_the_reports_share(conn: Connection) -> None:
    value = figure(conn, "threshold")
    assert isinstance(value, Curves)
    (curve,) = value.panels
    assert (curve.judge, curve.current, curve.operator) == ("detoxify", 0.5, ">")
    report = build_report(conn, by=["model"], judges=["detoxify"])
    place = curve.grid.index(0.5)
    for row, line in zip(report.rows, curve.lines, strict=True):
        share, point = row.numbers[0].share, line.points[place]
        assert share is not None
        assert line.label == row.labels[0]
        assert (point.value, point.n) == (share.value, share.n)
        assert (point.low, point.high) == (share.interval.low, share.interval.high)
        values = [p.value for p in line.points if p.value is not None]
        assert values == sorted(values, reverse=True)


def test_a_histogram_holds_every_value_and_its_mean(conn: Connection) -> None:
    value = figure(conn, "distribution")
    assert isinstance(value, Distribution)
    (panel,) = value.panels
    report = build_report(conn, by=["model"], judges=["detoxify"])
    for row, one in zip(report.rows, panel.histograms, strict=True):
        mean = row.numbers[0].mean
        assert mean is not None
        assert one.n == mean.n
        assert one.mean == pytest.approx(mean.value)


def test_judges_agree_on_what_both_decided(conn: Connection) -> None:
    value = figure(conn, "agreement")
    assert isinstance(value, Agreement)
    assert len(value.pairs) == 3
    names = [(value.judges[pair.one], value.judges[pair.other]) for pair in value.pairs]
    pair = value.pairs[names.index(("detoxify", "guard"))]
    assert pair.agreement.n == 22
    assert pair.agreement.low is not None
    unparsed = value.pairs[names.index(("detoxify", "refusal"))]
    assert unparsed.agreement.n == 12, "what was not parsed is no disagreement"


@pytest.mark.parametrize("counts", [(3, 5, 2, 1), (0, 9, 0, 0), (1, 0, 4, 4), (0, 0, 0, 0)])
def test_kappa_is_the_published_one(counts: tuple[int, int, int, int]) -> None:
    both, neither, first, second = counts
    one = [1] * both + [0] * neither + [1] * first + [0] * second
    other = [1] * both + [0] * neither + [0] * first + [1] * second
    found = kappa(*counts)
    if len(set(one + other)) < 2:
        assert found is None
    else:
        assert found == pytest.approx(cohen_kappa_score(one, other))


@pytest.mark.parametrize("name", list(NAMES))
def test_the_same_numbers_give_the_same_bytes(conn: Connection, name: str) -> None:
    value = figure(conn, name)
    first = svg(chart_of(value))
    assert first == svg(chart_of(figure(conn, name)))
    picture = png(chart_of(value))
    assert picture == png(chart_of(value))
    root: Element = fromstring(first)
    with Image.open(io.BytesIO(picture)) as opened:
        width, height = opened.size
    assert width == pytest.approx(2 * float(root.attrib["width"]), abs=2)
    assert height == pytest.approx(2 * float(root.attrib["height"]), abs=2)


@pytest.mark.parametrize("name", ["asr", "threshold"])
def test_a_hostile_name_is_a_label_and_nothing_else(empty: Connection, name: str) -> None:
    fill(empty, ["demo", HOSTILE, HOSTILE + "y", "模型"])
    drawn = svg(chart_of(figure(empty, name)))
    root: Element = fromstring(drawn)
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags <= {"svg", "g", "path", "rect", "line", "text", "tspan", "defs", "clipPath"}
    texts = [element.text or "" for element in root.iter()]
    assert any(text.startswith("<script>alert(1)</") for text in texts)
    assert any("模型" in text for text in texts)
    assert max(map(len, texts)) < 200
    assert "\x1b" not in drawn
    assert "\u202e" not in drawn


def test_ids_of_two_figures_in_one_page_are_apart(conn: Connection) -> None:
    chart = chart_of(figure(conn, "heatmap"))
    one, two = svg(chart, "one"), svg(chart, "two")
    found = [{e.attrib["id"] for e in fromstring(x).iter() if "id" in e.attrib} for x in (one, two)]
    assert all(found)
    assert not found[0] & found[1]


def test_thirty_models_have_thirty_labels_each_once() -> None:
    names = labels([f"a-very-long-name-of-a-lab/and-of-a-model-{i}" for i in range(30)], 24)
    assert len(set(names)) == 30
    assert max(map(len, names)) <= 25


def test_what_no_font_can_write_is_told() -> None:
    drawn = '<svg xmlns="http://www.w3.org/2000/svg"><text>plain \u00e9 \u2265 {}</text></svg>'
    assert unwritable(drawn) == ""
    rare = "\U0003134a"  # assigned in 2020; in hardly any font
    assert unwritable(drawn.replace("{}", rare * 3)) == rare


def test_a_notebook_gets_a_chart(conn: Connection) -> None:
    bundle = report_chart(build_report(conn, by=["model"]))._repr_mimebundle_()
    assert bundle


def test_what_cannot_be_drawn_is_said(empty: Connection) -> None:
    with pytest.raises(ConfigError, match=r"no figure 'arr' - did you mean 'asr'"):
        figure(empty, "arr")
    with pytest.raises(ConfigError, match="No answers in this scope"):
        figure(empty, "asr")
    world = World(empty)
    answered = world.answer(world.dataset([sample("a")]), world.model(), world.config())
    world.score(answered, world.judge(refusal()), dict.fromkeys(answered.ids.values(), REFUSED))
    with pytest.raises(ConfigError, match="none of these judges gives values"):
        figure(empty, "threshold")
    with pytest.raises(ConfigError, match="two judges"):
        figure(empty, "agreement")
    with pytest.raises(ConfigError, match=r"\.svg or \.png"):
        file_bytes(report_chart(build_report(empty)), "asr.pdf")


def test_numbers_need_no_figure_library_and_its_absence_is_named() -> None:
    code = """
import sys
sys.modules["altair"] = None
from lam3db.errors import MissingDependencyError
from lam3db.report.figures import chart_of
from lam3db.report.figure_values import Bars
try:
    chart_of(Bars(("model",), (), (), "", "", ""))
except MissingDependencyError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'lam3db[figures]'" in done.stdout
