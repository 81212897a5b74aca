"""Thresholds of the asker's, attributes, and what a value is called."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from scored import COMPLIED, REFUSED, UNPARSED, Answered, World, detoxify, refusal, sample, toxic

from lam3db.errors import ConfigError, NotFoundError
from lam3db.judges.ensemble import plan_to_json
from lam3db.judges.ensemble_rules import Member, Plan
from lam3db.metrics import Question
from lam3db.metrics.question import read_metrics, read_threshold
from lam3db.records import Finding, JudgeIdentity, JudgeKind, JudgePolicy, Verdict
from lam3db.report import build_report, render
from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

VALUES = (0.2, 0.5, 0.7, 0.9)
INSULTS = (0.9, 0.1, 0.5, 0.3)
THREATS = (0.0, 0.8, 0.5, 0.1)


@pytest.fixture
def world(store_url: str) -> Iterator[World]:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        yield World(conn)


@pytest.fixture
def answered(world: World) -> Answered:
    """Four answers under a judge with attributes, and one that is not scored."""
    data = world.dataset([sample(f"aim {i}") for i in range(5)])
    answered = world.answer(data, world.model(), world.config())
    judge = world.judge(detoxify(), JudgePolicy(0.5))
    said = [
        toxic(value, toxicity=value, insult=insult, threat=threat, windows=3.0, threat_mean=1.0)
        for value, insult, threat in zip(VALUES, INSULTS, THREATS, strict=True)
    ]
    world.score(answered, judge, dict(zip(sorted(answered.ids.values()), said, strict=False)))
    return answered


def asked(*thresholds: str, **more: Any) -> Question:
    return Question(thresholds=tuple(read_threshold(one) for one in thresholds), **more)


@pytest.mark.usefixtures("answered")
@pytest.mark.parametrize(
    ("threshold", "hits"),
    [
        ("detoxify>=0.7", 2),
        ("detoxify > 0.7", 1),
        ("detoxify>0", 4),
        ("detoxify.insult>0.5", 1),
        ("detoxify.insult>=0.5", 2),
        ("detoxify.threat>=0.5", 2),
        ("detoxify.*>=0.8", 3),
    ],
)
def test_a_threshold_chosen_when_asking_decides(world: World, threshold: str, hits: int) -> None:
    report = build_report(world.conn, by=["attack"], question=asked(threshold))
    (number,) = report.rows[0].numbers
    assert number.share is not None
    assert (number.share.hits, number.share.n) == (hits, 4)
    shown = " ".join(render(report).split())
    assert "chosen when asking" in shown
    assert report.definitions[0].threshold_from == "the question"
    plain = build_report(world.conn, by=["attack"])
    assert plain.definitions[0].threshold_from == "the judge's current policy"


@pytest.mark.usefixtures("answered")
def test_an_attribute_is_never_shown_under_the_name_of_the_value(world: World) -> None:
    question = asked("detoxify.insult>0.5", "detoxify>=0.9")
    report = build_report(world.conn, by=["attack"], question=question)
    assert [column.label for column in report.judges] == ["detoxify insult", "detoxify"]
    first, second = report.rows[0].numbers
    assert first.mean is not None
    assert second.mean is not None
    assert first.mean.value == pytest.approx(sum(INSULTS) / 4)
    assert second.mean.value == pytest.approx(sum(VALUES) / 4)
    shown = render(report)
    assert "insult > 0.5" in shown
    assert "insult, mean" in shown
    rows = list(csv.DictReader(io.StringIO(render(report, "csv"))))
    assert [row["attribute"] for row in rows] == ["insult", ""]
    assert rows[0]["unsafe_if"] == "insult > 0.5"


@pytest.mark.usefixtures("answered")
def test_two_thresholds_of_one_judge_are_two_columns_with_two_names(world: World) -> None:
    question = asked("detoxify>0.3", "detoxify>0.8")
    report = build_report(world.conn, by=["attack"], question=question)
    assert [column.label for column in report.judges] == ["detoxify > 0.3", "detoxify > 0.8"]


@pytest.mark.usefixtures("answered")
def test_the_table_of_attributes(world: World) -> None:
    report = build_report(world.conn, by=["attack"], question=Question(attributes=True))
    (table,) = report.attributes
    names = [column.judge.attribute for column in table.columns]
    assert names == ["insult", "threat", "toxicity", "*"]
    largest = [max(each) for each in zip(VALUES, INSULTS, THREATS, strict=True)]
    expected = {"insult": INSULTS, "threat": THREATS, "toxicity": VALUES, "*": largest}
    for name, number in zip(names, table.numbers[0], strict=True):
        values = expected[str(name)]
        assert number.mean is not None
        assert number.share is not None
        assert number.mean.value == pytest.approx(sum(values) / 4)
        assert (number.share.hits, number.share.n) == (sum(v >= 0.5 for v in values), 4)
    shown = render(report)
    assert "Attributes of detoxify" in shown
    assert "any attribute" in shown
    value = json.loads(render(report, "json"))
    assert value["attributes"][0]["attributes"] == names
    rows = list(csv.DictReader(io.StringIO(render(report, "csv"))))
    assert [row["attribute"] for row in rows] == ["", *names]


@pytest.mark.usefixtures("answered")
def test_unknown_judges_and_attributes_are_told_with_what_there_is(world: World) -> None:
    for threshold, error, word in (
        ("detoxfy>=0.5", NotFoundError, "did you mean 'detoxify'"),
        ("detoxify.insolt>0.5", NotFoundError, "did you mean 'insult'"),
        ("detoxify.windows>2", NotFoundError, "no such attribute"),
    ):
        with pytest.raises(error, match=word):
            build_report(world.conn, question=asked(threshold))
    world.judge(refusal())
    with pytest.raises(ConfigError, match="no attributes"):
        build_report(world.conn, question=asked("refusal.insult>0.5"))


def test_a_threshold_on_a_judge_without_values_is_refused(world: World) -> None:
    made = world.answer(world.dataset([sample("a")]), world.model(), world.config())
    said = dict.fromkeys(made.ids.values(), COMPLIED)
    world.score(made, world.judge(refusal()), said)
    with pytest.raises(ConfigError, match="no values here, only verdicts"):
        build_report(world.conn, question=asked("refusal>=0.5"))


def test_an_attribute_is_not_decided_by_a_verdict(world: World) -> None:
    data = world.dataset([sample("a"), sample("b")])
    answered = world.answer(data, world.model(), world.config())
    identity = JudgeIdentity("both", JudgeKind.API, "1", {}, unsafe_verdicts=(Verdict.UNSAFE,))
    judge = world.judge(identity)
    said = [
        Finding(verdict=Verdict.UNSAFE, value=0.9, attributes={"hate": 0.1}),
        Finding(verdict=Verdict.UNSAFE, value=0.9),
    ]
    world.score(answered, judge, dict(zip(answered.ids.values(), said, strict=True)))
    report = build_report(world.conn, question=asked("both.hate>0.5"))
    (number,) = report.rows[0].numbers
    assert number.share is not None
    assert (number.share.hits, number.share.n) == (0, 1)


def test_the_best_of_k_attempts(world: World) -> None:
    data = world.dataset([sample("a"), sample("b"), sample("c")])
    answered = world.answer(data, world.model(), world.config(), replicates=3)
    judge = world.judge(detoxify(), JudgePolicy(0.5))
    values = {"k0": (0.1, 0.6, 0.2), "k1": (0.3, 0.2, 0.1), "k2": (0.9, 0.9, None)}
    said = {
        answered.ids[key, i]: UNPARSED if value is None else toxic(value)
        for key, three in values.items()
        for i, value in enumerate(three)
    }
    world.score(answered, judge, said)
    for words, k, maximum, probability, n in (
        (["emt", "toxicity-probability"], 3, (0.6 + 0.3) / 2, 1 / 2, 2),
        (["emt@1", "toxicity-probability"], 1, (0.3 + 0.2 + 0.9) / 3, (1 / 3 + 0 + 1) / 3, 3),
        (
            ["emt@2", "toxicity-probability"],
            2,
            ((0.6 * 2 + 0.2) / 3 + (0.3 * 2 + 0.2) / 3 + 0.9) / 3,
            (2 / 3 + 0 + 1) / 3,
            3,
        ),
    ):
        metrics, asked_k = read_metrics(words)
        question = Question(metrics=metrics, k=asked_k)
        report = build_report(world.conn, by=["attack"], question=question)
        repeated = report.rows[0].numbers[0].repeated
        assert repeated is not None
        assert repeated.k == k
        assert repeated.maximum is not None
        assert repeated.probability is not None
        assert (repeated.maximum.n, repeated.probability.n) == (n, n)
        assert repeated.maximum.value == pytest.approx(maximum)
        assert repeated.probability.value == pytest.approx(probability)
        shown = render(report)
        assert f"toxicity, expected largest of {k}" in shown
        assert f"toxicity >= 0.5 in any of {k}" in shown
        assert "toxicity, mean" not in shown
        names = {(one.metric, one.rule, one.k) for one in report.definitions}
        assert names == {(name, f"any-of-{k}", k) for name in ("emt", "toxicity-probability")}


def test_grades_are_on_their_scale_and_no_probability(world: World) -> None:
    data = world.dataset([sample(f"aim {i}") for i in range(4)])
    answered = world.answer(data, world.model(), world.config())
    identity = JudgeIdentity("human:ann", JudgeKind.HUMAN, "1", {"labels": "grade:1-5"}, (), ())
    judge = world.judge(identity, JudgePolicy(4.0))
    for grades in ((1.0, 1.0, 5.0, 4.0),):
        world.score(answered, judge, {
            i: Finding(value=g) for i, g in zip(answered.ids.values(), grades, strict=True)
        })  # fmt: skip
    for interval in ("analytic", "bootstrap"):
        report = build_report(world.conn, by=["attack"], question=Question(interval=interval))
        (number,) = report.rows[0].numbers
        assert number.mean is not None
        assert number.share is not None
        assert number.mean.value == pytest.approx(11 / 4)
        assert number.mean.interval.low is not None
        assert number.mean.interval.high is not None
        assert 1 <= number.mean.interval.low < 2.75 < number.mean.interval.high <= 5
        assert number.share.hits == 2
        assert "graded harm, mean" in render(report)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("majority", "share of votes for unsafe"),
        ("weighted", "weighted share of votes for unsafe"),
        ("mean", "members' mean value for unsafe"),
        ("stacking", "chance of unsafe"),
    ],
)
def test_a_vote_is_called_a_vote(world: World, rule: str, words: str) -> None:
    data = world.dataset([sample("a"), sample("b")])
    answered = world.answer(data, world.model(), world.config())
    member = Member("ab" * 32, (Verdict.UNSAFE,))
    spec = plan_to_json(Plan(rule, (member,), 1))
    unsafe = (Verdict.UNSAFE,)
    identity = JudgeIdentity("both", JudgeKind.ENSEMBLE, "1", spec, unsafe_verdicts=unsafe)
    said = Finding(value=0.75, verdict=Verdict.UNSAFE)
    world.score(answered, world.judge(identity), dict.fromkeys(answered.ids.values(), said))
    shown = render(build_report(world.conn, by=["attack"]), "markdown")
    assert f"{words}, mean" in shown


def test_settings_and_benign_are_groupings(world: World) -> None:
    data = world.dataset([sample("a"), sample("b"), sample("c", benign=True)])
    judge, model = world.judge(refusal()), world.model()
    for temperature, said in ((0.2, COMPLIED), (1.0, REFUSED), (0.7, COMPLIED)):
        answered = world.answer(data, model, world.config(temperature))
        world.score(answered, judge, dict.fromkeys(answered.ids.values(), said))
    report = build_report(world.conn, by=["config.temperature"])
    found = {row.labels[0]: row.numbers[0].share for row in report.rows}
    assert list(found) == ["0.2", "0.7", "1"]
    assert [share.value for share in found.values() if share] == [1.0, 1.0, 0.0]
    both = build_report(world.conn, by=["config.dtype", "config.decoding.seed", "config.top_p"])
    assert both.rows[0].labels == ("fp32", "42", "(none)")
    benign = build_report(world.conn, by=["benign"])
    assert {row.labels[0]: row.numbers[0].counts.scored for row in benign.rows} == {
        "no": 6,
        "yes": 0,
    }
    for word in ("config.", "config.a'b", "config.a}", "temperature"):
        with pytest.raises(ConfigError, match="no such grouping"):
            build_report(world.conn, by=[word])


def test_only_what_is_asked_for_is_shown(world: World) -> None:
    data = world.dataset([sample("a"), sample("b"), sample("c", benign=True)])
    answered = world.answer(data, world.model(), world.config())
    identity = JudgeIdentity("guard", JudgeKind.LLM, "1", {}, unsafe_verdicts=(Verdict.UNSAFE,))
    judge = world.judge(identity)
    said = [Finding(verdict=Verdict.UNSAFE), REFUSED, REFUSED]
    world.score(answered, judge, dict(zip(answered.ids.values(), said, strict=True)))
    every = build_report(world.conn, by=["attack"])
    number = every.rows[0].numbers[0]
    assert number.refused is not None
    assert number.share is not None
    assert (number.refused.hits, number.refused.n, number.share.hits) == (1, 2, 1)
    assert {one.metric for one in every.definitions} == {"asr", "refusal", "over-refusal"}
    for metric, title in (("asr", "ASR"), ("refusal", "Attacks"), ("over-refusal", "Benign")):
        question = Question(metrics=read_metrics([metric])[0])
        report = build_report(world.conn, by=["attack"], question=question)
        assert [one.metric for one in report.definitions] == [metric]
        assert title in render(report)
    assert "Benign samples" not in render(
        build_report(world.conn, by=["attack"], question=Question(metrics=("asr",)))
    )


@pytest.mark.usefixtures("answered")
@pytest.mark.parametrize("output", ["table", "markdown", "csv", "json"])
def test_every_format_says_how_it_was_asked(world: World, output: str) -> None:
    question = Question(
        missing="failure", cluster="category", interval="bootstrap", seed=7, resamples=50
    )
    shown = render(build_report(world.conn, by=["attack"], question=question), output)
    told = {
        "table": ["FAILED attack", "--missing failure", "one category only"],
        "markdown": ["FAILED attack", "--missing failure"],
        "csv": ["failure", "category", "bootstrap", "0.95"],
        "json": ['"missing": "failure"', '"cluster": "category"', '"seed": 7', '"resamples": 50'],
    }
    text = " ".join(shown.split())
    assert all(word in text for word in told[output]), text
