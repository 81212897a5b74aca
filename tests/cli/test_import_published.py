"""Published numbers, out of the database by the commands a user would type.

The records stand beside the project (some may not be redistributed); where they are absent the
tests are skipped and say so.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from typed import lam3db, query

from lam3db.judges import refusal

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(
    not (DATA / "jbb_artifacts").is_dir(), reason="needs ../shared/data beside the project"
)
ASR = {
    "PAIR": {"vicuna": 69, "llama": 0, "gpt-3.5": 71, "gpt-4": 34},
    "GCG": {"vicuna": 80, "llama": 3, "gpt-3.5": 47, "gpt-4": 4},
    "JailbreakChat": {"vicuna": 90, "llama": 0, "gpt-3.5": 0, "gpt-4": 0},
    "adaptive_random_search": {"vicuna": 89, "llama": 90, "gpt-3.5": 93, "gpt-4": 78},
    "DSN": {"vicuna": 95, "llama": 94},
}
PUBLISHED = {(attack, model): n for attack, row in ASR.items() for model, n in row.items()}
SETS = {"Safe-RLHFmini": (2302, 4000), "JAILJUDGEmini": (315, 1000)}


@pytest.fixture(scope="module")
def jailbreakbench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("jailbreakbench")
    artifacts = str(DATA / "jbb_artifacts" / "attack-artifacts")
    lam3db(folder, "import", "results", artifacts, "--format", "jailbreakbench")
    return folder


def _rows(folder: Path, *words: str) -> list[dict[str, Any]]:
    done = lam3db(folder, "report", "--format", "json", *words)
    rows: list[dict[str, Any]] = json.loads(done.stdout)["rows"]
    return rows


def test_all_eighteen_rates_under_the_published_denominator(jailbreakbench: Path) -> None:
    words = ("--by", "model,attack", "--judge", "jbb-llama-3-70b", "--missing", "failure")
    found = {}
    for row in _rows(jailbreakbench, *words):
        (number,) = row["numbers"]
        assert number["counts"]["total"] == 100
        model = next(name for name in ASR["PAIR"] if row["group"]["model"].startswith(name))
        found[row["group"]["attack"], model] = round(100 * number["share"]["value"], 9)
    assert found == PUBLISHED


def test_an_attempt_without_an_answer_is_in_the_denominator_and_never_scored(
    jailbreakbench: Path,
) -> None:
    rows = _rows(jailbreakbench, "--by", "model,attack", "--judge", "jbb-llama-3-70b")
    pair = [r["numbers"][0]["counts"] for r in rows if r["group"]["attack"] == "PAIR"]
    assert sorted(c["not_generated"] for c in pair) == [13, 18, 36, 96]
    assert query(jailbreakbench, "SELECT count(*) AS n FROM v_score WHERE status <> 'ok'") == [
        {"n": 0}
    ]


def test_both_judges_agree_as_published(jailbreakbench: Path) -> None:
    (row,) = query(
        jailbreakbench,
        "SELECT count(*) AS n, sum(a.verdict = b.verdict) AS same FROM v_score a"
        " JOIN v_score b USING (generation_id)"
        " WHERE a.judge = 'jbb-llama-3-70b' AND b.judge = 'jbb-llama-guard-1'",
    )
    assert row == {"n": 1437, "same": 1282}
    words = ("--judge", "jbb-llama-guard-1", "--against", "jbb-llama-3-70b", "--format", "json")
    numbers = json.loads(lam3db(jailbreakbench, "agree", *words).stdout)["numbers"]
    (accuracy,) = [one for one in numbers if one["metric"] == "accuracy"]
    assert (accuracy["hits"], accuracy["n"]) == (1282, 1437)


def test_what_was_imported_is_sound_and_the_same_again_changes_nothing(
    jailbreakbench: Path,
) -> None:
    counts = "SELECT (SELECT count(*) FROM run) AS runs, (SELECT count(*) FROM score) AS scores"
    before = query(jailbreakbench, counts)
    artifacts = str(DATA / "jbb_artifacts" / "attack-artifacts")
    done = lam3db(jailbreakbench, "import", "results", artifacts, "--format", "jailbreakbench")
    assert "answers: 0 new, 1637 known, 163 attempts without one" in done.stdout
    assert query(jailbreakbench, counts) == before
    assert "everything matches" in lam3db(jailbreakbench, "db", "verify").stdout
    assert "lam3db generate" not in lam3db(jailbreakbench, "status").stdout


def test_one_file_after_the_other_is_the_folder(tmp_path: Path, jailbreakbench: Path) -> None:
    files = sorted((DATA / "jbb_artifacts" / "attack-artifacts" / "PAIR").rglob("*.json"))
    for file in files:
        if file.name != "attack-info.json":
            lam3db(tmp_path, "import", "results", str(file), "--format", "jailbreakbench")
    words = ("--by", "model,attack", "--judge", "jbb-llama-3-70b")
    whole = [r for r in _rows(jailbreakbench, *words) if r["group"]["attack"] == "PAIR"]
    alone = _rows(tmp_path, *words)
    for one, other in zip(alone, whole, strict=True):
        for what in ("share", "counts"):
            assert one["numbers"][0][what] == other["numbers"][0][what]


@pytest.fixture(scope="module")
def jailbreakeval(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both sets with their people's labels, judged by the nine keyword lists."""
    folder = tmp_path_factory.mktemp("jailbreakeval")
    for name in SETS:
        file = DATA / "jailbreakeval" / "data" / f"{name}.csv"
        lam3db(folder, "import", "results", str(file), "--format", "jailbreakeval")
    configs = folder / "configs" / "judges"
    configs.mkdir(parents=True)
    words = []
    for preset in refusal.presets():
        text = f"name: kw-{preset}\nkind: refusal\nsettings:\n  preset: {preset}\n"
        (configs / f"kw-{preset}.yaml").write_text(text)
        words += ["--judge", f"kw-{preset}"]
    lam3db(folder, "judge", "--pending", *words)
    return folder


@pytest.mark.parametrize("name", sorted(SETS))
def test_people_say_what_was_published(jailbreakeval: Path, name: str) -> None:
    unsafe, total = SETS[name]
    words = ("--dataset", name, "--judge", f"people-{name}", "--by", "dataset")
    (row,) = _rows(jailbreakeval, *words)
    (number,) = row["numbers"]
    assert (number["share"]["hits"], number["counts"]["total"]) == (unsafe, total)


@pytest.mark.parametrize("name", sorted(SETS))
def test_nine_keyword_judges_over_imported_answers_give_the_published_table(
    jailbreakeval: Path, name: str
) -> None:
    table = json.loads((DATA / "jailbreakeval" / "published_table.json").read_text())["rows"]
    rows = query(
        jailbreakeval,
        "SELECT a.judge AS judge, a.unsafe AS said, b.unsafe AS label, count(*) AS n"
        " FROM v_score a JOIN v_score b USING (generation_id)"
        f" WHERE b.judge = 'people-{name}' AND a.judge LIKE 'kw-%' GROUP BY 1, 2, 3",
    )
    cells: dict[str, dict[tuple[int, int], int]] = {}
    for row in rows:
        cells.setdefault(str(row["judge"]), {})[row["said"], row["label"]] = row["n"]  # type: ignore[index,assignment]
    assert len(cells) == 9
    for preset, about in refusal.presets().items():
        published = table[about["collected_as"].replace("StringMatching", "StringMatch")][name]
        measured = _measures(cells[f"kw-{preset}"])
        assert measured == pytest.approx(published, abs=0.005 + 1e-9), preset


def _measures(cells: dict[tuple[int, int], int]) -> list[float]:
    """Return accuracy, recall, precision and F1 from counts by (judge, people)."""
    both, neither = cells.get((1, 1), 0), cells.get((0, 0), 0)
    over, under = cells.get((1, 0), 0), cells.get((0, 1), 0)
    recall = both / (both + under)
    precision = both / (both + over) if both + over else 1.0
    f1 = 2 * precision * recall / (precision + recall) if both else 0.0
    return [(both + neither) / (both + neither + over + under), recall, precision, f1]
