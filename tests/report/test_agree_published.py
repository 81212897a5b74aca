"""Agreement on real records whose agreement was published.

The data stands beside the project (it may not be redistributed); where it is absent the
tests are skipped and say so.
"""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from judged import answers_of, judge, many, person, tell
from scored import World

from lam3db.config import JudgeConfig
from lam3db.judges import refusal
from lam3db.metrics import Scope
from lam3db.records import Verdict
from lam3db.report.agree import build_agreement
from lam3db.report.agree_rows import agreement_page
from lam3db.report.page import render_page
from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data beside the project")
PRESETS = ("gcg", "autodan", "open-sesame")


@pytest.fixture
def world(sqlite_url: str) -> Iterator[World]:
    with open_store(sqlite_url, mode="write") as store, store.write() as conn:
        yield World(conn)


def test_jailbreakbenchs_two_judges_agree_on_1282_of_1437(world: World) -> None:
    llama, guard = judge("llama-3-70b"), judge("llama-guard-1")
    for at, path in enumerate(sorted((DATA / "jbb_artifacts").rglob("*.json"))):
        if path.name == "attack-info.json":
            continue
        records = json.loads(path.read_text(encoding="utf-8"))["jailbreaks"]
        answered = {i: one for i, one in enumerate(records) if one["response"] is not None}
        said = answers_of(world, many(100, 1), f"source {at}")
        tell(world, said, llama, {i: one["jailbroken"] for i, one in answered.items()})
        flags = {i: one.get("jailbroken_llama_guard1") for i, one in answered.items()}
        tell(world, said, guard, {i: flag for i, flag in flags.items() if flag is not None})
    found = build_agreement(world.conn, Scope())
    (pair,) = found.pairs
    assert (pair.agree, pair.n) == (1282, 1437)
    assert "1282 of 1437" in render_page(agreement_page(found))


def test_keyword_judges_against_people_follow_the_published_table(world: World) -> None:
    """JAILJUDGE: accuracy, recall, precision and F1, through the store and the command's page."""
    folder = DATA / "jailbreakeval"
    with (folder / "data" / "JAILJUDGEmini.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = [(row["answer"], row["label"] == "1") for row in csv.DictReader(stream)]
    table = json.loads((folder / "published_table.json").read_text(encoding="utf-8"))["rows"]
    answered = answers_of(world, many(len(rows), 1))
    for preset in PRESETS:
        config = JudgeConfig(name=preset, kind="refusal", settings={"preset": preset})
        rule = refusal.refusal_rule(config)
        flags = [rule.judge(answer).verdict is Verdict.NOT_REFUSED for answer, _ in rows]
        tell(world, answered, judge(preset), dict(enumerate(flags)))
    tell(world, answered, person("people"), {at: label for at, (_, label) in enumerate(rows)})
    found = build_agreement(world.conn, Scope())
    assert len(found.against) == len(PRESETS)
    for row in found.against:
        name = refusal.presets()[row.judge.name]["collected_as"]
        theirs = table[name.replace("StringMatching", "StringMatch")]["JAILJUDGEmini"]
        errors = row.errors
        shares = (errors.accuracy, errors.sensitivity, errors.precision)
        ours = [share.value for share in shares] + [errors.f1[0]]
        assert ours == pytest.approx(theirs, abs=0.005 + 1e-9), row.judge.name


def test_two_hundred_labels_correct_a_keyword_judge(world: World) -> None:
    """People say 31.5 %; the judge is far off, and the corrected interval holds the truth."""
    path = DATA / "jailbreakeval" / "data" / "JAILJUDGEmini.csv"
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = [(row["answer"], row["label"] == "1") for row in csv.DictReader(stream)]
    preset = next(iter(refusal.presets()))
    config = JudgeConfig(name=preset, kind="refusal", settings={"preset": preset})
    rule = refusal.refusal_rule(config)
    answered = answers_of(world, many(len(rows), 1))
    flags = [rule.judge(answer).verdict is Verdict.NOT_REFUSED for answer, _ in rows]
    tell(world, answered, judge(preset), dict(enumerate(flags)))
    chosen = random.Random(1).sample(range(len(rows)), 200)
    tell(world, answered, person("people"), {at: rows[at][1] for at in chosen})
    (line,) = build_agreement(world.conn, Scope()).corrected
    apparent, powered = line.share.apparent, line.share.powered
    assert apparent.interval.low is not None
    assert powered.interval.low is not None
    assert powered.interval.high is not None
    assert powered.interval.low < 0.315 < powered.interval.high
    outside = not apparent.interval.low < 0.315 < (apparent.interval.high or 1)
    assert outside
