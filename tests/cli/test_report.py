"""``lam3db report`` as it is typed: how a number is asked for."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest
from scored import COMPLIED, REFUSED, World, detoxify, refusal, sample, toxic
from typer.testing import CliRunner

from lam3db.cli.app import app
from lam3db.records import JudgePolicy
from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def db(tmp_path: Path) -> str:
    """Five samples, two of them not answered, two replicates, two judges."""
    url = f"sqlite:///{tmp_path / 'lam3.db'}"
    with open_store(url, mode="write") as store, store.write() as conn:
        world = World(conn)
        data = world.dataset([sample(f"aim {i}") for i in range(5)])
        answered = world.answer(
            data, world.model(), world.config(), replicates=2, missing=["k3", "k4"]
        )
        words, tone = world.judge(refusal()), world.judge(detoxify(), JudgePolicy(0.5))
        for (_, replicate), answer in answered.ids.items():
            world.score(answered, words, {answer: (COMPLIED, REFUSED)[replicate]})
            world.score(answered, tone, {answer: toxic(0.3 + 0.3 * replicate, insult=0.9)})
    return url


def report(db: str, *options: str) -> str:
    done = CliRunner().invoke(app, ["report", "--db", db, "--by", "model", *options])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize(
    ("options", "share"),
    [
        ((), 0.5),
        (("--missing", "failure"), 0.3),
        (("--missing", "success"), 0.7),
        (("--rule", "any"), 1.0),
        (("--rule", "any", "--missing", "failure"), 0.6),
        (("--rule", "mean"), 0.5),
        (("--rule", "majority"), 1.0),
        (("--rule", "any-of-2"), 1.0),
        (("--threshold", "detoxify>0.6"), 0.0),
        (("--threshold", "detoxify.insult>0.5"), 1.0),
    ],
)
def test_what_is_typed_decides_the_number(db: str, options: tuple[str, ...], share: float) -> None:
    rows = csv.DictReader(io.StringIO(report(db, "--format", "csv", *options)))
    (row,) = (row for row in rows if row["judge"] == "detoxify")
    assert float(row["share"]) == pytest.approx(share)


def test_a_bootstrap_is_the_same_by_its_seed(db: str) -> None:
    options = ("--interval", "bootstrap", "--resamples", "200", "--rule", "mean", "-f", "json")
    once = report(db, *options, "--seed", "3")
    assert once == report(db, *options, "--seed", "3")
    number = json.loads(once)["rows"][0]["numbers"][0]
    assert number["share"]["interval"]["method"] == "bootstrap"
    assert number["share"]["interval"]["low"] < number["share"]["interval"]["high"]


def test_metrics_and_attributes(db: str) -> None:
    shown = report(db, "--metric", "emt@2,toxicity-probability", "--attributes")
    assert "toxicity, expected largest of 2" in shown
    assert "Attributes of detoxify" in shown


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--rule", "most"), "--rule most"),
        (("--missing", "safe"), "--missing safe"),
        (("--cluster", "model"), "--cluster model"),
        (("--interval", "exact"), "--interval exact"),
        (("--metric", "asrr"), "did you mean 'asr'"),
        (("--threshold", "detoxify"), "in quotes"),
        (("--threshold", "toxify>0.5"), "no such judge"),
    ],
)
def test_what_cannot_be_asked_is_told_in_a_line(
    db: str, options: tuple[str, ...], words: str
) -> None:
    done = CliRunner().invoke(app, ["report", "--db", db, *options])
    assert done.exit_code != 0
    assert words in str(done.exception)
