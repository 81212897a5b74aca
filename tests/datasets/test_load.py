"""Files as people have them, right and wrong, to samples or to every fault at once."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lam3db.datasets.load import Loaded, Options, load_dataset
from lam3db.errors import ConfigError, InputError
from lam3db.media import decode
from lam3db.records import Attack, Sample, images_of, text_of

ROOT = Path(__file__).parent.parent.parent
REAL = ROOT.parent / "shared" / "data"


def write(folder: Path, *objects: dict[str, Any] | str, name: str = "bench.jsonl") -> Path:
    """Write a JSONL file; a str is a line as it stands."""
    lines = (item if isinstance(item, str) else json.dumps(item) for item in objects)
    path = folder / name
    path.write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8"))
    return path


def table(folder: Path, text: str, name: str = "bench.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def picture(folder: Path, name: str, color: str = "red") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), color).save(path, "PNG")
    return path


def only(loaded: Loaded) -> Sample:
    ((_, sample),) = loaded.dataset.samples
    return sample


def faults(path: Path, **options: Any) -> tuple[str, ...]:
    with pytest.raises(InputError) as caught:
        load_dataset(path, Options(**options))
    return caught.value.faults


# what comes in


def test_every_field_of_a_line(tmp_path: Path) -> None:
    picture(tmp_path, "images/a.png")
    line = {
        "key": "a-1",
        "prompt": "Insult the cactus.",
        "image": "images/a.png",
        "behavior": "Insult it.",
        "category": "plants",
        "attack": {"name": "typographic", "parameters": {"font": "serif", "size": 12}},
        "target": "Sure",
        "benign": True,
        "score": 1.5,
        "tags": ["x", None],
        "metadata": {"source": "us"},
    }
    loaded = load_dataset(write(tmp_path, line))
    ((key, sample),) = loaded.dataset.samples
    assert key == "a-1"
    (media,) = loaded.dataset.media
    assert [part.to_json()["type"] for part in sample.messages[0].parts] == ["image", "text"]
    assert images_of(sample.messages) == (media.sha256,)
    assert loaded.files == {media.sha256: tmp_path.resolve() / "images" / "a.png"}
    assert (sample.behavior.text, sample.behavior.category) == ("Insult it.", "plants")
    assert sample.behavior.is_benign
    assert sample.attack == Attack("typographic", {"font": "serif", "size": 12})
    assert sample.target == "Sure"
    assert sample.metadata == {"score": 1.5, "tags": ["x", None], "source": "us"}
    assert loaded.notes == ()


def test_the_same_content_is_the_same_dataset_wherever_it_lies(tmp_path: Path) -> None:
    digests = set()
    for name in ("one", "two"):
        picture(tmp_path / name, "a.png")
        path = write(tmp_path / name, {"prompt": "Hi", "image": "a.png"})
        digests.add(load_dataset(path).dataset.selection_digest)
    assert len(digests) == 1


def test_csv_and_jsonl_of_the_same_rows_agree(tmp_path: Path) -> None:
    rows = [
        {"key": "a", "prompt": 'He said "hi",\nthen left', "category": "c", "benign": "yes"},
        {"key": "b", "prompt": "中文", "category": "d", "benign": "0"},
    ]
    with (tmp_path / "bench.csv").open("w", newline="", encoding="utf-8-sig") as stream:
        writer = csv.DictWriter(stream, ["key", "prompt", "category", "benign"])
        writer.writeheader()
        writer.writerows(rows)
    from_csv = load_dataset(tmp_path / "bench.csv").dataset
    assert from_csv.samples == load_dataset(write(tmp_path, *rows)).dataset.samples
    tsv = table(tmp_path, "key\tprompt\na\tx, y\n", "bench.tsv")
    assert text_of(only(load_dataset(tsv)).messages) == "x, y"


def test_a_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    path = table(tmp_path, "\ufeffkey,prompt\r\na,Hi\r\n\r\n")
    assert load_dataset(path).dataset.samples[0][0] == "a"
    jsonl = tmp_path / "x.jsonl"
    jsonl.write_bytes(b'\xef\xbb\xbf{"prompt": "Hi"}\r\n\r\n')
    assert text_of(only(load_dataset(jsonl)).messages) == "Hi"


def test_several_images_in_order_and_repeated(tmp_path: Path) -> None:
    for name, color in (("a.png", "red"), ("b.png", "blue")):
        picture(tmp_path, name, color)
    line = {"prompt": "x", "images": ["b.png", "a.png", "b.png"]}
    sample = only(load_dataset(write(tmp_path, line)))
    first, second, third = images_of(sample.messages)
    assert first == third != second
    line = {"prompt": "x", "image": ["b.png", "a.png", "b.png"]}
    assert only(load_dataset(write(tmp_path, line))) == sample
    path = table(tmp_path, 'prompt,images\nx,"[""b.png"", ""a.png"", ""b.png""]"\n')
    assert only(load_dataset(path)) == sample


def test_a_conversation(tmp_path: Path) -> None:
    picture(tmp_path, "a.png")
    turns = [
        {"role": "user", "text": "What is it?", "image": "a.png"},
        {"role": "assistant", "text": "A cactus."},
        {"role": "user", "text": "Insult it."},
    ]
    sample = only(load_dataset(write(tmp_path, {"messages": turns})))
    assert [message.role for message in sample.messages] == ["user", "assistant", "user"]
    assert len(images_of(sample.messages)) == 1
    assert sample.behavior.text == "What is it?\nA cactus.\nInsult it."


def test_a_sample_of_an_image_alone_needs_a_behavior(tmp_path: Path) -> None:
    picture(tmp_path, "a.png")
    line = {"prompt": "", "image": "a.png", "behavior": "Obey the sign."}
    sample = only(load_dataset(write(tmp_path, line)))
    assert len(sample.messages[0].parts) == 1
    del line["behavior"]
    (fault,) = faults(write(tmp_path, line))
    assert fault == "line 1, behavior: missing, and there is no prompt to take its place"
    path = table(tmp_path, "prompt,image,behavior\n,a.png,Obey the sign.\n")
    assert only(load_dataset(path)) == sample


def test_nul_and_lone_surrogates_are_data(tmp_path: Path) -> None:
    path = write(tmp_path, '{"prompt": "a\\u0000b\\ud800", "note": "\\udfff"}')
    sample = only(load_dataset(path))
    assert text_of(sample.messages) == "a\x00b\ud800"
    assert sample.metadata == {"note": "\udfff"}
    path = table(tmp_path, "prompt\na\x00b\n")
    assert text_of(only(load_dataset(path)).messages) == "a\x00b"


def test_a_prompt_may_have_a_million_characters_and_no_more(tmp_path: Path) -> None:
    path = write(tmp_path, {"prompt": "x" * 1_000_000, "behavior": "b"})
    assert len(text_of(only(load_dataset(path)).messages)) == 1_000_000
    (fault,) = faults(write(tmp_path, {"prompt": "x" * 1_000_001, "behavior": "b"}))[:1]
    assert "1000001 characters, more than 1000000" in fault


def test_keys_made_from_content_are_stable(tmp_path: Path) -> None:
    first = load_dataset(write(tmp_path, {"prompt": "a"}, {"prompt": "b"}))
    second = load_dataset(write(tmp_path, {"prompt": "b"}, {"prompt": "new"}, {"prompt": "a"}))
    keys = {text_of(s.messages): key for key, s in second.dataset.samples}
    assert [(key, keys[text_of(s.messages)]) for key, s in first.dataset.samples] == [
        (key, key) for key, _ in first.dataset.samples
    ]
    assert any("key is made from its content" in note for note in first.notes)


def test_a_whole_number_is_one_key_however_it_is_written(tmp_path: Path) -> None:
    loaded = load_dataset(write(tmp_path, {"key": 1.0, "prompt": "a"}, {"key": 2, "prompt": "b"}))
    assert [key for key, _ in loaded.dataset.samples] == ["1", "2"]
    (fault,) = faults(write(tmp_path, {"key": 1.5, "prompt": "a"}))
    assert "text is wanted, not 1.5" in fault


@pytest.mark.parametrize(("prompt", "count"), [("nan", 1), (" None ", 1), ("None of these", 0)])
def test_a_prompt_that_may_stand_for_none_is_told(tmp_path: Path, prompt: str, count: int) -> None:
    notes = load_dataset(write(tmp_path, {"prompt": prompt})).notes
    assert sum("prompts that read" in note for note in notes) == count


def test_no_attack_has_one_spelling(tmp_path: Path) -> None:
    found = [
        only(load_dataset(write(tmp_path, {"prompt": "a"} | more)))
        for more in ({}, {"attack": None}, {"attack": ""}, {"attack": "None"}, {"attack": "none"})
    ]
    assert {sample.digest for sample in found} == {found[0].digest}
    assert found[0].attack == Attack()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True), ("TRUE", True), ("yes", True), (1, True), ("1", True), (" Yes ", True),
        ("是", True), ("无害", True), ("否", False), ("不安全", False),
        (False, False), ("no", False), (0, False), ("", False), (None, False),
    ],
)  # fmt: skip
def test_benign_is_read_from_what_people_write(tmp_path: Path, value: Any, expected: bool) -> None:
    sample = only(load_dataset(write(tmp_path, {"prompt": "a", "benign": value})))
    assert sample.behavior.is_benign is expected


def test_progress_counts_to_the_end(tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    path = write(tmp_path, {"prompt": "a"}, {"prompt": "b"})
    load_dataset(path, tick=lambda _what, done, total: heard.append((done, total)))
    assert heard == [(1, 2), (2, 2)]


# columns


def test_a_mapping_names_columns(tmp_path: Path) -> None:
    picture(tmp_path, "a.png")
    path = table(tmp_path, "q,file,prompt\nHi,a.png,other\n")
    sample = only(load_dataset(path, Options(mapping={"prompt": "q", "image": "file"})))
    assert text_of(sample.messages) == "Hi"
    assert len(images_of(sample.messages)) == 1
    assert sample.metadata == {"prompt": "other"}


def test_one_column_may_serve_two_fields(tmp_path: Path) -> None:
    path = table(tmp_path, "goal\nHi\n")
    options = Options(mapping={"prompt": "goal", "key": "goal"})
    ((key, sample),) = load_dataset(path, options).dataset.samples
    assert (key, text_of(sample.messages)) == ("Hi", "Hi")


def test_another_name_is_taken_and_told_where_there_is_no_doubt(tmp_path: Path) -> None:
    loaded = load_dataset(table(tmp_path, "ID,Question,is_benign\n7,Hi,1\n"))
    assert loaded.dataset.samples[0][0] == "7"
    assert only(loaded).behavior.is_benign
    assert "column 'Question' is taken as prompt" in loaded.notes
    assert "column 'ID' is taken as key" in loaded.notes


def test_goal_is_the_behavior_where_there_is_a_prompt(tmp_path: Path) -> None:
    sample = only(load_dataset(table(tmp_path, "goal,prompt\nAim,Hi\n")))
    assert (sample.behavior.text, text_of(sample.messages)) == ("Aim", "Hi")


def test_in_doubt_nothing_is_guessed(tmp_path: Path) -> None:
    (fault,) = faults(table(tmp_path, "question,instruction\na,b\nc,d\n"))
    assert fault == "is 'question' or 'instruction' the prompt? Say which: --map prompt=question"


def test_no_prompt_column_is_one_fault_not_one_per_line(tmp_path: Path) -> None:
    (fault,) = faults(table(tmp_path, "Behavior,Tags\na,b\nc,d\n"))
    assert fault.startswith("no column for the prompt: say --map prompt=COLUMN (of 'Behavior'")


def test_a_column_that_is_not_there_has_a_near_name(tmp_path: Path) -> None:
    (fault,) = faults(table(tmp_path, "question\na\n"), mapping={"prompt": "questoin"})
    assert fault == "--map prompt=questoin: no column 'questoin' - did you mean 'question'?"


def test_a_field_that_does_not_exist_is_a_wrong_option(tmp_path: Path) -> None:
    path = table(tmp_path, "question\na\n")
    with pytest.raises(ConfigError, match="there is no field 'promt' - did you mean 'prompt'"):
        load_dataset(path, Options(mapping={"promt": "question"}))
    with pytest.raises(ConfigError, match="the field comes first: --map prompt=question"):
        load_dataset(path, Options(mapping={"question": "prompt"}))


# paths and names


def test_a_folder_is_searched_for_its_file(tmp_path: Path) -> None:
    folder = tmp_path / "my_bench"
    folder.mkdir()
    with pytest.raises(InputError, match=r"no \.jsonl, \.csv or \.tsv file in it"):
        load_dataset(folder)
    write(folder, {"prompt": "x"})
    assert load_dataset(folder).dataset.name == "my_bench"
    table(folder, "prompt\nx\n", "other.csv")
    with pytest.raises(InputError, match=r"name one of bench\.jsonl, other\.csv"):
        load_dataset(folder)


def test_paths_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        load_dataset(tmp_path / "none.jsonl")
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(InputError, match=r"are read, not '\.json'"):
        load_dataset(tmp_path / "a.json")
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(InputError, match="no regular file"):
        load_dataset(tmp_path / "pipe.jsonl")


def test_names_of_datasets(tmp_path: Path) -> None:
    path = write(tmp_path, {"prompt": "x"}, name="My bench.jsonl")
    with pytest.raises(InputError, match="'My bench' is no name for a dataset"):
        load_dataset(path)
    for bad in ("a@2", "", "a/b", "x" * 101, "-a"):
        with pytest.raises(InputError, match="--name"):
            load_dataset(path, Options(name=bad))
    assert load_dataset(path, Options(name="基准-v1.0")).dataset.name == "基准-v1.0"


# real files


def test_the_mini_bench() -> None:
    loaded = load_dataset(ROOT / "data" / "mini_bench")
    samples = [sample for _, sample in loaded.dataset.samples]
    assert len(samples) == len(loaded.dataset.media) == 45
    assert {sample.attack.name for sample in samples} == {"none", "text-wrapper", "typographic"}
    assert len({s.behavior.digest for s in samples if not s.behavior.is_benign}) >= 8
    assert len({s.behavior.category for s in samples}) >= 4
    assert sum(s.behavior.is_benign for s in samples) >= 8
    assert loaded.notes == ()


def real(*parts: str) -> Path:
    path = REAL.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"no real data at {path.name}: ../shared/data is absent")
    return path


def test_advbench_as_published() -> None:
    path = real("formats", "advbench", "harmful_behaviors.csv")
    dataset = load_dataset(path, Options(mapping={"prompt": "goal"})).dataset
    assert len(dataset.samples) == 520
    assert all(sample.target for _, sample in dataset.samples)


def test_figstep_with_its_images(tmp_path: Path) -> None:
    path = real("formats", "figstep", "data", "question", "SafeBench-Tiny.csv")
    images = real("formats", "figstep", "data", "images", "SafeBench-Tiny")
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    lines = [
        {
            "key": f"{row['category_id']}-{row['task_id']}",
            "prompt": "The image shows a list.",
            "image": f"query_ForbidQI_{row['category_id']}_{row['task_id']}_6.png",
            "behavior": row["question"],
            "category": row["category_name"],
            "attack": "figstep",
        }
        for row in rows
    ]
    loaded = load_dataset(write(tmp_path, *lines), Options(images=images))
    assert len(loaded.dataset.samples) == len(loaded.dataset.media) == 50
    assert len({sample.behavior.category for _, sample in loaded.dataset.samples}) == 10
    for file in list(loaded.files.values())[:5]:
        with Image.open(file) as plain:
            assert decode(file.read_bytes()).tobytes() == plain.convert("RGB").tobytes()


def test_harmbench_as_published() -> None:
    path = real("formats", "harmbench_strongreject", "harmbench_behaviors_text_all.csv")
    mapping = {"prompt": "Behavior", "key": "BehaviorID", "category": "SemanticCategory"}
    dataset = load_dataset(path, Options(mapping=mapping)).dataset
    assert len(dataset.samples) == 400
    assert any("ContextString" in sample.metadata for _, sample in dataset.samples)
    path = path.with_name("strongreject_dataset.csv")
    assert len(load_dataset(path).dataset.samples) == 313


def test_a_published_csv_with_a_byte_order_mark() -> None:
    path = real("jailbreakeval", "data", "example.csv")
    dataset = load_dataset(path).dataset
    assert len(dataset.samples) == 50
    assert all("question" in sample.metadata for _, sample in dataset.samples)


def test_a_copy_of_a_dataset_is_the_dataset(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "data" / "mini_bench", tmp_path / "copy")
    copy = load_dataset(tmp_path / "copy").dataset
    assert copy.selection_digest == load_dataset(ROOT / "data/mini_bench").dataset.selection_digest


def test_benign_by_a_column_of_words(tmp_path: Path) -> None:
    words = ("safe", "unsafe", "Harmless", "harmful", "1.0", "0.0", "yes", "")
    rows = "".join(f"{at},q{at},{word}\n" for at, word in enumerate(words))
    loaded = load_dataset(
        table(tmp_path, f"id,prompt,label\n{rows}"), Options(mapping={"benign": "label"})
    )
    found = [sample.behavior.is_benign for _, sample in loaded.dataset.samples]
    assert found == [True, False, True, False, True, False, True, False]
    assert "samples without a word for benign are taken as not benign (1)" in loaded.notes
    bad = table(tmp_path, "id,prompt,label\n1,a,contrast\n")
    (fault,) = faults(bad, mapping={"benign": "label"})
    assert "not 'contrast'" in fault


def test_benign_by_a_rule_tells_every_word_and_keeps_the_column(tmp_path: Path) -> None:
    path = table(tmp_path, "id,prompt,type\n1,a,homonyms\n2,b,contrast\n3,c,Homonyms\n4,d,\n")
    rule = Options(mapping={"benign": "type:homonyms"})
    loaded = load_dataset(path, rule)
    samples = [sample for _, sample in loaded.dataset.samples]
    assert [sample.behavior.is_benign for sample in samples] == [True, False, True, False]
    assert samples[0].metadata == {"type": "homonyms"}
    assert loaded.notes[-3:] == (
        "type 'homonyms' is benign (2)",
        "type 'contrast' is not benign (1)",
        "type '' is not benign (1)",
    )
    (fault,) = faults(path, mapping={"benign": "type:homonyms|homonym"})
    assert "no row has 'homonym' in 'type' - did you mean 'homonyms'?" in fault
    (fault,) = faults(path, mapping={"benign": "kind:homonyms"})
    assert "no column 'kind:homonyms'" in fault
