"""A judge's scores as a list: out, and in again where they belong, whole or not at all."""

from __future__ import annotations

import csv
import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import merging
import pytest
import stored
from sqlalchemy import text
from typer.testing import CliRunner, Result

from lam3db.cli.app import app
from lam3db.errors import ConfigError, InputError, NotFoundError
from lam3db.hashing import text_digest
from lam3db.pipeline.merge import merge_database
from lam3db.pipeline.scores import import_scores
from lam3db.records import JudgeIdentity, JudgeKind, JudgePolicy, Sees, Subject
from lam3db.store import pending, writes
from lam3db.store.engine import open_store
from lam3db.store.pending import ScoreScope

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lam3db.pipeline.scores import ImportResult

    Line = dict[str, Any]


def lam3db(*words: object) -> Result:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(result.exception, Exception) and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def home(store_url: str) -> str:
    """A judged database of either engine."""
    with open_store(store_url, mode="write") as store:
        merging.populate(store, "a")
    return store_url


@pytest.fixture
def fresh(home: str, tmp_path: Path) -> str:
    """The same answers without any judge."""
    url = f"sqlite:///{tmp_path / 'fresh.db'}"
    merge_database(url, home)
    with open_store(url, mode="write") as store, store.write() as conn:
        for table in ("score", "finding_attribute", "finding", "judge_progress", "judge_policy"):
            conn.execute(text(f"DELETE FROM {table}"))
        conn.execute(text("DELETE FROM failure WHERE stage = 'judge'"))
        conn.execute(text("DELETE FROM run WHERE kind = 'judge'"))
        for table in ("judge_verdict", "judge"):
            conn.execute(text(f"DELETE FROM {table}"))
    return url


def export(url: str, path: Path, judge: str) -> list[Line]:
    done = lam3db("export", "scores", "--judge", judge, "-o", path, "--db", url)
    assert done.exit_code == 0, done.output
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def take(url: str, path: Path) -> ImportResult:
    with open_store(url, mode="write") as store:
        return import_scores(store, path)


def scores(url: str, judge: str) -> list[tuple[Any, ...]]:
    asked = """SELECT g.text_digest, s.digest, f.subject_digest, x.status, x.value, x.verdict,
                      f.explanation, f.raw_output, a.attribute, a.value
                 FROM score x JOIN finding f ON f.id = x.finding_id
                 JOIN judge j ON j.id = x.judge_id JOIN generation g ON g.id = x.generation_id
                 JOIN sample s ON s.id = g.sample_id
                 LEFT JOIN finding_attribute a ON a.finding_id = f.id
                WHERE j.name = :judge AND x.replicate = 0
                  AND NOT EXISTS (SELECT 1 FROM score y WHERE y.judge_id = x.judge_id
                       AND y.generation_id = x.generation_id AND y.revision > x.revision)"""
    with open_store(url, mode="read") as store, store.read() as conn:
        return sorted(map(tuple, conn.execute(text(asked), {"judge": judge})), key=repr)


def test_a_list_says_what_the_lab_planned(home: str, tmp_path: Path) -> None:
    rows = export(home, tmp_path / "cache.jsonl", "tone")
    by_text = {row["text_digest"]: row for row in rows}
    assert len(rows) == len(by_text) == 4, "one line per text"
    row = by_text[text_digest("same").hex()]
    assert row["subject_digest"] == Subject("same").digest.hex()
    assert row["judge_digest"] == stored.judge("tone").digest.hex()
    assert (row["toxicity_score"], row["threshold"], row["operator"]) == (0.75, 0.7, ">=")
    assert (row["label"], row["verdict"], row["status"]) == ("unsafe", "unsafe", "ok")
    assert row["attributes"] == {"insult": 0.25, "threat": 0.5}
    assert by_text[text_digest("only a").hex()]["label"] == "safe", "0.25 is below the threshold"
    revised = by_text[text_digest(f"alike {merging.ODD}").hex()]
    assert (revised["revision"], revised["verdict"], revised["label"]) == (2, "unsafe", "unsafe")
    assert [row["judge_identity"] is not None for row in rows] == [True, False, False, False]


@pytest.mark.parametrize("judge", ["tone", "wide", "own-a"])
@pytest.mark.parametrize("end", ["jsonl", "csv"])
def test_out_and_in_again_gives_the_same_scores(
    home: str, fresh: str, tmp_path: Path, judge: str, end: str
) -> None:
    path = tmp_path / f"list.{end}"
    rows = export(home, path, judge)
    before = merging.facts(fresh)
    result = take(fresh, path)
    assert (result.lines, result.known, result.others) == (len(rows), 0, 0)
    assert scores(fresh, judge) == scores(home, judge)
    assert merging.faults(fresh) == []
    after = merging.facts(fresh)
    for table in ("generation", "sample", "dataset"):
        assert after[table] == before[table]
    again = take(fresh, path)
    assert (again.new, again.known, again.scored) == (0, result.new, 0)
    assert merging.facts(fresh) == after
    assert export(fresh, tmp_path / "again.jsonl", judge)[0]["judge_identity"]


def test_into_its_own_database_a_list_brings_nothing(home: str, tmp_path: Path) -> None:
    for judge in ("tone", "wide", "own-a"):
        export(home, tmp_path / f"{judge}.jsonl", judge)
        before = merging.numbered(home)
        assert take(home, tmp_path / f"{judge}.jsonl").new == 0
        assert merging.numbered(home) == before


def test_what_contradicts_is_kept_beside_and_changes_no_number(home: str, tmp_path: Path) -> None:
    path = tmp_path / "list.jsonl"
    rows = export(home, path, "tone")
    for row in rows:
        if row["text_digest"] == text_digest("same").hex():
            row["toxicity_score"] = 0.125
    path.write_text("\n".join(map(json.dumps, rows)))
    before = scores(home, "tone")
    result = take(home, path)
    assert (result.new, result.others, result.scored) == (0, 1, 0)
    assert scores(home, "tone") == before
    with open_store(home, mode="read") as store, store.read() as conn:
        kept = conn.execute(text("SELECT value FROM score WHERE replicate = 1")).scalars().all()
        assert kept == [0.125, 0.125], "the answer and its twin"
    assert take(home, path).others == 0
    assert merging.faults(home) == []


def test_answers_that_come_later_are_scored_by_reading_it_again(
    home: str, fresh: str, tmp_path: Path
) -> None:
    path = tmp_path / "list.jsonl"
    export(home, path, "tone")
    empty = f"sqlite:///{tmp_path / 'empty.db'}"
    assert take(empty, path).scored == 0
    merge_database(empty, fresh)
    assert take(empty, path).scored == 5
    assert scores(empty, "tone") == scores(home, "tone")


def first(change: Callable[[Line], object]) -> Callable[[list[Line]], None]:
    return lambda rows: (change(rows[1]), None)[1]


WRONG = {
    "digest": (first(lambda r: r.update(subject_digest="xyz")), "line 2, subject_digest: 'xyz'"),
    "subject": (
        first(lambda r: r.update(subject_digest="0" * 64)),
        "line 2, subject_digest: is not what its text_digest gives",
    ),
    "status": (first(lambda r: r.update(status="okay")), "did you mean 'ok'"),
    "verdict": (first(lambda r: r.update(verdict="evil")), "line 2, verdict: 'evil'"),
    "number": (first(lambda r: r.update(toxicity_score="high")), "is no finite number"),
    "true": (first(lambda r: r.update(toxicity_score=True)), "is no finite number"),
    "attribute": (first(lambda r: r["attributes"].update(insult=[])), "is no finite number"),
    "attributes": (first(lambda r: r.update(attributes=[1])), "is no object"),
    "many": (
        first(lambda r: r.update(attributes={str(n): 0.5 for n in range(1001)})),
        "at most 1000 numbers",
    ),
    "long": (
        first(lambda r: r["attributes"].update({"a" * 10_000: 0.5})),
        "a name of 10000 characters; 200 are the most",
    ),
    "contradiction": (
        first(lambda r: r.update(status="unparsed")),
        "line 2: contradicts itself: status unparsed",
    ),
    "nothing said": (
        first(lambda r: r.update(toxicity_score=None, verdict=None)),
        "line 2: contradicts itself",
    ),
    "column": (first(lambda r: r.update(toxicty_score=1)), "did you mean 'toxicity_score'"),
    "missing": (first(lambda r: r.pop("judge_digest")), "line 2, judge_digest: is missing"),
    "two judges": (first(lambda r: r.update(judge_digest="0" * 64)), "one file is one judge"),
    "text": (first(lambda r: r.update(explanation=7)), "line 2, explanation: 7 is no text"),
    "identity": (
        lambda rows: rows[0]["judge_identity"].update(version="2"),
        "line 1, judge_identity: its digest is not that of judge_digest",
    ),
    "identity's kind": (
        lambda rows: rows[0]["judge_identity"].update(kind="god"),
        "line 1, judge_identity: is none",
    ),
    "twice": (
        lambda rows: rows.append({**rows[1], "toxicity_score": 0.5}),
        "says something else of the subject of line 2",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_line_refuses_the_list(home: str, fresh: str, tmp_path: Path, what: str) -> None:
    change, says = WRONG[what]
    rows = export(home, tmp_path / "list.jsonl", "tone")
    change(rows)
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, rows)))
    before = merging.numbered(fresh)
    with pytest.raises(InputError) as caught:
        take(fresh, tmp_path / "list.jsonl")
    assert says in str(caught.value)
    assert merging.numbered(fresh) == before


def test_every_wrong_line_is_told(home: str, fresh: str, tmp_path: Path) -> None:
    rows = export(home, tmp_path / "list.jsonl", "tone")
    for row in rows[1:]:
        row["status"] = "fine"
    lines = [*map(json.dumps, rows), '{"status": NaN}', "{", "[" * 100_000]
    (tmp_path / "list.jsonl").write_text("\n".join(lines))
    with pytest.raises(InputError) as caught:
        take(fresh, tmp_path / "list.jsonl")
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["line 5", "line 6", "line 7"]
    (tmp_path / "list.jsonl").write_text("\n".join(lines[:4]))
    with pytest.raises(InputError) as caught:
        take(fresh, tmp_path / "list.jsonl")
    assert len(caught.value.faults) == 3


def test_a_judge_that_nobody_knows_is_refused(home: str, fresh: str, tmp_path: Path) -> None:
    rows = export(home, tmp_path / "list.jsonl", "tone")
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, rows[1:])))
    with pytest.raises(ConfigError, match="is not known here, and no line has its judge_identity"):
        take(fresh, tmp_path / "list.jsonl")
    with open_store(fresh, mode="write") as store, store.write() as conn:
        writes.put_judge(conn, stored.judge("tone"))
    assert take(fresh, tmp_path / "list.jsonl").new == len(rows) - 1


def test_odd_files_are_refused(fresh: str, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "media").mkdir(exist_ok=True)
    for path, says in (
        (tmp_path / "empty.jsonl", "no line in it"),
        (tmp_path / "gone.jsonl", "no such file"),
        (tmp_path / "media", "is a folder"),
    ):
        with pytest.raises(InputError, match=says):
            take(fresh, path)
    huge = tmp_path / "huge.jsonl"
    with huge.open("wb") as stream:
        stream.truncate((1 << 30) + 1)
    with pytest.raises(InputError, match="larger than 1 GiB"):
        take(fresh, huge)


def test_a_file_of_endless_lines_is_refused_before_they_are_read(
    fresh: str, tmp_path: Path
) -> None:
    for name in ("many.jsonl", "many.csv"):
        many = tmp_path / name
        many.write_bytes(b"{}\n" * 2_000_001)
        tracemalloc.start()
        with pytest.raises(InputError, match="more than 2,000,000 lines: split it"):
            take(fresh, many)
        assert tracemalloc.get_traced_memory()[1] < 30 << 20
        tracemalloc.stop()


def test_judges_of_one_name_are_not_pooled(home: str, tmp_path: Path) -> None:
    with open_store(home, mode="write") as store, store.write() as conn:
        other = JudgeIdentity("tone", JudgeKind.CLASSIFIER, "2", {"weights": {"a": "b"}})
        judge = writes.put_judge(conn, other)
        writes.put_policy(conn, judge, JudgePolicy(0.25, ">"), "me")
        run = conn.execute(text("SELECT min(id) FROM run")).scalar_one()
        todo = pending.pending_scores(conn, judge, ScoreScope())[:1]
        shown = stored.subject("same")
        row = writes.FindingIn(shown, stored.unsafe(0.25), (todo[0].generation_id,))
        writes.put_findings(conn, run, judge, [row])
    with pytest.raises(ConfigError, match=f"write one of tone#.*tone#{other.digest.hex()[:8]}"):
        export(home, tmp_path / "list.jsonl", "tone")
    (line,) = export(home, tmp_path / "list.jsonl", f"tone#{other.digest.hex()[:8]}")
    assert (line["model_version"], line["label"]) == ("2", "safe"), "0.25 is not > 0.25"
    assert len(line["weights_hash"]) == 64
    with pytest.raises(NotFoundError, match="no such judge"):
        export(home, tmp_path / "list.jsonl", "tune")


def test_what_other_judges_said_cannot_come_as_a_list(fresh: str, tmp_path: Path) -> None:
    identity = JudgeIdentity("all", JudgeKind.ENSEMBLE, "1", {}, (Sees.FINDINGS,))
    with open_store(fresh, mode="write") as store, store.write() as conn:
        writes.put_judge(conn, identity)
    line = {"subject_digest": "0" * 64, "judge_digest": identity.digest.hex(), "status": "unparsed"}
    (tmp_path / "list.jsonl").write_text(json.dumps(line))
    with pytest.raises(ConfigError, match="import theirs"):
        take(fresh, tmp_path / "list.jsonl")


def test_the_command_says_what_came_in(home: str, fresh: str, tmp_path: Path) -> None:
    path = tmp_path / "list.jsonl"
    export(home, path, "tone")
    told = lam3db("import", "scores", path, "--db", fresh).stdout
    assert "4 lines, 4 findings new, 0 known, 5 answers scored" in told
    printed = lam3db("export", "scores", "--judge", "tone", "-o", "-", "--db", fresh).stdout
    assert len([line for line in printed.splitlines() if line.startswith("{")]) == 4
