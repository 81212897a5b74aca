"""Refs: one text per question, which comes back as it was."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lam3db.errors import ConfigError
from lam3db.metrics import Question
from lam3db.metrics.question import METRICS, read_rule
from lam3db.report.refs import Ref, parse_ref
from lam3db.store.groups import GROUPS

texts = st.text(st.characters(), max_size=12)
names = st.text(st.characters(), min_size=1, max_size=12).filter(
    lambda name: not name.startswith("run:")
)
rules = st.sampled_from(["each", "any", "mean", "majority", "any-of-3"]).map(read_rule)
plain = st.builds(
    Question,
    rule=rules,
    missing=st.sampled_from(["scored", "failure", "success"]),
    cluster=st.sampled_from(["behavior", "category", "metadata.a b"]),
)
drawn = st.builds(
    Question,
    interval=st.just("bootstrap"),
    seed=st.integers(0, 9),
    resamples=st.integers(1, 3000),
    metrics=st.sampled_from([(), ("emt",), ("emt", "toxicity-probability")]),
)
of_five = st.builds(Question, metrics=st.just(("emt",)), k=st.integers(1, 9))


@given(
    st.builds(
        Ref,
        judge=st.from_regex("[0-9a-f]{12}", fullmatch=True),
        attribute=st.none() | texts,
        group=st.dictionaries(st.sampled_from([*GROUPS, "config.temperature"]), texts),
        threshold=st.none() | st.tuples(st.sampled_from([">", ">="]), st.floats(-1, 2)),
        question=plain | drawn | of_five,
        datasets=st.lists(names, max_size=3).map(tuple),
        models=st.lists(names, max_size=2).map(tuple),
        where=st.dictionaries(names, texts, max_size=2),
        metric=st.none() | st.sampled_from(METRICS),
    )
)
def test_a_ref_is_read_back_and_needs_no_quotes(asked: Ref) -> None:
    ref = asked.text
    assert parse_ref(ref) == asked
    assert ref.isascii()
    assert shlex.split(ref) == [ref] or "~" in ref
    assert not set(ref) & set(" \t\n'\"$&|;<>()*?[]#!{}\\`")
    assert ref[0] not in "=+-@"


ANY = Question(rule=read_rule("any"))


def test_what_is_at_its_default_is_left_out() -> None:
    asked = Ref("0123456789ab", {"attack": "none", "model": "ffff"}, datasets=("b@1",))
    assert asked.text == "judge=0123456789ab,model=ffff,attack=none,in=b@1"
    turned = Ref("0123456789ab", {"model": "ffff", "attack": "none"}, datasets=("b@1",))
    assert turned.text == asked.text
    run = Ref("0123456789ab", threshold=(">", 0.25), question=ANY, run="8f2e")
    assert run.text == "judge=0123456789ab,threshold=gt0.25,rule=any,in=run:8f2e"
    assert parse_ref(run.text) == run


@pytest.mark.parametrize(
    "ref",
    [
        "",
        "attack=none",
        "judge=",
        "judge=ab,judge=cd",
        "judge=ab,atack=none",
        "judge=ab,threshold=0.5",
        "judge=ab,threshold=gtx",
        "judge=ab,threshold=genan",
        "judge=ab,threshold=gtinf",
        "judge=ab,show=emt,k=0",
        "judge=ab,interval=bootstrap,resamples=" + "9" * 5000,
        "judge=ab,metric=share",
        "judge=ab,rule=all",
        "judge=ab,missing=none",
        "judge=ab,seed=-1",
        "judge=ab,show=everything",
        "judge=ab,attack=%ff",
        "judge=ab,option=1",
        "judge=ab," + "x" * 30_000,
    ],
)
def test_what_is_no_ref_is_refused(ref: str) -> None:
    with pytest.raises(ConfigError):
        parse_ref(ref)
