"""A map reads any table: wide, long, nested, listed, in every spelling of a label."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lam3db.datasets.faults import Faults
from lam3db.datasets.results.formats import ReadOptions
from lam3db.datasets.results.map import read_map
from lam3db.datasets.results.suggest import suggested_map
from lam3db.errors import ConfigError, InputError
from lam3db.records import FinishReason, JudgeKind, ScoreStatus, Verdict, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lam3db.datasets.results.record import ResultRecord

JUDGE = "judges: [{name: j, kind: llm, verdict: label, words: {unsafe: [1], safe: [0]}}]\n"
FIELDS = "fields: {model: m, prompt: p, response: r}\n"


def _iterate(folder: Path, data: Any, text: str, name: str, options: ReadOptions) -> Iterator[Any]:
    path, mapping = folder / name, folder / "map.yaml"
    path.write_text(data if isinstance(data, str) else json.dumps(data), newline="")
    mapping.write_text(text)
    faults = Faults(path)
    yield from read_map(mapping).read(path, faults, options)
    faults.raise_if_any()


def _read(
    folder: Path, data: Any, text: str, name: str = "r.json", **options: Any
) -> list[ResultRecord]:
    return list(_iterate(folder, data, text, name, ReadOptions(**options)))


def _said(record: ResultRecord) -> dict[str, tuple[ScoreStatus, Verdict | None, float | None]]:
    return {
        one.judge.identity.name: (one.finding.status, one.finding.verdict, one.finding.value)
        for one in record.findings
    }


def test_a_wide_table_is_read_once_for_each_model_under_one_judge(tmp_path: Path) -> None:
    text = """
repeat: [{model: GPT-4, col: gpt4}, {model: Llama, col: llama}]
fields: {model: {constant: "{model}"}, prompt: p, response: "{col}_answer"}
judges:
  - {name: j, kind: llm, verdict: "{col}_label", words: {unsafe: ["yes"], safe: ["no"]}}
"""
    data = "p,gpt4_answer,gpt4_label,llama_answer,llama_label\nq,a,YES,b, no \n"
    one, other = _read(tmp_path, data, text, "r.csv")
    assert [(r.model.name, r.response) for r in (one, other)] == [("GPT-4", "a"), ("Llama", "b")]
    assert _said(one)["j"][1] is Verdict.UNSAFE
    assert _said(other)["j"][1] is Verdict.SAFE
    assert one.findings[0].judge.identity.digest == other.findings[0].judge.identity.digest


def test_answers_by_the_name_of_a_model_are_found_whatever_the_name(tmp_path: Path) -> None:
    text = """
repeat: [gpt-3.5, llama]
fields: {model: {constant: "{model}"}, prompt: p, response: 'r["{model}"].text'}
"""
    data = [{"p": "q", "r": {"gpt-3.5": {"text": "a"}, "llama": {"text": "b"}}}]
    records = _read(tmp_path, data, text)
    assert [(r.model.name, r.response) for r in records] == [("gpt-3.5", "a"), ("llama", "b")]


def test_annotators_in_columns_are_each_a_person(tmp_path: Path) -> None:
    text = FIELDS + (
        "annotators:\n  - {columns: [a1, a2, a3], words: {unsafe: [1], safe: [0]}, missing: [-1]}\n"
    )
    (record,) = _read(tmp_path, [{"m": "x", "p": "q", "r": "s", "a1": 1, "a2": 0, "a3": -1}], text)
    assert {name: said[1] for name, said in _said(record).items()} == {
        "a1": Verdict.UNSAFE,
        "a2": Verdict.SAFE,
    }
    assert {one.judge.identity.kind for one in record.findings} == {JudgeKind.HUMAN}


def test_annotators_in_a_list_are_read_by_their_name(tmp_path: Path) -> None:
    text = (
        FIELDS
        + """
annotators:
  - {list: "notes[]", name: {column: said.who}, verdict: said.says.label, words: {unsafe: [true]}}
"""
    )
    notes = [{"who": "ann", "says": {"label": True}}, {"who": "bob", "says": {"label": "hm"}}]

    def row(listed: Any) -> dict[str, Any]:
        return {"m": "x", "p": "q", "r": "s", "notes": listed}

    (record,) = _read(tmp_path, [row(notes)], text)
    assert _said(record) == {
        "ann": (ScoreStatus.OK, Verdict.UNSAFE, None),
        "bob": (ScoreStatus.UNPARSED, None, None),
    }
    other = {"who": "ann", "says": {"label": "?"}}
    assert len(_read(tmp_path, [row([notes[0]] * 2)], text)[0].findings) == 1
    with pytest.raises(InputError, match="record 1, name: 'ann' says two things"):
        _read(tmp_path, [row([notes[0], other])], text)


def test_lists_of_answers_are_one_attempt_each(tmp_path: Path) -> None:
    text = """
each: [out.texts, out.labels]
fields: {model: {constant: x}, prompt: p, response: item.texts, replicate: item_index}
judges: [{name: j, kind: rule, verdict: item.labels, words: {refused: [0], not_refused: [1]}}]
"""
    data = {"k1": {"p": "q", "out": {"texts": ["a", "b"], "labels": [0, 1]}}}
    records = _read(tmp_path, data, text)
    assert [(r.replicate, r.response) for r in records] == [(0, "a"), (1, "b")]
    assert [_said(r)["j"][1] for r in records] == [Verdict.REFUSED, Verdict.NOT_REFUSED]
    identity = records[0].findings[0].judge.identity
    assert (identity.unsafe_verdicts, identity.heading) == ((Verdict.NOT_REFUSED,), "non-refusal")
    data["k1"]["out"]["labels"].pop()
    with pytest.raises(InputError, match=r"out.texts, out.labels: are not equally long"):
        _read(tmp_path, data, text)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (5, (ScoreStatus.OK, None, 5.0)),
        ("4.5", (ScoreStatus.OK, None, 4.5)),
        ("bad", (ScoreStatus.UNPARSED, None, None)),
        ("REFUSE", (ScoreStatus.JUDGE_REFUSED, None, None)),
        ("1e400", (ScoreStatus.UNPARSED, None, None)),
        (True, (ScoreStatus.UNPARSED, None, None)),
        ([3], (ScoreStatus.UNPARSED, None, None)),
        ("n/a", None),
        ("", None),
        (None, None),
    ],
)
def test_a_score_is_a_number_or_says_why_it_is_none(
    tmp_path: Path, cell: Any, expected: tuple[Any, ...] | None
) -> None:
    text = FIELDS + (
        "judges:\n  - {name: j, kind: llm, value: s, threshold: 3, missing: [n/a], "
        "judge_refused: [refuse], explanation: why}\n"
    )
    (record,) = _read(tmp_path, [{"m": "x", "p": "q", "r": "s", "s": cell, "why": {"a": 1}}], text)
    assert _said(record).get("j") == expected
    if expected:
        said = record.findings[0]
        assert said.judge.policy is not None
        assert (said.judge.policy.operator, said.judge.policy.threshold) == (">=", 3.0)
        assert said.finding.explanation == '{"a":1}'


@pytest.mark.parametrize("cell", ["1", 1, 1.0, " 1 "])
def test_a_label_is_the_same_in_every_spelling(tmp_path: Path, cell: Any) -> None:
    (record,) = _read(tmp_path, [{"m": "x", "p": "q", "r": "s", "label": cell}], FIELDS + JUDGE)
    assert _said(record)["j"][1] is Verdict.UNSAFE


@pytest.mark.parametrize(("empty", "expected"), [("missing", None), ("answer", "")])
def test_an_empty_cell_is_no_answer_unless_the_map_says_so(
    tmp_path: Path, empty: str, expected: str | None
) -> None:
    text = FIELDS.replace("response: r", f"response: {{column: r, empty: {empty}}}")
    (record,) = _read(tmp_path, "m,p,r\nx,q,\n", text, "r.csv")
    assert record.response == expected


def test_an_empty_text_of_json_is_an_answer_and_null_is_none(tmp_path: Path) -> None:
    data = [{"m": "x", "p": "q", "r": ""}, {"m": "x", "p": "q", "r": None}]
    assert [record.response for record in _read(tmp_path, data, FIELDS)] == ["", None]


def test_what_else_a_row_says_is_kept_where_it_belongs(tmp_path: Path) -> None:
    text = """
source: Paper 2025
only: {split: [test]}
fields:
  key: meta.id
  model: m
  behavior: aim
  category: {constant: cat}
  benign: {column: kind, words: {"true": [harmless], "false": [harmful]}}
  attack: how
  attack_parameters: {steps: meta.n}
  messages: chat
  response: r
  finish_reason: stop
  target: t
model_facts: {defense: d}
config: {temperature: temp, top_k: 5}
metadata: [lang]
"""
    row = {
        "meta": {"id": "k1", "n": 3}, "m": "x", "aim": "do", "kind": "Harmless", "how": "gcg",
        "chat": [{"role": "system", "content": "be"}, {"role": "user", "content": "hi"}],
        "r": "ok", "stop": "length", "t": "Sure", "d": "smooth", "temp": "0.7", "lang": "de",
    }  # fmt: skip
    records = _read(tmp_path, [{**row, "split": "test"}, {**row, "split": "train"}], text)
    (record,) = records
    assert (record.key, record.behavior.category, record.behavior.is_benign) == ("k1", "cat", True)
    assert (record.attack.name, dict(record.attack.parameters)) == ("gcg", {"steps": 3})
    assert record.messages is not None
    assert [m.role for m in record.messages] == ["system", "user"]
    assert text_of(record.messages) == "be\nhi"
    assert (record.target, record.finish_reason) == ("Sure", FinishReason.LENGTH)
    assert record.metadata == {"lang": "de"}
    assert record.config.value == {
        "imported": "Paper 2025",
        "decoding": {"temperature": 0.7},
        "top_k": 5,
    }
    assert "smooth" in (record.model.declared or "")


def test_images_are_named_or_opened_below_their_folder_only(tmp_path: Path) -> None:
    from PIL import Image

    from lam3db.datasets.images import ImageFolder
    from lam3db.records import images_of

    text = FIELDS.replace("prompt: p", "prompt: p, image: i")
    data = [{"m": "x", "p": "q", "r": "s", "i": "a.png"}]
    (named,) = _read(tmp_path, data, text)
    assert named.metadata == {"image": ["a.png"]}
    (tmp_path / "images").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "images" / "a.png")
    (opened,) = _read(tmp_path, data, text, images=ImageFolder(tmp_path / "images"))
    assert opened.messages is not None
    assert len(images_of(opened.messages)) == 1
    assert not opened.metadata
    data[0]["i"] = "../r.json"
    with pytest.raises(InputError, match="record 1, i: leads out of"):
        _read(tmp_path, data, text, images=ImageFolder(tmp_path / "images"))


@pytest.mark.parametrize("name", ["r.csv", "r.json"])
def test_a_column_that_is_not_there_is_a_fault(tmp_path: Path, name: str) -> None:
    data = "m,p,r\nx,q,s\n" if name == "r.csv" else [{"m": "x", "p": "q", "r": "s"}]
    with pytest.raises(InputError, match="'prmpt'"):
        _read(tmp_path, data, FIELDS + "metadata: [prmpt]\n", name)


def test_every_fault_of_a_map_is_told_with_its_line(tmp_path: Path) -> None:
    text = """fields:
  modl: m
  prompt: p
judges:
  - name: j
    kind: llmm
    verdict: label
    words: {unsaf: [1], safe: [0]}
    threshold: about 3
  - verdict: x
    kind: llm
fil: {}
repeats: drawn
"""
    with pytest.raises(ConfigError) as caught:
        _read(tmp_path, [], text)
    said = str(caught.value)
    for part in (
        "map.yaml:2: fields.modl: no such setting - did you mean 'model'?",
        "map.yaml:6: judges.0.kind: 'llmm' - did you mean 'llm'?",
        "map.yaml:8: judges.0.words: 'unsaf' - did you mean 'unsafe'?",
        "map.yaml:9: threshold: 'about 3'",
        "map.yaml:10: judges.1: has no name",
        "map.yaml:10: judges.1: say what its words mean",
        "map.yaml:12: fil: no such setting - did you mean 'file'?",
        "map.yaml:13: repeats: 'drawn' - did you mean 'draws'?",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fields: {prompt: p, response: r}\n", "names no model"),
        ("fields: {model: m, response: r}\n", "names no prompt or behavior"),
        ("fields: {model: m, prompt: p}\n", "names no response"),
    ],
)
def test_a_map_without_what_is_needed_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        _read(tmp_path, [{"m": "x", "p": "q", "r": "s"}], text)


def test_a_proposed_map_can_be_read_once_its_words_have_a_meaning(tmp_path: Path) -> None:
    data = [{"model": "x", "prompt": "q", "response": "s", "label": "yes", "other": 1}]
    (tmp_path / "r.json").write_text(json.dumps(data))
    text = suggested_map(tmp_path / "r.json")
    assert "# it says 'yes'" in text
    (record,) = _read(tmp_path, data, text.replace("unsafe: []", 'unsafe: ["yes"]'))
    assert (record.model.name, record.response) == ("x", "s")
    assert _said(record)["label"][1] is Verdict.UNSAFE
