"""What people labelled: estimated from the part drawn by lot, by its chances."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from scored import Answered, World, sample

from lam3db.metrics import Counts, Question, Rule
from lam3db.records import Finding, JudgeIdentity, JudgeKind, ScoreStatus, Verdict
from lam3db.report import build_report, render
from lam3db.store.engine import open_store
from lam3db.store.put_reviews import DrawnItem, put_review

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lam3db.metrics import Number
    from lam3db.report import Report

UNSAFE, SAFE = Finding(verdict=Verdict.UNSAFE), Finding(verdict=Verdict.SAFE)
SKIPPED = Finding(ScoreStatus.ABSTAINED)


@pytest.fixture
def world(store_url: str) -> Iterator[World]:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        yield World(conn)


def ann(world: World) -> int:
    unsafe = (Verdict.UNSAFE,)
    return world.judge(JudgeIdentity("human:ann", JudgeKind.HUMAN, "1", {}, (), unsafe))


def answers(world: World, count: int = 8) -> Answered:
    data = world.dataset([sample(f"aim {i}") for i in range(count)])
    return world.answer(data, world.model(), world.config())


def review(world: World, answered: Answered, chances: dict[str, float | None]) -> None:
    items = [
        DrawnItem(answered.ids[key, 0], "training" if chance is None else "estimation", chance)
        for key, chance in chances.items()
    ]
    put_review(world.conn, "first", 0, {}, "somebody", items)


def only(report: Report) -> Number:
    return report.rows[0].numbers[0]


def test_answers_weigh_one_over_their_chance_and_disputed_ones_nothing(world: World) -> None:
    answered, judge = answers(world), ann(world)
    chances = {"k0": 0.5, "k1": 0.5, "k2": 0.1, "k3": None, "k4": None, "k5": 0.1}
    review(world, answered, chances)
    said = {"k0": UNSAFE, "k1": SAFE, "k2": SAFE, "k3": UNSAFE, "k4": UNSAFE, "k5": SKIPPED}
    world.score(answered, judge, {answered.ids[key, 0]: one for key, one in said.items()})
    for question in (Question(), Question(missing="success"), Question(interval="bootstrap")):
        report = build_report(world.conn, by=["attack"], question=question)
        number = only(report)
        assert number.share is not None
        assert number.share.value == pytest.approx(2 / (2 + 2 + 10))
        assert (number.share.n, number.share.clusters) == (3, 3)
        assert number.counts == Counts(scored=5, abstained=1, pending=2)
        assert number.weighted
        assert number.extremes is None
        assert number.share.interval.low is not None
        assert number.share.interval.low < number.share.value
    shown = " ".join(render(build_report(world.conn, by=["attack"])).split())
    assert "each answer weighing 1 over its chance" in shown
    assert "5 scored of 8" in shown
    assert "3 of them drawn by lot" in shown
    (definition,) = (one for one in report.definitions if one.metric == "asr")
    assert "drawn by lot" in definition.denominator


def test_what_shows_the_same_as_a_drawn_answer_weighs_as_it_does(world: World) -> None:
    shared = sample("aim 0")
    labelled = sample("aim 0", metadata={"source": "elsewhere"})  # other labels, same input
    assert shared.input_digest == labelled.input_digest
    data = world.dataset([shared, labelled, sample("aim 1")])
    model, config, judge = world.model(), world.config(), ann(world)
    answered = world.answer(data, model, config)
    first, copy, other = (answered.ids[f"k{i}", 0] for i in range(3))
    digests = "UPDATE generation SET text_digest = (SELECT text_digest FROM generation WHERE id = "
    from sqlalchemy import text

    world.conn.execute(text(f"{digests}{first}) WHERE id = {copy}"))
    review(world, answered, {"k0": 0.25, "k2": 0.5})
    world.score(answered, judge, {first: UNSAFE, copy: UNSAFE, other: SAFE})
    number = only(build_report(world.conn, by=["attack"]))
    assert number.share is not None
    assert number.share.value == pytest.approx((4 + 4) / (4 + 4 + 2))
    assert (number.share.n, number.share.clusters) == (3, 2)


def test_labels_without_a_review_count_each(world: World) -> None:
    answered, judge = answers(world, 4), ann(world)
    said = dict(zip(answered.ids.values(), [UNSAFE, SAFE, SAFE, SAFE], strict=True))
    world.score(answered, judge, said)
    number = only(build_report(world.conn, by=["attack"]))
    assert number.share is not None
    assert (number.share.value, number.share.hits, number.weighted) == (0.25, 1, False)


def test_disputed_answers_alone_give_no_number(world: World) -> None:
    answered, judge = answers(world, 3), ann(world)
    review(world, answered, {"k0": None, "k1": None})
    world.score(answered, judge, {answered.ids["k0", 0]: UNSAFE, answered.ids["k1", 0]: UNSAFE})
    number = only(build_report(world.conn, by=["attack"]))
    assert number.share is not None
    assert (number.share.value, number.share.n) == (None, 0)
    assert number.counts.scored == 2


def test_a_drawn_answer_says_nothing_of_its_samples_other_replicates(world: World) -> None:
    answered, judge = answers(world, 2), ann(world)
    review(world, answered, {"k0": 0.5, "k1": 0.5})
    world.score(answered, judge, dict.fromkeys(answered.ids.values(), UNSAFE))
    question = Question(rule=Rule("any"))
    number = only(build_report(world.conn, by=["attack"], question=question))
    assert number.share is not None
    assert number.share.n == 0


def test_who_only_combines_people_is_estimated_as_they_are(world: World) -> None:
    answered, judge = answers(world), ann(world)
    review(world, answered, {"k0": 0.5, "k1": 0.1, "k2": None})
    said = {answered.ids[f"k{i}", 0]: one for i, one in enumerate([UNSAFE, SAFE, UNSAFE])}
    world.score(answered, judge, said)
    digest = "SELECT digest FROM judge"
    from sqlalchemy import text

    (member,) = world.conn.scalars(text(digest)).all()
    spec = {"ensemble": "majority", "members": [{"judge": bytes(member).hex()}]}
    unsafe = (Verdict.UNSAFE,)
    pair = JudgeIdentity("pair", JudgeKind.ENSEMBLE, "1", spec, (), unsafe)
    world.score(answered, world.judge(pair), said)
    report = build_report(world.conn, by=["attack"])
    assert [number.weighted for number in report.rows[0].numbers] == [True, True]
    shares = [number.share for number in report.rows[0].numbers]
    assert [share.value for share in shares if share] == pytest.approx([2 / 12, 2 / 12])
