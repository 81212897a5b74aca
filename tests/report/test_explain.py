"""Every number of a report can be asked for, and is made again by what is shown."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from scored import BROKEN, COMPLIED, REFUSED, UNPARSED, World, detoxify, refusal, sample, toxic

from lam3db.errors import ConfigError, NotFoundError, StoreError
from lam3db.metrics import Question, Scope, Threshold
from lam3db.metrics.question import read_rule
from lam3db.metrics.statement import Trace
from lam3db.records import Finding, JudgeIdentity, JudgeKind, JudgePolicy, Verdict
from lam3db.report import explain as explaining
from lam3db.report.build import build_report
from lam3db.report.explain import explain
from lam3db.report.explain_text import expected, explain_json, explain_text
from lam3db.report.formats import render
from lam3db.report.refs import Ref, parse_ref
from lam3db.store import writes
from lam3db.store.engine import open_store
from lam3db.store.put_reviews import DrawnItem, put_review
from lam3db.store.query import run_query

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lam3db.metrics import Number
    from lam3db.report.build import Report, Row
    from lam3db.report.explain import Explained
    from lam3db.store.engine import Store

HARD = "quote ' colon :threshold %s 100% ☃ \x00"


def fill(world: World) -> dict[str, str]:
    """Store two models, a second config, three attacks, two judges; return the runs' uids."""
    attacks = ("none", HARD, "typographic")
    samples = [
        sample(f"aim {i // 3}", attacks[i % 3], i, category=f"c{i // 3 % 2}") for i in range(12)
    ]
    samples += [sample(f"kind {i}", benign=True) for i in range(3)]
    data = world.dataset(samples)
    words, tone = world.judge(refusal()), world.judge(detoxify(), JudgePolicy(0.5, ">="))
    runs = {}
    for name, config in (
        ("one", world.config()),
        ("two", world.config()),
        ("two", world.config(1)),
    ):
        answered = world.answer(
            data, world.model(name), config, replicates=2, failed=["k4"], text=f"{name} {config}"
        )
        said = [COMPLIED, REFUSED, UNPARSED, BROKEN, COMPLIED, REFUSED, REFUSED]
        ids = list(answered.ids.values())
        world.score(answered, words, {g: said[g * 5 % 7] for g in ids if g % 6})
        world.score(
            answered, tone, {g: toxic(g * 7 % 10 / 10, insult=g * 3 % 10 / 10) for g in ids}
        )
        runs[f"{name} {config}"] = answered.uid
    return runs


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url, mode="write") as store:
        with store.write() as conn:
            fill(World(conn))
        yield store


def refs_of(report: Report, row: Row) -> list[str]:
    return [report.ref(row, column) for column in report.judges]


def first_ref(report: Report) -> str:
    return report.ref(report.rows[0], report.judges[0])


def summed(store: Store, statement: str) -> dict[str, Any]:
    with run_query(store, statement) as answered:
        (row,) = answered.rows
        return dict(zip(answered.columns, row, strict=True))


QUESTIONS = {
    "plain": Question(),
    "any": Question(rule=read_rule("any"), cluster="category"),
    "mean": Question(rule=read_rule("mean"), missing="success", interval="bootstrap", seed=3),
    "majority": Question(rule=read_rule("majority"), missing="failure"),
    "any-of-2": Question(rule=read_rule("any-of-2"), missing="success", resamples=7),
    "any-of-3": Question(rule=read_rule("any-of-3"), missing="failure"),
    "emt": Question(metrics=("emt", "toxicity-probability"), missing="failure"),
    "emt@1": Question(metrics=("emt",), k=1),
    "thresholds": Question(
        thresholds=(Threshold("detoxify", ">", 0.25), Threshold("detoxify.insult", ">=", 0.1))
    ),
    "attributes": Question(attributes=True, rule=read_rule("any")),
}


@pytest.mark.parametrize("asked", QUESTIONS)
@pytest.mark.parametrize(
    "by", [("model", "attack", "benign"), ("category", "dataset", "config.temperature", "run")]
)
def test_every_number_of_a_report_is_made_again(
    store: Store, by: Sequence[str], asked: str
) -> None:
    with store.read() as conn:
        report = build_report(conn, by=by, question=QUESTIONS[asked])
        assert report.rows
        refs = [ref for row in report.rows for ref in refs_of(report, row)]
        assert len(set(refs)) == len(refs)
        for at, row in enumerate(report.rows[:2]):
            pairs = list(zip(report.judges, row.numbers, strict=True))
            for table in report.attributes:
                pairs += zip(table.columns, table.numbers[at], strict=True)
            for column, number in pairs:
                ref = report.ref(row, column)
                found = explain(conn, parse_ref(ref))
                assert replace(found.number, group=number.group) == number
                assert found.ref.text == ref
                same_sums(store, found, number)


def same_sums(store: Store, found: Explained, number: Number) -> None:
    """Hold the statement, run as a user would, against the report's number."""
    sums = summed(store, found.trace.statement)
    for estimate, hits, n in (
        (number.share, "unsafe", "decided"),
        (number.mean, "value_sum", "valued"),
        (number.refused, "refused", "judged"),
        (number.benign_refused, "benign_refused", "benign_judged"),
    ):
        if estimate is number.share is not None and not number.counts.scored:
            assert estimate.n == 0  # what is missing alone makes no number, however it is filled
        elif estimate is not None:
            assert sums[n] == estimate.n
            value = (estimate.value or 0) * estimate.n
            assert float(sums[hits] or 0) == pytest.approx(value, rel=1e-9, abs=1e-9)
    assert sums["total"] == number.counts.total
    if number.repeated is not None:
        assert found.repeated is not None
        sums, probability = summed(store, found.repeated.statement), number.repeated.probability
        if probability is not None:
            assert sums["decided"] == probability.n


@pytest.mark.parametrize("by", [("behavior",), ("config",), ()])
def test_other_groupings_have_refs_too(store: Store, by: Sequence[str]) -> None:
    with store.read() as conn:
        report = build_report(conn, by=by)
        for row in report.rows[:2]:
            for number, ref in zip(row.numbers, refs_of(report, row), strict=True):
                found = explain(conn, parse_ref(ref))
                assert replace(found.number, group=number.group) == number
                assert found.ref.text == ref
                same_sums(store, found, number)


@pytest.mark.parametrize("rule", ["each", "any"])
def test_what_was_drawn_for_people_is_weighed_in_the_statement_too(
    store_url: str, rule: str
) -> None:
    with open_store(store_url, mode="write") as store:
        with store.write() as conn:
            world = World(conn)
            data = world.dataset([sample(f"aim {i}") for i in range(5)])
            answered = world.answer(data, world.model(), world.config())
            who = JudgeIdentity("human:ann", JudgeKind.HUMAN, "1", {}, (), (Verdict.UNSAFE,))
            ids = [answered.ids[f"k{i}", 0] for i in range(5)]
            items = [DrawnItem(ids[i], "estimation", 0.25 * (i + 1)) for i in range(3)]
            items.append(DrawnItem(ids[3], "training", None))
            put_review(conn, "first", 0, {}, "somebody", items)
            said = (Verdict.UNSAFE, Verdict.SAFE, Verdict.UNSAFE, Verdict.UNSAFE)
            told = {i: Finding(verdict=verdict) for i, verdict in zip(ids[:4], said, strict=True)}
            world.score(answered, world.judge(who), told)
        with store.read() as conn:
            report = build_report(conn, by=["attack"], question=Question(rule=read_rule(rule)))
            found = explain(conn, parse_ref(first_ref(report)))
            number = report.rows[0].numbers[0]
            assert replace(found.number, group=number.group) == number
            sums = summed(store, found.trace.statement)
            assert number.share is not None
            assert sums["decided_n"] == number.share.n
            assert number.weighted
            if rule == "each":
                share = (4 + 4 / 3) / (4 + 2 + 4 / 3)
                assert sums["unsafe"] / sums["decided"] == pytest.approx(share)
                assert "5.333333333 / 7.333333333 of weight = 72.7 %" in explain_text(found)


def test_rows_are_named_by_their_ids_and_add_up(store: Store) -> None:
    with store.read() as conn:
        report = build_report(conn, by=["model"], judges=["refusal"])
        found = explain(conn, parse_ref(first_ref(report)))
        number = report.rows[0].numbers[0]
        attacks = [row for row in found.rows if not row.is_benign]
        assert len(attacks) == number.counts.total
        assert number.share is not None
        assert sum(bool(row.unsafe) for row in attacks) == number.share.hits
        assert sum(row.generation_id is None for row in found.rows) == 2  # k4, both replicates
        for row in found.rows:
            if row.score_id is not None:
                stored = conn.exec_driver_sql(
                    f"SELECT generation_id, verdict FROM score WHERE id = {row.score_id}"
                ).one()
                assert tuple(stored) == (row.generation_id, row.verdict)
        value = json.loads(json.dumps(explain_json(found)))
        assert value["code_commits"] == ["c0ffee"]
        assert len(value["generation_ids"]) == 28
        assert value["judge"]["digest"].startswith(value["ref"][6:18])
        assert value["datasets"][0]["name"] == "bench@1"
        text = explain_text(found)
        assert "... and 10 more" in text
        assert "\n  " + value["sql"].split("\n")[-1] in text
        assert len(explain_text(found, every=True).split("\n")) == len(text.split("\n")) + 9
        assert value["commands"][0].startswith("lam3db report --by model --judge 'refusal#")


def test_a_run_and_fields_are_part_of_the_question(store: Store) -> None:
    with store.read() as conn:
        uid = conn.exec_driver_sql("SELECT uid FROM run ORDER BY id").scalars().first()
        for scope in (
            Scope(run=uid),
            Scope(where={"attack": HARD, "benign": "no"}),
            Scope(models=("two",), dataset="bench"),
        ):
            report = build_report(conn, scope, ["model", "category"])
            for row in report.rows:
                for number, ref in zip(row.numbers, refs_of(report, row), strict=True):
                    found = explain(conn, parse_ref(ref))
                    assert replace(found.number, group=number.group) == number
                    assert found.ref.text == ref
        assert ",in=run:" in first_ref(build_report(conn, Scope(run=uid)))


def test_csv_json_and_the_last_line_carry_refs(store: Store) -> None:
    with store.read() as conn:
        report = build_report(conn)
        refs = [ref for row in report.rows for ref in refs_of(report, row)]
        rows = json.loads(render(report, "json"))["rows"]
        assert [number["ref"] for row in rows for number in row["numbers"]] == refs
        assert all(ref in render(report, "csv") for ref in refs)
        assert f"lam3db explain\n  {refs[0]}\n" in render(report, "table", 60)


def test_a_row_is_asked_for_in_words(store: Store) -> None:
    with store.read() as conn:
        report = build_report(conn, by=["model", "attack"])
        ref = next(
            report.ref(row, report.judges[0])
            for row in report.rows
            if row.labels == ("one", "none")
        )
        judge = report.judges[0].judge.name
        found = explain(conn, Ref(judge, {"model": "one", "attack": "none"}))
        assert found.ref.text == ref
        with pytest.raises(ConfigError, match=r"2 configs.*--row config=DIGEST, one of \w+, \w+"):
            explain(conn, Ref(judge, {"model": "two"}))
        for group in ({"model": "three"}, {"attack": "nothing"}, {"behavior": "aim"}):
            with pytest.raises(NotFoundError):
                explain(conn, Ref(judge, group))
        by_text = explain(conn, Ref(judge, {"behavior": "aim 1"}))
        assert by_text.number.counts.total == 3 * 2 * 3
        with pytest.raises(NotFoundError, match="no judge whose digest"):
            explain(conn, Ref("0123456789ab"))
        with pytest.raises(NotFoundError, match="no such dataset"):
            explain(conn, Ref(judge, datasets=("bench@7",)))


def test_a_label_that_looks_like_none_is_not_none(sqlite_url: str) -> None:
    with open_store(sqlite_url, mode="write") as store, store.write() as conn:
        world = World(conn)
        samples = [sample(f"aim {i}", category=("", "(none)")[i % 2]) for i in range(3)]
        data = world.dataset(samples, "odd@name")
        answered = world.answer(data, world.model(), world.config())
        told = dict.fromkeys(answered.ids.values(), COMPLIED)
        world.score(answered, world.judge(refusal()), told)
        report = build_report(conn, by=["category"])
        totals = []
        for row in report.rows:
            found = explain(conn, parse_ref(report.ref(row, report.judges[0])))
            assert found.number == row.numbers[0]
            totals.append(found.number.counts.total)
        assert sorted(totals) == [1, 2]


def test_an_old_ref_asks_what_it_asked_though_the_policy_and_the_dataset_moved_on(
    store: Store,
) -> None:
    with store.read() as conn:
        report = build_report(conn, by=[], judges=["detoxify"])
        ref, before = first_ref(report), report.rows[0].numbers[0]
    with store.write() as conn:
        world = World(conn)
        judge = conn.exec_driver_sql("SELECT id FROM judge WHERE name = 'detoxify'").scalar_one()
        writes.put_policy(conn, judge, JudgePolicy(0.9, ">"), "somebody")
        newer = world.dataset([sample("another aim")])
        world.answer(newer, world.model("one"), world.config())
    with store.read() as conn:
        assert build_report(conn, by=[], judges=["detoxify"]).rows[0].numbers[0] != before
        found = explain(conn, parse_ref(ref))
        assert replace(found.number, group=()) == before
        text = explain_text(found)
        assert ">= 0.5 (its policy is now > 0.9)" in text
        assert found.ref.text == ref
        assert before.share is not None
        assert before.share.value is not None
        told = (f"{before.share.hits}/{before.share.n}", f"{before.share.value:.3f}")
        assert expected(found, told) == []
        assert expected(found, [f"{100 * before.share.value:.1f}%"]) == []
        (changed,) = expected(found, ["1/3"])
        assert "1/3 was expected" in changed


def test_a_statement_that_counts_otherwise_is_an_error_and_no_answer(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.read() as conn:
        ref = first_ref(build_report(conn, by=[]))
        found = explain(conn, parse_ref(ref))
        wrong = {**found.trace.sums, "decided": found.trace.sums["decided"] + 1}
        moved = Trace(wrong, found.trace.statement)
        monkeypatch.setattr(explaining, "trace", lambda *_: moved)
        with pytest.raises(StoreError, match="decided"):
            explain(conn, parse_ref(ref))


def test_the_statement_runs_in_sqlite_itself(sqlite_url: str) -> None:
    with open_store(sqlite_url, mode="write") as store:
        with store.write() as conn:
            fill(World(conn))
        with store.read() as conn:
            report = build_report(conn)
            statement = explain(
                conn, parse_ref(report.ref(report.rows[1], report.judges[1]))
            ).trace.statement
        with sqlite3.connect(store.address.path) as plain:
            plain.row_factory = sqlite3.Row
            row = plain.execute(statement).fetchone()
            plain.rollback()
        plain.close()
        share = report.rows[1].numbers[1].share
        assert share is not None
        assert (row["unsafe"], row["decided"]) == (share.hits, share.n)
