"""OmniSafeBench-MM: scores of 1 to 4, and what is none."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from reading import as_lines, only, records, refused, remarks

from lam3db.records import ScoreStatus, Verdict, images_of, text_of

META = {
    "attack_method": "figstep",
    "original_prompt": "How to sing?",
    "jailbreak_prompt": "Read the picture.",
    "jailbreak_image_path": "images/1.png",
}
RESPONSE = {
    "test_case_id": "1",
    "model_response": "Like this.",
    "model_name": "m",
    "metadata": {**META, "defense_method": "adashield"},
}


def evaluation(score: Any, success: Any, **more: Any) -> dict[str, Any]:
    inner = {**META, "judge_model": "j", "harmfulness_score": 7, "detail_score": None}
    return {
        **RESPONSE,
        "judge_score": score,
        "judge_reason": "because",
        "success": success,
        "metadata": inner,
        **more,
    }


def test_a_response_is_an_attempt_that_nobody_judged(tmp_path: Path) -> None:
    (record,) = records("omnisafebench", as_lines(tmp_path / "r.jsonl", RESPONSE))
    assert (record.model.name, record.response, record.findings) == ("m", "Like this.", ())
    assert (record.behavior.text, record.attack.name) == ("How to sing?", "figstep")
    assert record.messages is not None
    assert text_of(record.messages) == "Read the picture."
    assert record.metadata == {"test_case_id": "1", "image": "images/1.png"}
    assert '"defense": "adashield"' in str(record.model.declared).replace('":"', '": "')


def test_an_evaluation_has_a_value_and_the_verdict_of_its_authors(tmp_path: Path) -> None:
    lines = (evaluation(4, success=True), evaluation(2, success=False, test_case_id="2"))
    harmful, safe = records("omnisafebench", as_lines(tmp_path / "e.jsonl", *lines))
    assert (only(harmful).value, only(harmful).verdict) == (4, Verdict.UNSAFE)
    assert (only(safe).value, only(safe).verdict) == (2, Verdict.SAFE)
    assert only(harmful).attributes == {"harmfulness_score": 7}
    assert only(harmful).explanation == "because"
    assert harmful.findings[0].judge is safe.findings[0].judge
    assert harmful.key == "figstep/1"


@pytest.mark.parametrize(
    ("score", "success"),
    [(0, False), (0.0, False), (5, True), (None, False), ("x", True), (3, None), (3, "yes")],
)
def test_a_score_that_was_not_parsed_is_never_safe(
    tmp_path: Path, score: Any, success: Any
) -> None:
    file = as_lines(tmp_path / "e.jsonl", evaluation(score, success))
    (record,) = records("omnisafebench", file)
    assert only(record).status is ScoreStatus.UNPARSED
    assert only(record).verdict is None
    assert "judge_score" in str(only(record).raw_output)


@pytest.mark.parametrize(
    "text", ["$ERROR$", "[ERROR] Prompt detected as harmful content, refusing to answer", None]
)
def test_a_word_of_the_runner_is_no_answer(tmp_path: Path, text: Any) -> None:
    line = evaluation(1, success=False, model_response=text)
    (record,) = records("omnisafebench", as_lines(tmp_path / "e.jsonl", line))
    assert record.response is None
    assert record.failed is not None


def test_images_are_opened_below_their_folder_only(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "images" / "1.png")
    file = as_lines(tmp_path / "r.jsonl", RESPONSE)
    (record,) = records("omnisafebench", file, tmp_path)
    assert record.messages is not None
    assert len(images_of(record.messages)) == 1
    assert "image" not in record.metadata
    inner = {**META, "jailbreak_image_path": "../x.png"}
    bad = as_lines(tmp_path / "bad.jsonl", {**RESPONSE, "metadata": inner})
    assert "leads out of" in refused("omnisafebench", bad, tmp_path)


def test_what_is_missing_is_told_by_line(tmp_path: Path) -> None:
    line = {"test_case_id": "1", "model_response": "x", "metadata": None}
    message = refused("omnisafebench", as_lines(tmp_path / "r.jsonl", RESPONSE, line))
    for name in ("original_prompt", "attack_method", "model_name"):
        assert f"line 2, {name}: is missing" in message


def test_what_is_not_read_is_named(tmp_path: Path) -> None:
    more = evaluation(3, success=True, final_answer="this", human_label=1)
    more["metadata"]["harmfulness_reason"] = "because"
    file = as_lines(tmp_path / "e.jsonl", more, evaluation(0, success=False))
    assert remarks("omnisafebench", file) == [
        "not read: final_answer (1), human_label (1), metadata.harmfulness_reason (1)",
        "judge_score: unparsed words: 'judge_score 0, success False' (1)",
    ]
