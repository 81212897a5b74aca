"""Threshold curves: the share that a report would give, and the errors, at each threshold."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from judged import answers_of, judge, many, person, tell
from scored import World, detoxify, toxic
from sklearn.metrics import average_precision_score, recall_score, roc_auc_score

from lam3db.errors import ConfigError
from lam3db.metrics import Scope
from lam3db.records import JudgePolicy
from lam3db.report import build_report
from lam3db.report.curve import build_curve, curve_page
from lam3db.report.page import render_page
from lam3db.store.engine import open_store
from lam3db.store.put_reviews import DrawnItem, put_review

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lam3db.report.curve import CurveReport


@pytest.fixture
def world(store_url: str) -> Iterator[World]:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        yield World(conn)


def valued(world: World, *, labels: int = 90) -> tuple[list[float], list[bool]]:
    """A hundred answers, ten benign, under a policy of > 0.6; the first have a label."""
    random = np.random.default_rng(2)
    answered = answers_of(world, many(50, 2, benign=5))
    truth = [bool(one) for one in random.random(100) < 0.4]
    values = [
        round(float(v), 2) for v in np.clip(random.normal(0.3 + 0.3 * np.array(truth), 0.2), 0, 1)
    ]
    tone = world.judge(detoxify(), JudgePolicy(0.6, ">"))
    world.score(answered, tone, {answered.ids[f"k{a}", 0]: toxic(v) for a, v in enumerate(values)})
    if labels:
        tell(world, answered, person("anna"), dict(enumerate(truth[:labels])))
    return values, truth


def build(world: World, **options: object) -> CurveReport:
    return build_curve(world.conn, "detoxify", Scope(), **options)  # type: ignore[arg-type]


def test_the_share_at_the_threshold_in_force_is_that_of_the_report(world: World) -> None:
    values, truth = valued(world)
    found = build(world).curve
    assert found is not None
    (point,) = [one for one in found.points if one.threshold == 0.6]
    number = build_report(world.conn, judges=["detoxify"], by=()).rows[0].numbers[0]
    assert number.share is not None
    assert (point.share, point.hits) == (number.share.value, number.share.hits)
    assert point.interval == number.share.interval
    assert (found.n, found.labels, found.operator) == (90, 90, ">")
    said = [value > 0.6 for value in values[:90]]
    assert point.errors is not None
    assert point.errors.sensitivity.value == pytest.approx(recall_score(truth[:90], said))
    assert found.area is not None
    assert found.area.value == pytest.approx(roc_auc_score(truth[:90], values[:90]))
    assert found.average_precision == pytest.approx(
        average_precision_score(truth[:90], values[:90])
    )


def test_thresholds_are_even_or_those_asked_for(world: World) -> None:
    values, _ = valued(world, labels=0)
    found = build(world, points=5).curve
    assert found is not None
    low, high = min(values[:90]), max(values[:90])
    expected = sorted({*np.linspace(low, high, 5).tolist(), 0.6})
    assert [one.threshold for one in found.points] == pytest.approx(expected)
    shares = [one.share for one in found.points]
    assert shares == sorted(shares, reverse=True)
    assert all(one.errors is None for one in found.points)
    asked = build(world, thresholds=(0.25, 0.75)).curve
    assert asked is not None
    assert [one.threshold for one in asked.points] == [0.25, 0.6, 0.75]
    assert "nothing is said of the judge's errors" in render_page(curve_page(build(world)))


def test_weights_of_the_draw_count(world: World) -> None:
    """Unsafe ones drawn four times as often: precision without weights would be too high."""
    answered = answers_of(world, many(40, 1))
    tone = world.judge(detoxify())
    values = {at: 0.9 if at < 20 else 0.1 for at in range(40)}
    world.score(answered, tone, {answered.ids[f"k{a}", 0]: toxic(v) for a, v in values.items()})
    truth = {at: at < 10 for at in range(40)}
    drawn = [*range(10), *range(10, 40, 4)]
    items = [
        DrawnItem(answered.ids[f"k{at}", 0], "estimation", 1.0 if at < 10 else 0.25) for at in drawn
    ]
    put_review(world.conn, "uneven", 1, {"method": "stratified"}, "anna", items)
    tell(world, answered, person("anna"), {at: truth[at] for at in drawn})
    found = build(world, thresholds=(0.5,)).curve
    assert found is not None
    errors = found.points[0].errors
    assert errors is not None
    assert errors.precision.value == pytest.approx(10 / 22)
    assert errors.precision.hits / errors.precision.n == pytest.approx(10 / 13)


def test_every_format_says_the_same(world: World) -> None:
    valued(world)
    found = build(world, points=4)
    text = render_page(curve_page(found))
    flat = " ".join(text.split())
    assert "> 0.6 (now)" in text
    assert "ROC area" in text
    assert "chosen and measured on the same labels" in flat
    assert "90 attacks with a value, in 45 behaviors; 0 attacks without a value" in flat
    value = json.loads(render_page(curve_page(found), "json"))
    rows = list(csv.DictReader(io.StringIO(render_page(curve_page(found), "csv"))))
    assert len(value["points"]) == len(rows)
    assert found.curve is not None
    assert float(rows[0]["share"]) == found.curve.points[0].share
    assert value["best"][0]["criterion"] == "youden"
    assert "**Best thresholds on these labels**" in render_page(curve_page(found), "markdown")


def test_a_judge_without_values_has_no_curve(world: World) -> None:
    answered = answers_of(world, many(3, 1))
    tell(world, answered, judge("words"), {0: True})
    tell(world, answered, judge("words", "2"), {0: True})
    page = curve_page(build_curve(world.conn, f"words#{judge('words').digest.hex()}", Scope()))
    assert "gave no attack in this scope a value" in render_page(page)
    with pytest.raises(ConfigError, match="several judges"):
        build_curve(world.conn, "words", Scope())
