"""Flips: which answers two versions decide differently, and what share that moves."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest
from judged import answers_of, judge, many, tell
from scored import UNPARSED, World, detoxify

from lam3db.errors import ConfigError, NotFoundError
from lam3db.metrics import Scope
from lam3db.report.flips import Flipped, build_flips, flips_page
from lam3db.report.page import render_page
from lam3db.stats.paired import PairTally, shares_interval
from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def world(store_url: str) -> Iterator[World]:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        yield World(conn)


def versions(world: World) -> tuple[str, str]:
    """Two versions over two models; the second is stricter on model a, and gave up on one."""
    samples = many(20, 2, benign=2)
    one, two = judge("guard", "1"), judge("guard", "2")
    for model in "ab":
        answered = answers_of(world, samples, model)
        before = {at: at % 4 == 0 for at in range(40)}
        after = dict(before)
        if model == "a":
            after |= {1: True, 3: True, 5: True, 4: False, 39: True}
            del after[8]
        tell(world, answered, one, before)
        judge_id = tell(world, answered, two, after)
        if model == "a":
            world.score(answered, judge_id, {answered.ids["k8", 0]: UNPARSED})
    return f"guard#{one.digest.hex()[:8]}", f"guard#{two.digest.hex()[:8]}"


def build(world: World, *by: str) -> Flipped:
    return build_flips(world.conn, *versions(world), Scope(), by)


def test_flips_by_direction_and_the_move_by_model(world: World) -> None:
    found = build(world, "model")
    assert len(found.found.flips) == 5
    assert [flip.to_unsafe for flip in found.found.flips] == [True, True, False, True, True]
    assert found.found.compared == 79
    assert found.found.only == {"decided by the first only": 1}
    moves = {json.dumps(move.group): move for move in found.found.moves}
    a, b = (moves[key] for key in sorted(moves))
    assert (a.n, a.to_unsafe, a.to_safe, a.move) == (35, 3, 1, 2 / 35)
    assert (a.before.value, a.after.value) == (9 / 36, 10 / 35)
    assert (b.to_unsafe, b.to_safe, b.move) == (0, 0, 0.0)
    assert b.interval.low is not None
    assert b.interval.low < 0 < (b.interval.high or 0)
    tallies = [PairTally(2, 0, 0)] * 14 + [PairTally(1, 0, 0)]
    tallies += [PairTally(2, 1, 0), PairTally(2, 1, 0), PairTally(2, 1, 1)]
    assert a.interval == shares_interval(tallies)


def test_the_page_lists_cuts_and_says_so(world: World) -> None:
    found = build(world, "model")
    text = render_page(flips_page(found, 2))
    flat = " ".join(text.split())
    assert "2 of 5 flips listed" in flat
    assert "5 flip: 4 to unsafe, 1 to safe; 1 of them are of benign samples" in flat
    assert "Not compared: 1 decided by the first only" in flat
    assert "+5.7 [" in text
    assert "First: guard: llm judge, version 1" in flat
    value = json.loads(render_page(flips_page(found, 2), "json"))
    assert (value["flipped"], len(value["flips"]), value["compared"]) == (5, 2, 79)
    assert value["flips"][0]["generation_id"] == found.found.flips[0].generation_id
    rows = list(csv.DictReader(io.StringIO(render_page(flips_page(found), "csv"))))
    assert [row["model"] for row in rows] == ["a", "b"]
    assert float(rows[0]["move"]) == 2 / 35
    assert "| safe | unsafe | 4 |" in render_page(flips_page(found), "markdown")


def test_rows_hold_every_flip_with_its_labels(world: World) -> None:
    rows = list(build(world, "attack").rows())
    assert len(rows) == 5
    assert rows[0]["behavior"] == "aim 0"
    assert rows[0]["attack"] == "way 1"
    assert rows[0]["model"] == "a"
    assert {row["direction"] for row in rows} == {"to unsafe", "to safe"}
    assert rows[-1]["benign"]


def test_names_must_tell_two_judges_apart(world: World) -> None:
    one, _ = versions(world)
    with pytest.raises(ConfigError, match="several judges: write one of 'guard#"):
        build_flips(world.conn, "guard", one, Scope())
    with pytest.raises(ConfigError, match="are one judge"):
        build_flips(world.conn, one, one, Scope())
    with pytest.raises(NotFoundError, match="did you mean 'guard'"):
        build_flips(world.conn, "gard", one, Scope())
    world.judge(detoxify())
    with pytest.raises(ConfigError, match="nor a threshold"):
        build_flips(world.conn, one, "detoxify", Scope())
