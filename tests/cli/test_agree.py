"""Agreement as a user types it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from judged import answers_of, judge, many, person, tell
from scored import World
from typed import lam3db

from lam3db.store.engine import open_store


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty answers, two versions of one judge, and a person who labelled forty of them."""
    place = tmp_path_factory.mktemp("agree")
    url = f"sqlite:///{place / 'lam3.db'}"
    with open_store(url, mode="write") as store, store.write() as conn:
        world = World(conn)
        answered = answers_of(world, many(30, 2))
        truth = {at: at % 3 == 0 for at in range(60)}
        tell(world, answered, judge("guard", "1"), {a: u or a % 5 == 0 for a, u in truth.items()})
        tell(world, answered, judge("guard", "2"), truth)
        tell(world, answered, person("anna"), {at: truth[at] for at in range(40)})
    return place


def test_agree_is_printed_and_written(folder: Path) -> None:
    shown = lam3db(folder, "agree", "--by", "model").stdout
    assert "Judges against human:anna" in shown
    assert "40 of 40" in shown
    assert "52 of 60" in shown
    found = json.loads(lam3db(folder, "agree", "-f", "json", "-j", "guard").stdout)
    assert [one["version"] for one in found["judges"]] == ["1", "2"]
    lam3db(folder, "agree", "-f", "csv", "-o", "agree.csv", "--dataset", "bench")
    assert (folder / "agree.csv").read_text().startswith("section,judge,judge_digest,")
    wrong = lam3db(folder, "agree", "--against", "human:ana", code=1)
    assert "did you mean 'human:anna'" in wrong.stderr


def test_flips_are_listed_and_exported(folder: Path) -> None:
    wrong = lam3db(folder, "flips", "guard", "guard", code=1)
    names = [word.strip("',") for word in wrong.stderr.split() if word.startswith("'guard#")]
    shown = lam3db(folder, "flips", *names[:2], "--limit", "3", "--export", "flips.jsonl")
    assert "3 of 8 flips listed" in shown.stdout
    assert "8 flips to flips.jsonl" in shown.stderr
    rows = [json.loads(line) for line in (folder / "flips.jsonl").read_text().splitlines()]
    assert {row["direction"] for row in rows} == {"to safe"}
    lam3db(folder, "show", str(rows[0]["generation_id"]))
    piped = lam3db(folder, "flips", *names[:2], "--export", "-").stdout
    assert [json.loads(line) for line in piped.splitlines()] == rows


def test_a_curve_without_values_says_so(folder: Path) -> None:
    wrong = lam3db(folder, "flips", "guard", "guard", code=1)
    name = next(word.strip("',") for word in wrong.stderr.split() if word.startswith("'guard#"))
    assert "so it has no curve" in lam3db(folder, "curve", name, "--threshold", "0.5").stdout


def test_labels_need_no_database_where_all_is_given(tmp_path: Path, folder: Path) -> None:
    rates = ("--share", "0.4", "--sensitivity", "0.9", "--specificity", "0.9")
    shown = lam3db(tmp_path, "labels", *rates, "--answers", "1000", "-n", "50", "-n", "200")
    assert [line.split() for line in shown.stdout.splitlines()[5:7]] == [
        ["50", "13.6", "8.6"],
        ["200", "6.8", "4.8"],
    ]
    assert not list(tmp_path.glob("*.db"))
    wrong = lam3db(folder, "flips", "guard", "guard", code=1)
    name = next(word.strip("',") for word in wrong.stderr.split() if word.startswith("'guard#"))
    assert "40 labelled attacks" in lam3db(folder, "labels", name).stdout
