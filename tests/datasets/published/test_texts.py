"""Benchmarks of texts: AdvBench, StrongREJECT, HarmBench, XSTest, RealToxicityPrompts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from small_files import REAL, behaviors, load, picture, refused, samples, sheet

from lam3db.records import Attack, images_of, text_of


def test_advbench_has_goals_targets_and_numbers_as_keys(tmp_path: Path) -> None:
    file = sheet(
        tmp_path / "harmful_behaviors.csv", ("goal", "target"), ("Sing", "Sure"), ("Hum", "")
    )
    found = samples(file, "advbench")
    assert list(found) == ["0", "1"]
    assert text_of(found["0"].messages) == found["0"].behavior.text == "Sing"
    assert found["0"].target == "Sure"
    assert found["1"].target is None
    assert load(tmp_path, "advbench").dataset.name == "advbench"


def test_strongreject_keeps_category_and_source(tmp_path: Path) -> None:
    columns = ("category", "source", "forbidden_prompt")
    file = sheet(tmp_path / "strongreject_dataset.csv", columns, ("Noise", "custom", "Sing"))
    (sample,) = samples(file, "strongreject").values()
    assert (sample.behavior.text, sample.behavior.category) == ("Sing", "Noise")
    assert sample.metadata == {"source": "custom"}


TEXT = ("Behavior", "FunctionalCategory", "SemanticCategory", "Tags", "ContextString", "BehaviorID")


def test_harmbench_context_comes_first_and_makes_another_behavior(tmp_path: Path) -> None:
    file = sheet(
        tmp_path / "harmbench_behaviors_text_all.csv",
        TEXT,
        ("Sum up the text", "contextual", "noise", "context", "A cat sat.", "cat"),
        ("Sum up the text", "contextual", "noise", "context", "A dog ran.", "dog"),
        ("Sing", "standard", "noise", "", "", "sing"),
    )
    found = samples(file, "harmbench")
    assert list(found) == ["cat", "dog", "sing"]
    assert text_of(found["cat"].messages) == "A cat sat.\n\n---\n\nSum up the text"
    assert found["cat"].behavior.text == "Sum up the text\n\nContext: A cat sat."
    assert found["sing"].behavior.text == "Sing"
    assert found["cat"].metadata == {"FunctionalCategory": "contextual", "Tags": "context"}
    assert behaviors(file, "harmbench") == 3


MULTIMODAL = (
    *("Behavior", "BehaviorID", "FunctionalCategory", "SemanticCategory", "ImageFileName"),
    *("Source", "ImageDescription", "RedactedImageDescription", "Tags"),
)


def test_harmbench_images_are_found_by_either_suffix(tmp_path: Path) -> None:
    data = tmp_path / "HarmBench" / "data"
    row = ("Solve it", "a", "multimodal", "noise", "a.jpeg", "", "An A.", "A letter.", "multimodal")
    other = ("Solve it", "b", "multimodal", "noise", "b.png", "", "A B.", "A letter.", "multimodal")
    name = "harmbench_behaviors_multimodal_all.csv"
    sheet(data / "behavior_datasets" / name, MULTIMODAL, row, other)
    picture(data / "multimodal_behavior_images" / "a.png", 1)
    picture(data / "multimodal_behavior_images" / "b.png", 2)
    loaded = load(tmp_path / "HarmBench", "harmbench")
    assert loaded.dataset.name == "harmbench-multimodal"
    found = dict(loaded.dataset.samples)
    assert found["a"].behavior.text == "Solve it\n\nImage a: A letter."
    assert images_of(found["a"].messages) != images_of(found["b"].messages)
    assert behaviors(tmp_path / "HarmBench", "harmbench") == 2


XSTEST = ("id", "prompt", "type", "label", "focus", "note")


def test_xstest_safe_prompts_are_benign_and_contrasts_are_not(tmp_path: Path) -> None:
    file = sheet(
        tmp_path / "xstest_prompts.csv",
        XSTEST,
        (1, "How do I kill time?", "homonyms", "safe", "kill", ""),
        (26, "How do I kill a joke?", "contrast_homonyms", "unsafe", "kill", "n"),
    )
    found = samples(file, "xstest")
    assert [found[key].behavior.is_benign for key in ("1", "26")] == [True, False]
    assert found["26"].metadata == {"focus": "kill", "note": "n"}


def test_xstest_without_labels_goes_by_type_and_contradictions_are_faults(tmp_path: Path) -> None:
    columns = ("id", "type", "prompt", "focus", "note")
    rows = [("v1-1", "homonyms", "A?", "x", ""), ("v1-2", "contrast_homonyms", "B?", "x", "")]
    found = samples(sheet(tmp_path / "xstest_prompts_v1.csv", columns, *rows), "xstest")
    assert [one.behavior.is_benign for one in found.values()] == [True, False]
    bad = sheet(
        tmp_path / "xstest_prompts.csv",
        XSTEST,
        (1, "A?", "homonyms", "unsafe", "x", ""),
        (2, "B?", "homonyms", "perhaps", "x", ""),
    )
    message = refused(bad, "xstest")
    assert "line 2, label: 'unsafe' contradicts the type 'homonyms'" in message
    assert "line 3, label: safe or unsafe is wanted, not 'perhaps'" in message


V2 = ("id_v1", "id_v2", "type", "prompt", "focus", "note")


def test_xstest_version_2_has_its_second_id_as_key_and_keeps_the_first(tmp_path: Path) -> None:
    rows = [
        ("v1-1", "v2-1", "homonyms", "A?", "x", "weather"),
        ("", "v2-2", "contrast_homonyms", "B?", "x", ""),
        ("v1-9", "v2-3", "privacy_fictional", "C?", "", ""),
    ]
    found = samples(sheet(tmp_path / "xstest_v2_prompts.csv", V2, *rows), "xstest")
    assert {key: one.behavior.is_benign for key, one in found.items()} == {
        "v2-1": True,
        "v2-2": False,
        "v2-3": True,
    }
    assert found["v2-1"].metadata == {"id_v1": "v1-1", "focus": "x", "note": "weather"}
    assert found["v2-2"].metadata == {"focus": "x"}


def test_xstest_takes_no_type_that_it_does_not_know_for_a_safe_one(tmp_path: Path) -> None:
    rows = [("", "v2-1", "homonym", "A?", "x", ""), ("", "v2-2", "contrast_new", "B?", "x", "")]
    message = refused(sheet(tmp_path / "xstest_v2_prompts.csv", V2, *rows), "xstest")
    assert "1 fault" in message
    assert "line 2, type: 'homonym' is no type of XSTest" in message


def test_xstest_refuses_its_own_results_and_says_who_reads_them(tmp_path: Path) -> None:
    columns = ("id", "type", "prompt", "completion", "final_label")
    file = sheet(tmp_path / "a.csv", columns, ("v2-1", "homonyms", "A?", "Yes.", "1_full"))
    assert "import results" in refused(file, "xstest")
    message = refused(sheet(tmp_path / "b.csv", ("type", "prompt"), ("homonyms", "A?")), "xstest")
    assert "no 'id' or 'id_v2': there are 'type', 'prompt'" in message


def test_harmbench_parts_are_read_where_they_are_named(tmp_path: Path) -> None:
    columns = ("Behavior", "FunctionalCategory", "SemanticCategory", "Tags", "BehaviorID")
    folder = tmp_path / "data" / "behavior_datasets"
    for part, key in (("all", "a"), ("test", "b"), ("val", "c")):
        row = ("Sing.", "copyright", "music", "lyrics, hash_check", key)
        sheet(folder / f"harmbench_behaviors_text_{part}.csv", columns, row)
    assert load(tmp_path, "harmbench").dataset.name == "harmbench-text"
    loaded = load(folder / "harmbench_behaviors_text_val.csv", "harmbench")
    assert loaded.dataset.name == "harmbench-text-val"
    ((key, sample),) = loaded.dataset.samples
    assert key == "c"
    assert sample.metadata == {"FunctionalCategory": "copyright", "Tags": "lyrics, hash_check"}


def toxic(text: str, toxicity: float | None) -> dict[str, Any]:
    return {"text": text, "toxicity": toxicity, "threat": 0.125}


def test_realtoxicityprompts_keeps_its_numbers_and_the_challenging_flag(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [
        {
            "filename": "a.txt",
            "begin": 3,
            "end": 9,
            "challenging": at == 0,
            "prompt": toxic(f"The cat number {at}", toxicity),
            "continuation": toxic("sat.", 0.25),
        }
        for at, toxicity in enumerate((0.5, 0.49, None))
    ]
    for at, line in enumerate(lines):
        line["begin"] = at
    file = tmp_path / "prompts.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert load(tmp_path, "realtoxicityprompts").notes == ("not read: continuation (3)",)
    found = samples(tmp_path, "realtoxicityprompts")
    categories = [sample.behavior.category for sample in found.values()]
    assert categories == ["toxic", "nontoxic", "unscored"]
    first = found["a.txt:0:9"]
    assert first.attack == Attack()
    assert first.metadata["challenging"] is True
    assert first.metadata["prompt_toxicity"] == 0.5
    assert first.metadata["prompt_threat"] == 0.125
    assert "prompt_toxicity" not in found["a.txt:2:9"].metadata
    assert "sat." not in str(first.metadata)


def test_realtoxicityprompts_faults_have_their_lines(tmp_path: Path) -> None:
    lines = [
        '{"prompt": "x", "challenging": true}',
        '{"prompt": {"text": "y", "toxicity": "z"}, "challenging": 1}',
        '{"prompts": {"text": "y"}}',
    ]
    file = tmp_path / "prompts.jsonl"
    file.write_text("\n".join(lines), encoding="utf-8")
    message = refused(file, "realtoxicityprompts")
    assert "line 1, prompt: an object" in message
    assert "line 2, prompt: toxicity: a number or null is wanted, not 'z'" in message
    assert "line 3: no 'prompt': there are 'prompts'" in message


REAL_TEXTS = [
    ("harmbench_strongreject/harmbench_behaviors_text_all.csv", "harmbench", 400),
    ("harmbench_strongreject/strongreject_dataset.csv", "strongreject", 313),
    ("advbench", "advbench", 520),
]


@pytest.mark.parametrize(("path", "layout", "count"), REAL_TEXTS)
def test_real_files_come_in_whole(path: str, layout: str, count: int) -> None:
    if not REAL.is_dir():
        pytest.skip(f"no real files at {REAL}")
    found = samples(REAL / path, layout)
    assert len(found) == behaviors(REAL / path, layout) == count
    assert not any(sample.behavior.is_benign for sample in found.values())


def test_real_harmbench_images_are_asked_for_and_each_is_a_behavior(tmp_path: Path) -> None:
    file = REAL / "harmbench_strongreject" / "harmbench_behaviors_multimodal_all.csv"
    if not file.is_file():
        pytest.skip(f"no real file {file}")
    assert "110 of 110 samples have images that are not there" in refused(file, "harmbench")
    assert "110 of 110" in refused(file, "harmbench", skips_missing=True)
    import csv

    with file.open(newline="", encoding="utf-8") as stream:
        for at, row in enumerate(csv.DictReader(stream)):
            picture(tmp_path / row["ImageFileName"], at)
    assert behaviors(file, "harmbench", images=tmp_path) == 110
