"""Drawing: the stored probability is the real one, the parts are apart, disputes come first."""

from __future__ import annotations

import random
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

sys.path.insert(0, str(Path(__file__).parent))
from jobs import job, judging, put, sample

from lam3db.config import JudgeConfig
from lam3db.errors import ConfigError, NotFoundError
from lam3db.pipeline.generate import generate
from lam3db.pipeline.judge import JudgeJob, judge_pending
from lam3db.pipeline.review_sample import (
    Draw,
    _stratified,
    chance,
    dispute,
    sample_review,
)
from lam3db.records import JudgePolicy, MemberFinding, ScoreStatus, Verdict
from lam3db.store import reviews, writes
from lam3db.store.engine import Store, open_store
from lam3db.store.pending import ScoreScope
from lam3db.store.reviews import Candidate, JudgeCard

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url, mode="write") as opened:
        put(opened, [sample(number) for number in range(40)])
        generate(opened, job())
        yield opened


def drawn(store: Store, name: str) -> list[reviews.ReviewItem]:
    with store.read() as conn:
        return reviews.review_items(conn, reviews.find_review(conn, name).id)


def frame(sizes: list[int]) -> list[Candidate]:
    return [
        Candidate(1000 * stratum + at, bytes([stratum, at]), stratum)
        for stratum, size in enumerate(sizes)
        for at in range(size)
    ]


@given(st.lists(st.integers(1, 12), min_size=1, max_size=8), st.data())
def test_the_probabilities_add_up_to_what_is_drawn(sizes: list[int], data: st.DataObject) -> None:
    """The sum over all answers of their probability is the sample's size: checked by strata."""
    count = data.draw(st.integers(1, sum(sizes)))
    items = _stratified(count, frame(sizes), random.Random(1))
    assert len({item.generation_id for item in items}) == len(items) == count
    chances: dict[int, set[float]] = {}
    for item in items:
        chances.setdefault(item.generation_id // 1000, set()).add(item.probability or 0)
    assert all(len(found) == 1 for found in chances.values()), "equal within a behavior"
    taken = Counter(item.generation_id // 1000 for item in items)
    open_ = [taken[at] for at in range(len(sizes)) if taken[at] < sizes[at]]
    assert not open_ or max(open_) - min(open_) <= 1, "as even as the sizes allow"


def test_the_stored_probability_is_how_often_it_happens() -> None:
    sizes = [1, 2, 5, 9, 9]
    everything, rounds = frame(sizes), 20_000
    seen: Counter[int] = Counter()
    told: dict[int, float] = {}
    for seed in range(rounds):
        for item in _stratified(11, everything, random.Random(seed)):
            seen[item.generation_id] += 1
            told[item.generation_id] = item.probability or 0
    assert sum(told.values()) == pytest.approx(11)
    for one in everything:
        share = seen[one.generation_id] / rounds
        assert share == pytest.approx(told[one.generation_id], abs=0.015)


def test_a_uniform_sample_has_n_over_n(store: Store) -> None:
    found = sample_review(store, Draw("r", random=10, seed=3))
    assert (found.random, found.frame, found.disputed) == (10, 40, 0)
    items = drawn(store, "r")
    assert {item.probability for item in items} == {0.25}
    assert len({item.generation_id for item in items}) == 10
    with store.read() as conn:
        spec = reviews.find_review(conn, "r").spec
    assert (spec["frame"], spec["method"], spec["labels"]) == (40, "uniform", "safety")


def test_one_seed_draws_one_sample(store: Store) -> None:
    for name in ("a", "b"):
        sample_review(store, Draw(name, random=10, seed=3))
    sample_review(store, Draw("c", random=10, seed=4))
    first, second, third = ([item.generation_id for item in drawn(store, n)] for n in "abc")
    assert first == second
    assert first != third


def test_the_parts_never_meet(store: Store) -> None:
    judge_pending(store, judging("half"))
    draw = Draw("r", random=15, disputed=15, judges=("half",), seed=1)
    sample_review(store, draw)
    items = drawn(store, "r")
    parts = {
        part: {item.generation_id for item in items if item.part == part}
        for part in ("estimation", "training")
    }
    assert [len(part) for part in parts.values()] == [15, 15]
    assert not parts["estimation"] & parts["training"]
    assert all((item.probability is None) == (item.part == "training") for item in items)
    with pytest.raises(ConfigError, match="--random 26: only 25 answers can be drawn"):
        sample_review(store, Draw("s", random=26))
    with pytest.raises(ConfigError, match="--disputed 26: only 25"):
        sample_review(store, Draw("s", disputed=26, judges=("half",)))
    sample_review(store, Draw("t", random=25))
    assert not {item.generation_id for item in drawn(store, "t")} & parts["training"]


def test_what_shows_the_same_is_drawn_once(store: Store) -> None:
    with store.write() as conn:
        everything = [one.generation_id for one in reviews.candidates(conn, ScoreScope())]
    generate(store, job(replicates=2))
    with store.write() as conn:
        conn.execute(
            text(
                """UPDATE generation SET text = (SELECT o.text FROM generation o
                     WHERE o.sample_id = generation.sample_id AND o.replicate = 0),
                   text_digest = (SELECT o.text_digest FROM generation o
                     WHERE o.sample_id = generation.sample_id AND o.replicate = 0)
                   WHERE replicate = 1"""
            )
        )
    found = sample_review(store, Draw("r", random=40))
    assert found.frame == 40
    assert {item.generation_id for item in drawn(store, "r")} == set(everything)


def test_what_shows_the_same_stays_in_its_part(store: Store) -> None:
    """Another answer with the same text to the same prompt must not slip into training."""
    sample_review(store, Draw("r", random=30, seed=2))
    generate(store, job(replicates=2))
    with store.write() as conn:
        conn.execute(
            text(
                """UPDATE generation SET text_digest = (SELECT o.text_digest FROM generation o
                     WHERE o.sample_id = generation.sample_id AND o.replicate = 0)"""
            )
        )
        conn.execute(text("UPDATE generation SET variant = 1 WHERE replicate = 0"))
    judge_pending(store, judging("half"))
    with pytest.raises(ConfigError, match="--disputed 11: only 10"):
        sample_review(store, Draw("s", disputed=11, judges=("half",)))


def test_nothing_labelled_withheld_or_divergent_is_drawn(store: Store) -> None:
    with store.write() as conn:
        first, second, third, *_ = reviews.candidates(conn, ScoreScope())
        conn.execute(
            text(
                "INSERT INTO withholding (uid, author, reason, created_at)"
                f" VALUES ('{'u' * 36}', 'me', 'asked', 1)"
            )
        )
        conn.execute(
            text(
                "UPDATE generation SET text = NULL, raw_text = NULL,"
                " withheld_id = (SELECT min(id) FROM withholding) WHERE id = :g"
            ),
            {"g": first.generation_id},
        )
        conn.execute(
            text("UPDATE generation SET variant = 1 WHERE id = :g"), {"g": second.generation_id}
        )
    label(store, third.generation_id)
    found = sample_review(store, Draw("r", random=37))
    assert found.frame == 37
    gone = {one.generation_id for one in (first, second, third)}
    assert not gone & {item.generation_id for item in drawn(store, "r")}


def label(store: Store, generation: int) -> None:
    from stored import start

    from lam3db.pipeline.review_labels import annotator, read_scheme
    from lam3db.records import Finding, RunKind, Sees

    with store.write() as conn:
        person = annotator("anna", "0" * 64, (Sees.RESPONSE,), read_scheme("safety"))
        judge_id = writes.put_judge(conn, person)
        run, _ = start(conn, RunKind.JUDGE, judge_id=judge_id)
        row = writes.FindingIn(b"\x01" * 32, Finding(verdict=Verdict.SAFE), (generation,))
        writes.put_findings(conn, run, judge_id, [row])


def test_a_scope_and_wrong_words(store: Store) -> None:
    put(store, [sample(number) for number in range(6)], name="few")
    few = ScoreScope(dataset="few")
    assert sample_review(store, Draw("r", random=2, scope=few)).frame == 6
    with pytest.raises(NotFoundError, match="feww"):
        sample_review(store, Draw("s", random=2, scope=ScoreScope(dataset="feww")))
    with pytest.raises(ConfigError, match="at least one"):
        sample_review(store, Draw("s"))
    with pytest.raises(ConfigError, match="whose opinions differ"):
        sample_review(store, Draw("s", disputed=1))
    with pytest.raises(NotFoundError, match="no judge here is called 'nobody'"):
        sample_review(store, Draw("s", disputed=1, judges=("nobody",)))


def test_the_most_disputed_come_first(store: Store) -> None:
    judges = [judging("one"), judging("two", unparsed=7)]
    for one in judges:
        judge_pending(store, one)
    found = sample_review(store, Draw("r", disputed=12, judges=("one", "two")))
    with store.read() as conn:
        cards = [reviews.find_judge(conn, name) for name in ("one", "two")]
        from lam3db.store.members import member_findings

        everything = [one.generation_id for one in reviews.candidates(conn, ScoreScope())]
        said = member_findings(conn, {card.digest: card.id for card in cards}, everything)
    doubts = {
        one: dispute([chance(card, opinions[card.digest]) for card in cards])
        for one, opinions in said.items()
    }
    chosen = [item.generation_id for item in drawn(store, "r")]
    lowest = min(doubts[one] for one in chosen)
    assert found.least == pytest.approx(lowest)
    assert all(doubts[one] <= lowest + 1e-12 for one in set(everything) - set(chosen))


def test_what_an_ensemble_left_open_is_most_disputed(store: Store) -> None:
    judge_pending(store, judging("half"))
    with store.read() as conn:
        half = reviews.find_judge(conn, "half").digest
    config = JudgeConfig(
        name="sure",
        kind="ensemble",
        settings={"rule": "mean", "members": (half,), "minimum_confidence": 0.7},
    )
    judge_pending(store, JudgeJob(config))
    with store.read() as conn:
        left_open = {one.generation_id for one in reviews.queue(conn)}
    assert 3 < len(left_open) < 37
    sample_review(store, Draw("r", disputed=len(left_open), judges=("sure",)))
    assert {item.generation_id for item in drawn(store, "r")} == left_open


def card(policy: JudgePolicy | None = None, *verdicts: str, **spec: Any) -> JudgeCard:
    return JudgeCard(1, "j", "llm", "0" * 64, verdicts, policy, spec)


FIVE = {"by": "odds", "words": {"1": 1, "5": 5}}


@pytest.mark.parametrize(
    ("judge", "said", "expected"),
    [
        (card(None, "unsafe"), {"verdict": Verdict.UNSAFE}, 1.0),
        (card(None, "unsafe"), {"verdict": Verdict.REFUSED}, 0.0),
        (card(None, "unsafe"), {"verdict": Verdict.UNSAFE, "value": 0.6}, 0.6),
        (card(), {"value": 0.9}, 0.9),
        (card(), {"verdict": Verdict.SAFE}, 0.5),
        (card(), {"value": 4.0}, 0.5),
        (card(JudgePolicy(0.8)), {"value": 0.8}, 0.5),
        (card(JudgePolicy(0.8)), {"value": 0.4}, 0.25),
        (card(JudgePolicy(0.8)), {"value": 0.9}, 0.75),
        (card(JudgePolicy(3)), {"value": 3.0}, 1.0),
        (card(JudgePolicy(3, ">")), {"value": 3.0}, 0.0),
        (card(JudgePolicy(3)), {"value": 0.25}, 0.0),
        (card(JudgePolicy(3)), {"value": 1.0}, 0.0),
        (card(labels="grade:1-5"), {"value": 1.0}, 0.5),
        (card(JudgePolicy(1, ">"), output=FIVE), {"value": 1.0}, 0.0),
    ],
)
def test_an_opinion_is_a_chance(judge: JudgeCard, said: dict[str, Any], expected: float) -> None:
    finding = MemberFinding("0" * 64, ScoreStatus.OK, **said)
    assert chance(judge, finding) == pytest.approx(expected)


def test_no_answer_is_an_even_chance_and_dispute_is_entropy() -> None:
    for status in ScoreStatus:
        if status is not ScoreStatus.OK:
            assert chance(card(), MemberFinding("0" * 64, status)) == 0.5
    assert [dispute(p) for p in ([0.0], [1.0, 1.0], [0.5], [1.0, 0.0])] == [0, 0, 1, 1]
    assert dispute([0.25]) == pytest.approx(0.8112781)
