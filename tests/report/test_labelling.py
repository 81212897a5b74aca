"""Labels to come: what is assumed is told, and a judge's record is what the store holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from judged import answers_of, judge, many, person, tell
from scored import World

from lam3db.errors import ConfigError
from lam3db.metrics import Scope
from lam3db.report.agree import build_agreement
from lam3db.report.labelling import judge_record, labelling_page
from lam3db.report.page import render_page
from lam3db.stats.intervals import ShareTally
from lam3db.stats.labelling import intraclass
from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def world(store_url: str) -> Iterator[World]:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        yield World(conn)


def test_a_judges_record_is_what_agree_says_of_it(world: World) -> None:
    answered = answers_of(world, many(30, 3, benign=2))
    truth = {at: at % 3 == 0 or at < 20 for at in range(90)}
    said = {at: one ^ (at % 10 == 0) for at, one in truth.items()}
    tell(world, answered, judge("guard"), said)
    tell(world, answered, person("anna"), {at: truth[at] for at in range(0, 80, 2)})
    record = judge_record(world.conn, "guard", Scope())
    (line,) = build_agreement(world.conn, Scope(), ["guard"]).corrected
    assert record.values["share"] == line.share.powered.value
    assert record.values["sensitivity"] == line.share.errors.sensitivity.value
    assert (record.values["answers"], record.values["behaviors"]) == (84, 28)
    tallies = [ShareTally(3, sum(said[3 * b + i] for i in range(3))) for b in range(28)]
    assert record.values["alike"] == intraclass(tallies)
    page = labelling_page({}, record)
    value = json.loads(render_page(page, "json"))
    assert value["assumed"]["specificity"] == line.share.errors.specificity.value
    assert value["half_widths"][-1]["labels"] == 84
    assert "40 labelled attacks" in " ".join(render_page(page).split())
    narrower = labelling_page({"alike": 0.0}, record, (40,)).rows[0]
    assert narrower["alone"] < labelling_page({}, record, (40,)).rows[0]["alone"]


def test_without_labels_the_rates_must_be_given(world: World) -> None:
    answered = answers_of(world, many(30, 1))
    tell(world, answered, judge("guard"), {at: at % 3 == 0 for at in range(30)})
    record = judge_record(world.conn, "guard", Scope())
    with pytest.raises(ConfigError, match=r"--share, --sensitivity, --specificity: give a value"):
        labelling_page({}, record)
    given = {"share": 0.3, "sensitivity": 0.9, "specificity": 0.9}
    assert [row["labels"] for row in labelling_page(given, record, (10, 50)).rows] == [10, 30]
    with pytest.raises(ConfigError, match="or name a judge"):
        labelling_page(given)
    with pytest.raises(ConfigError, match="write a share from 0 to 1"):
        labelling_page({**given, "share": 30.0, "answers": 100})
