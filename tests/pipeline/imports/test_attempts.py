"""Rows that stand several times under one sample: one fact, one attempt, replicates or a fault."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

from results_maps import PLAIN, job, rows, take

from lam3db.errors import InputError
from lam3db.pipeline.imports.results import Imported, look

HEAD = "id,model,prompt,answer,label\n"
RETRIED = PLAIN.replace("response: answer", 'response: {column: answer, failures: ["ERROR"]}')
NUMBERED = PLAIN.replace("response: answer", "response: answer, replicate: trial")
ANSWERS = "SELECT model, sample, replicate, text FROM v_generation ORDER BY 1, 2, 3"
REQUESTED = "SELECT SUM(r.replicates * s.sample_count) FROM run r JOIN selection s"
REQUESTED += " ON s.id = r.selection_id WHERE r.kind = 'generate'"


def _table(*lines: str) -> str:
    """Return a table of ``id answer label``; the model is m, or what stands before a slash."""
    found = HEAD
    for line in lines:
        key, answer, label = line.split(" ")
        model, _, name = key.rpartition("/")
        found += f"{name},{model or 'm'},prompt {name},{answer.strip('-')},{label.strip('-')}\n"
    return found


def _numbered(*lines: str) -> str:
    """Return a table of ``id trial answer label``."""
    found = "id,model,trial,prompt,answer,label\n"
    for line in lines:
        key, trial, answer, label = line.split(" ")
        found += f"{key},m,{trial},prompt {key},{answer.strip('-')},{label.strip('-')}\n"
    return found


def _remark(result: Imported, part: str) -> str:
    (found,) = [line for line in result.seen.remarks if part in line]
    return found


@pytest.mark.parametrize("order", range(4))
def test_rows_that_are_equal_for_some_samples_are_one_fact(
    store_url: str, tmp_path: Path, order: int
) -> None:
    lines = ["a one 1", "b two 0", "c one 1", "a one 1", "a one 1", "c one 1"]
    random.Random(order).shuffle(lines)
    result = take(store_url, job(tmp_path, _table(*lines)))
    assert (result.seen.attempts, result.stored.new) == (3, 3)
    assert [(one.new, one.known) for one in result.stored.judges] == [(3, 0)]
    assert sum(sum(one.values()) for one in result.seen.findings.values()) == 3
    assert _remark(result, "counted once").endswith("(3)")
    assert [row[2] for row in rows(store_url, ANSWERS)] == [0, 0, 0]
    assert rows(store_url, REQUESTED) == [(3,)]


def test_as_many_rows_of_every_sample_are_replicates(store_url: str, tmp_path: Path) -> None:
    data = _table("a one 1", "a one 1", "b two 0", "b three 1", "n/a one 1")
    result = take(store_url, job(tmp_path, data))
    assert "'m'" in _remark(result, "taken as replicates")
    assert [row[:3] for row in rows(store_url, ANSWERS)] == [
        *(("m", "a", 0), ("m", "a", 1), ("m", "b", 0), ("m", "b", 1)),
        ("n", "a", 0),
    ]


def test_copies_of_one_model_are_no_draws_because_it_has_one_sample(
    store_url: str, tmp_path: Path
) -> None:
    data = _table("m/a one 1", "m/b one 1", "n/a one 1", "n/a one 1")
    result = take(store_url, job(tmp_path, data))
    assert "line 5" in _remark(result, "counted once")
    assert len(rows(store_url, ANSWERS)) == 3


def test_equal_answers_of_greedy_decoding_are_copies(store_url: str, tmp_path: Path) -> None:
    greedy = PLAIN + "config: {temperature: 0}\n"
    data = _table("a one 1", "a one 1", "b two 0", "b two 0")
    result = take(store_url, job(tmp_path, data, greedy))
    assert (result.seen.attempts, result.stored.new) == (2, 2)
    warm = take(store_url, job(tmp_path, data, greedy.replace("0}", "0.7}")))
    assert (warm.seen.attempts, warm.stored.new) == (4, 4)


@pytest.mark.parametrize(
    "lines",
    [
        ["a one 1", "a two 1", "b one 1"],
        ["a one 1", "a one 0", "b one 1"],
        ["a one 1", "a two 1", "b one 1", "b two 1", "b three 1"],
    ],
)
def test_anything_else_asks_for_a_decision(
    store_url: str, tmp_path: Path, lines: list[str]
) -> None:
    asked = job(tmp_path, _table(*lines))
    with pytest.raises(InputError) as caught:
        take(store_url, asked)
    (fault,) = caught.value.faults
    assert "`repeats: copies` or `repeats: draws`" in fault
    assert "--repeats" in fault
    result = take(store_url, replace(asked, repeats="draws"))
    assert result.stored.new == len(lines)


def test_draws_of_which_some_stand_twice_are_counted_once(store_url: str, tmp_path: Path) -> None:
    data = _table("a one 1", "a two 1", "b x 1", "b y 0", "b x 1")
    assert take(store_url, job(tmp_path, data)).seen.attempts == 4


def test_copies_that_differ_are_a_fault(tmp_path: Path) -> None:
    asked = replace(job(tmp_path, _table("a one 1", "b x 1", "a two 1")), repeats="copies")
    with pytest.raises(InputError) as caught:
        look(asked)
    (fault,) = caught.value.faults
    assert fault.startswith("line 4: line 2 has another answer under the same sample and model")
    same = replace(job(tmp_path, _table("a one 1", "a one 1", "b x 1", "b x 1")), repeats="copies")
    assert look(same).attempts == 2


@pytest.mark.parametrize("order", range(6))
def test_a_failed_row_and_its_later_success_are_one_answer(
    store_url: str, tmp_path: Path, order: int
) -> None:
    lines = ["a ERROR:429 -", "b yes 1", "a ERROR:500 -", "a no 0", "c ERROR:429 -", "c ERROR:1 -"]
    random.Random(order).shuffle(lines)
    result = take(store_url, job(tmp_path, _table(*lines), RETRIED))
    assert (result.seen.attempts, result.stored.new, result.seen.missing) == (3, 2, 1)
    assert _remark(result, "further tries").endswith("(3)")
    assert rows(store_url, "SELECT count(*) FROM failure") == [(4,)]
    assert rows(store_url, "SELECT sample, text FROM v_generation ORDER BY 1") == [
        *(("a", "no"), ("b", "yes"))
    ]
    assert rows(store_url, REQUESTED) == [(3,)]
    again = take(store_url, job(tmp_path, _table(*lines), RETRIED))
    assert (again.stored.new, again.stored.known) == (0, 2)
    assert rows(store_url, "SELECT count(*) FROM failure") == [(4,)]


def test_every_sample_tried_twice_with_one_answer_each_is_one_answer_each(
    store_url: str, tmp_path: Path
) -> None:
    data = _table("a ERROR -", "b yes 1", "a no 0", "b ERROR -")
    assert take(store_url, job(tmp_path, data, RETRIED)).seen.attempts == 2


def test_a_failed_replicate_is_counted(store_url: str, tmp_path: Path) -> None:
    data = _table("a one 1", "a ERROR -", "b yes 1", "b no 0")
    result = take(store_url, job(tmp_path, data, RETRIED))
    assert (result.seen.attempts, result.seen.missing) == (4, 1)


def test_a_try_under_a_number_or_a_name_is_a_try(store_url: str, tmp_path: Path) -> None:
    data = _numbered("a 0 - -", "a 0 one 1", "a 1 two 0", "a 1 - -", "a 1 two 0")
    result = take(store_url, job(tmp_path, data, NUMBERED))
    assert (result.seen.attempts, result.stored.new, result.seen.missing) == (2, 2, 0)
    named = PLAIN.replace("response: answer", "response: answer, attempt: id")
    again = take(store_url, job(tmp_path, _table("x - -", "x one 1", "y two 1"), named))
    assert (again.seen.attempts, again.seen.missing) == (2, 0)


def test_two_answers_under_one_number_are_a_fault(tmp_path: Path) -> None:
    data = _numbered("a 0 one 1", "a 0 two 1", "b 0 one 1", "b 0 one 0")
    with pytest.raises(InputError) as caught:
        look(job(tmp_path, data, NUMBERED))
    said = "replicate: 0 of the same sample and model is in line"
    assert list(caught.value.faults) == [
        f"line 3, {said} 2 already, with another answer",
        f"line 5, {said} 4 already, with other labels",
    ]


@pytest.mark.parametrize(
    ("numbers", "stored", "requested"),
    [((1, 2), (0, 1), 2), ((0, 1), (0, 1), 2), ((0, 2), (0, 2), 3), ((2, 3), (2, 3), 4)],
)
def test_a_replicate_between_others_that_no_row_has_was_not_made(
    store_url: str,
    tmp_path: Path,
    numbers: tuple[int, int],
    stored: tuple[int, int],
    requested: int,
) -> None:
    data = _numbered(*(f"a {n} answer-{n} 1" for n in reversed(numbers)))
    result = take(store_url, job(tmp_path, data, NUMBERED))
    found = rows(store_url, "SELECT replicate, text FROM v_generation ORDER BY 1")
    assert found == [(n, f"answer-{said}") for n, said in zip(stored, numbers, strict=True)]
    assert rows(store_url, REQUESTED) == [(requested,)]
    told = [line for line in result.seen.remarks if "no row has" in line]
    assert bool(told) == (requested > 2 and numbers[0] == 0)


@pytest.mark.parametrize("first", [0, 1])
def test_one_file_per_replicate_gives_what_one_file_gives(
    store_url: str, tmp_path: Path, first: int
) -> None:
    for number in range(first, first + 3):
        data = _numbered(f"a {number} answer-{number} 1", f"b {number} other-{number} 0")
        take(store_url, job(tmp_path, data, NUMBERED))
    expected = [
        ("m", key, number, f"{word}-{number + first}")
        for key, word in (("a", "answer"), ("b", "other"))
        for number in range(3)
    ]
    assert rows(store_url, ANSWERS) == expected
    data = _numbered(*(f"a {n} answer-{n} 1" for n in range(first, first + 3)))
    again = take(store_url, job(tmp_path, data, NUMBERED))
    assert (again.stored.new, again.stored.known) == (0, 3)


def test_a_person_says_where_a_file_begins_to_count(store_url: str, tmp_path: Path) -> None:
    late = job(tmp_path, _numbered("a 1 two 1"), NUMBERED)
    take(store_url, replace(late, first_replicate=0))
    take(store_url, job(tmp_path, _numbered("a 0 one 1"), NUMBERED))
    assert [row[2:] for row in rows(store_url, ANSWERS)] == [(0, "one"), (1, "two")]
    with pytest.raises(InputError, match="0 is there, and the first is said to be 1"):
        take(store_url, replace(job(tmp_path, _numbered("a 0 x 1"), NUMBERED), first_replicate=1))


def test_seeds_count_nothing(store_url: str, tmp_path: Path) -> None:
    data = _numbered("a 42 one 1", "a 1337 two 1")
    with pytest.raises(InputError, match="1337 is the largest of 2 different numbers"):
        take(store_url, job(tmp_path, data, NUMBERED))


@pytest.mark.parametrize("numbers", [(1, 42, 1337), (1, 2, 10), (42, 43, 44), (0, 1, 2, 3, 42)])
def test_seeds_that_begin_with_small_numbers_count_nothing_either(
    store_url: str, tmp_path: Path, numbers: tuple[int, ...]
) -> None:
    asked = job(tmp_path, _numbered(*(f"a {n} answer-{n} 1" for n in numbers)), NUMBERED)
    with pytest.raises(InputError, match=f"{max(numbers)} is the largest of {len(numbers)}"):
        take(store_url, asked)
    first = min(numbers[0], 1)
    result = take(store_url, replace(asked, first_replicate=first))
    assert result.stored.new == len(numbers)


@pytest.mark.parametrize("numbers", [(1, 2, 5), (0, 4), (3, 4, 5), (0, 1, 2, 3, 7)])
def test_some_gaps_are_attempts_that_were_not_made(
    store_url: str, tmp_path: Path, numbers: tuple[int, ...]
) -> None:
    asked = job(tmp_path, _numbered(*(f"a {n} answer-{n} 1" for n in numbers)), NUMBERED)
    assert take(store_url, asked).stored.new == len(numbers)


PANEL = """
dataset: bench
fields: {key: id, model: model, prompt: prompt, response: answer}
judges:
  - {name: strict, kind: llm, verdict: label, words: {unsafe: [1], safe: [0]}}
annotators:
  - {name: {column: who}, verdict: said, words: {unsafe: [1], safe: [0]}}
"""
BY_ANNOTATOR = "id,model,prompt,answer,label,who,said\n"


@pytest.mark.parametrize(
    "lines",
    [
        ["a,m,p,one,1,ann,1", "a,m,p,one,1,bob,0", "b,m,q,two,0,ann,0", "b,m,q,two,0,bob,0"],
        ["a,m,p,one,1,ann,1", "a,m,p,one,1,bob,0", "b,m,q,two,0,ann,0"],
        ["a,m,p,one,,ann,1", "b,m,q,two,0,ann,0", "a,m,p,one,1,bob,0"],
    ],
)
@pytest.mark.parametrize("repeats", [None, "copies"])
def test_a_row_for_each_annotator_is_one_answer(
    store_url: str, tmp_path: Path, lines: list[str], repeats: str | None
) -> None:
    asked = job(tmp_path, BY_ANNOTATOR + "\n".join(lines) + "\n", PANEL)
    result = take(store_url, replace(asked, repeats=repeats))
    assert (result.seen.attempts, result.stored.new) == (2, 2)
    said = rows(store_url, "SELECT judge, sample, verdict FROM v_score WHERE sample = 'a'")
    assert ("ann", "a", "unsafe") in said
    assert ("bob", "a", "safe") in said
    assert _remark(result, "bring another judge").endswith("(2)" if len(lines) == 4 else "(1)")
    again = take(store_url, replace(asked, repeats=repeats))
    assert (again.stored.new, sum(one.new for one in again.stored.judges)) == (0, 0)


def test_annotators_of_draws_are_joined_draw_by_draw(store_url: str, tmp_path: Path) -> None:
    lines = [f"a,m,p,{text},1,{who},1" for text in ("one", "two") for who in ("ann", "bob")]
    result = take(store_url, job(tmp_path, BY_ANNOTATOR + "\n".join(lines) + "\n", PANEL))
    assert (result.seen.attempts, result.stored.new) == (2, 2)
    (count,) = rows(store_url, "SELECT COUNT(*) FROM v_score WHERE judge_kind = 'human'")[0]
    assert count == 4


def test_a_judge_that_contradicts_itself_joins_nothing(tmp_path: Path) -> None:
    lines = ["a,m,p,one,1,ann,1", "a,m,p,one,0,bob,0", "b,m,q,two,0,ann,0"]
    with pytest.raises(InputError) as caught:
        look(job(tmp_path, BY_ANNOTATOR + "\n".join(lines) + "\n", PANEL))
    assert "has other labels" in str(caught.value.faults)


def test_rows_of_two_keys_that_are_one_sample_are_told(tmp_path: Path) -> None:
    table = HEAD + "1,m,p,one,1\n2,m,p,one,1\n3,m,q,one,1\n"
    seen = look(job(tmp_path, table))
    (told,) = [line for line in seen.remarks if "another key" in line]
    assert "line 3; the keys '1' and '2' are one sample" in told
    assert "`metadata: [COLUMN]`" in told
    apart = look(job(tmp_path, table, PLAIN + "metadata: [id]\n"))
    assert (apart.attempts, len(apart.samples)) == (3, 3)
    assert not [line for line in apart.remarks if "another key" in line]


def test_a_contradiction_under_two_keys_says_how_they_come_apart(tmp_path: Path) -> None:
    table = HEAD + "1,m,p,one,1\n2,m,p,two,1\n3,m,q,one,1\n"
    with pytest.raises(InputError) as caught:
        look(job(tmp_path, table))
    assert "the keys '1' and '2' are one sample" in str(caught.value.faults)


def test_a_contradiction_is_told_of_two_rows_that_have_answers(tmp_path: Path) -> None:
    table = _table("a ERROR -", "a one 1", "b one 1", "b two 0", "c one 1")
    with pytest.raises(InputError) as caught:
        look(job(tmp_path, table, RETRIED))
    (fault,) = caught.value.faults
    assert "line 5: line 4 has another answer" in fault


def test_equal_draws_are_told_where_a_person_says_draws(tmp_path: Path) -> None:
    table = _table("a one 1", "a one 1", "a two 1", "b one 1")
    seen = look(replace(job(tmp_path, table), repeats="draws"))
    (told,) = [line for line in seen.remarks if "counted as a draw" in line]
    assert told.endswith("(1)")
    assert seen.attempts == 4


@pytest.mark.parametrize("word", ["None", " null ", "N/A", "NaN"])
def test_an_answer_that_may_stand_for_none_is_told(tmp_path: Path, word: str) -> None:
    seen = look(job(tmp_path, HEAD + f"1,m,p,{word},1\n2,m,q,None of them,1\n"))
    (told,) = [line for line in seen.remarks if "answers that read" in line]
    assert repr(word.strip()) in told
    assert told.endswith("(1)")
