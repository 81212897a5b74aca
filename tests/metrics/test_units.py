"""Columns of units give the sums that classes of items give, under every question."""

from __future__ import annotations

import random
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import pytest
from nearly import same
from scored import ABSTAINED, COMPLIED, REFUSED, UNPARSED, World, detoxify, refusal, sample, toxic

from lam3db.metrics import Question, Scope
from lam3db.metrics.question import MISSING, read_rule
from lam3db.metrics.sums import GroupSums, Resampled
from lam3db.metrics.tally import UnitSource, load_tally
from lam3db.metrics.units import UnitTally
from lam3db.records import JudgePolicy
from lam3db.report.scope import resolve
from lam3db.store import overview, rollup
from lam3db.store.aggregates import group_keys
from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lam3db.store.engine import Store

RULES = ("each", "any", "mean", "majority", "any-of-1", "any-of-2", "any-of-3", "any-of-4")
SAID = [REFUSED, COMPLIED, UNPARSED, ABSTAINED, toxic(0.5), toxic(0.5)]


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Three replicates of two models, some not answered, some of them scored by two judges."""
    dice = random.Random(7)
    path: Path = tmp_path_factory.mktemp("units")
    with open_store(str(path / "lam3.db"), mode="write") as store:
        with store.write() as conn:
            world = World(conn)
            rows = [
                sample(f"aim {i // 3}", f"way {i % 2}", i, benign=i > 20, category=f"kind {i % 4}")
                for i in range(24)
            ]
            bench = world.dataset(rows)
            judges = [world.judge(detoxify(), JudgePolicy(0.5, ">=")), world.judge(refusal())]
            for name in "ab":
                missing = [f"k{i}" for i in dice.sample(range(24), 3)]
                model = world.model(name, name)
                made = world.answer(bench, model, world.config(), replicates=3, missing=missing)
                for judge in judges:
                    said = [*SAID, toxic(dice.random()), toxic(dice.random())]
                    some = {one: dice.choice(said) for one in made.ids.values()}
                    gone = {one for one in some if dice.random() < 0.1}
                    world.score(made, judge, {k: v for k, v in some.items() if k not in gone})
        assert rollup.settle(store) == 0
        yield store


def ordered(sums: GroupSums) -> GroupSums:
    """Return sums whose clusters are in order: no number depends on it."""
    drawn = {field.name: getattr(sums, field.name) for field in fields(sums)}
    sets = {name: one for name, one in drawn.items() if isinstance(one, Resampled)}
    return replace(
        sums,
        **{name: replace(one, clusters=tuple(sorted(one.clusters))) for name, one in sets.items()},
    )


@pytest.mark.parametrize("by", [(), ("model",), ("model", "attack"), ("category", "run")])
@pytest.mark.parametrize("rule", RULES)
def test_the_same_sums(answered: Store, rule: str, by: tuple[str, ...]) -> None:
    with answered.read() as conn:
        frame, _ = resolve(conn, Scope())
        keys = group_keys(by)
        judges = overview.report_judges(conn)
        kept = [at for at, key in enumerate(keys) if key in by]
        for missing, cluster, interval in zip(
            (*MISSING, "scored"),
            ("behavior", "sample", "category", "attack"),
            ("analytic", "bootstrap", "analytic", "bootstrap"),
            strict=True,
        ):
            question = Question(read_rule(rule), missing, cluster, interval)
            if question.plain:
                continue
            source = UnitSource(conn, frame, keys, judges, question)
            for judge in judges:
                tally = source.tally(judge)
                assert isinstance(tally, UnitTally)
                scanned = load_tally(conn, frame, keys, judge, question)
                assert set(tally.groups()) == set(scanned.groups())
                found, truth = (list(map(ordered, one.sums(kept))) for one in (tally, scanned))
                assert same(found, truth, 1e-12), (question, found, truth)
