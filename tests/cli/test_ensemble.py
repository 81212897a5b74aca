"""Fitting an ensemble as a user types it: labels from a file, a judge in a file."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "pipeline"))
sys.path.insert(0, str(Path(__file__).parent))
from jobs import job, put, sample
from review_commands import label_csv, read_csv
from typed import lam3db

from lam3db.pipeline.generate import generate
from lam3db.store.engine import open_store

FIT = ("ensemble", "fit", "stack", "--labels", "human:anna", "--folds", "3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty answers judged by three, half of them labelled for training."""
    place = tmp_path_factory.mktemp("fit")
    with open_store(f"sqlite:///{place / 'lam3.db'}", mode="write") as store:
        put(store, [sample(number) for number in range(60)])
        generate(store, job())
    judges = place / "configs" / "judges"
    judges.mkdir(parents=True)
    names = ("x", "y", "z")
    for name in names:
        (judges / f"{name}.yaml").write_text('kind: "null"\n', encoding="utf-8")
    for name, rule in (("stack", "stacking"), ("errors", "dawid-skene")):
        (judges / f"{name}.yaml").write_text(
            f"kind: ensemble\nsettings: {{rule: {rule}, members: [x, y, z]}}\n", encoding="utf-8"
        )
    lam3db(place, "judge", "--pending", *(word for name in names for word in ("-j", name)))
    draw = ("--disputed", "30", "-j", "x", "-j", "y", "--random", "10")
    lam3db(place, "review", "sample", "--name", "first", *draw)
    lam3db(place, "review", "export", "--name", "first", "-a", "anna", "-o", "anna.csv")
    rows = read_csv(place / "anna.csv")
    for row in rows:
        row["label"] = "unsafe" if row["response"].split()[2] > "8" else "safe"
    label_csv(place / "anna.csv", rows)
    (place / "guide.md").write_text("Look.", encoding="utf-8")
    lam3db(place, "review", "import", "anna.csv", "-a", "anna", "--guideline", "guide.md")
    return place


def test_a_stacked_judge_from_labels_to_scores(folder: Path) -> None:
    told = lam3db(folder, *FIT, "-o", "configs/judges/stacked.yaml").stdout
    assert "30 labels used, 0 skips and 0 without a member's score left out" in told
    assert "n = 30 answers in 5 behaviors (held out: 3 folds that share no behavior)" in told
    for word in ("accuracy", "Brier", "log loss", "ECE", "always the commoner label"):
        assert word in told
    assert "drawn as disputed, not on all answers" in told
    accuracy, base = map(float, re.findall(r"(?:accuracy|label:) (\d\.\d+)", told))
    assert ("WARNING: no better" in told) == (accuracy <= base)
    judged = lam3db(folder, "judge", "--pending", "--judge", "stacked").stdout
    assert "60 pending, 60 scored" in judged
    shown = lam3db(folder, "judge", "show", "stacked").stdout
    assert '"coefficient"' in shown
    assert "stacked" in lam3db(folder, "report", "--judge", "stacked", "--by", "model").stdout
    again = lam3db(folder, *FIT, "-o", "configs/judges/stacked.yaml", code=1)
    assert "--force" in again.stderr
    assert "human" not in lam3db(folder, "status").stdout.partition("Next:")[2]


def test_error_rates_without_labels(folder: Path) -> None:
    words = ("ensemble", "fit", "errors", "-o", "configs/judges/rated.yaml")
    lam3db(folder, *words)
    judged = lam3db(folder, "judge", "--pending", "--judge", "rated").stdout
    assert "60 pending" in judged


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("ensemble", "fit", "x", "-o", "n.yaml"), "no ensemble"),
        (("ensemble", "fit", "stack", "-o", "n.yaml"), "needs --labels ANNOTATOR"),
        ((*FIT, "-o", "n.txt"), "ends in .yaml"),
        ((*FIT, "-o", "n.yaml", "--part", "estimation"), "kept for numbers"),
        ((*FIT[:4], "human:ana", "-o", "n.yaml"), "did you mean 'human:anna'"),
        (("judge", "--pending", "--judge", "stack"), "`lam3db ensemble fit` writes it"),
    ],
)
def test_what_cannot_be_done_is_one_line(folder: Path, words: tuple[str, ...], says: str) -> None:
    done = lam3db(folder, *words, code=1)
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "n.yaml").exists()
