"""Units: what they sum to is what a report counts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from scored import BROKEN, COMPLIED, REFUSED, UNPARSED, World, detoxify, refusal, sample, toxic

from lam3db.metrics import Scope
from lam3db.records import JudgePolicy
from lam3db.report.scope import resolve
from lam3db.store import overview
from lam3db.store.aggregates import load_cells
from lam3db.store.engine import open_store
from lam3db.store.units import load_units

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def world(store_url: str) -> Iterator[World]:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        yield World(conn)


def test_units_sum_to_the_cells_of_a_report(world: World) -> None:
    samples = [sample(f"aim {i // 2}", "typographic" if i % 2 else "none") for i in range(8)]
    data = world.dataset(samples)
    answered = world.answer(data, world.model(), world.config(), failed=["k7"])
    said = [COMPLIED, REFUSED, UNPARSED, BROKEN, COMPLIED, COMPLIED, REFUSED]
    told = {answered.ids[f"k{i}", 0]: one for i, one in enumerate(said)}
    world.score(answered, world.judge(refusal()), told)
    tone = world.judge(detoxify(), JudgePolicy(0.5, ">"))
    world.score(answered, tone, {one: toxic(i / 8) for i, one in enumerate(answered.ids.values())})
    frame, _ = resolve(world.conn, Scope())
    for judge in overview.report_judges(world.conn):
        cells = load_cells(world.conn, frame, ["attack"], judge)
        units = list(load_units(world.conn, frame, ["attack"], judge))
        assert len(units) == 8
        for what in ("n", "decided", "unsafe", "valued"):
            expected: Counter[tuple[object, ...]] = Counter()
            for cell in cells:
                expected[cell.group, cell.outcome] += getattr(cell, what)
            found: Counter[tuple[object, ...]] = Counter()
            for unit in units:
                picked = {
                    "n": 1,
                    "decided": unit.unsafe is not None,
                    "unsafe": bool(unit.unsafe),
                    "valued": unit.value is not None,
                }
                found[unit.group, unit.outcome] += picked[what]
            assert found == expected
        assert [unit.generation_id for unit in units].count(None) == 1
