"""Words in every spelling, rules beside them, and nothing read with a default."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from mapped import FIELDS, ROW, mapped, refused, said

from lam3db.datasets.results.cells import word_of
from lam3db.datasets.results.maps import patterns
from lam3db.datasets.results.maps.patterns import compiled

JUDGE = "judges: [{{name: j, kind: llm, verdict: label, words: {{unsafe: [{}], safe: [0]}}}}]\n"


@pytest.mark.parametrize("written", ["1", "'1'", "1.0", "'1.0'", "1.00"])
@pytest.mark.parametrize("cell", [1, 1.0, "1", " 1.0 ", "1.", "1e0", "+1", "1.000"])
def test_a_number_is_one_word_however_it_is_written(
    tmp_path: Path, written: str, cell: Any
) -> None:
    (record,) = mapped(tmp_path, [{**ROW, "label": cell}], FIELDS + JUDGE.format(written))[0]
    assert said(record)["j"][1] == "unsafe"


@pytest.mark.parametrize(
    ("cell", "word"),
    [
        ("01", "01"), ("1_0", "1_0"), ("-0.0", "0"), (-0.0, "0"), ("-1.50", "-1.5"), (1.5, "1.5"),
        ("1e2", "100"), (100.0, "100"), ("12345678901234567891.0", "12345678901234567891"),
        ("-", "-"), ("1.0.0", "1.0.0"), ("TRUE", "true"), (True, "true"), ("1e99999", "1e99999"),
        ("0x1", "0x1"), (None, None), ([1], None),
    ],
)  # fmt: skip
def test_what_is_no_plain_number_stays_what_it_is(cell: Any, word: str | None) -> None:
    assert word_of(cell) == word


def test_words_without_a_meaning_and_without_a_cell_are_listed(tmp_path: Path) -> None:
    rows = [{**ROW, "label": label} for label in (1, "maybe", "maybe", "Dunno ", 0)]
    _, remarks = mapped(tmp_path, rows, FIELDS + JUDGE.format("1, bad, worse"))
    assert remarks == [
        "label: unparsed words: 'maybe' (2), 'Dunno' (1)",
        "judges.0: words that no cell has: 'bad', 'worse' (2)",
    ]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("Answer: YES, it does.", "unsafe"),
        ("so: jailbroken!", "unsafe"),
        ("Rating: [[5]]", "unsafe"),
        ("Rating: [[2]]", "safe"),
        ("no", "safe"),
        ("answer: yes, not jailbroken at all. Rating: [[1]]", None),
        ("Answer: none", None),
    ],
)
def test_rules_read_texts_and_two_meanings_are_none(
    tmp_path: Path, cell: str, expected: str | None
) -> None:
    text = (
        FIELDS
        + r"""
judges:
  - name: j
    kind: llm
    verdict: label
    words:
      unsafe: [{starts: "Answer: Yes"}, {contains: jailbroken}, {pattern: 'rating: \[\[[45]\]\]'}]
      safe: ["no", {pattern: 'rating: \[\[[123]\]\]'}]
"""
    )
    (record,) = mapped(tmp_path, [{**ROW, "label": cell}], text)[0]
    assert said(record)["j"][1] == expected


def test_values_are_taken_from_texts_by_pattern_and_from_json(tmp_path: Path) -> None:
    text = (
        FIELDS
        + r"""
judges:
  - {name: p, kind: llm, value: {column: o, pattern: 'rating: \[\[(\d+)\]\]'}, scale: [1, 10]}
  - {name: j, kind: llm, value: {column: o, json: out.score}, explanation: {column: o, json: why}}
"""
    )
    rows = [
        {**ROW, "o": "Rating: [[7]]"},
        {**ROW, "o": 'Well:\n```json\n{"out": {"score": 2}, "why": "w"}\n```\nDone.'},
        {**ROW, "o": '{"why": "no score"}'},
        {**ROW, "o": None},
    ]
    records, remarks = mapped(tmp_path, rows, text)
    values = [{name: (str(s[0]), s[2]) for name, s in said(one).items()} for one in records]
    assert values == [
        {"p": ("ok", 7.0), "j": ("unparsed", None)},
        {"p": ("unparsed", None), "j": ("ok", 2.0)},
        {"p": ("unparsed", None), "j": ("unparsed", None)},
        {},
    ]
    assert records[1].findings[1].finding.explanation == "w"
    assert records[0].findings[1].finding.raw_output == "Rating: [[7]]"
    assert len(remarks) == 1
    assert remarks[0].startswith("o: unparsed words:")
    wrong = refused(tmp_path, rows, text.replace("out.score", "out.socre"))
    assert "no JSON in 'o' has 'socre' in 'out' - did you mean 'score'?" in wrong


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+", "(a*)*b", "(?:a|a)+", "((ab?)c)*", "(a+){20}", "(x(y+)z)+", "([ab]+|c){2,}"],
)
def test_a_pattern_that_may_never_end_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="may never end"):
        compiled(pattern)


@pytest.mark.parametrize(
    "pattern", [r"rating: \[\[(\d+)\]\]", "(a|b)c", "(abc)+", r"\(+(x)?", "[(+*]+(y)", "(?:z){3}"]
)
def test_plain_patterns_are_taken(pattern: str) -> None:
    assert compiled(pattern).pattern == pattern


def test_a_pattern_that_takes_too_long_ends_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patterns, "SECONDS", 0.2)
    handler, (left, _) = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)
    text = FIELDS + "judges: [{name: j, kind: llm, value: {column: o, pattern: 'a.*b.*a.*z'}}]"
    message = refused(tmp_path, [{**ROW, "o": "ab" * 5_000}], text)
    assert "'a.*b.*a.*z' takes more than 0.2 s on a text of 10,000 characters" in message
    assert signal.getsignal(signal.SIGALRM) is handler
    assert max(0.0, left - 60) <= signal.getitimer(signal.ITIMER_REAL)[0] <= left


def test_a_long_text_is_looked_at_where_judges_conclude(tmp_path: Path) -> None:
    text = FIELDS + r"judges: [{name: j, kind: llm, value: {column: o, pattern: 'score (\d)'}}]"
    rows = [{**ROW, "o": "x" * 50_000 + " score 3"}, {**ROW, "o": "score 4" + "x" * 50_000}]
    assert [said(one)["j"][2] for one in mapped(tmp_path, rows, text)[0]] == [3.0, 4.0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("words: {unsafe: [1], safe: ['1.0']}", "'1' has two meanings"),
        ("words: {unsafe: [1]}, missing: [1]", "'1' has two meanings"),
        ("words: {unsafe: [], safe: []}", "say what its words mean"),
        ("words: {safe: [1]}, adjudicates: true", "only people's labels decide"),
        ("words: {unsafe: [{begins: x}]}", "no such setting"),
        ("words: {unsafe: [{pattern: '('}]}", "is not a pattern"),
        ("words: {unsafe: [{starts: x, contains: y}]}", "a rule is one of"),
        ("words: {unsafe: [1]}, scale: [5, 1]", "write the least and the greatest value"),
        ("words: {unsafe: [1]}, scale: 5", "write the least and the greatest value"),
        ("words: {unsafe: [1]}, value: s, scale: [1, 5], threshold: 6", "6 is not on the scale"),
    ],
)
def test_what_a_map_says_wrongly_is_told(tmp_path: Path, text: str, expected: str) -> None:
    judge = FIELDS + f"judges: [{{name: j, kind: llm, verdict: label, {text}}}]"
    assert expected in refused(tmp_path, [ROW], judge)


def test_a_value_beside_its_scale_is_a_fault_and_the_scale_is_part_of_the_judge(
    tmp_path: Path,
) -> None:
    from lam3db.judges.scale import grades

    text = FIELDS + "judges: [{name: j, kind: llm, value: s, scale: [1, 5]}]"
    rows = [{**ROW, "s": value} for value in (1, "5.0", None)]
    (record, *_), _ = mapped(tmp_path, rows, text)
    assert grades(record.findings[0].judge.identity.spec) == (1.0, 5.0)
    message = refused(tmp_path, [*rows, {**ROW, "s": 6}], text)
    assert "record 4, s: 6 is not on the scale of 1 to 5" in message


def test_a_column_of_grades_may_hold_verdicts_too(tmp_path: Path) -> None:
    text = FIELDS + (
        "judges: [{name: j, kind: llm, value: s, words: {refused: [refusal, none]}, scale: [1, 5]}]"
    )
    rows = [{**ROW, "s": cell} for cell in (3, "Refusal", "odd")]
    records, remarks = mapped(tmp_path, rows, text)
    assert [said(one)["j"][1:] for one in records] == [(None, 3.0), ("refused", None), (None, None)]
    assert remarks == [
        "s: unparsed words: 'odd' (1)",
        "judges.0: words that no cell has: 'none' (1)",
    ]


@pytest.mark.parametrize(
    ("given", "cells", "expected"),
    [
        ("kind", ["yes", 0, 1.0, ""], [True, False, True, False]),
        ("true", ["-"], [True]),
        ('{column: kind, words: {"true": [{starts: safe}], "false": [harm]}}', ["Safe-1", "harm"],
         [True, False]),
    ],
)  # fmt: skip
def test_benign_is_read_by_words_and_rules(
    tmp_path: Path, given: str, cells: list[Any], expected: list[bool]
) -> None:
    text = f"fields: {{model: m, prompt: p, response: r, benign: {given}}}"
    rows = [{**ROW, "kind": cell} for cell in cells]
    records = mapped(tmp_path, rows, text)[0]
    assert [record.behavior.is_benign for record in records] == expected


def test_a_word_for_benign_that_nobody_knows_is_a_fault(tmp_path: Path) -> None:
    text = "fields: {model: m, prompt: p, response: r, benign: kind}"
    message = refused(tmp_path, [{**ROW, "kind": "perhaps"}], text)
    assert "'perhaps' is neither true nor false: give its words a meaning (known: '0'" in message
