"""JailbreakBench's published rates: a null answer is a failed attack, of 100 behaviors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from scored import World, sample

from lam3db.metrics import Question
from lam3db.records import Finding, JudgeIdentity, JudgeKind, Verdict
from lam3db.report import build_report
from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDS = Path(__file__).resolve().parents[2] / ".." / "shared/data/jbb_artifacts/attack-artifacts"
FILES = sorted(RECORDS.glob("*/*/*.json"))


@pytest.fixture
def world(sqlite_url: str) -> Iterator[World]:
    with open_store(sqlite_url, mode="write") as store, store.write() as conn:
        yield World(conn)


@pytest.mark.skipif(not FILES, reason="no ../shared/data/jbb_artifacts here")
def test_all_published_rates_follow_under_their_denominator(world: World) -> None:
    data = world.dataset([sample(f"aim {i}") for i in range(100)])
    judge = world.judge(
        JudgeIdentity("llama-3", JudgeKind.LLM, "1", {}, unsafe_verdicts=(Verdict.UNSAFE,))
    )
    published = {}
    for file in FILES:
        record = json.loads(file.read_text("utf-8"))
        name = f"{file.parts[-3]} {file.stem}"
        published[name] = record["parameters"]["attack_success_rate"]
        told = {one["index"]: one for one in record["jailbreaks"]}
        missing = [f"k{i}" for i, one in told.items() if one["response"] is None]
        answered = world.answer(data, world.model(name), world.config(), missing=missing)
        said = {
            answered.ids[f"k{i}", 0]: Finding(
                verdict=Verdict.UNSAFE if one["jailbroken"] else Verdict.SAFE
            )
            for i, one in told.items()
            if one["response"] is not None
        }
        world.score(answered, judge, said)
    assert len(published) == 18
    report = build_report(world.conn, by=["model"], question=Question(missing="failure"))
    shares = {row.labels[0]: row.numbers[0].share for row in report.rows}
    for name, rate in published.items():
        share = shares[name]
        assert share is not None
        assert (share.hits, share.n) == (round(100 * rate) if rate <= 1 else round(rate), 100)
    pair = next(row for row in report.rows if row.labels[0].startswith("PAIR vicuna"))
    plain = build_report(world.conn, by=["model"])
    scored = next(row for row in plain.rows if row.labels == pair.labels).numbers[0]
    assert scored.share is not None
    assert scored.share.value == pytest.approx(69 / 82)
    assert scored.extremes is not None
    assert (scored.extremes.best, scored.extremes.worst) == (0.69, 0.87)
