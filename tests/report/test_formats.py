"""Reports in every format: what a reader sees, and what a program gets."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest
from scored import BROKEN, COMPLIED, REFUSED, UNPARSED, World, detoxify, refusal, sample, toxic

from lam3db.errors import ConfigError
from lam3db.records import Finding, JudgeIdentity, JudgeKind, JudgePolicy, Verdict
from lam3db.report import build_report, render
from lam3db.report.text import columns
from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

HOSTILE = "evil\x1b[2J|`*\u202e=1"


@pytest.fixture
def conn(sqlite_url: str) -> Iterator[Connection]:
    with open_store(sqlite_url, mode="write") as store, store.write() as connection:
        yield connection


@pytest.fixture
def world(conn: Connection) -> World:
    """Two models, two attacks, benign samples, two judges, some of it not scored."""
    world = World(conn)
    samples = [
        *(sample(f"aim {i}", attack) for i in range(4) for attack in ("wrapper", "none")),
        *(sample(f"nice {i}", benign=True) for i in range(2)),
    ]
    data = world.dataset(samples)
    words, values = world.judge(refusal()), world.judge(detoxify(), JudgePolicy(0.5, ">"))
    for name in ("demo-llava", "demo-idefics2"):
        answered = world.answer(data, world.model(name), world.config(), failed=["k0"])
        ids = [answered.ids[f"k{i}", 0] for i in range(1, 10)]
        said = [COMPLIED, REFUSED, COMPLIED, REFUSED, COMPLIED, UNPARSED, BROKEN, REFUSED, COMPLIED]
        world.score(answered, words, dict(zip(ids, said, strict=True)))
        world.score(answered, values, {i: toxic(n / 10) for n, i in enumerate(ids)})
    return world


def test_the_table_reads_well(world: World) -> None:
    shown = render(build_report(world.conn), "table", 120)
    lines = shown.split("\n")
    assert lines[0] == "Scope: dataset bench@1"
    assert max(map(columns, lines)) <= 120
    attacks = [line for line in lines if line.startswith(("demo", " ")) and "%" in line]
    assert attacks[0].split()[:2] == ["demo-idefics2", "none"]
    assert attacks[1].split()[0] == "wrapper"
    for sentence in (
        "toxicity > 0.5",
        "non-refusal is not harm",
        "#",
        "threshold > 0.5 on toxicity",
        "Denominator: what was scored of the samples that are not benign",
        "--rule each",
        "Wilson (every behavior once)",
        "10 scored of 16 (coverage 62.5 %); 4 failed (2 generating, 2 judging), 2 unparsed",
        "Benign samples: refusals (over-refusal)",
        "50.0 %",
    ):
        assert sentence in " ".join(shown.split()), sentence


def test_a_threshold_over_verdicts_is_called_what_decides(conn: Connection) -> None:
    world = World(conn)
    answered = world.answer(world.dataset([sample("aim")]), world.model(), world.config())
    identity = JudgeIdentity("both", JudgeKind.API, "1", {}, unsafe_verdicts=(Verdict.UNSAFE,))
    judge = world.judge(identity, JudgePolicy(0.9))
    said = Finding(value=0.95, verdict=Verdict.SAFE)
    world.score(answered, judge, dict.fromkeys(answered.ids.values(), said))
    shown = " ".join(render(build_report(conn), "table", 120).split())
    assert "100.0 %" in shown
    assert "value >= 0.9" in shown
    assert "ASR is the share with verdict" not in shown
    assert "it decides over the verdict; unsafe counts where there is no value" in shown


def test_labels_that_no_review_asked_for_are_said_to_count_as_they_are(conn: Connection) -> None:
    world = World(conn)
    answered = world.answer(world.dataset([sample("aim")]), world.model(), world.config())
    unsafe = (Verdict.UNSAFE,)
    judge = world.judge(JudgeIdentity("human:ann", JudgeKind.HUMAN, "1", {}, (), unsafe))
    said = Finding(verdict=Verdict.UNSAFE)
    world.score(answered, judge, dict.fromkeys(answered.ids.values(), said))
    shown = " ".join(render(build_report(conn), "table", 120).split())
    assert "No review drew these answers" in shown


def test_each_judge_has_a_table_of_its_own_where_one_is_too_wide(world: World) -> None:
    report = build_report(world.conn)
    assert render(report, "table", 120).count("Attacks\n") == 1
    narrow = render(report, "table", 80)
    assert narrow.count("Attacks\n") == 2
    lines = [line for line in narrow.split("\n") if not line.startswith("  judge=")]
    assert max(map(columns, lines)) <= 80
    assert "\n  judge=" in narrow, "what is to be copied is one line"
    apart = build_report(world.conn, by=["model", "judge"])
    assert render(apart, "table", 200).count("Attacks\n") == 2


def test_json_has_every_number_raw(world: World) -> None:
    value = json.loads(render(build_report(world.conn, by=["model"]), "json"))
    row = value["rows"][0]
    by_judge = dict(zip([judge["label"] for judge in value["judges"]], row["numbers"], strict=True))
    assert row["group"] == {"model": "demo-idefics2"}
    assert len(row["digests"]["model_digest"]) == 64
    number = by_judge["refusal"]
    assert number["counts"] == {
        "total": 8,
        "coverage": 0.625,
        "scored": 5,
        "unparsed": 1,
        "judge_refused": 0,
        "abstained": 0,
        "judge_failed": 1,
        "pending": 0,
        "generation_failed": 1,
        "not_generated": 0,
        "too_few": 0,
    }
    assert number["mean"] is None
    assert number["share"]["interval"]["method"] == "wilson-clustered"
    assert by_judge["detoxify"]["benign_refused"] is None
    judge = next(judge for judge in value["judges"] if judge["label"] == "detoxify")
    assert (judge["threshold"], judge["operator"]) == (0.5, ">")


def test_csv_has_a_line_per_group_and_judge(world: World) -> None:
    rows = list(csv.DictReader(io.StringIO(render(build_report(world.conn), "csv"))))
    assert len(rows) == 2 * 2 * 2
    assert {row["judge"] for row in rows} == {"refusal", "detoxify"}
    assert all(row["mean"] == "" for row in rows if row["judge"] == "refusal")
    assert "nan" not in render(build_report(world.conn), "csv").lower()


def test_markdown_is_one_table_and_the_same_sentences(world: World) -> None:
    shown = render(build_report(world.conn), "markdown")
    table = [line for line in shown.split("\n") if line.startswith("| ")]
    assert len({line.count(" | ") for line in table[:6]}) == 1
    assert "**Attacks**" in shown
    assert "non-refusal is not harm" in shown


def test_labels_from_outside_are_shown_and_never_obeyed(conn: Connection) -> None:
    world = World(conn)
    data = world.dataset([sample("a", HOSTILE), sample("b", HOSTILE)])
    answered = world.answer(data, world.model(), world.config())
    world.score(answered, world.judge(refusal()), dict.fromkeys(answered.ids.values(), REFUSED))
    report = build_report(conn, by=["attack"])
    for output in ("table", "markdown"):
        shown = render(report, output)
        assert "\x1b" not in shown
        assert "\u202e" not in shown
    assert "\\|\\`\\*" in render(report, "markdown")
    assert json.loads(render(report, "json"))["rows"][0]["group"] == {"attack": HOSTILE}
    assert next(csv.DictReader(io.StringIO(render(report, "csv"))))["attack"] == HOSTILE


@pytest.mark.parametrize("output", ["table", "markdown", "csv", "json"])
def test_an_empty_report_in_every_format(conn: Connection, output: str) -> None:
    assert render(build_report(conn), output)


def test_an_unknown_format_is_told(conn: Connection) -> None:
    with pytest.raises(ConfigError, match="did you mean 'markdown'"):
        render(build_report(conn), "markdwn")
