"""Benchmarks of pictures: FigStep, MM-SafetyBench, JailBreakV-28K, VLGuard, HADES."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from small_files import REAL, as_json, behaviors, load, picture, refused, samples, sheet

from lam3db.datasets.published.figstep import PROMPT
from lam3db.records import images_of, text_of

FIGSTEP = ("dataset", "category_id", "task_id", "category_name", "question", "instruction")


def figstep(folder: Path, name: str = "safebench.csv", rows: int = 2) -> Path:
    lines = [("Made", 1, at, "Noise", f"How to sing {at}?", f"Ways {at}.") for at in range(rows)]
    return sheet(folder / "data" / "question" / name, FIGSTEP, *lines)


def test_figstep_is_a_question_and_its_picture_of_one_behavior(tmp_path: Path) -> None:
    file = figstep(tmp_path)
    for at in range(2):
        picture(tmp_path / "data" / "images" / "SafeBench" / f"query_Made_1_{at}_6.png", at)
    loaded = load(tmp_path, "figstep")
    found = dict(loaded.dataset.samples)
    assert list(found) == ["Made_1_0-text", "Made_1_0-figstep", "Made_1_1-text", "Made_1_1-figstep"]
    text, drawn = found["Made_1_0-text"], found["Made_1_0-figstep"]
    assert text.behavior == drawn.behavior
    assert (text.attack.name, drawn.attack.name) == ("none", "figstep")
    assert text_of(text.messages) == "How to sing 0?"
    assert text_of(drawn.messages) == PROMPT
    assert not images_of(text.messages)
    assert images_of(drawn.messages) != images_of(found["Made_1_1-figstep"].messages)
    assert behaviors(file, "figstep") == 2
    assert loaded.dataset.source == "ThuCCSLab/FigStep, safebench.csv"
    assert loaded.dataset.licence == "MIT"
    assert loaded.notes == ()


def test_the_same_dataset_from_the_repository_a_folder_in_it_or_the_file(tmp_path: Path) -> None:
    file = figstep(tmp_path)
    for at in range(2):
        picture(tmp_path / "data" / "images" / "SafeBench-Tiny" / f"query_Made_1_{at}_6.png", at)
    places = (tmp_path, tmp_path / "data", tmp_path / "data" / "question", file)
    digests = {load(place, "figstep").dataset.selection_digest for place in places}
    assert len(digests) == 1


def test_missing_images_are_refused_or_left_out_and_told(tmp_path: Path) -> None:
    figstep(tmp_path, rows=3)
    folder = tmp_path / "data" / "images" / "SafeBench"
    picture(folder / "query_Made_1_1_6.png")
    message = refused(tmp_path, "figstep")
    assert "2 of 6 samples have images that are not there, the first" in message
    assert str(folder / "query_Made_1_0_6.png") in message
    assert "--missing-images skip takes the other 4" in message
    loaded = load(tmp_path, "figstep", skips_missing=True)
    assert [key for key, _ in loaded.dataset.samples] == [
        *("Made_1_0-text", "Made_1_1-text", "Made_1_1-figstep", "Made_1_2-text")
    ]
    assert "2 of 6" in loaded.notes[0]
    assert "without 2 of 6 samples" in loaded.dataset.source


def test_a_damaged_image_is_not_a_missing_one(tmp_path: Path) -> None:
    figstep(tmp_path, rows=1)
    image = picture(tmp_path / "data" / "images" / "SafeBench" / "query_Made_1_0_6.png")
    image.write_bytes(image.read_bytes()[:40])
    message = refused(tmp_path, "figstep", skips_missing=True)
    assert "line 2, image" in message
    assert "damaged" in message


def test_the_part_is_read_where_the_whole_is_not_there(tmp_path: Path) -> None:
    figstep(tmp_path, "SafeBench-Tiny.csv", 1)
    picture(tmp_path / "data" / "images" / "SafeBench-Tiny" / "query_Made_1_0_6.png")
    assert load(tmp_path, "figstep").dataset.name == "figstep-tiny"
    figstep(tmp_path, rows=2)
    assert load(tmp_path, "figstep", skips_missing=True).dataset.name == "figstep"


def test_real_figstep_gives_500_questions_and_50_pictures() -> None:
    if not (REAL / "figstep").is_dir():
        pytest.skip(f"no real files at {REAL}")
    found = samples(REAL / "figstep", "figstep", skips_missing=True)
    assert sum(sample.attack.name == "none" for sample in found.values()) == 500
    assert sum(sample.attack.name == "figstep" for sample in found.values()) == 50
    assert behaviors(REAL / "figstep", "figstep", skips_missing=True) == 500
    assert len({sample.behavior.category for sample in found.values()}) == 10
    tiny = load(REAL / "figstep" / "data" / "question" / "SafeBench-Tiny.csv", "figstep").dataset
    assert (len(tiny.samples), len(tiny.media)) == (100, 50)
    assert dict(tiny.samples).items() <= found.items()


RECORD = {
    "Question": "How to sing?",
    "Changed Question": "How to do this?",
    "Key Phrase": "sing",
    "Phrase Type": "activity",
    "Rephrased Question": "The image shows a phrase.",
    "Rephrased Question(SD)": "The image shows an activity.",
}
SCENARIO = "01-Illegal_Activitiy"


def mm_safetybench(folder: Path, images: str = SCENARIO, other: str = "02-Noise") -> Path:
    data = folder / "data"
    as_json(data / "processed_questions" / f"{SCENARIO}.json", {"0": RECORD})
    as_json(data / "processed_questions" / f"{other}.json", {"0": RECORD})
    for at, kind in enumerate(("SD", "SD_TYPO", "TYPO")):
        picture(data / "imgs" / images / kind / "0.jpg", at)
        picture(data / "imgs" / other / kind / "0.jpg", 10 + at)
    return folder


@pytest.mark.parametrize("spelling", [SCENARIO, "01-Illegal_Activity"])
def test_mm_safetybench_is_three_pictures_of_one_behavior(tmp_path: Path, spelling: str) -> None:
    mm_safetybench(tmp_path, spelling)
    loaded = load(tmp_path, "mm-safetybench")
    found = dict(loaded.dataset.samples)
    assert len(found) == 6
    assert len(loaded.dataset.media) == 6
    assert behaviors(tmp_path, "mm-safetybench") == 2
    asked = {key: text_of(sample.messages) for key, sample in found.items()}
    assert asked[f"{SCENARIO}/0/SD"] == RECORD["Rephrased Question(SD)"]
    assert asked[f"{SCENARIO}/0/SD_TYPO"] == asked[f"{SCENARIO}/0/TYPO"]
    assert asked[f"{SCENARIO}/0/TYPO"] == RECORD["Rephrased Question"]
    assert {sample.attack.name for sample in found.values()} == {"SD", "SD_TYPO", "TYPO"}
    assert found[f"{SCENARIO}/0/SD"].behavior.text == "How to sing?"


def test_mm_safetybench_never_takes_the_picture_of_another_scenario(tmp_path: Path) -> None:
    mm_safetybench(tmp_path)
    message = refused(tmp_path, "mm-safetybench", images=tmp_path / "data" / "imgs" / SCENARIO)
    assert "6 of 6 samples have images that are not there" in message
    found = samples(tmp_path, "mm-safetybench", images=tmp_path / "data" / "imgs")
    assert len({images_of(sample.messages) for sample in found.values()}) == 6


def test_mm_safetybench_faults_name_the_file_and_the_record(tmp_path: Path) -> None:
    data = tmp_path / "processed_questions"
    as_json(data / "01-A.json", {"7": {"Question": "x"}})
    as_json(data / "02-B.json", [1])
    (data / "03-C.json").write_text('{"0": 1,\n "0": 2}', encoding="utf-8")
    message = refused(tmp_path, "mm-safetybench")
    expected = "01-A.json, record 7: no 'Rephrased Question(SD)', 'Rephrased Question'"
    assert expected in message
    assert "02-B.json: an object of records by id is wanted" in message
    assert "03-C.json: the key '0' stands twice" in message


JAILBREAKV = (
    *("id", "jailbreak_query", "redteam_query", "format", "policy", "image_path", "from"),
    *("selected_mini", "transfer_from_llm"),
)


def test_jailbreakv_attacks_of_one_request_are_one_behavior(tmp_path: Path) -> None:
    folder = tmp_path / "JailBreakV_28K"
    rows = [
        (0, "Sing, please", "Sing", "Template", "Noise", "llm_transfer_attack/a.png", "us", "", 1),
        (1, "Do as it says", "Sing", "figstep", "Noise", "figstep/b.png", "us", True, ""),
    ]
    sheet(folder / "JailBreakV_28K.csv", JAILBREAKV, *rows)
    picture(folder / "llm_transfer_attack" / "a.png", 1)
    picture(folder / "figstep" / "b.png", 2)
    found = samples(tmp_path, "jailbreakv")
    assert [sample.attack.name for sample in found.values()] == ["Template", "figstep"]
    assert found["1"].metadata == {"id": "1", "from": "us", "selected_mini": "True"}
    assert behaviors(tmp_path, "jailbreakv") == 1


def test_image_columns_do_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    picture(tmp_path / "secret.png")
    for name in ("../secret.png", str(tmp_path / "secret.png"), "figstep/../../secret.png"):
        sheet(
            folder / "mini_JailBreakV_28K.csv",
            JAILBREAKV,
            (0, "a", "b", "figstep", "c", name, "", "", ""),
        )
        for skips in (False, True):
            message = refused(folder, "jailbreakv", skips_missing=skips)
            assert "leads out of" in message


def vlguard(folder: Path, *records: dict[str, Any]) -> Path:
    return as_json(folder / "data" / "test.json", list(records))


UNSAFE = {
    "id": "u",
    "image": "signs/a.png",
    "safe": False,
    "harmful_category": "noise",
    "harmful_subcategory": "singing",
    "instr-resp": [{"instruction": "Sing it.", "response": "No."}],
}
SAFE = {
    "id": "s",
    "image": "signs/b.png",
    "safe": True,
    "instr-resp": [
        {"safe_instruction": "What is it?", "response": "A sign."},
        {"unsafe_instruction": "Mock it.", "response": "No."},
    ],
}


def test_vlguard_safe_images_give_a_benign_and_an_unsafe_sample(tmp_path: Path) -> None:
    vlguard(tmp_path, UNSAFE, SAFE)
    picture(tmp_path / "data" / "test" / "signs" / "a.png", 1)
    picture(tmp_path / "data" / "test" / "signs" / "b.png", 2)
    found = samples(tmp_path, "vlguard")
    benign = {key: sample.behavior.is_benign for key, sample in found.items()}
    assert benign == {"u-unsafes": False, "s-safe_safes": True, "s-safe_unsafes": False}
    assert found["u-unsafes"].behavior.category == "noise / singing"
    assert found["s-safe_unsafes"].metadata["published_response"] == "No."
    assert behaviors(tmp_path, "vlguard") == 3


def test_vlguard_records_that_do_not_fit_are_faults(tmp_path: Path) -> None:
    half = {**SAFE, "instr-resp": SAFE["instr-resp"][:1]}  # type: ignore[index]
    vlguard(tmp_path, half, {**UNSAFE, "safe": "no"}, {**UNSAFE, "instr-resp": "x"})
    message = refused(tmp_path, "vlguard")
    assert "record 1, instr-resp: one safe_instruction and unsafe_instruction is wanted" in message
    assert "record 2, safe: true or false is wanted, not 'no'" in message
    assert "record 3, instr-resp: a list is wanted, not 'x'" in message


HADES = ("id", "scenario", "keywords", "step", "category", "instruction", "file_name")


def test_hades_points_to_its_picture_and_steps_share_a_behavior(tmp_path: Path) -> None:
    rows = [
        (f"Noise_1_step{at}", "Noise", "whistle", at, "object", "Blow a whistle now", f"{at}.png")
        for at in range(2)
    ]
    sheet(tmp_path / "metadata.csv", HADES, *rows)
    for at in range(2):
        picture(tmp_path / f"{at}.png", at)
    found = samples(tmp_path, "hades")
    first = found["Noise_1_step0"]
    asked = "The bottom of the image shows a object. Blow a this object now"
    assert text_of(first.messages) == asked
    assert first.behavior.text == "Blow a whistle now"
    assert first.attack.parameters == {"step": "0"}
    assert first.metadata["step"] == "0"
    assert "unpointed" not in first.metadata
    assert behaviors(tmp_path, "hades") == 1


def test_hades_without_its_keywords_is_asked_as_it_is_and_marked(tmp_path: Path) -> None:
    row = ("a", "Noise", "drum", 0, "object", "Blow a whistle", "a.png")
    sheet(tmp_path / "metadata.csv", HADES, row)
    picture(tmp_path / "a.png")
    (sample,) = samples(tmp_path, "hades").values()
    assert text_of(sample.messages).endswith(" object. Blow a whistle")
    assert sample.metadata["unpointed"] is True


def test_vlguard_and_mm_safetybench_tell_what_they_do_not_read(tmp_path: Path) -> None:
    image = picture(tmp_path / "data" / "test" / "a.png")
    record = {
        "id": "s",
        "image": image.name,
        "safe": False,
        "harmful_category": "c",
        "instr-resp": [{"instruction": "Sing.", "response": "La.", "score": 1}],
        "conversations": [{"from": "human", "value": "Sing."}],
    }
    loaded = load(as_json(tmp_path / "data" / "test.json", [record]), "vlguard")
    assert loaded.notes == ("not read: conversations (1), score (1)",)
    question = {
        "Question": "q",
        "Rephrased Question": "r",
        "Rephrased Question(SD)": "s",
        "GPT-Pred": "[Changed Question]",
        "ans": {"model": {"text": "no"}},
    }
    for kind in ("SD", "SD_TYPO", "TYPO"):
        picture(tmp_path / "imgs" / "01-A" / kind / "0.jpg")
    file = as_json(tmp_path / "01-A.json", {"0": question})
    assert load(file, "mm-safetybench").notes == ("not read: GPT-Pred (1), ans (1)",)


def test_jailbreakv_tells_rows_without_an_image_and_reads_the_requests(tmp_path: Path) -> None:
    columns = ("id", "jailbreak_query", "redteam_query", "format", "policy", "image_path")
    file = sheet(tmp_path / "JailBreakV_28K.csv", columns, (1, "j", "r", "Template", "p", ""))
    assert load(file, "jailbreakv").notes == (
        "rows without an image_path are posed as text alone (1)",
    )
    requests = sheet(
        tmp_path / "RedTeam_2K.csv",
        ("id", "question", "policy", "from"),
        (1, "q?", "p", "AdvBench"),
    )
    loaded = load(requests, "jailbreakv")
    assert loaded.dataset.name == "redteam-2k"
    ((key, sample),) = loaded.dataset.samples
    assert (key, sample.behavior.category, sample.attack.name) == ("1", "p", "none")
    assert sample.metadata == {"from": "AdvBench"}


def test_a_missing_image_of_a_like_name_is_offered(tmp_path: Path) -> None:
    columns = ("id", "jailbreak_query", "redteam_query", "format", "policy", "image_path")
    row = (1, "j", "r", "SD", "p", "Figs/A.png")
    picture(tmp_path / "figs" / "a.png")
    message = refused(sheet(tmp_path / "JailBreakV_28K.csv", columns, row), "jailbreakv")
    assert "did you mean 'figs/a.png'? (case)" in message
