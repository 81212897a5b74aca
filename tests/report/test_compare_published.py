"""Comparisons on published records: what the records themselves say, through the database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from scored import World, refusal, sample
from statsmodels.stats.contingency_tables import mcnemar

from lam3db.metrics import Scope
from lam3db.metrics.compare import Options
from lam3db.records import Finding, Verdict
from lam3db.report.compare import build_comparison
from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3] / "shared/data/jbb_artifacts/attack-artifacts"


@pytest.fixture
def world(sqlite_url: str) -> Iterator[World]:
    with open_store(sqlite_url, mode="write") as store, store.write() as conn:
        yield World(conn)


@pytest.mark.skipif(not ROOT.is_dir(), reason=f"{ROOT} is not there")
def test_two_models_under_a_published_attack_differ_as_its_records_say(world: World) -> None:
    said = {}
    for file in sorted((ROOT / "GCG").glob("*/*.json")):
        rows = json.loads(file.read_text())["jailbreaks"]
        said[file.stem] = {row["index"]: row["jailbroken"] for row in rows if row["response"]}
    judge = world.judge(refusal())
    for name, records in said.items():
        own = [sample(f"{i}", f"GCG on {name}") for i in sorted(records)]
        answered = world.answer(world.dataset(own, "gcg"), world.model(name), world.config())
        words = [
            Finding(verdict=Verdict.NOT_REFUSED if records[i] else Verdict.REFUSED)
            for i in sorted(records)
        ]
        world.score(answered, judge, dict(zip(answered.ids.values(), words, strict=True)))
    found = build_comparison(
        world.conn, sorted(said), Scope(), options=Options("behavior"), anyway=True
    )
    assert found.tests == 6
    for pair in found.pairs:
        a, b = said[pair.a.label], said[pair.b.label]
        common = a.keys() & b.keys()
        only_a = sum(a[i] and not b[i] for i in common)
        only_b = sum(b[i] and not a[i] for i in common)
        told = pair.lines[0].comparison
        assert told is not None
        assert (told.n, told.only_a, told.only_b) == (len(common), only_a, only_b)
        assert told.test is not None
        theirs = mcnemar([[0, only_a], [only_b, 0]], exact=True).pvalue
        assert told.test.p == pytest.approx(min(1, theirs), rel=1e-9)
