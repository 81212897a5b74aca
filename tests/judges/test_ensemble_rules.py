"""The rules against the plainest way to write them, over made-up opinions."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opinions import DIGESTS

from lam3db.judges.ensemble_fitted import (
    Fitted,
    FittedMember,
    isotonic,
    logistic,
    logit,
    platt,
    posterior,
)
from lam3db.judges.ensemble_rules import Member, Opinion, Plan, UnusableError, opinion
from lam3db.records import MemberFinding, ScoreStatus, Verdict

UNSAFE, SAFE = Verdict.UNSAFE, Verdict.SAFE
FIVE = tuple(f"{number}" * 64 for number in "abcde")
votes_of = st.lists(st.sampled_from([True, False, None]), min_size=1, max_size=5)


def voters(count: int, weights: list[int] | None = None) -> tuple[Member, ...]:
    given_weights = weights or [1] * count
    return tuple(Member(FIVE[at], (UNSAFE,), weight=given_weights[at]) for at in range(count))


def said(votes: list[bool | None]) -> dict[str, MemberFinding]:
    return {
        FIVE[at]: MemberFinding(FIVE[at], ScoreStatus.OK, verdict=UNSAFE if vote else SAFE)
        for at, vote in enumerate(votes)
        if vote is not None
    }


def brute(rule: str, votes: list[bool | None], weights: list[int]) -> Verdict | None:
    """Decide by looking at every vote there is, in exact numbers."""
    cast = [(vote, weight) for vote, weight in zip(votes, weights, strict=True) if vote is not None]
    for_unsafe = sum(weight for vote, weight in cast if vote)
    for_safe = sum(weight for vote, weight in cast if not vote)
    if rule == "any":
        if for_unsafe:
            return UNSAFE
        return SAFE if len(cast) == len(votes) else None
    if rule == "all":
        if for_safe:
            return SAFE
        return UNSAFE if len(cast) == len(votes) else None
    if 2 * len(cast) <= len(votes) or for_unsafe == for_safe:
        return None
    return UNSAFE if for_unsafe > for_safe else SAFE


@given(votes_of, st.sampled_from(["majority", "any", "all"]))
def test_votes_are_counted(votes: list[bool | None], rule: str) -> None:
    needed = len(votes) if rule in ("any", "all") else len(votes) // 2 + 1
    plan = Plan(rule, voters(len(votes)), needed)
    found = opinion(plan, said(votes))
    assert found.verdict == brute(rule, votes, [1] * len(votes))
    cast = [vote for vote in votes if vote is not None]
    assert found.votes == len(cast)
    if cast:
        assert found.value == float(Fraction(sum(cast), len(cast)))


@given(votes_of, st.lists(st.integers(1, 9), min_size=5, max_size=5))
def test_weights_are_weighed(votes: list[bool | None], weights: list[int]) -> None:
    weights = weights[: len(votes)]
    plan = Plan("weighted", voters(len(votes), weights), len(votes) // 2 + 1)
    found = opinion(plan, said(votes))
    assert found.verdict == brute("weighted", votes, weights)
    tenths = replace(plan, members=voters(len(votes), [weight / 10 for weight in weights]))
    assert opinion(tenths, said(votes)).verdict == found.verdict, "a tie must stay one"


@given(votes_of)
def test_confidence_is_the_share_that_agrees(votes: list[bool | None]) -> None:
    plan = Plan("majority", voters(len(votes)), 1)
    found = opinion(plan, said(votes))
    cast = [vote for vote in votes if vote is not None]
    if found.verdict is None:
        return
    agree = sum(vote == (found.verdict is UNSAFE) for vote in cast) / len(cast)
    assert found.confidence == pytest.approx(agree)
    strict = opinion(replace(plan, minimum_confidence=0.75), said(votes))
    assert (strict.verdict is None) == (agree < 0.75)
    assert strict.value == found.value


@given(st.permutations(range(5)), st.lists(st.floats(0, 1), min_size=5, max_size=5))
def test_the_order_of_members_says_nothing(order: list[int], values: list[float]) -> None:
    answers = {
        FIVE[at]: MemberFinding(FIVE[at], ScoreStatus.OK, value) for at, value in enumerate(values)
    }
    members = tuple(Member(one) for one in FIVE)
    shuffled = tuple(members[at] for at in order)
    assert opinion(Plan("mean", members, 3), answers) == opinion(Plan("mean", shuffled, 3), answers)


def test_a_threshold_is_read_as_it_is_written() -> None:
    at_half = MemberFinding(FIVE[0], ScoreStatus.OK, 0.5, SAFE)
    assert Member(FIVE[0], threshold=0.5).votes(at_half)
    assert not Member(FIVE[0], threshold=0.5, operator=">").votes(at_half)
    assert not Member(FIVE[0], (UNSAFE,)).votes(at_half), "its verdict, where no threshold is"
    assert Member(FIVE[0], (UNSAFE,)).scores(at_half) == 0.5


@pytest.mark.parametrize(
    ("member", "finding"),
    [
        (Member(FIVE[0], threshold=0.5), MemberFinding(FIVE[0], ScoreStatus.OK, verdict=SAFE)),
        (Member(FIVE[0], (UNSAFE,)), MemberFinding(FIVE[0], ScoreStatus.OK, 0.1)),
        (Member(FIVE[0]), MemberFinding(FIVE[0], ScoreStatus.OK, verdict=SAFE)),
    ],
)
def test_what_cannot_be_counted_is_never_safe(member: Member, finding: MemberFinding) -> None:
    with pytest.raises(UnusableError, match=r"member aaaaaaaa gave no"):
        opinion(Plan("majority", (member,), 1), {FIVE[0]: finding})


def test_a_mean_of_grades_is_refused() -> None:
    with pytest.raises(UnusableError, match="needs values from 0 to 1"):
        opinion(
            Plan("mean", (Member(FIVE[0]),), 1),
            {FIVE[0]: MemberFinding(FIVE[0], ScoreStatus.OK, 3)},
        )


def test_nobody_is_no_opinion() -> None:
    assert opinion(Plan("any", voters(2), 1), {}) == Opinion(0, why="no member gave an answer")


@given(
    st.floats(0.01, 0.99),
    st.lists(st.tuples(st.floats(0.01, 0.99), st.floats(0.01, 0.99)), min_size=1, max_size=5),
    st.data(),
)
def test_the_posterior_is_bayes(
    prior: float, rates: list[tuple[float, float]], data: st.DataObject
) -> None:
    votes = data.draw(st.lists(st.booleans(), min_size=len(rates), max_size=len(rates)))
    unsafe, safe = prior, 1 - prior
    for (if_unsafe, if_safe), vote in zip(rates, votes, strict=True):
        unsafe *= if_unsafe if vote else 1 - if_unsafe
        safe *= if_safe if vote else 1 - if_safe
    assert posterior(prior, rates, votes) == pytest.approx(unsafe / (unsafe + safe), rel=1e-9)


@given(st.floats(-800, 800))
def test_logistic_neither_overflows_nor_turns(x: float) -> None:
    assert 0 <= logistic(x) <= 1
    assert logistic(x) == pytest.approx(1 - logistic(-x))
    if abs(x) < 13:
        assert logit(logistic(x)) == pytest.approx(x, abs=1e-6)


def test_what_is_fitted_is_applied_to_each_member() -> None:
    one, two, _ = DIGESTS
    members = (Member(one), Member(two))
    answers = {
        judge: MemberFinding(judge, ScoreStatus.OK, value)
        for judge, value in ((one, 0.3), (two, 0.9))
    }
    curves = Fitted(
        method="platt",
        labels="f" * 64,
        members=(FittedMember(judge=one, a=-2.0, b=0.5), FittedMember(judge=two, a=-4.0, b=1.0)),
    )
    chances = [platt(-2.0, 0.5, 0.3), platt(-4.0, 1.0, 0.9)]
    assert chances[0] == pytest.approx(1 / (1 + math.exp(-0.1)))
    plan = Plan("calibrated", members, 2, fitted=curves)
    assert opinion(plan, answers).value == pytest.approx(sum(chances) / 2)
    odds = opinion(replace(plan, combine="log-odds"), answers).value
    assert odds == pytest.approx(logistic(sum(map(logit, chances)) / 2))
    stacked = Fitted(
        method="logistic",
        labels="f" * 64,
        intercept=-1.0,
        members=(
            FittedMember(judge=two, coefficient=3.0),
            FittedMember(judge=one, coefficient=-1.0),
        ),
    )
    found = opinion(Plan("stacking", members, 2, fitted=stacked), answers)
    assert found.value == pytest.approx(logistic(-1 - 0.3 + 2.7))
    voters_ = tuple(Member(judge, threshold=0.5) for judge in (one, two))
    rated = Fitted(
        method="dawid-skene",
        labels="f" * 64,
        prior=0.25,
        members=(
            FittedMember(judge=one, if_unsafe=0.9, if_safe=0.2),
            FittedMember(judge=two, if_unsafe=0.6, if_safe=0.1),
        ),
    )
    found = opinion(Plan("dawid-skene", voters_, 2, fitted=rated), answers)
    assert found.value == pytest.approx(0.25 * 0.1 * 0.6 / (0.25 * 0.1 * 0.6 + 0.75 * 0.8 * 0.1))


def test_isotonic_is_level_beyond_its_knots() -> None:
    x, y = (0.1, 0.4, 0.8), (0.0, 0.5, 0.6)
    assert [isotonic(x, y, at) for at in (-9, 0.1, 0.25, 0.4, 0.6, 0.8, 9)] == pytest.approx(
        [0, 0, 0.25, 0.5, 0.55, 0.6, 0.6]
    )


def test_every_pattern_of_three_votes_by_hand() -> None:
    for votes in itertools.product([True, False], repeat=3):
        found = opinion(Plan("majority", voters(3), 2), said(list(votes)))
        assert found.verdict is (UNSAFE if sum(votes) >= 2 else SAFE)
        assert found.confidence == pytest.approx(max(sum(votes), 3 - sum(votes)) / 3)
