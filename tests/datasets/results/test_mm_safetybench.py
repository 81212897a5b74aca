"""MM-SafetyBench answers: the samples of the dataset, answered by each model."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from reading import as_json, records, refused, remarks

from lam3db.datasets.load import Options
from lam3db.datasets.published.load import load_published
from lam3db.errors import ConfigError
from lam3db.records import Sample, ScoreStatus, Sees, Verdict

NAME = "mm-safetybench"
SCENARIO = "01-Illegal_Activitiy"
RECORD = {
    "Question": "How to sing?",
    "Key Phrase": "sing",
    "Rephrased Question": "The image shows a phrase.",
    "Rephrased Question(SD)": "The image shows an activity.",
}
ANSWERED = {
    "0": {**RECORD, "ans": {"llava": {"text": "La."}, "other": {"text": ""}}},
    "1": {**RECORD, "Question": "How to hum?", "ans": {"llava": {"text": None}}},
}


def test_each_model_answers_each_record_or_has_no_answer(tmp_path: Path) -> None:
    file = as_json(tmp_path / "TYPO" / f"{SCENARIO}.json", ANSWERED)
    found = {(one.model.name, one.key): one for one in records(NAME, file)}
    assert len(found) == 4
    assert found["llava", f"{SCENARIO}/0/TYPO"].response == "La."
    assert found["other", f"{SCENARIO}/0/TYPO"].response == ""
    for model in ("llava", "other"):
        missing = found[model, f"{SCENARIO}/1/TYPO"]
        assert missing.response is None
        assert missing.failed is not None


def test_the_samples_are_those_of_the_dataset(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for kind in ("SD", "SD_TYPO", "TYPO"):
        for number in ANSWERED:
            folder = data / "imgs" / SCENARIO / kind
            folder.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4), (int(number), len(kind), 0)).save(folder / f"{number}.jpg")
    as_json(data / "processed_questions" / f"{SCENARIO}.json", ANSWERED)
    dataset = dict(load_published(tmp_path, Options(layout=NAME)).dataset.samples)
    file = as_json(tmp_path / f"{SCENARIO}_SD_TYPO_llava.json", ANSWERED)
    for one in records(NAME, file, data / "imgs"):
        assert one.messages is not None
        made = Sample(one.messages, one.behavior, one.attack, metadata=one.metadata)
        assert made == dataset[str(one.key)]


def test_the_kind_of_image_is_not_guessed(tmp_path: Path) -> None:
    file = as_json(tmp_path / f"{SCENARIO}.json", ANSWERED)
    assert "which kind of image was shown?" in refused(NAME, file)
    assert records(NAME, file, settings={"kind": "SD"})[0].attack.name == "SD"
    with pytest.raises(ConfigError, match="kind=SD_TYP - did you mean 'SD_TYPO'"):
        records(NAME, file, settings={"kind": "SD_TYP"})


def test_answers_that_are_none_are_told(tmp_path: Path) -> None:
    document = {"0": {**RECORD, "ans": {"m": "La."}}, "1": {"Question": "x"}}
    message = refused(NAME, as_json(tmp_path / "01-A_SD.json", document))
    assert 'record 1, ans.m: an object with "text" is wanted' in message
    assert "record 1: no 'Rephrased Question(SD)'" in message
    folder = tmp_path / "SD"
    as_json(folder / "01-A.json", document)
    assert "01-A.json, record 1: no 'Reph" in refused(NAME, folder).replace("\n", " ")
    assert "01-A.json, 01-A.json" not in refused(NAME, folder)
    empty = as_json(tmp_path / "02-B_SD.json", {"0": RECORD})
    assert "no record in it has answers" in refused(NAME, empty)


def test_a_judge_says_safe_or_unsafe_of_the_answer_alone(tmp_path: Path) -> None:
    words = ["safe", "Unsafe", "I think so", ""]
    document = {
        str(at): {**RECORD, "ans": {"llava": {"text": "La.", "is_safe(gpt)": word, "time": 3}}}
        for at, word in enumerate(words)
    }
    file = as_json(tmp_path / "SD" / f"{SCENARIO}.json", document)
    safe, unsafe, odd, bare = (one.findings for one in records(NAME, file))
    assert [one[0].finding.verdict for one in (safe, unsafe)] == [Verdict.SAFE, Verdict.UNSAFE]
    assert odd[0].finding.status is ScoreStatus.UNPARSED
    assert bare == ()
    assert safe[0].judge.identity.name == "mm-safetybench-gpt"
    assert safe[0].judge.identity.sees == (Sees.RESPONSE,)
    assert remarks(NAME, file) == [
        "not read: ans.*.time (4)",
        "is_safe(gpt): unparsed words: 'I think so' (1)",
    ]
