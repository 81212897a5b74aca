"""Inspect logs: archives and documents alike, scores with what they are and no more."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from reading import as_json, only, records, refused, remarks

from lam3db.datasets.results import inspect_file
from lam3db.errors import ConfigError
from lam3db.records import FinishReason, JudgeKind, ScoreStatus, Verdict, text_of

HEADER = {
    "version": 2,
    "status": "success",
    "eval": {
        "task": "strong_reject",
        "model": "openai/gpt",
        "dataset": {"name": "sr"},
        "model_generate_config": {"temperature": 0.5, "max_connections": 9},
    },
    "plan": {"config": {"max_tokens": 64, "system_message": "Be kind."}},
}


APART = {"apart": "run"}


def sample(number: int, epoch: int = 1, **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": f"answer {number}.{epoch}"}
    return {
        "id": number,
        "epoch": epoch,
        "input": f"question {number}",
        "target": "",
        "output": {
            "model": "gpt",
            "choices": [{"message": message, "stop_reason": "stop"}],
            "usage": {"input_tokens": 3, "output_tokens": 5},
        },
        "metadata": {"category": "noise"},
        **more,
    }


def scored(value: Any, name: str = "match") -> dict[str, Any]:
    return {"scores": {name: {"value": value, "answer": "x", "explanation": "why"}}}


def document(path: Path, *samples: dict[str, Any]) -> Path:
    return as_json(path / "log.json", {**HEADER, "samples": list(samples)})


def archive(
    path: Path,
    *samples: dict[str, Any],
    header: str = "header.json",
    told: dict[str, Any] | None = None,
) -> Path:
    file = path / "log.eval"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as stream:
        stream.writestr(header, json.dumps(told or HEADER))
        for one in samples:
            name = f"samples/{one['id']}_epoch_{one['epoch']}.json"
            stream.writestr(name, json.dumps(one))
    return file


def test_an_archive_and_a_document_say_the_same(tmp_path: Path) -> None:
    samples = (sample(1), sample(1, 2), sample(2, **scored("C")))
    found = records("inspect", document(tmp_path, *samples))
    for header in ("header.json", "_journal/start.json", "start.json"):
        assert records("inspect", archive(tmp_path, *samples, header=header)) == found
    first, again, last = found
    assert (first.key, first.replicate, again.key, again.replicate) == ("1", 0, "1", 1)
    assert (first.model.name, first.dataset) == ("openai/gpt", "sr")
    assert first.config.value["decoding"] == {"temperature": 0.5, "max_new_tokens": 64}
    assert first.config.value["system_message"] == "Be kind."
    assert "max_connections" not in first.config.value
    assert (first.prompt_tokens, first.completion_tokens) == (3, 5)
    assert (first.behavior.text, first.behavior.category) == ("question 1", "noise")
    assert again.response == "answer 1.2"
    assert first.findings == ()
    assert only(last).explanation == "why"


@pytest.mark.parametrize(
    ("value", "number", "status"),
    [
        ("C", 1.0, ScoreStatus.OK),
        ("I", 0.0, ScoreStatus.OK),
        ("P", 0.5, ScoreStatus.OK),
        ("N", None, ScoreStatus.ABSTAINED),
        (True, 1.0, ScoreStatus.OK),
        (0.25, 0.25, ScoreStatus.OK),
        ("0.75", 0.75, ScoreStatus.OK),
        ("perhaps", None, ScoreStatus.UNPARSED),
        ("", None, ScoreStatus.UNPARSED),
        ([1, 0], None, ScoreStatus.UNPARSED),
    ],
)
def test_a_word_is_a_number_and_never_a_verdict_by_itself(
    tmp_path: Path, value: Any, number: float | None, status: ScoreStatus
) -> None:
    (record,) = records("inspect", document(tmp_path, sample(1, **scored(value))))
    finding = only(record)
    assert (finding.value, finding.verdict, finding.status) == (number, None, status)
    assert record.findings[0].judge.identity.unsafe_verdicts == ()


def test_verdicts_are_what_the_user_says(tmp_path: Path) -> None:
    values = ("C", "I", "P", "N", 1)
    samples = [sample(at, **scored(value)) for at, value in enumerate(values)]
    settings = {"unsafe": "C", "safe": "I, N"}
    found = [
        only(one) for one in records("inspect", document(tmp_path, *samples), settings=settings)
    ]
    verdicts = [one.verdict for one in found]
    assert verdicts == [Verdict.UNSAFE, Verdict.SAFE, None, Verdict.SAFE, None]
    assert [one.status for one in found][2] is ScoreStatus.UNPARSED
    assert [one.status for one in found][4] is ScoreStatus.UNPARSED


def test_unscored_is_no_finding_and_objects_are_several_judges(tmp_path: Path) -> None:
    nan = sample(1, **scored(float("nan")))
    several = sample(2, **scored({"refused": 1, "score": None, "word": "I"}, "model_graded_x"))
    first, second = records("inspect", document(tmp_path, nan, several))
    assert first.findings == ()
    found = {one.judge.identity.name: one.finding.value for one in second.findings}
    assert found == {"model_graded_x.refused": 1.0, "model_graded_x.word": 0.0}
    assert second.findings[0].judge.identity.kind is JudgeKind.LLM


def test_one_scorer_alone_and_a_setting_nobody_knows(tmp_path: Path) -> None:
    both = {"scores": {"a": {"value": 1}, "b": {"value": 0}}}
    file = document(tmp_path, sample(1, **both))
    (record,) = records("inspect", file, settings={"scorer": "b"})
    assert record.findings[0].judge.identity.name == "b"
    with pytest.raises(ConfigError, match="did you mean 'scorer'"):
        records("inspect", file, settings={"scorers": "b"})


def test_a_sample_that_failed_has_no_answer(tmp_path: Path) -> None:
    broken = sample(
        1,
        output={"model": "gpt", "choices": []},
        error={"message": "429 for sk-0123456789abcdefghij0123", "traceback": "..."},
        **scored("I"),
    )
    (record,) = records("inspect", document(tmp_path, broken))
    assert record.response is None
    assert record.failed is not None
    assert "sk-0123456789abcdefghij0123" not in record.failed.message


def test_messages_attachments_reasoning_and_cut_answers(tmp_path: Path) -> None:
    asked = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "attachment://a1"}]},
    ]
    parts = [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "La."}]
    choice = {"message": {"role": "assistant", "content": parts}, "stop_reason": "max_tokens"}
    one = sample(1, input=asked, attachments={"a1": "a long text"}, output={"choices": [choice]})
    (record,) = records("inspect", document(tmp_path, one))
    assert record.messages is not None
    assert [message.role for message in record.messages] == ["system", "user"]
    assert text_of(record.messages) == "Be kind.\na long text"
    assert record.behavior.text == "a long text"
    assert (record.response, record.finish_reason) == ("La.", FinishReason.LENGTH)
    assert record.reasoning == "hm"


def test_images_inside_a_log_keep_their_samples_apart(tmp_path: Path) -> None:
    def shown(data: str) -> list[dict[str, Any]]:
        image = {"type": "image", "image": f"data:image/png;base64,{data}"}
        return [{"role": "user", "content": [{"type": "text", "text": "What?"}, image]}]

    samples = [sample(at, input=shown(data)) for at, data in enumerate(("AA", "BB"))]
    first, second = records("inspect", document(tmp_path, *samples))
    assert first.messages is None
    assert first.behavior.text == "What?"
    assert first.metadata != second.metadata


def test_what_is_wrong_is_told_by_sample(tmp_path: Path) -> None:
    wrong = [
        sample(1, epoch=0),
        sample(2, input=5),
        sample(3, scores=[1]),
        sample(4, scores={"m": 1}),
    ]
    message = refused("inspect", document(tmp_path, *wrong))
    assert "sample 1, epoch: a number from 1 is wanted, not 0" in message
    assert "sample 2, input: text or messages are wanted, not 5" in message
    assert "sample 3, scores: an object by scorer" in message
    assert 'sample 4, scores.m: no "value"' in message
    assert "no samples in it" in refused("inspect", as_json(tmp_path / "h.json", HEADER))
    assert "no log of Inspect" in refused("inspect", as_json(tmp_path / "x.json", [1]))
    (tmp_path / "x.eval").write_bytes(b"no archive")
    assert "no archive of Inspect" in refused("inspect", tmp_path / "x.eval")


def test_an_archive_cannot_unpack_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = archive(tmp_path, sample(1, padding="0" * 3_000_000))
    assert bomb.stat().st_size < 20_000
    monkeypatch.setattr(inspect_file, "LARGEST_PART", 1 << 20)
    assert "unpacks to more than 1 MiB" in refused("inspect", bomb)
    monkeypatch.setattr(inspect_file, "LARGEST_PART", 1 << 30)
    monkeypatch.setattr(inspect_file, "LARGEST_TOTAL", 1 << 20)
    assert "unpacks to more than 1 MiB" in refused("inspect", bomb)


def test_a_compression_that_python_cannot_read_is_told(tmp_path: Path) -> None:
    file = archive(tmp_path, sample(1))
    data = bytearray(file.read_bytes())
    for magic, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        at = -1
        while (at := data.find(magic, at + 1)) >= 0:
            data[at + offset : at + offset + 2] = (93).to_bytes(2, "little")  # zstd
    file.write_bytes(data)
    if sys.version_info >= (3, 14):
        pytest.skip("this Python reads zstd")
    assert "inspect log convert --to json" in refused("inspect", file)


def test_samples_in_pieces_are_refused_and_none_is_left_out(tmp_path: Path) -> None:
    mixed = archive(tmp_path, sample(1))
    with zipfile.ZipFile(mixed, "a") as stream:
        stream.writestr("samples/2_epoch_1/sample.json", "{}")
        stream.writestr("samples/2_epoch_1/messages/0.json", "[]")
    assert "holds samples in pieces" in refused("inspect", mixed)
    newer = as_json(tmp_path / "n.json", {**HEADER, "version": 3, "samples": [sample(1)]})
    assert "log version 3 is newer than what is read, 2" in refused("inspect", newer)
    slashed = archive(tmp_path, {**sample(1), "id": "a/b"})
    assert records("inspect", slashed)[0].key == "a/b"


def test_a_broken_part_is_told(tmp_path: Path) -> None:
    file = tmp_path / "x.eval"
    with zipfile.ZipFile(file, "w") as stream:
        stream.writestr("header.json", json.dumps(HEADER))
        stream.writestr("samples/1_epoch_1.json", "{broken")
        stream.writestr("samples/2_epoch_1.json", "[1]")
    message = refused("inspect", file)
    assert "sample 1, samples/1_epoch_1.json: no JSON" in message
    assert "sample 2, samples/2_epoch_1.json: no sample" in message


def test_a_log_of_mid_2024_is_read_as_inspect_migrates_it(tmp_path: Path) -> None:
    old = sample(1, score={"value": "C", "answer": "A"}, transcript={"content": {"a": "long"}})
    old["input"] = "attachment://a"
    header = {**HEADER, "results": {"scorer": {"name": "match"}}}
    file = as_json(tmp_path / "log.json", {**header, "samples": [old]})
    (record,) = records("inspect", file)
    assert (only(record).value, record.findings[0].judge.identity.name) == (1.0, "match")
    assert record.behavior.text == "long"
    (unnamed,) = records("inspect", document(tmp_path, sample(1, score={"value": "C"})))
    assert unnamed.findings[0].judge.identity.name == "scorer-not-named"


def test_a_second_run_begins_where_the_user_says(tmp_path: Path) -> None:
    file = document(tmp_path, sample(1), sample(1, 2))
    found = records("inspect", file, settings={"first_epoch": "3"})
    assert [one.replicate for one in found] == [2, 3]
    for wrong in ("0", "x", "-1"):
        with pytest.raises(ConfigError, match="a number from 1"):
            records("inspect", file, settings={"first_epoch": wrong})


def test_what_is_not_read_of_a_log_is_named(tmp_path: Path) -> None:
    choice = {"message": {"role": "assistant", "content": "<think>hm"}, "stop_reason": "stop"}
    limited = {**choice, "stop_reason": "model_length"}
    one = sample(1, store={"a": 1}, invalidation={"by": "me"}, limit={"type": "token"})
    one["output"] = {"choices": [choice, choice]}
    two = sample(2, output={"choices": [limited]}, error={"message": "late"})
    two["scores"] = {"m": {"value": "odd", "metadata": {"x": 1}}}
    two["metadata"] = {"category": "c", "subject": "s"}
    header = {**HEADER, "status": "cancelled", "reductions": [1], "stats": {"a": 1}}
    lines = remarks("inspect", as_json(tmp_path / "log.json", {**header, "samples": [one, two]}))
    (named,) = [line for line in lines if line.startswith("not read: ")]
    for field in ("reductions", "stats", "store", "invalidation", "limit", "output.choices[1:]"):
        assert f" {field} (1)" in named, field
    for field in ("error", "metadata.subject", "scores.*.metadata"):
        assert f" {field} (1)" in named, field
    assert "the log's status is 'cancelled' (1)" in lines
    assert "scores.m: unparsed words: 'odd' (1)" in lines
    assert any(line.startswith("model_length without usage") for line in lines)
    assert any(line.startswith("the answer begins with <think>") for line in lines)


def test_epochs_that_a_cancelled_run_has_not_reached_are_attempts_not_made(tmp_path: Path) -> None:
    samples = (sample(1), sample(1, 2), sample(2, 2), sample(3), sample(3, 3))
    whole = [(one.key, one.replicate) for one in records("inspect", document(tmp_path, *samples))]
    assert len(whole) == 5
    cut: dict[str, Any] = {**HEADER, "status": "cancelled"}
    cut["eval"] = {**HEADER["eval"], "dataset": {"name": "sr", "samples": 7}}
    (tmp_path / "cut").mkdir()
    for file in (
        as_json(tmp_path / "cut" / "log.json", {**cut, "samples": samples}),
        archive(tmp_path / "cut", *samples, told=cut),
    ):
        found = records("inspect", file)
        assert {(one.key, one.replicate) for one in found} == {
            (key, epoch) for key in "123" for epoch in range(3)
        }
        assert sum(one.response is None and one.failed is None for one in found) == 4
        assert remarks("inspect", file)[-2:] == [
            "samples of the dataset that the run has not reached and the log does not hold (4)",
            "epochs that the run has not reached: attempts that were not made (4)",
        ]


def test_the_epochs_that_were_planned_are_those_of_the_log(tmp_path: Path) -> None:
    header: dict[str, Any] = {**HEADER, "status": "error"}
    header["eval"] = {**HEADER["eval"], "config": {"epochs": 4}}
    file = as_json(tmp_path / "log.json", {**header, "samples": [sample(1)]})
    assert [one.replicate for one in records("inspect", file)] == [0, 1, 2, 3]


def test_reasoning_of_old_logs_and_what_a_solver_asked_more(tmp_path: Path) -> None:
    message = {"role": "assistant", "content": "La.", "reasoning": "hm"}
    old = sample(1, output={"choices": [{"message": message, "stop_reason": "stop"}]})
    old["messages"] = [{"role": "user", "content": text} for text in ("question 1", "And now?")]
    file = document(tmp_path, old, sample(2, messages=[{"role": "user", "content": "question 2"}]))
    assert [one.reasoning for one in records("inspect", file)] == ["hm", None]
    told = [line for line in remarks("inspect", file) if line.startswith("messages: ")]
    assert told == ["messages: the solver asked more than the input, which is what is read (1)"]


def test_runs_stand_apart_by_their_own_ids(tmp_path: Path) -> None:
    header: dict[str, Any] = {**HEADER}
    header["eval"] = {**HEADER["eval"], "run_id": "r2"}
    file = as_json(tmp_path / "log.json", {**header, "samples": [sample(1)]})
    (plain,), (apart,) = records("inspect", file), records("inspect", file, settings=APART)
    assert apart.config.value == {**plain.config.value, "run": "r2"}
    with pytest.raises(ConfigError, match="only `run`"):
        records("inspect", file, settings={"apart": "file"})
    with pytest.raises(ConfigError, match="neither run_id"):
        records("inspect", document(tmp_path, sample(1)), settings=APART)


def test_settings_that_are_lists_are_named(tmp_path: Path) -> None:
    header = {**HEADER, "plan": {"config": {"stop_seqs": ["END"], "top_p": 0.5}}}
    lines = remarks("inspect", as_json(tmp_path / "l.json", {**header, "samples": [sample(1)]}))
    assert "plan.config.stop_seqs (1)" in lines[0]
