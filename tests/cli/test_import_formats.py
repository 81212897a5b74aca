"""Small files in others' formats, through the commands a user types, to the numbers printed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "datasets" / "results"))
from reading import as_json, as_lines
from typed import lam3db, query

SCENARIO = "01-Noise"
RECORD = {
    "Question": "How to sing?",
    "Rephrased Question": "The image shows a phrase.",
    "Rephrased Question(SD)": "The image shows an activity.",
    "ans": {"llava": {"text": "La."}},
}


def evaluation(case: int, score: int, answer: str = "Like this.") -> dict[str, Any]:
    told = {"attack_method": "figstep", "original_prompt": f"How to sing {case}?"}
    return {
        "test_case_id": str(case),
        "model_response": answer,
        "model_name": "m",
        "judge_score": score,
        "success": score >= 3,  # as the tool has it, 0 for a score that it could not read
        "metadata": {**told, "jailbreak_prompt": "Read the picture.", "judge_model": "j"},
    }


def numbers(folder: Path, judge: str) -> dict[str, Any]:
    done = lam3db(folder, "report", "--by", "model", "--judge", judge, "--format", "json")
    (row,) = json.loads(done.stdout)["rows"]
    (number,) = row["numbers"]
    return {**number["counts"], "hits": number["share"]["hits"]}


def test_what_a_judge_could_not_score_is_in_no_share_and_in_the_counts(tmp_path: Path) -> None:
    lines = [evaluation(1, 4), evaluation(2, 1), evaluation(3, 0), evaluation(4, 1, "$ERROR$")]
    as_lines(tmp_path / "eval.jsonl", *lines)
    words = ("import", "results", "eval.jsonl", "--format", "omnisafebench")
    assert "answers: 3 new, 0 known, 1 attempts without one" in lam3db(tmp_path, *words).stdout
    assert "answers: 0 new, 3 known" in lam3db(tmp_path, *words).stdout
    found = numbers(tmp_path, "omnisafebench-j")
    assert (found["total"], found["scored"], found["hits"]) == (4, 2, 1)


def test_verdicts_of_an_inspect_log_are_the_users_and_its_epochs_replicates(tmp_path: Path) -> None:
    samples = [
        {
            "id": number,
            "epoch": epoch,
            "input": f"question {number}",
            "output": {"choices": [{"message": {"role": "assistant", "content": "x"}}]},
            "scores": {"match": {"value": value}},
        }
        for number, epoch, value in ((1, 1, "C"), (1, 2, "I"), (2, 1, "I"), (2, 2, "perhaps"))
    ]
    log = {"eval": {"task": "t", "model": "gpt"}, "samples": samples}
    as_json(tmp_path / "log.json", log)
    words = ("import", "results", "log.json", "--format", "inspect", "--set", "unsafe=C")
    assert "--set safe= is missing" in lam3db(tmp_path, *words, code=1).stderr
    lam3db(tmp_path, *words, "--set", "safe=I")
    found = numbers(tmp_path, "match")
    assert (found["total"], found["scored"], found["hits"]) == (4, 3, 1)
    (row,) = query(tmp_path, "SELECT max(replicate) AS last FROM v_generation")
    assert row["last"] == 1


def test_answers_lie_on_the_samples_of_a_benchmark_that_was_added(tmp_path: Path) -> None:
    as_json(tmp_path / "data" / "processed_questions" / f"{SCENARIO}.json", {"0": RECORD})
    for at, kind in enumerate(("SD", "SD_TYPO", "TYPO")):
        folder = tmp_path / "data" / "imgs" / SCENARIO / kind
        folder.mkdir(parents=True)
        Image.new("RGB", (4, 4), (at, 0, 0)).save(folder / "0.jpg")
    lam3db(tmp_path, "dataset", "add", "data", "--format", "mm-safetybench")
    as_json(tmp_path / f"{SCENARIO}_TYPO.json", {"0": RECORD})
    words = ("import", "results", f"{SCENARIO}_TYPO.json", "--format", "mm-safetybench")
    done = lam3db(tmp_path, *words, "--images", "data/imgs")
    assert "mm-safetybench@1: 3 samples, unchanged" in done.stdout
    (row,) = query(tmp_path, "SELECT sample, attack, text FROM v_generation")
    assert row == {"sample": f"{SCENARIO}/0/TYPO", "attack": "TYPO", "text": "La."}


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("visual-adversarial", '{"args": {}}', "name the model with --model"),
        ("harmbench", "[1]", "lists of completions by behavior are wanted"),
        ("vlmevalkit", "[]", "which part is the model?"),
        ("inspect", "{}", 'an object with "eval" is wanted'),
        ("mm-safetybench", "{}", "which kind of image was shown?"),
    ],
)
def test_a_file_that_is_none_of_its_format_stores_nothing(
    tmp_path: Path, name: str, text: str, told: str
) -> None:
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    done = lam3db(tmp_path, "import", "results", "x.json", "--format", name, code=1)
    assert told in done.stderr
    assert "Traceback" not in done.stderr
