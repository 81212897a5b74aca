"""A person is one judge whatever the column; a label that decides says so."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from mapped import FIELDS, ROW, mapped, refused

WORDS = "words: {unsafe: [unsafe], safe: [safe]}"
FIRST = f"{{name: {{column: a1}}, verdict: l1, {WORDS}}}"
SECOND = f"{{name: {{column: a2}}, verdict: l2, {WORDS}}}"
PAIRS = f"{{pairs: [{{name: a1, verdict: l1}}, {{name: a2, verdict: l2}}], {WORDS}}}"
CELLS = [
    ("ann", "unsafe", "bob", "unsafe"),
    ("bob", "unsafe", "ann", "safe"),
    ("ann", "safe", "bob", "safe"),
    ("ann", "safe", None, None),
]
ROWS = [{**ROW, **dict(zip(("a1", "l1", "a2", "l2"), cells, strict=True))} for cells in CELLS]


def _digests(folder: Path, annotators: str) -> dict[str, set[str]]:
    records, _ = mapped(folder, ROWS, f"{FIELDS}annotators: [{annotators}]")
    found: dict[str, set[str]] = {}
    for record in records:
        for one in record.findings:
            found.setdefault(one.judge.identity.name, set()).add(one.judge.identity.digest.hex())
    return found


def test_one_person_in_two_columns_is_one_judge(tmp_path: Path) -> None:
    both = _digests(tmp_path, f"{FIRST}, {SECOND}")
    assert {name: len(digests) for name, digests in both.items()} == {"ann": 1, "bob": 1}
    assert _digests(tmp_path, PAIRS) == both
    alone = _digests(tmp_path, FIRST)  # the judge of a map that has the first column only
    assert alone == both


def test_other_words_are_another_judge(tmp_path: Path) -> None:
    other = SECOND.replace("safe: [safe]", "safe: [safe, ok]")
    assert len(_digests(tmp_path, f"{FIRST}, {other}")["ann"]) == 2


def test_a_person_by_a_fixed_name_is_the_one_of_that_name(tmp_path: Path) -> None:
    fixed = f"{{name: ann, verdict: l2, {WORDS}}}"
    found = _digests(tmp_path, f"{FIRST}, {fixed}")
    assert len(found["ann"]) == 1


def test_a_person_who_stands_twice_beside_one_answer_says_one_thing(tmp_path: Path) -> None:
    same = {**ROW, "a1": "ann", "l1": "safe", "a2": "ann", "l2": "safe"}
    text = f"{FIELDS}annotators: [{PAIRS}]"
    (record,), remarks = mapped(tmp_path, [same], text)
    assert len(record.findings) == 1
    assert "ann says the same of one answer twice: taken once (1)" in remarks
    message = refused(tmp_path, [{**same, "l2": "unsafe"}], text)
    assert "record 1, name: 'ann' says two things of one answer" in message


@pytest.mark.parametrize(
    ("adjudicates", "roles"),
    [
        ("true", ["adjudicator", "adjudicator"]),
        ("false", [None, None]),
        ('{column: said.stage, words: {"true": [final], "false": [first]}}', [None, "adjudicator"]),
    ],
)
def test_a_label_that_decides_is_of_an_adjudicator(
    tmp_path: Path, adjudicates: str, roles: list[str | None]
) -> None:
    text = (
        f"{FIELDS}annotators: [{{list: n, name: {{column: said.w}}, verdict: said.l, {WORDS}, "
        f"adjudicates: {adjudicates}}}]"
    )
    notes = [{"w": "a", "l": "safe", "stage": "first"}, {"w": "b", "l": "unsafe", "stage": "final"}]
    (record,), _ = mapped(tmp_path, [{**ROW, "n": notes}], text)
    assert [one.judge.identity.spec.get("role") for one in record.findings] == roles


def test_a_label_by_one_person_before_and_after_is_of_two_roles(tmp_path: Path) -> None:
    text = (
        f"{FIELDS}annotators: [{{list: n, name: {{column: said.w}}, verdict: said.l, {WORDS}, "
        'adjudicates: {column: said.stage, words: {"true": [2], "false": [1]}}}]'
    )
    notes = [{"w": "a", "l": "safe", "stage": 1}, {"w": "a", "l": "unsafe", "stage": 2}]
    (record,), _ = mapped(tmp_path, [{**ROW, "n": notes}], text)
    assert len({one.judge.identity.digest for one in record.findings}) == 2
    notes[1]["stage"] = "late"
    assert "'late' is neither true nor false" in refused(tmp_path, [{**ROW, "n": notes}], text)


GOLDEN = {
    "j": "ae29afdfc902b70b4d94ad8e91f6a582725c6a4f5b4d8429360cff3b842a20c4",
    "c": "2a341b8e984be137728a142874d9e5d1a53526b667774179b5ee876cbc3d42d1",
    "a1": "afe627b1f2adce4ba9163818b9355cc9d2080ba5514ac4b547c335a553155d68",
    "a2": "8e3176586867744851684bb560940ed457c0d65adeeb0ee9d6467cc5632fc373",
    "ann": "308558b0137cea6f9a7855de828a5a9e3f89e3804d5a8821920a63555efe8ca8",
}
"""By name: digests of judges as the first version of maps gave them. They never change."""


def test_judges_of_earlier_maps_keep_their_digests(tmp_path: Path) -> None:
    text = """
repeat: [x]
fields: {model: {constant: "{model}"}, prompt: p, response: r}
judges:
  - {name: j, kind: llm, verdict: l, words: {unsafe: [1], safe: [0, "no"]}, missing: [n/a]}
  - {name: {column: who}, kind: classifier, value: v, threshold: "> 0.5", heading: harm,
     sees: response}
annotators:
  - {columns: [a1, a2], words: {unsafe: [1], safe: [0]}}
  - {list: notes, name: {column: said.w}, verdict: said.l, words: {refused: [r], not_refused: [n]}}
"""
    row = {**ROW, "l": 1, "who": "c", "v": 0.7, "a1": 1, "a2": 0, "notes": [{"w": "ann", "l": "r"}]}
    (record,), _ = mapped(tmp_path, [row], text)
    digests = {one.judge.identity.name: one.judge.identity.digest.hex() for one in record.findings}
    assert digests == GOLDEN
