"""Agreement over a real store: who is held against whom, on what, and what is left out."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from judged import answers_of, judge, many, person, tell
from scored import ABSTAINED, BROKEN, UNPARSED, World, detoxify, toxic

from lam3db.errors import ConfigError, NotFoundError
from lam3db.metrics import Scope
from lam3db.records import JudgeKind
from lam3db.report.agree import Agreement, build_agreement
from lam3db.report.agree_rows import agreement_page
from lam3db.report.page import render_page
from lam3db.store.engine import open_store
from lam3db.store.put_reviews import DrawnItem, put_review

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def world(store_url: str) -> Iterator[World]:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        yield World(conn)


def build(world: World, *names: str, **options: Any) -> Agreement:
    return build_agreement(world.conn, Scope(), names, **options)


def shown(found: Agreement, output: str = "table") -> str:
    return render_page(agreement_page(found), output)


def test_two_imported_judges_agree_on_1282_of_1437(world: World) -> None:
    """The shape of JailbreakBench's artifacts: a jailbreak flag by each of two judges."""
    answered = answers_of(world, [*many(96, 15)][:1439])
    flags = {at: at % 3 == 0 for at in range(1439)}
    other = {at: flag ^ (at < 1437 - 1282) for at, flag in flags.items() if at < 1437}
    tell(world, answered, judge("llama-3-70b"), flags)
    tell(world, answered, judge("llama-guard"), other)
    found = build(world)
    assert [(pair.agree, pair.n) for pair in found.pairs] == [(1282, 1437)]
    assert "1282 of 1437" in shown(found)
    assert "2 pending by the second" in shown(found)
    assert "No person's label in this scope" in shown(found)
    rows = {row["metric"]: row for row in json.loads(shown(found, "json"))["numbers"]}
    assert (rows["agreement"]["hits"], rows["agreement"]["n"]) == (1282, 1437)
    assert rows["agreement"]["value"] == 1282 / 1437
    assert rows["agreement"]["method"] == "wilson-clustered"


def test_what_is_not_decided_is_left_out_and_counted(world: World) -> None:
    answered = answers_of(world, many(20, 1, benign=2))
    one = tell(world, answered, judge("one"), {at: at % 2 == 0 for at in range(14)})
    odd = [UNPARSED, ABSTAINED, BROKEN]
    ids = [answered.ids[f"k{at}", 0] for at in range(14, 17)]
    world.score(answered, one, dict(zip(ids, odd, strict=True)))
    tell(world, answered, person("anna"), {at: at % 2 == 0 for at in range(18)})
    tone = world.judge(detoxify())
    world.score(answered, tone, {answered.ids["k0", 0]: toxic(0.9)})
    found = build(world)
    (row,) = found.against
    assert (row.n, row.agree) == (14, 14)
    assert row.left_out == {"unparsed": 1, "abstained": 1, "judge_failed": 1, "pending": 1}
    assert [judge.name for judge in found.judges] == ["one"]
    text = " ".join(shown(found).split())
    assert "labelled but not decided: 1 abstained, 1 judge failed, 1 pending, 1 unparsed" in text
    assert "Left out, without verdicts that mean unsafe and threshold: detoxify" in text
    assert "20 answers in scope, 2 to benign samples" in text


def test_people_vote_ties_are_dropped_and_an_adjudicator_comes_first(world: World) -> None:
    answered = answers_of(world, many(6, 1))
    tell(world, answered, person("anna"), {0: True, 1: True, 2: False, 3: True, 4: False})
    tell(world, answered, person("bert"), {0: True, 1: False, 2: False, 3: False, 4: False})
    tell(world, answered, person("cleo"), {1: True, 4: True})
    tell(world, answered, person("cleo", role="adjudicator"), {4: True})
    tell(world, answered, judge("one"), dict.fromkeys(range(6), True))
    found = build(world)
    assert found.truth is not None
    assert (found.truth.labels, found.truth.ties) == (4, 1)
    ids = sorted(answered.ids.items(), key=lambda item: item[1])
    labels = {key[0]: label for (key, _), label in zip(ids, found.truth.unsafe, strict=True)}
    assert labels == {"k0": True, "k1": True, "k2": False, "k3": None, "k4": True, "k5": None}
    alone = build(world, against=("human:bert",))
    assert alone.truth is not None
    assert alone.truth.labels == 5
    assert "human:anna" in [judge.name for judge in alone.judges]
    assert "the majority of" in shown(found)
    assert "1 ties have no label" in " ".join(shown(found).split())


def test_labels_under_two_guidelines_are_not_pooled(world: World) -> None:
    answered = answers_of(world, many(4, 1))
    tell(world, answered, person("anna", "first"), {0: True})
    tell(world, answered, person("bert", "second"), {0: True})
    tell(world, answered, judge("one"), {0: True})
    with pytest.raises(ConfigError, match="never pooled"):
        build(world)
    assert len(build(world, against=("human:anna",)).reference) == 1
    tell(world, answered, judge("silent", kind=JudgeKind.LLM), {})
    with pytest.raises(NotFoundError, match="no label of theirs"):
        build(world, against=("silent",))
    with pytest.raises(ConfigError, match="--part some"):
        build(world, part="some")


def disputed_world(world: World) -> tuple[dict[int, bool], dict[int, bool]]:
    """Four hundred answers; the judge errs on a fifth; these were chosen, a hundred by lot."""
    random = np.random.default_rng(3)
    answered = answers_of(world, many(80, 5))
    truth = {at: bool(random.random() < 0.3) for at in range(400)}
    said = {at: one or (at % 5 == 0) for at, one in truth.items()}
    tell(world, answered, judge("eager"), said)
    wrong = [at for at in range(400) if truth[at] != said[at]]
    by_lot = random.choice(400, size=100, replace=False).tolist()
    chosen = [at for at in wrong if at not in by_lot][:30]
    items = [DrawnItem(answered.ids[f"k{at}", 0], "estimation", 100 / 400) for at in by_lot]
    items += [DrawnItem(answered.ids[f"k{at}", 0], "training") for at in chosen]
    spec = {"method": "uniform", "random": 100, "frame": 400, "scope": {"model": "demo"}}
    put_review(world.conn, "first", 1, spec, "anna", items)
    tell(world, answered, person("anna"), {at: truth[at] for at in (*by_lot, *chosen)})
    return truth, said


def test_the_disputed_part_is_no_sample(world: World) -> None:
    truth, said = disputed_world(world)
    real = np.mean([truth[at] for at in truth])
    found = build(world)
    assert found.truth is not None
    assert (found.truth.labels, found.truth.other_part) == (100, 30)
    (line,) = found.corrected
    assert line.share.apparent.value == pytest.approx(np.mean(list(said.values())))
    assert line.share.powered.value == pytest.approx(real, abs=0.06)
    assert abs((line.share.apparent.value or 0) - real) > 0.1
    assert line.share.rogan_gladen.value == pytest.approx(real, abs=0.1)
    text = " ".join(shown(found).split())
    assert "30 labelled answers of the other part of a review are left out" in text
    assert "100 by review first" in text
    assert "Review first drew 100 of 400 answers (uniform; model demo)" in text
    everything = build(world, part="all")
    assert everything.against[0].n == 130
    assert everything.corrected[0].share.powered.value is None
    assert "labels of a disputed part are no sample" in shown(everything)
    assert (everything.against[0].errors.accuracy.value or 1) < (
        found.against[0].errors.accuracy.value or 0
    )


def test_unequal_chances_weigh(world: World) -> None:
    """Unsafe answers were drawn three times as often: the labels alone weigh that."""
    answered = answers_of(world, many(60, 1))
    truth = {at: at % 2 == 0 for at in range(60)}
    drawn = [*range(0, 60, 2), *range(1, 21, 2)]
    items = [
        DrawnItem(answered.ids[f"k{at}", 0], "estimation", 1.0 if truth[at] else 1 / 3)
        for at in drawn
    ]
    put_review(world.conn, "uneven", 1, {"method": "stratified"}, "anna", items)
    tell(world, answered, person("anna"), {at: truth[at] for at in drawn})
    tell(world, answered, judge("one"), truth)
    found = build(world)
    assert found.truth is not None
    assert found.truth.uneven
    (line,) = found.corrected
    assert line.share.human.value == pytest.approx(0.5)
    assert line.share.human.hits / line.share.human.n == pytest.approx(0.75)
    assert "weigh 1 / their chance to be drawn" in " ".join(shown(found).split())


def test_groups_have_their_own_corrections(world: World) -> None:
    samples = many(40, 1)
    one, two = answers_of(world, samples, "a"), answers_of(world, samples, "b")
    who, anna = judge("one"), person("anna")
    for answered, share in ((one, 4), (two, 2)):
        said = {at: at % share == 0 for at in range(40)}
        tell(world, answered, who, said)
        tell(world, answered, anna, said if answered is one else {at: said[at] for at in range(9)})
    found = build(world, by=("model",))
    rows = {line.labels[0]: line.share for line in found.corrected}
    assert rows["a"].powered.value == pytest.approx(0.25)
    assert rows["b"].powered.value is None
    assert rows["b"].apparent.value == 0.5
    text = " ".join(shown(found).split())
    assert "b one: prediction-powered refused: 9 labels of 9 behaviors" in text
    assert "labels were drawn by no review here" in text
    assert build(world).corrected[0].share.apparent.n == 80


def test_every_format_says_the_same(world: World) -> None:
    disputed_world(world)
    found = build(world)
    rows = list(csv.DictReader(io.StringIO(shown(found, "csv"))))
    value = json.loads(shown(found, "json"))
    assert len(rows) == len(value["numbers"])
    accuracy = next(row for row in rows if row["metric"] == "accuracy")
    assert float(accuracy["value"]) == found.against[0].errors.accuracy.value
    assert value["labels"]["left_out_of_other_part"] == 30
    markdown = shown(found, "markdown")
    assert "| eager | " in markdown
    assert "prediction-powered" in markdown
    with pytest.raises(ConfigError, match="did you mean"):
        shown(found, "tabel")
    nothing = build_agreement(world.conn, Scope(where={"attack": "none such"}))
    assert "No answers in this scope" in shown(nothing)
    assert json.loads(shown(nothing, "json"))["numbers"] == []
