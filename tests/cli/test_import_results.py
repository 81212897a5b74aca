"""``lam3db import results`` as it is typed: the shipped maps, what is told, what is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from typed import lam3db, query

from lam3db.resources import shipped

WIDE = "id,goal,gpt-4_response,gpt-4_label,llama-2_response,llama-2_label\n1,p,Sure,yes,No.,0\n"
LONG = (
    "answer_id,model,question,answer,annotator,label\n"
    "a,m,q,x,ann,unsafe\na,m,q,x,bob,Refusal\na,m,q,x,cy,unsure\n"
)
GRADED = {
    "id": "k", "behavior": "b", "category": "c", "attack": {"name": "gcg", "prompt": "p"},
    "model": "m",
    "answers": [
        {"text": "x", "grade": 4, "why": "w"}, {"text": "y", "grade": "refused to grade"},
        {"text": "ERROR 500", "grade": None},
    ],
}  # fmt: skip
RECORDS = {
    "sing": [
        {"test_case": "p", "generation": "La.", "model": "m", "method": "GCG", "cls": 1,
         "human_0": 1, "human_1": 0, "human_2": None},
        {"test_case": "p", "generation": "No.", "model": "m", "method": "GCG", "cls": 0,
         "human_0": None, "human_1": None, "human_2": None},
    ],
    "hum": [],
}  # fmt: skip
RATED = {"id": 1, "model": "m", "prompt": "p", "response": "r", "judge_output": "Rating: [[8]]"}
FILES = {
    "wide-table": ("r.csv", WIDE, [("ok", "unsafe", 1), ("ok", "safe", 0)]),
    "annotators": (
        "r.csv",
        LONG,
        [("ok", "unsafe", 1), ("ok", "refused", 0), ("abstained", None, None)],
    ),
    "object-of-lists": (
        "r.json",
        json.dumps(RECORDS),
        [("ok", "unsafe", 1), ("ok", "safe", 0), ("ok", "unsafe", 1), ("ok", "safe", 0)],
    ),
    "replicate-files": ("r_seed_0.jsonl", json.dumps(RATED), [("ok", None, 1)]),
    "graded": ("r.jsonl", json.dumps(GRADED), [("ok", None, 1), ("judge_refused", None, None)]),
}


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_shipped_map_reads_what_its_comment_shows(tmp_path: Path, name: str) -> None:
    file, data, expected = FILES[name]
    (tmp_path / file).write_text(data)
    mapping = str(shipped("configs") / "imports" / f"{name}.yaml")
    told = lam3db(tmp_path, "import", "results", file, "--map", mapping, "--dry-run").stdout
    assert "nothing is stored" in told
    assert not (tmp_path / "lam3.db").exists()
    lam3db(tmp_path, "import", "results", file, "--map", mapping)
    rows = query(tmp_path, "SELECT status, verdict, unsafe FROM v_score ORDER BY score_id")
    assert [tuple(row.values()) for row in rows] == expected


def test_every_shipped_map_is_tried() -> None:
    found = {path.stem for path in (shipped("configs") / "imports").glob("*.yaml")}
    assert found == set(FILES)


def test_formats_and_guide_are_told_without_a_file(tmp_path: Path) -> None:
    formats = lam3db(tmp_path, "import", "results", "--formats").stdout
    assert "jailbreakbench" in formats
    guide = lam3db(tmp_path, "import", "results", "--guide").stdout
    assert "annotators:" in guide
    guide = lam3db(tmp_path, "import", "results", "--guide", "--format", "inspect").stdout
    assert "--set first_epoch=N" in guide


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name the FILE"),
        (("r.csv",), "say how to read the file"),
        (("r.csv", "--format", "jailbreakevil"), "did you mean 'jailbreakeval'?"),
        (("r.csv", "--format", "jailbreakeval", "--set", "x=1"), "--set x: no such setting"),
        (("none.csv", "--format", "jailbreakeval"), "no such file"),
        (("r.csv", "--map", "none.yaml"), "none.yaml: cannot be read"),
        (("r.csv", "--format", "jailbreakeval", "--images", "none"), "no such folder"),
    ],
)
def test_what_cannot_be_done_is_one_line(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    (tmp_path / "r.csv").write_text("question,answer,label\nq,a,1\n")
    assert said in lam3db(tmp_path, "import", "results", *words, code=1).stderr


def test_hostile_names_are_shown_as_codes(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("question,answer,label\n\x1b[2Jq,\x1b]0;x\x07,1\n")
    words = ("import", "results", "r.csv", "--format", "jailbreakeval", "--model", "m\x1b[31m")
    for more in (("--dry-run",), ()):
        done = lam3db(tmp_path, *words, *more)
        assert "\x1b" not in done.stdout + done.stderr
        assert "m\\x1b[31m" in done.stdout


def test_a_name_with_line_breaks_cannot_pass_for_lines_of_ours(tmp_path: Path) -> None:
    name = "m\nanswers: 9 new, 0 known\x1b[2J"
    row = {"model": name, "prompt": "p", "response": "r", "judge": name, "label": "yes"}
    (tmp_path / "r.jsonl").write_text(json.dumps(row) + "\n")
    fields = "{model: model, prompt: prompt, response: response}"
    judge = "{name: {column: judge}, kind: rule, verdict: label, words: {unsafe: ['yes']}}"
    (tmp_path / "m.yaml").write_text(f"dataset: d\nfields: {fields}\njudges: [{judge}]\n")
    for more in (["--dry-run"], []):
        said = lam3db(tmp_path, "import", "results", "r.jsonl", "--map", "m.yaml", *more).stdout
        assert "\nanswers: 9 new" not in said
        assert "\x1b" not in said
