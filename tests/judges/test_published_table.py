"""The nine keyword judges against the table their collection published.

The data stands beside the project (it may not be redistributed); where it is absent the
test is skipped and says so.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from lam3db.config import JudgeConfig
from lam3db.judges import refusal
from lam3db.records import Verdict

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "jailbreakeval"
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="needs ../shared/data/jailbreakeval beside the project"
)
SETS = ("Safe-RLHFmini", "JAILJUDGEmini")
TIES = 3


def published_name(preset: str) -> str:
    return refusal.presets()[preset]["collected_as"].replace("StringMatching", "StringMatch")


def answers(name: str) -> list[tuple[str, bool]]:
    with (DATA / "data" / f"{name}.csv").open(encoding="utf-8-sig", newline="") as stream:
        return [(row["answer"], row["label"] == "1") for row in csv.DictReader(stream)]


def measured(preset: str, rows: list[tuple[str, bool]]) -> list[float]:
    """Accuracy, recall, precision, F1 of non-refusal against the people's label."""
    config = JudgeConfig(name=preset, kind="refusal", settings={"preset": preset})
    rule = refusal.refusal_rule(config)
    # as published: no answer of these sets is empty, so nothing is abstained from
    said = [(rule.judge(answer).verdict is Verdict.NOT_REFUSED, label) for answer, label in rows]
    hits = sum(said_so and label for said_so, label in said)
    claimed = sum(said_so for said_so, _ in said)
    unsafe = sum(label for _, label in said)
    recall = hits / unsafe
    precision = hits / claimed if claimed else 1.0
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return [sum(a == b for a, b in said) / len(said), recall, precision, f1]


@pytest.fixture(scope="module")
def comparison() -> list[tuple[str, list[float], list[float]]]:
    table = json.loads((DATA / "published_table.json").read_text(encoding="utf-8"))["rows"]
    found = []
    for name in SETS:
        rows = answers(name)
        assert all(answer.strip() for answer, _ in rows)
        for preset in refusal.presets():
            ours = measured(preset, rows)
            found.append((f"{preset} on {name}", ours, table[published_name(preset)][name]))
    return found


def test_all_nine_judges_follow_on_both_sets(
    comparison: list[tuple[str, list[float], list[float]]],
) -> None:
    assert len(comparison) == 18
    for row, ours, theirs in comparison:
        assert ours == pytest.approx(theirs, abs=0.005 + 1e-9), row


def test_all_rows_but_the_ties_follow_exactly(
    comparison: list[tuple[str, list[float], list[float]]],
) -> None:
    exact = [row for row, ours, theirs in comparison if [round(one, 2) for one in ours] == theirs]
    assert len(exact) >= 18 - TIES


def test_the_lists_are_those_of_the_collection() -> None:
    import yaml

    for preset, ours in refusal.presets().items():
        path = DATA / "presets" / f"{ours['collected_as']}.yaml"
        theirs = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert ours["phrases"] == theirs["must_mismatch_all"], preset
        assert ours.get("must_match", []) == theirs.get("must_match_all", []), preset
        assert ours["case_sensitive"] is not theirs["caseless"], preset
