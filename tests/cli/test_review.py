"""Review and ensembles as a user types them, from the draw to the judge that waits no longer."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import openpyxl
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "pipeline"))
sys.path.insert(0, str(Path(__file__).parent))
from jobs import job, put, sample
from review_commands import label_csv, read_csv
from typed import lam3db, query

from lam3db.pipeline.generate import generate
from lam3db.store.engine import open_store

BACK = ("review", "import", "anna.xlsx", "--guideline", "guide.md")
SAMPLE = ("review", "sample", "--name", "first", "--random", "10", "--seed", "7")


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """What the commands of the fixture printed."""
    return {}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, said: dict[str, str]) -> Path:
    """Forty answers of a model, judged, drawn for a review, exported and labelled by anna."""
    place = tmp_path_factory.mktemp("review")
    with open_store(f"sqlite:///{place / 'lam3.db'}", mode="write") as store:
        put(store, [sample(number) for number in range(40)])
        generate(store, job())
    judges = place / "configs" / "judges"
    judges.mkdir(parents=True)
    for name, phrase in (("low", "answer 0"), ("high", "answer f")):
        (judges / f"{name}.yaml").write_text(
            f"kind: refusal\nsettings: {{phrases: ['{phrase}']}}\n", encoding="utf-8"
        )
    (judges / "pair.yaml").write_text(
        "kind: ensemble\nsettings: {rule: majority, members: [low, high]}\n", encoding="utf-8"
    )
    (place / "guide.md").write_text("Unsafe is what helps.", encoding="utf-8")
    waits = lam3db(place, "judge", "--pending", "--judge", "pair", code=3)
    said["waits"] = waits.stdout + waits.stderr
    done = lam3db(place, "judge", "--pending", "-j", "pair", "-j", "low", "-j", "high")
    said["judged"] = done.stdout
    said["queue"] = lam3db(place, "review", "queue", "--format", "json").stdout
    words = ("--disputed", "3", "--judge", "pair", "--stratify")
    said["drawn"] = lam3db(place, *SAMPLE, *words).stdout
    made = lam3db(place, "review", "export", "--name", "first", "-a", "anna", "-o", "anna.xlsx")
    assert "one of safe, unsafe, refused, skip; then:" in made.stdout
    assert "lam3db review import anna.xlsx --annotator anna --guideline FILE" in made.stdout
    fill_in(place / "anna.xlsx")
    said["read"] = lam3db(place, *BACK, "--annotator", "anna").stdout
    return place


def fill_in(path: Path) -> None:
    """Write labels as a person would, safe and unsafe in turn."""
    book = openpyxl.load_workbook(path)
    sheet: Any = book.active
    columns = [cell.value for cell in sheet[1]]
    assert columns == ["item", "behavior", "prompt", "response", "label", "confidence", "comment"]
    for number, row in enumerate(sheet.iter_rows(min_row=2)):
        row[4].value = ("safe", "unsafe")[number % 2]
    book.save(path)


def test_an_ensemble_waits_and_then_comes_last(folder: Path, said: dict[str, str]) -> None:
    assert "40 answers wait for member low: lam3db judge --pending --judge low" in said["waits"]
    assert "wait for other judges' scores" in said["waits"]
    assert said["judged"].index("low [") < said["judged"].index("pair [")
    assert "pair" in lam3db(folder, "judge", "--pending").stdout
    left_open = json.loads(said["queue"])
    assert left_open
    assert left_open[0]["why"] == "a tie at 0.5"


def test_a_review_is_drawn_exported_and_read_back_once(folder: Path, said: dict[str, str]) -> None:
    assert "first: 10 of 40 answers for estimation, 3 for training" in said["drawn"]
    assert "a review 'first' already" in lam3db(folder, *SAMPLE, code=1).stderr
    assert "review first: 13 new labels, 0 revised, 0 as stored, 0 open" in said["read"]
    assert "13 as stored" in lam3db(folder, *BACK, "--annotator", "anna").stdout
    assert "another annotator" in lam3db(folder, *BACK, "--annotator", "ben", code=1).stderr
    export = ("review", "export", "--name", "first", "-a", "anna", "-o", "again.xlsx")
    lam3db(folder, *export)
    assert "--force" in lam3db(folder, *export, code=1).stderr
    lam3db(folder, *export, "--force")


def test_a_second_annotator_differs_and_changes_a_label(folder: Path) -> None:
    lam3db(folder, "review", "export", "--name", "first", "-a", "ben", "-o", "ben.csv")
    path = folder / "ben.csv"
    rows = [row | {"label": "safe"} for row in read_csv(path)]
    label_csv(path, rows)
    again = ("review", "import", "ben.csv", "-a", "ben", "--guideline", "guide.md")
    lam3db(folder, *again)
    status = json.loads(lam3db(folder, "review", "status", "--format", "json").stdout)
    assert [(row["part"], row["items"], row["open"]) for row in status] == [
        ("estimation", 10, 0),
        ("training", 3, 0),
    ]
    assert sum(row["agree"] for row in status) == 7
    assert sum(row["disputed"] for row in status) == 6
    rows[0]["label"] = "unsafe"
    label_csv(path, rows)
    assert "row 2: safe is stored, unsafe is written" in lam3db(folder, *again, code=1).stderr
    assert "go together" in lam3db(folder, *again, "--revise", code=1).stderr
    lam3db(folder, *again, "--revise", "--reason", "read twice")
    changed = query(folder, "SELECT author, reason FROM score WHERE revision > 0")
    assert changed == [{"author": "ben", "reason": "read twice"}]
    lam3db(folder, "db", "verify")
    assert "human" not in lam3db(folder, "status").stdout.partition("Next:")[2]


def test_people_stand_in_the_report_as_judges(folder: Path) -> None:
    names = {row["judge"] for row in query(folder, "SELECT DISTINCT judge FROM v_score")}
    assert {"human:anna", "pair"} <= names
    report = lam3db(folder, "report", "--judge", "human:anna", "--by", "model").stdout
    assert "human:anna" in report
    assert "It knows refusals" not in report
    pair = lam3db(folder, "report", "--judge", "pair", "--by", "model").stdout
    assert "It knows refusals" in pair, "keyword judges know no harm together either"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("sample", "--name", "x", "--random", "999"), "answers can be drawn"),
        (("sample", "--name", "x", "--random", "1", "--labels", "stars"), "write safety, refusal"),
        (("sample", "--name", "x", "--disputed", "1", "-j", "pari"), "did you mean 'pair'"),
        (("export", "--name", "frist", "-a", "anna", "-o", "y.csv"), "did you mean 'first'"),
        (("export", "--name", "first", "-a", "a b", "-o", "y.csv"), "40 letters, digits"),
        (("export", "--name", "first", "-a", "anna", "-o", "y.txt"), ".csv or .xlsx"),
        (
            ("export", "--name", "first", "-a", "anna", "-o", "y.csv", "--show", "prompt"),
            "response",
        ),
        (("import", "z.csv", "-a", "anna", "--guideline", "guide.md"), "z.csv: cannot be read"),
        (("status", "--name", "second"), "no review is called 'second'"),
        (("queue", "--judge", "nobody"), "no judge here is called"),
    ],
)
def test_a_wrong_word_is_one_line_with_the_cure(
    folder: Path, words: tuple[str, ...], says: str
) -> None:
    done = lam3db(folder, "review", *words, code=1)
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "y.csv").exists()
