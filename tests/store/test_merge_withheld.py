"""Merging what is withheld: on either side is on both, and no body comes back."""

from __future__ import annotations

import merging
import pytest
from sqlalchemy import text

from lam3db.pipeline.merge import merge_database
from lam3db.pipeline.purge import purge
from lam3db.store.engine import open_store
from lam3db.store.purge import Target
from lam3db.store.withheld import follow

WITHHELD = {
    "generation": "text = 'same' AND origin_id IS NULL",
    "sample": "id = 1",
    "behavior": "id = 1",
    "finding": "explanation IS NOT NULL",
    "media": "width = 8",
}


@pytest.mark.parametrize("table", WITHHELD)
def test_what_is_withheld_on_either_side_is_withheld(
    sides: tuple[str, str], target: str, table: str
) -> None:
    with open_store(sides[0], mode="write") as store, store.write() as conn:
        merging.withhold(conn, table, WITHHELD[table])
    counted = f"SELECT count(*) FROM {table} WHERE withheld_id IS NOT NULL"
    with open_store(sides[0], mode="read") as store, store.read() as conn:
        withheld = conn.execute(text(counted)).scalar_one()
    for first, then in (sides, sides[::-1]):
        merge_database(target, first)
        merge_database(target, then)
        with open_store(target, mode="read") as store, store.read() as conn:
            copies = int(table == "generation")  # the answer linked to the twin goes with it
            assert conn.execute(text(counted)).scalar_one() == withheld + copies
            names = conn.execute(text("SELECT author FROM withholding")).scalars().all()
            assert names == ["me"]
        assert merging.faults(target) == []
        assert merge_database(target, then).changes == 0


def test_a_withholding_there_takes_effect_on_what_is_here(
    sides: tuple[str, str], target: str
) -> None:
    merge_database(target, sides[0])
    with open_store(sides[0], mode="write") as store, store.write() as conn:
        merging.withhold(conn, "generation", "text = 'same'")
        merging.withhold(conn, "sample", "id = 2")
        follow(conn)  # as a purge does
    report = merge_database(target, sides[0])
    assert report.counts["withheld"] >= 3
    assert merging.facts(target) == merging.facts(sides[0])
    assert merging.faults(target) == []


def test_a_body_does_not_come_back_with_its_copy(sides: tuple[str, str], target: str) -> None:
    """Here the original is withheld and has no copy yet; there both have their text."""
    with open_store(sides[0], mode="write") as store, store.write() as conn:
        for table in ("review_item", "review_part", "score", "failure"):
            conn.execute(text(f"DELETE FROM {table} WHERE generation_id IS NOT NULL"))
        conn.execute(text("DELETE FROM generation WHERE origin_id IS NOT NULL"))
        conn.execute(text("DELETE FROM judge_progress"))
        merging.withhold(conn, "generation", "text = 'same'")
    for side in sides:
        merge_database(target, side)
    with open_store(target, mode="read") as store, store.read() as conn:
        assert (
            conn.execute(text("SELECT count(*) FROM generation WHERE text = 'same'")).scalar() == 0
        )
        copies = text("SELECT count(*) FROM generation WHERE origin_id IS NOT NULL")
        assert conn.execute(copies).scalar() == 1
    assert merging.faults(target) == []


def test_a_merge_does_not_bring_back_what_was_purged(sides: tuple[str, str], target: str) -> None:
    with open_store(sides[0], mode="write") as store:
        purge(store, Target(dataset="bench"), "me", "unlawful")
    for first, then in (sides, sides[::-1]):
        merge_database(target, first)
        merge_database(target, then)
        with open_store(target, mode="read") as store, store.read() as conn:
            asked = "SELECT count(*) FROM sample WHERE prompt LIKE 'prompt 1 %'"
            assert conn.execute(text(asked)).scalar_one() == 0
        assert merging.faults(target) == []
