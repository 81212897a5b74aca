"""All faults of all models and judges at once, before anything is started."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from jobs import job

from lam3db.config import JudgeConfig
from lam3db.errors import Lam3Error
from lam3db.pipeline.preflight import preflight
from lam3db.pipeline.watch import Silence

GOOD, BAD = (
    JudgeConfig(name="a", kind="null"),
    JudgeConfig(name="b", kind="null", settings={"dealy_ms": 1}),
)


def test_what_can_be_had_passes() -> None:
    preflight([job()], [GOOD], Silence())


def test_one_fault_is_told_as_it_is() -> None:
    with pytest.raises(Lam3Error, match="did you mean 'delay_ms'") as caught:
        preflight([job()], [GOOD, BAD], Silence())
    assert "faults" not in str(caught.value)


def test_several_faults_are_told_together() -> None:
    with pytest.raises(Lam3Error, match="2 faults; nothing was started") as caught:
        preflight([job("null?speed=9"), job()], [BAD], Silence())
    assert "speed" in str(caught.value)
    assert "dealy_ms" in str(caught.value)


def test_a_key_is_missed_before_anything_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("A_KEY", raising=False)
    asks = JudgeConfig(
        name="c",
        kind="openai-moderation",
        settings={"endpoint": {"url": "https://api.example/v1", "key_env": "A_KEY"}},
    )
    with pytest.raises(Lam3Error, match="set A_KEY in the environment"):
        preflight([job()], [asks], Silence())
    ended = asks.model_copy(update={"ends_on": date(2020, 1, 1)})
    preflight([job()], [ended], Silence())
    monkeypatch.setenv("A_KEY", "sk-some-key")
    preflight([job()], [asks], Silence())
