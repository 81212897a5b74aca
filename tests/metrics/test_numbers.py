"""Numbers: against plain Python on random data, and each way they could lie."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest
from scored import (
    ABSTAINED,
    BROKEN,
    COMPLIED,
    JUDGE_REFUSED,
    REFUSED,
    UNPARSED,
    Answered,
    World,
    detoxify,
    refusal,
    sample,
    toxic,
)
from sqlalchemy import text

from lam3db.errors import ConfigError, NotFoundError
from lam3db.metrics import Counts, Number, Scope
from lam3db.records import (
    Failed,
    Finding,
    JudgeIdentity,
    JudgeKind,
    JudgePolicy,
    ScoreStatus,
    Verdict,
)
from lam3db.report import Report, build_report
from lam3db.stats.intervals import ShareTally, share_interval
from lam3db.store import writes
from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def world(store_url: str) -> Iterator[World]:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        yield World(conn)


def numbers(report: Report, judge: int = 0) -> dict[tuple[str, ...], Number]:
    return {row.labels: row.numbers[judge] for row in report.rows}


def only(report: Report, judge: int = 0) -> Number:
    (number,) = numbers(report, judge).values()
    return number


def simple(world: World, said: list[Finding | Failed | None]) -> Answered:
    """One model, one behavior per answer, one refusal judge that says these things."""
    data = world.dataset([sample(f"aim {i}") for i in range(len(said))])
    answered = world.answer(data, world.model(), world.config())
    told = {answered.ids[f"k{i}", 0]: one for i, one in enumerate(said) if one is not None}
    world.score(answered, world.judge(refusal()), told)
    return answered


def test_a_failed_judge_never_reads_as_safe(world: World) -> None:
    simple(world, [COMPLIED, BROKEN, BROKEN, REFUSED])
    number = only(build_report(world.conn, by=["model"]))
    assert number.counts == Counts(scored=2, judge_failed=2)
    assert number.counts.coverage == 0.5
    assert number.share is not None
    assert (number.share.hits, number.share.n, number.share.value) == (1, 2, 0.5)


def test_every_way_not_to_be_scored_is_counted_and_in_no_denominator(world: World) -> None:
    simple(world, [COMPLIED, UNPARSED, ABSTAINED, JUDGE_REFUSED, None, BROKEN])
    number = only(build_report(world.conn, by=["model"]))
    assert number.counts == Counts(1, 1, 1, 1, judge_failed=1, pending=1)
    assert number.share is not None
    assert (number.share.value, number.share.n) == (1.0, 1)


def test_a_failure_that_was_made_good_is_a_score(world: World) -> None:
    answered = simple(world, [BROKEN, REFUSED])
    judge = world.judge(refusal())
    world.score(answered, judge, {answered.ids["k0", 0]: COMPLIED})
    assert only(build_report(world.conn, by=["model"])).counts == Counts(scored=2)


def test_the_failure_of_one_judge_is_not_another_judges(world: World) -> None:
    simple(world, [BROKEN, REFUSED])
    world.judge(refusal("2"))
    report = build_report(world.conn, by=["model"])
    assert only(report, 0).counts == Counts(scored=1, judge_failed=1)
    assert only(report, 1).counts == Counts(pending=2)


def test_what_was_asked_for_and_is_not_there_lowers_the_coverage(world: World) -> None:
    data = world.dataset([sample(f"aim {i}") for i in range(5)])
    answered = world.answer(
        data, world.model(), world.config(), failed=["k1"], missing=["k2", "k3"]
    )
    world.score(answered, world.judge(refusal()), dict.fromkeys(answered.ids.values(), COMPLIED))
    number = only(build_report(world.conn, by=["model"]))
    assert number.counts == Counts(scored=2, generation_failed=1, not_generated=2)
    assert number.counts.total == 5


def test_nobody_waits_for_samples_that_no_run_asked_for(world: World) -> None:
    data = world.dataset([sample(f"aim {i}") for i in range(5)])
    members = world._members(data.selection_id)
    part = writes.put_selection(world.conn, list(members.items())[:2])
    answered = world.answer(data, world.model(), world.config(), selection=part)
    world.score(answered, world.judge(refusal()), dict.fromkeys(answered.ids.values(), REFUSED))
    assert only(build_report(world.conn, by=["model"])).counts == Counts(scored=2)


def test_benign_samples_are_no_attacks_and_their_refusals_stand_beside(world: World) -> None:
    data = world.dataset(
        [sample("a"), sample("b"), *(sample(f"nice {i}", benign=True) for i in range(4))]
    )
    answered = world.answer(data, world.model(), world.config())
    said: list[Finding | Failed] = [COMPLIED, REFUSED, REFUSED, COMPLIED, COMPLIED, BROKEN]
    told = {answered.ids[f"k{i}", 0]: one for i, one in enumerate(said)}
    world.score(answered, world.judge(refusal()), told)
    number = only(build_report(world.conn, by=["model"]))
    assert number.counts == Counts(scored=2)
    assert number.benign == Counts(scored=3, judge_failed=1)
    assert number.benign_refused is not None
    assert (number.benign_refused.hits, number.benign_refused.n) == (1, 3)


@pytest.mark.parametrize(("operator", "hits"), [(">", 1), (">=", 2)])
def test_the_threshold_means_its_operator(world: World, operator: str, hits: int) -> None:
    data = world.dataset([sample(f"aim {i}") for i in range(3)])
    answered = world.answer(data, world.model(), world.config())
    judge = world.judge(detoxify(), JudgePolicy(0.5, operator))
    values = dict(zip(answered.ids.values(), [0.25, 0.5, 0.75], strict=True))
    world.score(answered, judge, {i: toxic(value) for i, value in values.items()})
    number = only(build_report(world.conn, by=["model"]))
    assert number.share is not None
    assert number.mean is not None
    assert (number.share.hits, number.share.n, number.mean.value) == (hits, 3, 0.5)
    assert number.benign_refused is None


def test_the_current_policy_counts_and_without_one_there_is_no_share(world: World) -> None:
    data = world.dataset([sample("a")])
    answered = world.answer(data, world.model(), world.config())
    judge = world.judge(detoxify())
    world.score(answered, judge, {answered.ids["k0", 0]: toxic(0.4)})
    assert only(build_report(world.conn, by=["model"])).share is None
    for threshold, hits in ((0.5, 0), (0.3, 1)):
        writes.put_policy(world.conn, judge, JudgePolicy(threshold), "test")
        share = only(build_report(world.conn, by=["model"])).share
        assert share is not None
        assert share.hits == hits


def test_the_latest_revision_counts(world: World) -> None:
    answered = simple(world, [UNPARSED])
    subject = (0).to_bytes(32, "big")
    row = writes.FindingIn(subject, COMPLIED, (answered.ids["k0", 0],))
    judge = world.judge(refusal())
    writes.put_revisions(world.conn, answered.run_id, judge, [row], "somebody", "asked again")
    number = only(build_report(world.conn, by=["model"]))
    assert number.counts == Counts(scored=1)
    assert number.share is not None
    assert number.share.hits == 1


def test_two_digests_of_one_judge_are_never_pooled(world: World) -> None:
    answered = simple(world, [COMPLIED, COMPLIED])
    newer = world.judge(refusal("2"))
    world.score(answered, newer, dict.fromkeys(answered.ids.values(), REFUSED))
    report = build_report(world.conn, by=["model"])
    assert [column.judge.version for column in report.judges] == ["1", "2"]
    assert len({column.label for column in report.judges}) == 2
    assert all(column.label.startswith("refusal #") for column in report.judges)
    shares = [number.share for number in report.rows[0].numbers]
    assert [share.value for share in shares if share] == [1.0, 0.0]
    label = report.judges[1].label
    chosen = build_report(world.conn, by=["model"], judges=[label])
    assert [column.judge.version for column in chosen.judges] == ["2"]


def test_two_configs_and_two_versions_of_a_model_are_never_pooled(world: World) -> None:
    data = world.dataset([sample("a"), sample("b")])
    judge = world.judge(refusal())
    for weights, temperature, said in (
        ("w", 0.2, REFUSED),
        ("w", 1.0, COMPLIED),
        ("other", 0.2, COMPLIED),
    ):
        answered = world.answer(data, world.model("demo", weights), world.config(temperature))
        world.score(answered, judge, dict.fromkeys(answered.ids.values(), said))
    report = build_report(world.conn, by=["model"])
    assert len(report.rows) == 3
    assert len({row.labels for row in report.rows}) == 3
    assert sorted(row.numbers[0].share.hits for row in report.rows if row.numbers[0].share) == [
        0,
        2,
        2,
    ]
    assert sum("temperature=" in note for note in report.notes) == 2
    pooled = build_report(world.conn, by=["attack"])
    assert any("Rows pool 3 pairs of model and config" in note for note in pooled.notes)


def test_a_sample_of_two_datasets_is_counted_once(world: World) -> None:
    shared = [sample("a"), sample("b")]
    first, second = world.dataset(shared, "one"), world.dataset([*shared, sample("c")], "two")
    model, config, judge = world.model(), world.config(), world.judge(refusal())
    for data in (first, second):
        answered = world.answer(data, model, config)
    world.score(answered, judge, dict.fromkeys(answered.ids.values(), COMPLIED))
    report = build_report(world.conn, by=["model"])
    assert only(report).counts == Counts(scored=3)
    assert any("2 samples lie in several datasets" in note for note in report.notes)
    apart = numbers(build_report(world.conn, by=["dataset"]))
    assert {key: number.counts.scored for key, number in apart.items()} == {
        ("one@1",): 2,
        ("two@1",): 3,
    }


def test_the_latest_version_that_a_run_was_made_on_is_the_scope(world: World) -> None:
    old = world.dataset([sample("a"), sample("b")])
    model, config, judge = world.model(), world.config(), world.judge(refusal())
    before = world.answer(old, model, config)
    world.score(before, judge, dict.fromkeys(before.ids.values(), COMPLIED))
    new = world.dataset([sample("a"), sample("c")])
    assert only(build_report(world.conn, by=["model"])).counts.total == 2
    assert build_report(world.conn).scope == ("dataset bench@1",)
    after = world.answer(new, model, config)
    world.score(after, judge, dict.fromkeys(after.ids.values(), COMPLIED))
    report = build_report(world.conn)
    assert report.scope == ("dataset bench@2",)
    assert any("1 answers belong to other dataset versions" in note for note in report.notes)
    asked = build_report(world.conn, Scope(dataset="bench@1"), by=["model"])
    assert only(asked).counts == Counts(scored=2)


def test_a_run_served_from_the_cache_has_all_its_answers(world: World) -> None:
    data = world.dataset([sample(f"aim {i}") for i in range(4)])
    model, config, judge = world.model(), world.config(), world.judge(refusal())
    members = list(world._members(data.selection_id).items())
    part = writes.put_selection(world.conn, members[:3])
    first = world.answer(data, model, config)
    world.score(first, judge, dict.fromkeys(first.ids.values(), COMPLIED))
    cached = world.answer(data, model, config, selection=part)
    report = build_report(world.conn, Scope(run=cached.uid[:13]), by=["model"])
    assert only(report).counts == Counts(scored=3)
    by_run = numbers(build_report(world.conn, by=["run"]))
    assert {key: n.counts.scored for key, n in by_run.items()} == {
        (first.uid[:8],): 4,
        (cached.uid[:8],): 3,
    }


def test_a_run_has_the_replicates_it_asked_for_and_no_more(world: World) -> None:
    data = world.dataset([sample("a"), sample("b")])
    model, config, judge = world.model(), world.config(), world.judge(refusal())
    twice = world.answer(data, model, config, replicates=2)
    world.score(twice, judge, dict.fromkeys(twice.ids.values(), COMPLIED))
    once = world.answer(data, model, config)
    report = build_report(world.conn, Scope(run=once.uid), by=["model"])
    assert only(report).counts == Counts(scored=2)
    assert only(build_report(world.conn, by=["model"])).counts == Counts(scored=4)


def test_the_rules_over_replicates(world: World) -> None:
    data = world.dataset([sample("a"), sample("b"), sample("c"), sample("d")])
    answered = world.answer(data, world.model(), world.config(), replicates=2)
    refusals, values = world.judge(refusal()), world.judge(detoxify(), JudgePolicy(0.5))
    said: dict[str, list[Finding | Failed]] = {
        "k0": [COMPLIED, REFUSED],
        "k1": [REFUSED, REFUSED],
        "k2": [COMPLIED, BROKEN],
        "k3": [REFUSED, UNPARSED],
    }
    told = {answered.ids[key, r]: one for key, both in said.items() for r, one in enumerate(both)}
    world.score(answered, refusals, told)
    told = {i: toxic(0.5 if r == 0 else 0.1) for (_, r), i in answered.ids.items()}
    world.score(answered, values, told)
    each = build_report(world.conn, by=["model"])
    number = only(each, 1)
    assert number.counts == Counts(scored=6, unparsed=1, judge_failed=1)
    assert number.share is not None
    assert (number.share.hits, number.share.n, number.share.clusters) == (2, 6, 4)
    any_ = build_report(world.conn, by=["model"], rule="any")
    number = only(any_, 1)
    assert number.counts == Counts(scored=2, unparsed=1, judge_failed=1)
    assert number.share is not None
    assert (number.share.hits, number.share.n) == (1, 2)
    mean = only(any_, 0).mean
    assert mean is not None
    assert (mean.value, mean.n) == (0.5, 4)
    share = only(each, 0).share
    assert share is not None
    assert (share.hits, share.n) == (4, 8)


def test_other_variants_are_left_out_and_told(world: World) -> None:
    simple(world, [COMPLIED, REFUSED])
    columns = "model_version_id, config_id, sample_id, replicate, run_id, raw_text, text, "
    columns += "text_digest, finish_reason, prompt_tokens, completion_tokens, latency_ms, "
    columns += "batch_size, created_at"
    copy = f"INSERT INTO generation ({columns}, variant) SELECT {columns}, 1 FROM generation"
    world.conn.execute(text(copy))
    report = build_report(world.conn, by=["model"])
    assert only(report).counts == Counts(scored=2)
    assert any("2 stored answers differ" in note for note in report.notes)


def test_second_opinions_are_left_out_and_told(world: World) -> None:
    simple(world, [COMPLIED, REFUSED])
    columns = "judge_id, generation_id, finding_id, revision, status, value, verdict, author, "
    columns += "reason, run_id, created_at"
    world.conn.execute(
        text(f"INSERT INTO score ({columns}, replicate) SELECT {columns}, 1 FROM score")
    )
    report = build_report(world.conn, by=["model"])
    assert only(report).counts == Counts(scored=2)
    assert any("2 scores are a judge's second opinion" in note for note in report.notes)


def test_numbers_agree_with_plain_python_on_random_data(world: World) -> None:
    dice = random.Random(11)
    attacks, facts = ("none", "wrapper", "typographic"), []
    for i in range(8):
        benign, category = i >= 6, ("plants", "passwords")[i % 2]
        for attack in attacks:
            facts += [(f"aim {i}", attack, n, benign, category) for n in range(dice.randint(1, 3))]
    samples = [sample(b, a, n, benign=x, category=c) for b, a, n, x, c in facts]
    data = world.dataset(samples)
    judge, values = world.judge(refusal()), world.judge(detoxify(), JudgePolicy(0.5, ">"))
    shown: dict[tuple[str, str], list[tuple[str, Finding | Failed | None]]] = defaultdict(list)
    toxicities: dict[tuple[str, str], list[float]] = defaultdict(list)
    for name in ("one", "two"):
        answered = world.answer(data, world.model(name), world.config(), replicates=2)
        told: dict[int, Finding | Failed] = {}
        for (key, _), generation in answered.ids.items():
            behavior, attack, _, benign, _ = facts[int(key[1:])]
            choices = [COMPLIED] * 4 + [REFUSED] * 4 + [UNPARSED, ABSTAINED, BROKEN, None]
            said = dice.choice(choices)
            if said is not None:
                told[generation] = said
            value = dice.random()
            world.score(answered, values, {generation: toxic(value)})
            if not benign:
                shown[name, attack].append((behavior, said))
                toxicities[name, attack].append(value)
        world.score(answered, judge, told)
    report = build_report(world.conn, by=["model", "attack"])
    for row in report.rows:
        group = shown[row.labels]  # type: ignore[index] # a pair
        clusters: dict[str, list[int]] = defaultdict(list)
        for behavior, said in group:
            if isinstance(said, Finding) and said.status is ScoreStatus.OK:
                clusters[behavior].append(said.verdict is Verdict.NOT_REFUSED)
        n, hits = sum(map(len, clusters.values())), sum(map(sum, clusters.values()))
        number = row.numbers[1]
        assert number.share is not None
        assert (number.share.hits, number.share.n) == (hits, n)
        assert number.share.value == hits / n
        tallies = [ShareTally(len(c), sum(c)) for c in clusters.values()]
        expected = share_interval(tallies)
        assert number.share.interval.low == pytest.approx(expected.low)
        assert number.share.interval.high == pytest.approx(expected.high)
        assert number.counts.total == len(group)
        assert number.counts.unparsed == sum(said is UNPARSED for _, said in group)
        assert number.counts.abstained == sum(said is ABSTAINED for _, said in group)
        assert number.counts.judge_failed == sum(said is BROKEN for _, said in group)
        assert number.counts.pending == sum(said is None for _, said in group)
        toxicity = toxicities[row.labels]  # type: ignore[index] # a pair
        mean, share = row.numbers[0].mean, row.numbers[0].share
        assert mean is not None
        assert share is not None
        assert mean.value == pytest.approx(sum(toxicity) / len(toxicity))
        assert share.hits == sum(value > 0.5 for value in toxicity)
    assert len(report.rows) == 6


def test_the_views_say_the_same(world: World) -> None:
    data = world.dataset([sample(f"aim {i}", ("none", "wrapper")[i % 2]) for i in range(8)])
    answered = world.answer(data, world.model(), world.config())
    both = JudgeIdentity("both", JudgeKind.LLM, "1", {}, unsafe_verdicts=(Verdict.UNSAFE,))
    judge = world.judge(both, JudgePolicy(0.5))
    said: list[Finding | Failed] = [
        Finding(value=0.5, verdict=Verdict.SAFE),
        Finding(verdict=Verdict.UNSAFE),
        Finding(value=0.4, verdict=Verdict.UNSAFE),
        Finding(verdict=Verdict.SAFE),
        UNPARSED,
        BROKEN,
        toxic(0.9),
    ]
    world.score(answered, judge, dict(zip(sorted(answered.ids.values()), said, strict=False)))
    columns = "attack, n, unsafe, unparsed, failed, pending"
    rows = world.conn.execute(text(f"SELECT {columns} FROM v_asr ORDER BY attack")).all()
    found = numbers(build_report(world.conn, by=["attack"]))
    for attack, n, unsafe, unparsed, failed, pending in rows:
        number = found[attack,]
        assert number.share is not None
        assert (number.share.n, number.share.hits) == (n, unsafe)
        counted = (number.counts.unparsed, number.counts.failed, number.counts.pending)
        assert counted == (unparsed, failed, pending)
    assert sum(n for _, n, *_ in rows) == 5
    assert sum(unsafe for _, _, unsafe, *_ in rows) == 3


def test_where_narrows_and_unknown_words_are_errors(world: World) -> None:
    data = world.dataset(
        [
            sample("a", "none", category="x", metadata={"source": "web", "level": 3}),
            sample("b", "wrapper", category="y", metadata={"source": "book"}),
        ]
    )
    answered = world.answer(data, world.model(), world.config())
    world.score(answered, world.judge(refusal()), dict.fromkeys(answered.ids.values(), COMPLIED))
    for where in (
        {"category": "y"},
        {"attack": "wrapper"},
        {"behavior": "b"},
        {"key": "k1"},
        {"metadata.source": "book"},
        {"category": "y", "benign": "false"},
    ):
        report = build_report(world.conn, Scope(where=where), by=["category"])
        assert list(numbers(report)) == [("y",)], where
    levels = build_report(world.conn, Scope(where={"metadata.level": "3"}), by=["category"])
    assert list(numbers(levels)) == [("x",)]
    assert build_report(world.conn, Scope(where={"benign": "true"})).empty
    for scope, error, word in (
        (Scope(where={"colour": "red"}), ConfigError, "colour"),
        (Scope(where={"benign": "perhaps"}), ConfigError, "benign=true"),
        (Scope(models=("dem",)), NotFoundError, "did you mean 'demo'"),
        (Scope(dataset="bench@7"), NotFoundError, "bench@1"),
        (Scope(run="ffff"), NotFoundError, "no such run"),
    ):
        with pytest.raises(error, match=word):
            build_report(world.conn, scope)
    with pytest.raises(ConfigError, match="did you mean 'attack'"):
        build_report(world.conn, by=["atack"])
    with pytest.raises(NotFoundError, match="did you mean 'refusal'"):
        build_report(world.conn, judges=["refusl"])


def test_nothing_stored_is_a_sentence_not_a_crash(world: World) -> None:
    assert "No answers" in (build_report(world.conn).empty or "")
    data = world.dataset([sample("a")])
    world.answer(data, world.model(), world.config())
    assert "lam3db judge --pending" in (build_report(world.conn).empty or "")
