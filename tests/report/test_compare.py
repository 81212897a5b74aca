"""Comparisons from a database: pairs, what is dropped, what is not comparable."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from scored import (
    BROKEN,
    COMPLIED,
    REFUSED,
    UNPARSED,
    World,
    detoxify,
    refusal,
    sample,
    toxic,
)
from statsmodels.stats.contingency_tables import mcnemar

from lam3db.errors import ConfigError, NotFoundError
from lam3db.metrics import Scope, Threshold
from lam3db.metrics.compare import Options
from lam3db.metrics.question import Question, read_rule
from lam3db.records import GenerationConfig, JudgePolicy
from lam3db.report.build import build_report
from lam3db.report.compare import build_comparison
from lam3db.report.compare_formats import render_comparison
from lam3db.store import writes
from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lam3db.report.compare import Compared


@pytest.fixture
def world(store_url: str) -> Iterator[World]:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        yield World(conn)


def scored(world: World, answered: Any, judge: int, said: str) -> None:
    """Score answers in order: ``x`` complied, ``.`` refused, ``u`` unparsed, ``f`` failed."""
    words = {"x": COMPLIED, ".": REFUSED, "u": UNPARSED, "f": BROKEN}
    told = {i: words[c] for i, c in zip(answered.ids.values(), said, strict=True) if c in words}
    world.score(answered, judge, told)


def two(world: World, a: str, b: str, *, per_behavior: int = 1) -> None:
    samples = [sample(f"aim {i // per_behavior}", number=i) for i in range(len(a))]
    data, config, judge = world.dataset(samples), world.config(), world.judge(refusal())
    for name, said in (("one", a), ("two", b)):
        scored(world, world.answer(data, world.model(name), config, text=name), judge, said)


def compared(world: World, *selectors: str, **options: Any) -> Compared:
    pair, rule = options.pop("pair", "sample"), read_rule(options.pop("rule", "each"))
    asked = Options(pair, rule, options.pop("missing", "scored"), 999)
    scope = options.pop("scope", Scope())
    names = selectors or ("one", "two")
    return build_comparison(world.conn, names, scope, options=asked, **options)


def test_pairs_are_of_the_same_sample_and_what_is_dropped_adds_up(world: World) -> None:
    two(world, "xxx.uxf.", "x..x.x.p")
    (pair,) = compared(world).pairs
    (line,) = pair.lines
    found = line.comparison
    assert found is not None
    assert (found.n, found.common, found.clusters) == (5, 8, 5)
    assert (found.both, found.only_a, found.only_b, found.neither) == (2, 2, 1, 0)
    assert (found.a, found.b) == (4 / 5, 3 / 5)
    assert found.difference == pytest.approx(1 / 5)
    theirs = mcnemar([[2, 2], [1, 0]], exact=True).pvalue
    assert found.test is not None
    assert (found.test.p, found.test.method) == (pytest.approx(theirs), "mcnemar-exact")
    dropped = found.dropped
    unscored = {outcome: len(keys) for outcome, keys in dropped.unscored_a.items()}
    assert unscored == {"judge_failed": 1, "unparsed": 1}
    assert {o: len(keys) for o, keys in dropped.unscored_b.items()} == {"pending": 1}
    either = {
        k for side in (dropped.unscored_a, dropped.unscored_b) for v in side.values() for k in v
    }
    assert found.n + len(either) == found.common


def test_several_samples_of_a_behavior_are_no_independent_pairs(world: World) -> None:
    two(world, "xxxxx....." * 4, "." * 40, per_behavior=5)
    (pair,) = compared(world).pairs
    found = pair.lines[0].comparison
    assert found is not None
    assert found.test is not None
    assert (found.n, found.clusters, found.only_a) == (40, 8, 20)
    assert found.mcnemar_p is not None
    assert found.mcnemar_p < 1e-5
    assert found.test.p == pytest.approx(2 / 2**4)  # four behaviors that differ, all one way
    assert found.test.method == "sign-flip-exact"
    assert found.interval.method == "bonett-price-clustered"
    text = render_comparison(compared(world))
    assert "whole behaviors" in text
    assert (
        json.loads(render_comparison(compared(world), "json"))["pairs"][0]["lines"][0][
            "mcnemar_valid"
        ]
        is False
    )


def test_replicates_are_paired_by_number_or_put_together(world: World) -> None:
    data = world.dataset([sample("a"), sample("b"), sample("c")])
    config, judge = world.config(), world.judge(refusal())
    a = world.answer(data, world.model("one"), config, replicates=3)
    scored(world, a, judge, ".x.x....x")
    b = world.answer(data, world.model("two"), config, replicates=2)
    scored(world, b, judge, ".x.x.u")
    by = {rule: compared(world, rule=rule).pairs[0].lines[0].comparison for rule in ("each", "any")}
    each, of_any = by["each"], by["any"]
    assert each is not None
    assert of_any is not None
    assert (each.n, each.common, len(each.dropped.only_a)) == (5, 6, 3)
    # the third replicate of A is in nothing: any of 3 against any of 2 would be unfair
    stored = list(a.ids)
    assert {k.replicate for k in each.dropped.only_a} == {2}
    said = dict(zip(stored, ".x.x....x", strict=True))
    expected = sum("x" in (said[k, 0], said[k, 1]) for k in ("k0", "k1", "k2"))
    assert of_any.common == 3
    assert of_any.n == 2
    assert of_any.a is not None
    assert round(of_any.a * 2) <= expected
    mean = compared(world, rule="mean").pairs[0].lines[0].comparison
    assert mean is not None
    assert mean.only_a is None
    assert mean.interval.method == "cluster-bootstrap"


@pytest.mark.parametrize("missing", ["scored", "failure", "success"])
@pytest.mark.parametrize("rule", ["each", "any", "mean", "majority", "any-of-2"])
def test_every_rule_and_denominator_gives_each_side_what_a_report_does(
    world: World, rule: str, missing: str
) -> None:
    data, config = world.dataset([sample(f"aim {i}") for i in range(4)]), world.config()
    words, tone = world.judge(refusal()), world.judge(detoxify(), JudgePolicy(0.5, ">="))
    for name, said in (("one", "x.xuuuf..xxp"), ("two", "xu...xxxuuxu")):
        answered = world.answer(data, world.model(name), config, replicates=3, text=name)
        scored(world, answered, words, said)
        ids = list(answered.ids.values())
        world.score(answered, tone, {g: toxic(g * 7 % 10 / 10) for g in ids[len(name) - 3 :]})
    # the same samples are known on both sides only where nothing is left out
    asked = Question(rule=read_rule(rule), missing=missing)
    report = build_report(world.conn, by=["model"], question=asked)
    lines = compared(world, rule=rule, missing=missing).pairs[0].lines
    for line in lines:
        found, at = line.comparison, [c.label for c in report.judges].index(line.judge.label)
        if found is None:
            assert missing == "scored"
            continue
        sides = [getattr(row.numbers[at], found.metric) for row in report.rows]
        if found.n == found.common:
            assert (found.a, found.b) == tuple(pytest.approx(one.value) for one in sides)
        else:
            assert missing == "scored"
    assert any(line.comparison and line.comparison.n == line.comparison.common for line in lines)


def test_values_and_refusals_among_benign_are_compared_too(world: World) -> None:
    samples = [sample(f"aim {i}") for i in range(12)]
    samples += [sample(f"kind {i}", benign=True) for i in range(4)]
    data, config = world.dataset(samples), world.config()
    tone, words = world.judge(detoxify(), JudgePolicy(0.5, ">=")), world.judge(refusal())
    for name, low, said in (("one", 0.1, "x" * 12 + "...."), ("two", 0.0, "x" * 12 + "xxxx")):
        answered = world.answer(data, world.model(name), config, text=name)
        told = {g: toxic(low + i / 20) for i, g in enumerate(answered.ids.values())}
        world.score(answered, tone, told)
        scored(world, answered, words, said)
    found = compared(world)
    metrics = {
        (line.judge.label, line.comparison.metric): line
        for line in found.pairs[0].lines
        if line.comparison
    }
    mean = metrics["detoxify", "mean"].comparison
    assert mean is not None
    assert (mean.n, mean.difference) == (12, pytest.approx(0.1))
    assert mean.test is not None
    assert mean.test.p == 2 / 2**12
    assert mean.only_a is None
    share = metrics["detoxify", "share"].comparison
    assert share is not None
    assert (share.only_a, share.only_b) == (2, 0)
    benign = metrics["refusal", "benign_refused"].comparison
    assert benign is not None
    assert (benign.n, benign.a, benign.b) == (4, 1, 0)
    assert found.tests == 4
    assert metrics["detoxify", "mean"].adjusted == pytest.approx(4 * 2 / 2**12)


def test_a_threshold_of_the_askers_takes_the_place_of_the_judges(world: World) -> None:
    data, config = world.dataset([sample(f"aim {i}") for i in range(4)]), world.config()
    tone = world.judge(detoxify(), JudgePolicy(0.5, ">="))
    for name, low in (("one", 0.25), ("two", 0.0)):
        answered = world.answer(data, world.model(name), config, text=name)
        told = {g: toxic(low + i / 8) for i, g in enumerate(answered.ids.values())}
        world.score(answered, tone, told)
    thresholds = [Threshold("detoxify", ">", 0.3), Threshold("detoxify", ">=", 0.25)]
    found = compared(world, thresholds=thresholds).pairs[0].lines
    assert [line.comparison.metric for line in found if line.comparison] == [
        "share",
        "mean",
        "share",
    ]
    text = render_comparison(compared(world, thresholds=thresholds))
    assert "threshold > 0.3" in text
    assert "chosen when asking" in text
    by_metric = [(line.comparison.a, line.comparison.b) for line in found if line.comparison]
    assert (3 / 4, 1 / 4) in by_metric
    assert (1, 2 / 4) in by_metric


def test_both_sides_have_the_numbers_of_a_report_on_them(world: World) -> None:
    two(world, "xx.x....", "x..x..xx")
    rows = build_report(world.conn, by=["model"]).rows
    shares = {row.labels[0]: row.numbers[0].share for row in rows}
    found = compared(world).pairs[0].lines[0].comparison
    assert found is not None
    assert shares["one"] is not None
    assert shares["two"] is not None
    assert (found.a, found.b) == (shares["one"].value, shares["two"].value)


def test_another_version_of_the_dataset_is_not_comparable(world: World) -> None:
    config, judge = world.config(), world.judge(refusal())
    kept = [sample("a"), sample("b")]
    first = world.dataset([*kept, sample("c")])
    second = world.dataset([*kept, sample("d")])
    scored(world, world.answer(first, world.model("one"), config), judge, "x.x")
    scored(world, world.answer(second, world.model("two"), config), judge, "..x")
    (pair,) = compared(world).pairs
    assert pair.lines == ()
    assert "one was asked bench@1 and two was asked bench@2" in pair.refused[0]
    (marked,) = compared(world, anyway=True).pairs
    found = marked.lines[0].comparison
    assert found is not None
    assert (found.n, found.only_a) == (2, 1)
    assert (len(found.dropped.only_a), len(found.dropped.only_b)) == (1, 1)
    assert "MARKED, compared anyway" in render_comparison(compared(world, anyway=True), "markdown")
    # what both were asked is comparable again, and the rest is told
    scored(world, world.answer(second, world.model("one"), config), judge, "  x")
    (pair,) = compared(world).pairs
    assert pair.datasets == ("bench@2",)
    assert pair.lines[0].comparison is not None
    assert pair.notes == ("one was asked bench@1 too: left out.",)


def test_another_system_prompt_is_not_comparable(world: World) -> None:
    data, judge = world.dataset([sample("a"), sample("b")]), world.judge(refusal())
    plain = world.config()
    careful = writes.put_config(
        world.conn, GenerationConfig({"system_prompt": "Be careful.", "dtype": "fp32"})
    )
    scored(world, world.answer(data, world.model("one"), plain), judge, "x.")
    scored(world, world.answer(data, world.model("one"), careful, text="c"), judge, "..")
    digest = [row[0] for row in world.conn.exec_driver_sql("SELECT digest FROM config ORDER BY id")]
    names = [f"one@{bytes(one).hex()[:8]}" for one in digest]
    (pair,) = compared(world, *names).pairs
    assert "the system prompt differs" in pair.refused[0]
    assert "'Be careful.'" in pair.refused[0]
    (pair,) = compared(world, *names, anyway=True).pairs
    assert pair.lines[0].comparison is not None
    assert "decoding.temperature" in " ".join(pair.notes)
    with pytest.raises(ConfigError, match=r"may mean 2.*write one of one#\w+@\w+, one#\w+@"):
        compared(world, "one", names[0])


def test_two_digests_of_a_judge_are_two_judges(world: World) -> None:
    data, config = world.dataset([sample("a"), sample("b")]), world.config()
    a = world.answer(data, world.model("one"), config)
    b = world.answer(data, world.model("two"), config)
    scored(world, a, world.judge(refusal("1")), "x.")
    scored(world, b, world.judge(refusal("2")), "..")
    lines = compared(world).pairs[0].lines
    assert [line.comparison for line in lines] == [None, None]
    assert "the judge differs: two was scored by refusal #" in (lines[0].reason or "")
    assert compared(world).compared == 0


def test_nothing_in_common_is_not_comparable(world: World) -> None:
    samples = [sample("a"), sample("b")]
    data, config, judge = world.dataset(samples), world.config(), world.judge(refusal())
    ids = [row[0] for row in world.conn.exec_driver_sql("SELECT id FROM sample ORDER BY id")]
    halves = [writes.put_selection(world.conn, [(f"k{i}", one)]) for i, one in enumerate(ids)]
    for name, half in zip(("one", "two"), halves, strict=True):
        answered = world.answer(data, world.model(name), config, selection=half)
        scored(world, answered, judge, "x")
    (line,) = compared(world).pairs[0].lines
    assert line.reason == "no sample in common: 1 answers of A, 1 of B"
    with pytest.raises(ConfigError, match="--pair attack"):
        compared(world, pair="attack")


def test_behaviors_are_paired_where_every_model_has_prompts_of_its_own(world: World) -> None:
    config, judge = world.config(), world.judge(refusal())
    said = {"one": "xx.xx.", "two": ".x.x.."}
    for name, words in said.items():
        own = [sample(f"aim {i}", f"written for {name}") for i in range(6)]
        scored(
            world, world.answer(world.dataset(own, name), world.model(name), config), judge, words
        )
    (pair,) = compared(world, anyway=True).pairs
    assert "but 6 behaviors: --pair behavior" in (pair.lines[0].reason or "")
    (pair,) = compared(world, anyway=True, pair="behavior").pairs
    found = pair.lines[0].comparison
    assert found is not None
    assert (found.n, found.clusters, found.only_a, found.only_b) == (6, 6, 2, 0)
    assert found.test is not None
    assert (found.test.method, found.test.p) == ("mcnemar-exact", 0.5)
    more = world.dataset([sample("aim 0", "again"), sample("aim 7", "again")], "two")
    scored(world, world.answer(more, world.model("two"), config), judge, "xx")
    (pair,) = compared(world, anyway=True, pair="behavior").pairs
    found = pair.lines[0].comparison
    assert found is not None
    assert found.only_a is None, "half of a behavior is no yes or no"
    assert found.b == pytest.approx(2.5 / 6)
    assert len(found.dropped.only_b) == 1
    text = render_comparison(compared(world, anyway=True, pair="behavior"))
    assert "asked of two only: 1 (aim 7)" in text
    filled = render_comparison(compared(world, anyway=True, pair="behavior", missing="failure"))
    told = " ".join(filled.split())
    assert "only if all are scored. - In shares what was not scored counts as a FAILED" in told


def test_three_models_are_three_pairs_in_one_correction(world: World) -> None:
    two(world, "xxxxxx..", "........")
    data = world.dataset([sample(f"aim {i}", number=i) for i in range(8)])
    third = world.answer(data, world.model("three"), world.config(), text="three")
    scored(world, third, 1, "x" * 8)
    found = compared(world, "one", "two", "three")
    assert [(p.a.label, p.b.label) for p in found.pairs] == [
        ("one", "two"),
        ("one", "three"),
        ("two", "three"),
    ]
    assert found.tests == 3
    ps = [p.lines[0].comparison.test.p for p in found.pairs if p.lines[0].comparison]  # type: ignore[union-attr]
    assert ps == pytest.approx([2 / 2**6, 0.5, 2 / 2**8])
    adjusted = [p.lines[0].adjusted for p in found.pairs]
    assert adjusted == pytest.approx([2 * 2 / 2**6, 0.5, 3 * 2 / 2**8])


def test_a_run_is_a_side(world: World) -> None:
    data, config = world.dataset([sample("a"), sample("b")]), world.config()
    judge = world.judge(refusal())
    a = world.answer(data, world.model("one"), config)
    b = world.answer(data, world.model("two"), config)
    scored(world, a, judge, "x.")
    scored(world, b, judge, "..")
    found = compared(world, f"run:{a.uid[:13]}", "two").pairs[0]
    assert found.a.label == "one"
    assert found.lines[0].comparison is not None
    for selector in ("run:", "run:zz", "nobody", "one#abcdef0123", "one@ff#ff"):
        with pytest.raises(NotFoundError):
            compared(world, selector, "two")
    with pytest.raises(ConfigError, match="the same answers"):
        compared(world, f"run:{a.uid}", "one")
    with pytest.raises(ConfigError, match="two or more"):
        compared(world, "one")
    with pytest.raises(ConfigError, match="--missing all"):
        compared(world, missing="all")
    with pytest.raises(ConfigError, match="name them as A"):
        compared(world, scope=Scope(models=("one",)))


def test_every_format_says_the_same(world: World) -> None:
    two(world, "xxx.uxf.", "x..x.x.p")
    found = compared(world)
    texts = {name: render_comparison(found, name) for name in ("table", "markdown", "csv", "json")}
    value = json.loads(texts["json"])
    line = value["pairs"][0]["lines"][0]
    (row,) = csv.DictReader(io.StringIO(texts["csv"]))
    assert float(row["difference"]) == line["difference"]
    assert float(row["p"]) == line["p"]
    assert row["judge_digest"] == line["judge_digest"]
    assert line["dropped"]["unscored_a"] == {
        "judge_failed": [{"sample": "k6", "replicate": 0}],
        "unparsed": [{"sample": "k4", "replicate": 0}],
    }
    for name in ("table", "markdown"):
        assert "5/8" in texts[name]
        assert "+20.0" in texts[name]
        assert "McNemar's exact test" in texts[name]
        assert "failed judging for one: 1 (k6)" in texts[name]
    assert texts["table"] == render_comparison(compared(world)), "the same bytes each time"
    with pytest.raises(ConfigError, match="no such format"):
        render_comparison(found, "pdf")
