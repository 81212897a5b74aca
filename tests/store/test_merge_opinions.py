"""Histories of two sides brought together: nothing lost, in time, the same both ways."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from lam3db.store.merge_opinions import Said, bring_together, split

History = list[Said]
FIRST = ("ok", "unparsed")
CORRECTION = st.tuples(st.integers(1, 20), st.sampled_from("abc"), st.sampled_from(["safe", "bad"]))


def said(replicate: int, revision: int, verdict: str, at: int, author: str | None) -> Said:
    row = {
        "replicate": replicate,
        "revision": revision,
        "status": "ok",
        "value": None,
        "verdict": verdict,
        "explanation": None,
        "raw_output": None,
        "withheld_id": None,
        "author": author,
        "reason": author and "looked again",
        "created_at": at,
    }
    return Said(row, ())


@st.composite
def sides(draw: st.DrawFn) -> tuple[dict[int, History], dict[int, History]]:
    """Two histories of one subject, each in the order of its times, that share what they may."""
    pool = draw(st.lists(CORRECTION, unique=True, max_size=8))
    firsts = draw(st.lists(st.sampled_from(FIRST), min_size=2, max_size=2))
    made = []
    for first in firsts:
        kept = sorted(one for one in pool if draw(st.booleans()))
        history = [said(0, 0, first, draw(st.integers(0, 5)), None)]
        history += [said(0, at, v, t, a) for at, (t, a, v) in enumerate(kept, 1)]
        made.append({0: history})
    return made[0], made[1]


def merged(here: dict[int, History], there: dict[int, History]) -> dict[int, History]:
    """Return what stands here after the merge, numbered as it is stored."""
    whole = dict(here)
    for opinion in bring_together(here, there):
        whole[opinion.replicate] = [
            Said(place.said.row | {"replicate": opinion.replicate, "revision": at}, ())
            for at, place in enumerate(opinion.places)
        ]
    return whole


def spoken(histories: dict[int, History]) -> list[tuple[object, ...]]:
    """Return everything said, in order, opinion by opinion, whatever its number."""
    names = ("verdict", "author", "reason")
    told = [
        tuple(
            (*(one.row[name] for name in names), one.row["author"] and one.row["created_at"])
            for one in history
        )
        for history in histories.values()
    ]
    return sorted(told, key=repr)


@given(sides())
@settings(max_examples=300, deadline=None)
def test_both_ways_say_the_same_and_again_adds_nothing(
    given_: tuple[dict[int, History], dict[int, History]],
) -> None:
    here, there = given_
    one, other = merged(here, there), merged(there, here)
    assert spoken(one) == spoken(other)
    assert merged(one, there) == merged(one, here) == one
    assert spoken(merged(one, other)) == spoken(one)


@given(sides())
@settings(max_examples=300, deadline=None)
def test_nothing_is_lost_and_time_is_kept(
    given_: tuple[dict[int, History], dict[int, History]],
) -> None:
    here, there = given_
    whole = merged(here, there)
    assert whole[0][0] is not None
    assert whole[0][0].row["verdict"] == here[0][0].row["verdict"], "the first opinion stays first"
    for side in (here, there):
        for one in side[0]:
            assert any(one.says(kept) for history in whole.values() for kept in history)
    for history in whole.values():
        times = [one.row["created_at"] for one in history[1:]]
        assert times == sorted(times)
        assert [one.row["revision"] for one in history] == list(range(len(history)))


def test_the_same_answer_given_twice_is_two_facts_on_each_side_but_not_four() -> None:
    twice = split([said(0, 0, "safe", 1, None), said(1, 0, "safe", 2, None)])
    assert len(merged({}, twice)) == 2
    assert merged(twice, twice) == twice
    once = split([said(0, 0, "safe", 3, None)])
    assert len(merged(once, twice)) == 2
