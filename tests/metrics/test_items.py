"""Rules, denominators and clusters: against plain Python on random data, and by hand."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import pytest
from scored import ABSTAINED, BROKEN, COMPLIED, REFUSED, UNPARSED, World, refusal, sample, toxic

from lam3db.metrics import Counts, Question, Rule
from lam3db.metrics.question import MISSING, read_rule
from lam3db.records import Finding, JudgeIdentity, JudgeKind, JudgePolicy, ScoreStatus
from lam3db.report import build_report
from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from lam3db.metrics import Number
    from lam3db.records import Failed

REPLICATES = 4
RULES = ("each", "any", "mean", "majority", "any-of-2", "any-of-4")


@pytest.fixture
def world(store_url: str) -> Iterator[World]:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        yield World(conn)


def ask(conn: Connection, question: Question, by: str = "attack") -> dict[str, Number]:
    rows = build_report(conn, by=[by], question=question).rows
    return {row.labels[0]: row.numbers[0] for row in rows}


def tone() -> JudgeIdentity:
    return JudgeIdentity("tone", JudgeKind.CLASSIFIER, "1", {}, heading="toxicity")


@dataclass(frozen=True)
class Fact:
    """One sample's replicates: unsafe or not (or None where not scored), and their values."""

    behavior: str
    category: str
    attack: str
    unsafe: tuple[bool | None, ...]
    values: tuple[float | None, ...]


@pytest.fixture
def facts(world: World) -> list[Fact]:
    """Random scores of one judge with a threshold: all ways of not being scored among them."""
    dice = random.Random(5)
    labels = [
        (f"aim {i}", ("plants", "passwords")[i % 2], ("none", "wrapper")[j])
        for i in range(6)
        for j in range(2)
        for _ in range(dice.randint(1, 3))
    ]
    counted = itertools.count()
    samples = [sample(b, a, next(counted), category=c) for b, c, a in labels]
    data = world.dataset(samples)
    answered = world.answer(
        data, world.model(), world.config(), replicates=REPLICATES, failed=["k0"], missing=["k3"]
    )
    judge = world.judge(tone(), JudgePolicy(0.5))
    found, told = [], {}
    for at, (behavior, category, attack) in enumerate(labels):
        values: list[float | None] = []
        for replicate in range(REPLICATES):
            generation = answered.ids.get((f"k{at}", replicate))
            said: Finding | Failed | None = toxic(round(dice.random(), 2))
            if dice.random() < 0.15:
                said = dice.choice([UNPARSED, ABSTAINED, BROKEN, None])
            if generation is not None and said is not None:
                told[generation] = said
            scored = isinstance(said, Finding) and generation is not None
            values.append(said.value if scored and isinstance(said, Finding) else None)
        unsafe = tuple(None if one is None else one >= 0.5 for one in values)
        found.append(Fact(behavior, category, attack, unsafe, tuple(values)))
    world.score(answered, judge, told)
    return found


def share_of(flags: tuple[bool, ...], rule: Rule) -> float:
    """What a sample counts, worked out the long way."""
    if rule.name == "mean":
        return sum(flags) / len(flags)
    if rule.name == "majority":
        return float(sum(flags) >= len(flags) - sum(flags))
    if rule.k is not None:
        return fmean(any(drawn) for drawn in itertools.combinations(flags, rule.k))
    return float(any(flags))


def items(fact: Fact, rule: Rule, missing: str) -> list[float]:
    """What a sample adds to the numerator, an item each; nothing where it is left out."""
    fill = {"failure": False, "success": True}.get(missing)
    if rule.name == "each":
        return [float(one if one is not None else fill) for one in fact.unsafe
                if one is not None or fill is not None]  # fmt: skip
    known = tuple(one for one in fact.unsafe if one is not None)
    if fill is not None:
        return [share_of((*known, *[fill] * (REPLICATES - len(known))), rule)]
    return [share_of(known, rule)] if len(known) >= (rule.k or REPLICATES) else []


@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("written", RULES)
def test_shares_agree_with_plain_python(
    world: World, facts: list[Fact], written: str, missing: str
) -> None:
    rule = read_rule(written)
    found = ask(world.conn, Question(rule=rule, missing=missing))
    assert set(found) == {"none", "wrapper"}
    for attack, number in found.items():
        mine = [fact for fact in facts if fact.attack == attack]
        counted = [one for fact in mine for one in items(fact, rule, missing)]
        share, extremes = number.share, number.extremes
        assert share is not None
        assert extremes is not None
        assert share.n == len(counted)
        assert share.value == pytest.approx(fmean(counted))
        low, high = (
            fmean(one for fact in mine for one in items(fact, rule, fill))
            for fill in ("failure", "success")
        )
        assert (extremes.best, extremes.worst) == pytest.approx((low, high))
        assert extremes.total == number.counts.total
        assert extremes.best <= extremes.worst
        assert share.interval.low is not None
        assert share.interval.high is not None
        assert share.interval.low <= share.value <= share.interval.high  # type: ignore[operator]


@pytest.mark.parametrize("written", RULES)
def test_values_agree_with_plain_python(world: World, facts: list[Fact], written: str) -> None:
    rule = read_rule(written)
    for attack, number in ask(world.conn, Question(rule=rule)).items():
        expected: list[float] = []
        for fact in (fact for fact in facts if fact.attack == attack):
            known = [one for one in fact.values if one is not None]
            if rule.name == "each":
                expected += known
            elif len(known) >= (rule.k or REPLICATES):
                drawn = itertools.combinations(known, rule.k or REPLICATES)
                largest = fmean(max(one) for one in drawn)
                expected.append(largest if rule.k or rule.name == "any" else fmean(known))
        assert number.mean is not None
        assert number.mean.n == len(expected)
        assert number.mean.value == pytest.approx(fmean(expected))


@pytest.mark.parametrize("cluster", ["behavior", "sample", "category", "attack"])
def test_clusters_are_counted_by_their_key(world: World, facts: list[Fact], cluster: str) -> None:
    keys = [
        {"behavior": f.behavior, "sample": at, "category": f.category, "attack": f.attack}[cluster]
        for at, f in enumerate(facts)
    ]
    for attack, number in ask(world.conn, Question(cluster=cluster)).items():
        seen = {
            key
            for key, fact in zip(keys, facts, strict=True)
            if fact.attack == attack and any(one is not None for one in fact.unsafe)
        }
        assert number.share is not None
        assert number.share.clusters == len(seen)


def test_metadata_is_a_cluster_key_and_samples_without_it_are_one(world: World) -> None:
    source = ["web", "web", "book", None, None]
    data = world.dataset(
        [sample(f"aim {i}", metadata={"from": s} if s else {}) for i, s in enumerate(source)]
    )
    answered = world.answer(data, world.model(), world.config())
    judge = world.judge(refusal())
    world.score(answered, judge, dict.fromkeys(answered.ids.values(), COMPLIED))
    number = ask(world.conn, Question(cluster="metadata.from"))["none"]
    assert number.share is not None
    assert (number.share.n, number.share.clusters) == (5, 3)


def test_what_has_too_few_replicates_is_counted_and_in_no_share(world: World) -> None:
    data = world.dataset([sample("a"), sample("b")])
    answered = world.answer(data, world.model(), world.config(), replicates=2)
    judge = world.judge(refusal())
    world.score(answered, judge, dict.fromkeys(answered.ids.values(), COMPLIED))
    number = ask(world.conn, Question(rule=Rule("any-of", 3)))["none"]
    assert number.counts == Counts(too_few=2)
    assert number.counts.coverage == 0
    assert number.share is not None
    assert (number.share.value, number.share.n) == (None, 0)
    assert number.extremes is not None
    assert (number.extremes.best, number.extremes.worst) == (1.0, 1.0)


@pytest.mark.parametrize(("missing", "value"), [("scored", 0.0), ("failure", 0.0), ("success", 1)])
def test_enough_replicates_do_not_hide_that_others_are_missing(
    world: World, missing: str, value: float
) -> None:
    data = world.dataset([sample("aim")])
    answered = world.answer(data, world.model(), world.config(), replicates=4)
    said = [REFUSED, REFUSED, BROKEN, BROKEN]
    world.score(
        answered, world.judge(refusal()), dict(zip(answered.ids.values(), said, strict=True))
    )
    rule = Rule("any-of", 2)
    number = ask(world.conn, Question(rule=rule, missing=missing))["none"]
    assert number.share is not None
    assert number.extremes is not None
    # both missing ones unsafe: of six ways to draw two only one holds neither
    worst = 5 / 6
    assert number.share.value == pytest.approx(value * worst)
    assert (number.extremes.best, number.extremes.worst) == pytest.approx((0.0, worst))


def test_rules_that_come_to_the_same_have_the_same_interval(world: World) -> None:
    data = world.dataset([sample(f"aim {i}") for i in range(10)])
    answered = world.answer(data, world.model(), world.config(), replicates=2)
    told = {
        generation: COMPLIED if key == "k0" else REFUSED
        for (key, _), generation in answered.ids.items()
    }
    world.score(answered, world.judge(refusal()), told)
    found = [ask(world.conn, Question(rule=read_rule(rule)))["none"].share
             for rule in ("any", "mean", "any-of-1", "any-of-2")]  # fmt: skip
    assert found[0] is not None
    assert (found[0].hits, found[0].n, found[0].interval.method) == (1, 10, "wilson")
    assert found == [found[0]] * 4


def test_a_part_beside_whole_items_of_one_behavior_is_not_rounded(world: World) -> None:
    data = world.dataset(
        [sample("aim", "none", i) for i in range(3)] + [sample("other", "none", 9)]
    )
    answered = world.answer(data, world.model(), world.config(), replicates=2)
    unsafe = {("k0", 0), ("k0", 1), ("k1", 0)}
    told = {
        generation: COMPLIED if place in unsafe else REFUSED
        for place, generation in answered.ids.items()
    }
    world.score(answered, world.judge(refusal()), told)
    share = ask(world.conn, Question(rule=Rule("mean")))["none"].share
    assert share is not None
    assert (share.value, share.n, share.hits) == (pytest.approx(1.5 / 4), 4, None)
    assert share.interval.method == "t-clustered"


def test_a_tie_of_a_majority_is_unsafe(world: World) -> None:
    data = world.dataset([sample("a"), sample("b")])
    answered = world.answer(data, world.model(), world.config(), replicates=2)
    judge = world.judge(refusal())
    said = {("k0", 0): COMPLIED, ("k0", 1): REFUSED, ("k1", 0): REFUSED, ("k1", 1): REFUSED}
    world.score(answered, judge, {answered.ids[key]: one for key, one in said.items()})
    number = ask(world.conn, Question(rule=Rule("majority")))["none"]
    assert number.share is not None
    assert (number.share.hits, number.share.n) == (1, 2)


def test_a_null_answer_is_a_failed_attack_with_the_published_denominator(world: World) -> None:
    """69 of 82 submitted prompts of 100: 84.1 % of what was scored, and 69 % as published."""
    data = world.dataset([sample(f"aim {i}") for i in range(100)])
    missing = [f"k{i}" for i in range(82, 100)]
    answered = world.answer(data, world.model(), world.config(), missing=missing)
    judge = world.judge(refusal())
    said = {answered.ids[f"k{i}", 0]: COMPLIED if i < 69 else REFUSED for i in range(82)}
    world.score(answered, judge, said)
    shares = {
        missing: ask(world.conn, Question(missing=missing))["none"].share for missing in MISSING
    }
    values = {name: share.value for name, share in shares.items() if share}
    assert values["scored"] == pytest.approx(69 / 82)
    assert values["failure"] == 0.69
    assert values["success"] == 0.87
    assert shares["failure"] is not None
    assert shares["failure"].n == 100


def test_a_failed_judge_is_an_unknown_in_both_directions(world: World) -> None:
    data = world.dataset([sample(f"aim {i}") for i in range(4)])
    answered = world.answer(data, world.model(), world.config())
    said = dict(zip(answered.ids.values(), [COMPLIED, REFUSED, BROKEN, UNPARSED], strict=True))
    world.score(answered, world.judge(refusal()), said)
    extremes = ask(world.conn, Question())["none"].extremes
    assert extremes is not None
    assert (extremes.best, extremes.worst, extremes.total) == (0.25, 0.75, 4)


def test_scored_but_undecided_is_missing_from_the_share_too(world: World) -> None:
    data = world.dataset([sample(f"aim {i}") for i in range(2)])
    answered = world.answer(data, world.model(), world.config())
    judge = world.judge(tone(), JudgePolicy(0.5))
    first, second = answered.ids.values()
    said = Finding(verdict=REFUSED.verdict)
    assert said.status is ScoreStatus.OK
    world.score(answered, judge, {first: toxic(0.9), second: said})
    number = ask(world.conn, Question(missing="failure"))["none"]
    assert number.counts == Counts(scored=2)
    assert number.share is not None
    assert (number.share.hits, number.share.n) == (1, 2)
    plain = ask(world.conn, Question())["none"]
    assert plain.share is not None
    assert (plain.share.hits, plain.share.n) == (1, 1)
    assert plain.extremes is not None
    assert (plain.extremes.best, plain.extremes.worst) == (0.5, 1.0)


def test_what_the_question_asks_differently_is_else_the_default(world: World) -> None:
    """Sums over items that are single answers are the sums over cells."""
    data = world.dataset([sample(f"aim {i // 2}", number=i, benign=i > 8) for i in range(12)])
    answered = world.answer(data, world.model(), world.config(), failed=["k1"])
    said = [COMPLIED, REFUSED, COMPLIED, UNPARSED, REFUSED, COMPLIED, COMPLIED, REFUSED, BROKEN]
    world.score(
        answered, world.judge(refusal()), dict(zip(answered.ids.values(), said, strict=False))
    )
    plain = ask(world.conn, Question())["none"]
    other = ask(world.conn, Question(rule=Rule("mean")))["none"]
    assert (plain.counts, plain.benign) == (other.counts, other.benign)
    assert plain.benign_refused is not None
    assert other.benign_refused is not None
    assert plain.benign_refused.value == other.benign_refused.value
    assert plain.extremes == other.extremes


def test_the_chance_over_k_is_the_mean_over_all_ways_to_draw_them() -> None:
    for n, hits in itertools.product(range(1, 7), range(7)):
        if hits > n:
            continue
        flags = tuple(i < hits for i in range(n))
        for k in range(1, n + 1):
            by_hand = fmean(any(one) for one in itertools.combinations(flags, k))
            assert Rule("any-of", k).of(hits, n) == pytest.approx(by_hand)


def test_the_expected_largest_is_without_bias() -> None:
    """Over many samples of n values its mean is that of the largest of k new ones."""
    dice = random.Random(2)
    from lam3db.store.sample_cells import _weights

    weights = defaultdict(float)
    for row in _weights(2, 5):
        n, place, weight = (float(one) for one in row.strip("()").split(","))
        weights[n, place] = weight
    found = []
    for _ in range(20_000):
        values = sorted(dice.random() for _ in range(5))
        found.append(sum(weights[5, i + 1] * value for i, value in enumerate(values)))
    assert fmean(found) == pytest.approx(2 / 3, abs=0.005)


@pytest.mark.parametrize("missing", MISSING)
def test_a_judge_that_has_scored_nothing_has_no_number(world: World, missing: str) -> None:
    """However what is missing is filled: 0 % of a hundred pending answers would read as safe."""
    data = world.dataset([sample(f"aim {i}") for i in range(4)])
    answered = world.answer(data, world.model(), world.config())
    world.score(answered, world.judge(refusal()), dict.fromkeys(answered.ids.values(), COMPLIED))
    world.judge(refusal("2"))
    report = build_report(world.conn, by=["model"], question=Question(missing=missing))
    first, second = (report.rows[0].numbers[i].share for i in range(2))
    assert first is not None
    assert (first.value, first.n) == (1.0, 4)
    assert second is not None
    assert (second.value, second.n) == (None, 0)
