"""What a map names and no row has is a fault, however deep; what some rows have is none."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from mapped import FIELDS, ROW, mapped, refused, said

from lam3db.errors import InputError

LISTED: dict[str, Any] = {
    "q": "one",
    "m": "x",
    "meta": {"by": {"id": 7}},
    "answers": [{"text": "No.", "grade": 1}, {"text": "Yes.", "grade": 5, "tag": "t"}],
    "labels": [{"who": "ann", "label": "yes"}],
}
RIGHT = """
each: answers
fields: {model: m, key: meta.by.id, prompt: q, response: item.text, replicate: item_index}
judges: [{name: g, kind: llm, value: item.grade, threshold: '>= 4', attributes: {odd: item.grade}}]
annotators: [{list: labels, name: {column: said.who}, verdict: said.label, words: {unsafe: [yes-]}}]
metadata: {tag: item.tag}
""".replace("yes-", '"yes"')


@pytest.mark.parametrize(
    ("right", "wrong", "expected"),
    [
        ("value: item.grade", "value: item.score", "no element of answers has 'score'"),
        ("odd: item.grade", "odd: item.rank", "no element of answers has 'rank'"),
        ("item.tag", "item.tga", "did you mean 'tag'?"),
        ("response: item.text", "response: item.txt", "did you mean 'text'?"),
        ("response: item.text", "response: item.text.whole", "there is nothing to go into"),
        ("said.label", "said.lable", "did you mean 'label'? There are who, label"),
        ("said.who", "said.name", "no element of labels has 'name' - there are who, label"),
        ("list: labels", "list: lables", "no row has 'lables' - did you mean 'labels'?"),
        ("each: answers", "each: answer", "no row has 'answer' - did you mean 'answers'?"),
        ("meta.by.id", "meta.by.key", "no row has 'key' in 'meta.by' - there are id"),
        ("meta.by.id", "meta.from.id", "no row has 'from' in 'meta' - there are by"),
        (
            "meta.by.id",
            "'answers[2].text'",
            "element [2] in 'answers': the longest list there has 2",
        ),
        ("meta.by.id", "'answers[-3].text'", "element [-3] in 'answers'"),
    ],
)
def test_a_way_that_no_row_has_is_a_fault_at_every_depth(
    tmp_path: Path, right: str, wrong: str, expected: str
) -> None:
    assert RIGHT.count(right) == 1
    assert expected in refused(tmp_path, [LISTED], RIGHT.replace(right, wrong))


def test_a_way_that_one_row_has_is_none(tmp_path: Path) -> None:
    without = {**LISTED, "labels": [], "meta": {"by": {}}, "answers": [{"text": "Hm."}]}
    records, remarks = mapped(tmp_path, [without, LISTED, without], RIGHT)
    assert [said(record) and record.key for record in records] == [{}, "7", "7", {}]
    assert remarks == []


def test_the_root_is_told_and_not_what_follows_from_it(tmp_path: Path) -> None:
    text = RIGHT.replace("model: m,", "model: item.modle,")
    message = refused(tmp_path, [LISTED], text)
    assert "no element of answers has 'modle'" in message
    assert "there is no model" not in message


def test_a_row_that_cannot_be_read_may_have_had_what_is_absent(tmp_path: Path) -> None:
    data = '{"m": "x", "p": "q", "r": "s", "o": {}}\n{"o": {"deep": 1}, "m": Infinity}\n'
    message = refused(tmp_path, data, FIELDS + "metadata: {d: o.deep}\n", "r.jsonl")
    assert "Infinity is no JSON" in message
    assert "no row has" not in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model_facts: {a: fact}", "no row has 'fact'"),
        ("config: {seed: sede}", "no row has 'sede'"),
        ("metadata: [lang]", "no row has 'lang'"),
        ("only: {splti: [test]}", "did you mean 'split'?"),
        ("only: {split: [train]}", "`only` leaves no row - there are split 'test' (1)"),
    ],
)
def test_every_part_of_a_map_is_held(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in refused(tmp_path, [{**ROW, "split": "test"}], FIELDS + text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("each: n\n", "each: its elements are `item`, and nothing reads item"),
        ("repeat: [a, b]\n", "repeat: nothing in the map is {model}"),
        ("join: {file: l.csv, by: m}\n", "join: nothing reads l: its columns are l.x"),
        (
            "annotators: [{list: n, name: a, verdict: v, words: {safe: [1]}}]\n",
            "annotators.0.list: its elements are `said`, and nothing reads said",
        ),
    ],
)
def test_what_has_no_effect_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in refused(tmp_path, [{**ROW, "n": [], "v": 1}], FIELDS + text)


def test_rows_that_only_leaves_out_are_counted(tmp_path: Path) -> None:
    rows = [{**ROW, "split": split} for split in ("test", "dev", "dev", 1)]
    records, remarks = mapped(tmp_path, rows, FIELDS + "only: {split: [test, '1.0']}")
    assert len(records) == 2
    assert remarks == ["rows that `only` leaves out (2)"]


def test_elements_that_only_leaves_out_are_counted(tmp_path: Path) -> None:
    text = RIGHT + "only: {item.grade: [5]}"
    records, remarks = mapped(tmp_path, [LISTED], text)
    assert [record.response for record in records] == ["Yes."]
    assert remarks == ["elements that `only` leaves out (1)"]
    none = refused(tmp_path, [LISTED], text.replace("[5]", "[4]"))
    assert "`only` leaves no element - there are item.grade '1' (1), item.grade '5' (1)" in none


def test_a_list_of_people_that_is_no_list_is_a_fault_and_none_is_none(tmp_path: Path) -> None:
    text = FIELDS + (
        "annotators: [{list: n, name: {column: said.w}, verdict: said.l, words: {safe: [1]}}]"
    )
    rows: list[dict[str, Any]] = [{**ROW, "n": [{"w": "a", "l": 1}]}, {**ROW, "n": None}, ROW]
    assert [len(record.findings) for record in mapped(tmp_path, rows, text)[0]] == [1, 0, 0]
    assert "record 4, n: 'some' is not a list" in refused(
        tmp_path, [*rows, {**ROW, "n": "some"}], text
    )


def test_a_text_in_the_way_is_told_and_not_nothing(tmp_path: Path) -> None:
    text = FIELDS + "judges: [{name: j, kind: llm, value: out.score}]\nmetadata: {t: more.tag}"
    rows: list[dict[str, Any]] = [
        {**ROW, "out": '```json\n{"score": 3}\n```', "more": {"tag": 1}},
        {**ROW, "out": "I cannot judge that"},
    ]
    records, remarks = mapped(tmp_path, rows, text)
    assert [str(said(record)["j"][0]) for record in records] == ["ok", "unparsed"]
    assert remarks == ["out.score: unparsed words: 'I cannot judge that' (1)"]
    rows[1]["more"] = "none"
    assert "record 2, more.tag: 'none' is a text" in refused(tmp_path, rows, text)


def test_what_one_of_several_files_has_is_there(tmp_path: Path) -> None:
    from lam3db.datasets.faults import Faults
    from lam3db.datasets.results.formats import ReadOptions
    from lam3db.datasets.results.map import read_map

    (tmp_path / "m.yaml").write_text(FIELDS + "metadata: [lang]\n")
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, row in zip(paths, (ROW, {**ROW, "lang": "de"}), strict=True):
        path.write_text(json.dumps([row]))
    mapping, faults = read_map(tmp_path / "m.yaml"), Faults(tmp_path)
    records = list(mapping.read_all(paths, faults, ReadOptions(), "both"))
    assert [record.metadata for record in records] == [{}, {"lang": "de"}]
    assert {record.config.value["imported"] for record in records} == {"both"}
    with pytest.raises(InputError, match="no row has 'lang'"):
        list(mapping.read_all(paths[:1], faults, ReadOptions(), "one"))
