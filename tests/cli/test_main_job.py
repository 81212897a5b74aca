"""The main job as a newcomer types it: two demo models, two judges, a report, and the cache."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the model stack (lam3db[local]) is not installed")
sys.path.insert(0, str(Path(__file__).parent))
from typed import lam3db, query

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder in which the demo has run once, and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    done = lam3db(folder, "run", "demo")
    return folder, done.stdout


def test_the_first_run_answers_everything_with_both_models(demo: tuple[Path, str]) -> None:
    folder, printed = demo
    samples = query(folder, "SELECT count(*) AS n FROM sample")[0]["n"]
    answers = query(
        folder,
        "SELECT model, count(*) AS n, count(DISTINCT text) AS texts FROM v_generation GROUP BY 1",
    )
    assert {row["model"]: row["n"] for row in answers} == {
        "demo-llava": samples,
        "demo-idefics2": samples,
    }
    assert all(row["texts"] > 5 for row in answers), "the demo models repeat themselves"
    assert "demo-llava" in printed
    assert "non-refusal" in printed


def test_attacks_work_better_than_no_attack(demo: tuple[Path, str]) -> None:
    rows = query(
        demo[0],
        "SELECT model, attack, avg(unsafe) AS asr FROM v_score "
        "WHERE judge = 'refusal-gcg' AND NOT is_benign GROUP BY 1, 2",
    )
    asr = {(row["model"], row["attack"]): row["asr"] for row in rows}
    for model in ("demo-llava", "demo-idefics2"):
        attacked = max(asr[model, "text-wrapper"], asr[model, "typographic"])
        assert attacked > asr[model, "none"] + 0.2


def test_the_second_run_is_all_cache_and_loads_no_model(demo: tuple[Path, str]) -> None:
    folder, _ = demo
    before = query(folder, "SELECT count(*) AS n FROM generation")
    done = lam3db(folder, "run", "demo")
    assert done.stdout.count("(100% from the cache)") == 2
    assert done.stdout.count("nothing pending") == 2
    assert "loading" not in done.stderr
    assert query(folder, "SELECT count(*) AS n FROM generation") == before


def test_every_local_kind_judges_the_demo_as_the_readme_says(demo: tuple[Path, str]) -> None:
    folder, _ = demo
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (typed,) = re.findall(r"^lam3db (judge --pending .*llm-demo.*)$", readme, re.MULTILINE)
    lam3db(folder, *typed.split())
    answers = query(folder, "SELECT count(*) AS n FROM generation")[0]["n"]
    asked = """SELECT judge, judge_kind, count(*) AS n, sum(status = 'ok') AS ok, avg(unsafe) AS asr
                 FROM v_score WHERE NOT is_benign GROUP BY 1, 2"""
    found = {row["judge"]: row for row in query(folder, asked)}
    kinds = {row["judge_kind"] for row in found.values()}
    assert kinds == {"rule", "classifier", "llm", "ensemble"}
    assert {row["ok"] for row in found.values()} == {found["refusal-gcg"]["n"]}
    for name in ("classifier-demo", "llm-demo", "ensemble-demo"):
        assert abs(found[name]["asr"] - found["refusal-gcg"]["asr"]) < 0.1, name
    again = lam3db(folder, *typed.split())
    assert again.stdout.count("nothing pending") == 4
    scored = query(folder, "SELECT count(*) AS n FROM score")[0]["n"]
    assert scored == 6 * answers


def test_a_changed_setting_is_another_key(demo: tuple[Path, str]) -> None:
    folder, _ = demo
    words = ("generate", "--model", "demo-llava", "--dataset", "mini_bench", "--limit", "3")
    done = lam3db(
        folder, *words, "--runtime", "runtime-demo", "--set", "temperature=0.9", "--dry-run"
    )
    assert "3 to generate" in done.stdout
    done = lam3db(folder, *words, "--runtime", "runtime-demo", "--dry-run")
    assert "3 stored, 0 to generate" in done.stdout


def test_what_was_requested_and_what_took_effect_are_both_stored(demo: tuple[Path, str]) -> None:
    folder, _ = demo
    words = ("generate", "--model", "demo-llava", "--dataset", "mini_bench", "--limit", "2")
    done = lam3db(folder, *words, "--runtime", "runtime-demo", "--set", "do_sample=false")
    assert "temperature" in done.stderr, "a setting without effect must be said aloud"
    path = folder / "lam3.db"
    with sqlite3.connect(path) as conn:
        requested, effective = conn.execute(
            "SELECT requested, effective FROM run ORDER BY id DESC LIMIT 1"
        ).fetchone()
    assert json.loads(requested)["runtime"]["temperature"] == 0.2
    assert "temperature" not in json.loads(effective)["decoding"]


def test_smoke_answers_afresh_and_stays_out_of_the_report(demo: tuple[Path, str]) -> None:
    folder, _ = demo
    before = lam3db(folder, "report", "--format", "csv").stdout
    shown = lam3db(folder, "smoke", "demo-llava", "--runtime", "runtime-demo").stdout
    for word in ("loaded in", "tokens/s", "memory", "temperature", "answer"):
        assert word in shown
    assert query(folder, "SELECT count(*) AS n FROM run WHERE kind = 'smoke'") == [{"n": 1}]
    assert lam3db(folder, "report", "--format", "csv").stdout == before


def test_two_models_and_a_wrong_third_start_nothing(demo: tuple[Path, str]) -> None:
    folder, _ = demo
    (folder / "gone.yaml").write_text("name: gone\nsource: ./nowhere\n")
    words = ("generate", "-m", "demo-llava", "-m", "gone.yaml", "-d", "mini_bench")
    runs = query(folder, "SELECT count(*) AS n FROM run")
    assert "nowhere" in lam3db(folder, *words, "--set", "seed=99", code=1).stderr
    assert query(folder, "SELECT count(*) AS n FROM run") == runs


def test_every_format_of_the_report_holds_the_same_numbers(demo: tuple[Path, str]) -> None:
    folder, _ = demo
    as_json = json.loads(lam3db(folder, "report", "--format", "json").stdout)
    as_csv = list(csv.DictReader(io.StringIO(lam3db(folder, "report", "--format", "csv").stdout)))
    markdown = lam3db(folder, "report", "--format", "markdown").stdout
    assert as_json
    assert as_csv
    assert markdown.count("|") > 20


def test_the_database_verifies(demo: tuple[Path, str]) -> None:
    lam3db(demo[0], "db", "verify")
    lam3db(demo[0], "db", "check")


def test_status_show_and_export_read_what_is_there(demo: tuple[Path, str]) -> None:
    folder, _ = demo
    assert "demo-llava" in lam3db(folder, "status").stdout
    shown = lam3db(folder, "show", "--where", "attack=typographic", "--limit", "1").stdout
    assert "refusal-gcg" in shown
    lam3db(folder, "export", "generations", "-o", "answers.jsonl")
    lines = (folder / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == query(folder, "SELECT count(*) AS n FROM v_generation")[0]["n"]
    assert json.loads(lines[0])["text"]


def test_a_write_through_sql_is_refused_by_the_database(demo: tuple[Path, str]) -> None:
    folder, _ = demo
    before = query(folder, "SELECT count(*) AS n FROM score")
    for text in ("DELETE FROM score", "WITH x AS (SELECT 1) DELETE FROM score", "DROP VIEW v_asr"):
        assert "error" in lam3db(folder, "sql", text, code=1).stderr
    assert query(folder, "SELECT count(*) AS n FROM score") == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("generate", "-m", "demo-lava", "-d", "mini_bench"), "did you mean 'demo-llava'"),
        (("generate", "-m", "demo-llava", "-d", "mini_bnch"), "did you mean 'mini_bench'"),
        (
            ("generate", "-m", "demo-llava", "-d", "mini_bench", "--set", "temprature=1"),
            "temperature",
        ),
        (("generate", "-m", "demo-llava", "-d", "mini_bench", "--shard", "5/4"), "I/N"),
        (("judge", "--pending", "--judge", "detoxfy"), "did you mean"),
        (("run", "nothing.yaml"), "nothing.yaml"),
        (("report", "--by", "modle"), "did you mean 'model'"),
    ],
)
def test_a_wrong_name_is_one_line_with_the_cure(
    demo: tuple[Path, str], words: tuple[str, ...], says: str
) -> None:
    done = lam3db(demo[0], *words, code=1)
    assert says in done.stderr
    assert "Traceback" not in done.stderr
