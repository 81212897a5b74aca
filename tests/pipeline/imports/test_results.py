"""Results of others in the store: whole or not at all, once, and counted as they were tried."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from jobs import job as generate_job
from jobs import judging
from results_maps import PLAIN, job, rows, take

from lam3db.datasets.results.formats import ReadOptions, reader_of
from lam3db.errors import InputError
from lam3db.metrics.numbers import Scope
from lam3db.pipeline.generate import generate
from lam3db.pipeline.imports import results
from lam3db.pipeline.imports.results import ImportJob
from lam3db.pipeline.judge import judge_pending
from lam3db.report.build import build_report
from lam3db.store.engine import open_store
from lam3db.store.verify import verify

if TYPE_CHECKING:
    from lam3db.datasets.results.record import ResultRecord

HEAD = "id,model,prompt,answer,label\n"
COUNTS = (
    "SELECT (SELECT count(*) FROM run), (SELECT count(*) FROM generation),"
    " (SELECT count(*) FROM score), (SELECT count(*) FROM dataset), (SELECT count(*) FROM sample)"
)


def _counts(url: str, model: str, judge_name: str = "strict") -> tuple[int, int, int]:
    """Return (hits, scored, total) of a model under the judge, as a report counts."""
    with open_store(url, mode="read") as store, store.read() as conn:
        report = build_report(conn, Scope(models=(model,)), ("model",), [judge_name])
    (row,) = report.rows
    (number,) = row.numbers
    assert number.share is not None
    return number.share.hits or 0, number.counts.scored, number.counts.total


def test_what_is_in_the_file_is_in_the_store_and_sound(store_url: str, tmp_path: Path) -> None:
    data = HEAD + 'a,m,p1,"Sure,\nhere",1\nb,m,p2,No.,0\na,n,p1,No.,0\nb,n,p2,,\n'
    result = take(store_url, job(tmp_path, data))
    assert (result.stored.new, result.seen.missing) == (3, 1)
    assert _counts(store_url, "m") == (1, 2, 2)
    assert _counts(store_url, "n") == (0, 1, 2)
    kinds = rows(store_url, "SELECT DISTINCT identity_kind FROM model_version")
    assert kinds == [("declared",)]
    with open_store(store_url, mode="read") as store:
        assert all(not part.faults for part in verify(store))


def test_the_same_file_again_changes_nothing(store_url: str, tmp_path: Path) -> None:
    data = HEAD + "a,m,p1,Sure,1\nb,m,p2,,\n"
    take(store_url, job(tmp_path, data))
    before = rows(store_url, COUNTS)
    again = take(store_url, job(tmp_path, data))
    assert (again.stored.new, again.stored.known) == (0, 1)
    assert [(one.new, one.known) for one in again.stored.judges] == [(0, 1)]
    assert rows(store_url, COUNTS) == before


def test_a_file_that_has_grown_adds_what_is_new(store_url: str, tmp_path: Path) -> None:
    data = HEAD + "a,m,p1,Sure,1\n"
    take(store_url, job(tmp_path, data))
    grown = take(store_url, job(tmp_path, data + "b,m,p2,No.,0\nc,m,p3,,\n"))
    assert (grown.stored.new, grown.stored.known) == (1, 1)
    assert grown.stored.datasets[0].version == 2
    assert _counts(store_url, "m") == (1, 2, 3)
    assert rows(store_url, "SELECT count(*) FROM judge") == [(1,)]


def test_several_answers_to_one_sample_are_its_replicates_and_no_more_are_asked_for(
    store_url: str, tmp_path: Path
) -> None:
    data = HEAD + "a,m,p1,one,1\na,m,p1,two,0\na,m,p1,one,1\nb,m,p2,one,1\n"
    take(store_url, job(tmp_path, data, "repeats: draws\n" + PLAIN))
    assert _counts(store_url, "m") == (3, 4, 4)
    found = rows(store_url, "SELECT sample, replicate FROM v_generation ORDER BY 1, 2")
    assert found == [("a", 0), ("a", 1), ("a", 2), ("b", 0)]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a,m,p1,Another,1\n", r"line 3, response: another answer is stored"),
        ("a,m,p1,Sure,0\n", r"line 3, strict: another finding on this answer is stored"),
    ],
)
def test_what_differs_from_what_is_stored_refuses_the_file(
    store_url: str, tmp_path: Path, row: str, said: str
) -> None:
    take(store_url, job(tmp_path, HEAD + "a,m,p1,Sure,1\n"))
    before = rows(store_url, COUNTS)
    with pytest.raises(InputError, match=said):
        take(store_url, job(tmp_path, HEAD + "c,m,p9,new,1\n" + row))
    assert rows(store_url, COUNTS) == before


def _artifacts(folder: Path, changed: dict[str, object]) -> ImportJob:
    """Write two files of three records each, the second one's last record changed."""
    folder /= "artifacts"
    folder.mkdir(exist_ok=True)
    for name in ("one", "two"):
        said = [
            {"index": i, "goal": f"{name} {i}", "category": "c", "prompt": f"Do {name} {i}"}
            | {"response": "Sure", "jailbroken": True}
            | (changed if name == "two" and i == 2 else {})
            for i in range(3)
        ]
        parameters = {"model": "m", "method": "PAIR", "evaluation_date": "2024-10-14"}
        made = {"parameters": parameters, "jailbreaks": said}
        (folder / f"{name}.json").write_text(json.dumps(made))
    reader = reader_of("jailbreakbench")
    return ImportJob(folder, reader, ReadOptions(), {}, "jbb", folders=True)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"response": "No."}, "two.json, record 3, response: another answer is stored"),
        ({"jailbroken": False}, "two.json, record 3, jbb-llama-3-70b: another finding on this"),
    ],
)
def test_a_folders_fault_names_the_file_and_what_its_places_are_called(
    store_url: str, tmp_path: Path, changed: dict[str, object], said: str
) -> None:
    take(store_url, _artifacts(tmp_path, {}))
    with pytest.raises(InputError) as caught:
        take(store_url, _artifacts(tmp_path, changed))
    assert len(caught.value.faults) == 1
    assert caught.value.faults[0].startswith(said)


def test_every_fault_is_told_and_nothing_is_stored(store_url: str, tmp_path: Path) -> None:
    take(store_url, job(tmp_path, HEAD + "z,m,p,x,1\n"))
    before = rows(store_url, COUNTS)
    data = HEAD + "a,,p1,Sure,1\nb,m,,No.,0\nc,m,p3,,1\nd,m,p4,fine,1\n"
    with pytest.raises(InputError) as caught:
        take(store_url, job(tmp_path, data))
    assert [fault.split(":")[0] for fault in caught.value.faults] == [
        "line 2, model",
        "line 3, behavior",
        "line 4",
    ]
    assert rows(store_url, COUNTS) == before


def test_one_judge_that_says_two_things_of_equal_answers_keeps_both(
    store_url: str, tmp_path: Path
) -> None:
    data = HEAD + "a,m,p1,Sure,1\na,n,p1,Sure,0\na,o,p1,Sure,1\n"
    for _ in range(2):
        take(store_url, job(tmp_path, data))
    assert [_counts(store_url, name)[0] for name in "mno"] == [1, 0, 1]
    assert rows(store_url, "SELECT count(*) FROM finding") == [(2,)]
    with open_store(store_url, mode="read") as store:
        assert all(not part.faults for part in verify(store))


def test_a_merge_keeps_what_an_imported_judge_said_of_each_answer(
    store_url: str, tmp_path: Path
) -> None:
    from lam3db.pipeline.merge import merge_database

    source = f"sqlite:///{tmp_path / 'source.db'}"
    take(source, job(tmp_path, HEAD + "a,m,p1,Sure,1\na,n,p1,Sure,0\na,o,p1,Sure,1\n"))
    take(store_url, job(tmp_path, HEAD + "z,z,p9,Sure,1\n"))
    for _ in range(2):
        merge_database(store_url, source)
        assert [_counts(store_url, name)[0] for name in "mno"] == [1, 0, 1]
    assert rows(store_url, "SELECT count(*) FROM score") == [(4,)]
    with open_store(store_url, mode="read") as store:
        assert all(not part.faults for part in verify(store))


def test_a_word_without_meaning_is_unparsed_and_a_missing_one_is_no_score(
    store_url: str, tmp_path: Path
) -> None:
    data = HEAD + "a,m,p1,x,1\nb,m,p2,x,perhaps\nc,m,p3,x,\nd,m,p4,x,0\n"
    take(store_url, job(tmp_path, data))
    assert _counts(store_url, "m") == (1, 2, 4)
    found = rows(store_url, "SELECT status, verdict, unsafe FROM v_score WHERE sample = 'b'")
    assert found == [("unparsed", None, None)]
    assert rows(store_url, "SELECT raw_output FROM finding WHERE status = 'unparsed'") == [
        ("perhaps",)
    ]


def test_what_a_tool_wrote_in_place_of_an_answer_is_a_failure(
    store_url: str, tmp_path: Path
) -> None:
    text = PLAIN.replace("response: answer", 'response: {column: answer, failures: ["ERROR"]}')
    take(store_url, job(tmp_path, HEAD + "a,m,p1,ERROR 429,\nb,m,p2,x,1\n", text))
    assert _counts(store_url, "m") == (1, 1, 2)
    assert rows(store_url, "SELECT error_class, message FROM failure") == [
        ("ReportedFailure", "ERROR 429")
    ]


def test_a_row_per_annotator_is_one_attempt_with_many_findings(
    store_url: str, tmp_path: Path
) -> None:
    text = """
dataset: bench
fields: {key: id, model: model, prompt: prompt, response: answer, attempt: id}
annotators:
  - {name: {column: who}, verdict: label, words: {unsafe: ["yes"], safe: ["no"]}}
"""
    data = "id,model,prompt,answer,who,label\n"
    data += "a,m,p,x,ann,yes\na,m,p,x,bob,no\nb,m,q,y,ann,no\n"
    result = take(store_url, job(tmp_path, data, text))
    assert (result.seen.attempts, result.stored.new) == (2, 2)
    found = rows(store_url, "SELECT judge, judge_kind, sample, verdict FROM v_score ORDER BY 1, 3")
    assert found == [
        ("ann", "human", "a", "unsafe"),
        ("ann", "human", "b", "safe"),
        ("bob", "human", "a", "safe"),
    ]
    with pytest.raises(InputError, match="its response differs"):
        take(store_url, job(tmp_path, data + "b,m,q,other,bob,no\n", text))


def test_samples_without_a_prompt_count_and_are_never_posed(store_url: str, tmp_path: Path) -> None:
    text = PLAIN.replace("prompt: prompt", "prompt: prompt, behavior: aim")
    data = "id,model,aim,prompt,answer,label\na,m,one,,,\nb,m,two,,,\nc,m,three,say,x,1\n"
    take(store_url, job(tmp_path, data, text))
    assert _counts(store_url, "m") == (1, 1, 3)
    with open_store(store_url, mode="write") as store:
        result = generate(store, generate_job(dataset="bench"))
        assert (result.counts.new, result.counts.failed) == (1, 1)  # equal inputs are tried once
    assert rows(store_url, "SELECT DISTINCT error_class FROM failure") == [("NoPromptError",)]
    assert _counts(store_url, "m") == (1, 1, 3)


def test_imported_answers_are_judged_again_like_our_own(store_url: str, tmp_path: Path) -> None:
    take(store_url, job(tmp_path, HEAD + "a,m,p1,Sure,1\nb,m,p2,No,0\nc,m,p3,,\n"))
    with open_store(store_url, mode="write") as store:
        assert judge_pending(store, judging()).counts.new == 2
    assert rows(store_url, "SELECT count(*) FROM score s JOIN judge j ON j.id = s.judge_id"
                           " WHERE j.name = 'half'") == [(2,)]  # fmt: skip


def test_a_dataset_added_by_hand_is_never_changed(store_url: str, tmp_path: Path) -> None:
    from lam3db.pipeline.ingest import add_dataset

    (tmp_path / "bench.jsonl").write_text('{"key": "a", "prompt": "p1", "behavior": "p1"}\n')
    with open_store(store_url, mode="write") as store:
        add_dataset(store, tmp_path / "bench.jsonl")
    result = take(store_url, job(tmp_path, HEAD + "a,m,p1,Sure,1\n"))
    assert [(row.version, row.is_new) for row in result.stored.datasets] == [(1, False)]
    with pytest.raises(InputError, match="give the imported ones another name"):
        take(store_url, job(tmp_path, HEAD + "a,m,p1,Sure,1\nb,m,p2,Sure,1\n"))
    assert rows(store_url, "SELECT count(*) FROM dataset") == [(1,)]


def test_thresholds_of_the_source_become_the_judges_policy(store_url: str, tmp_path: Path) -> None:
    text = """
dataset: bench
fields: {key: id, model: model, prompt: prompt, response: answer}
judges:
  - {name: strict, kind: llm, value: label, threshold: "> 3", unparsed: [n/a]}
"""
    data = HEAD + "a,m,p1,x,3\nb,m,p2,x,4.5\nc,m,p3,x,n/a\nd,m,p4,x,high\ne,m,p5,x,\n"
    take(store_url, job(tmp_path, data, text))
    assert _counts(store_url, "m") == (1, 2, 5)
    found = rows(store_url, "SELECT status, count(*) FROM v_score GROUP BY 1 ORDER BY 1")
    assert found == [("ok", 2), ("unparsed", 2)]


@pytest.mark.parametrize("kept", [0, 1 << 20])
def test_a_file_that_changes_while_it_is_read_is_refused(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    from dataclasses import replace

    monkeypatch.setattr(results, "KEPT", kept)
    asked = job(tmp_path, HEAD + "a,m,p1,Sure,1\n")

    def restless(path, faults, options):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        yield from asked.reader(path, faults, options)
        path.write_text(HEAD + "a,m,p1,Sure thing,1\n")

    with pytest.raises(InputError, match="has changed while it was read"):
        take(store_url, replace(asked, reader=restless))
    assert rows(store_url, "SELECT count(*) FROM generation") == [(0,)]


def test_a_large_file_is_read_twice_and_gives_the_same(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "KEPT", 0)
    data = HEAD + "".join(f"k{n},m,p{n},answer {n},{n % 2}\n" for n in range(50))
    take(store_url, job(tmp_path, data))
    assert _counts(store_url, "m") == (25, 50, 50)


@pytest.mark.parametrize("column", ["model", "category", "attack"])
def test_a_name_that_no_index_holds_is_refused(store_url: str, tmp_path: Path, column: str) -> None:
    name = "".join(chr(0x4E00 + at) for at in range(3000))
    data = "model,category,attack,prompt,answer,label\nm,c,a,p,Sure,1\n"
    values = {"model": "m", "category": "c", "attack": "a"} | {column: name}
    data += f"{values['model']},{values['category']},{values['attack']},q,No.,0\n"
    fields = "{model: model, category: category, attack: attack, prompt: prompt, response: answer}"
    asked = job(tmp_path, data, PLAIN.replace(PLAIN.splitlines()[2], f"fields: {fields}"))
    with pytest.raises(InputError, match=rf"line 3, {column}: .* has 3,000 characters"):
        take(store_url, asked)
    assert rows(store_url, COUNTS) == [(0, 0, 0, 0, 0)]


def test_a_pipe_is_refused_and_not_waited_for(store_url: str, tmp_path: Path) -> None:
    asked = job(tmp_path, HEAD)
    asked.path.unlink()
    os.mkfifo(asked.path)
    with pytest.raises(InputError, match="no regular file"):
        take(store_url, asked)


def test_answers_that_outgrow_their_file_are_not_held(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = HEAD + "".join(f"{at},m,p{at},answer {at} {'x' * 300},1\n" for at in range(20))
    asked = job(tmp_path, data)
    monkeypatch.setattr(results, "KEPT", 1000)
    monkeypatch.setattr(results, "_state", lambda _path: ("0" * 64, 10))
    kept: list[ResultRecord] = []
    results.look(asked, kept)
    assert kept == []
    assert take(store_url, asked).stored.new == 20
    assert rows(store_url, "SELECT count(DISTINCT text) FROM generation") == [(20,)]


def test_postgresql_sees_the_tables_grow_in_the_one_transaction(
    postgres_url: str, tmp_path: Path
) -> None:
    """Without, an import of 60,000 took over 210 s there, and with it 53 s, on a busy machine."""
    data = HEAD + "".join(f"{at},m,p{at},answer {at},1\n" for at in range(600))
    take(postgres_url, job(tmp_path, data))
    asked = "SELECT relname FROM pg_class WHERE reltuples > 0 AND relkind = 'r'"
    grown = {name for (name,) in rows(postgres_url, asked)}
    assert {"sample", "behavior", "generation", "finding", "score"} <= grown


def test_what_is_said_of_a_stand_in_is_counted_and_left_out(store_url: str, tmp_path: Path) -> None:
    job_of = job(tmp_path, HEAD + "a,m,p1,$ERROR$,1\nb,m,p2,Sure,1\n")
    take(store_url, job_of)
    assert results.look(job_of).dropped == 1
    assert rows(store_url, "SELECT count(*) FROM score") == [(1,)]
    with pytest.raises(InputError, match="calls unsafe what is not there"):
        take(store_url, job(tmp_path, HEAD + "c,m,p3,,1\n"))
