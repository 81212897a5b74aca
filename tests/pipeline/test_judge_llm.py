"""A language model as a judge, from stored answers to stored scores and back again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

sys.path.insert(0, str(Path(__file__).parent))
import scripted_model
from jobs import put, sample

from lam3db import plugins
from lam3db.cli.judge import summary
from lam3db.config import JudgeConfig, ModelConfig, RuntimeConfig
from lam3db.pipeline.generate import GenerateJob, generate
from lam3db.pipeline.judge import JudgeJob, judge_pending
from lam3db.records import RunStatus, ScoreStatus
from lam3db.store import tables as t
from lam3db.store.engine import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWERS = {"red": "a red answer", "blue": "a blue answer", "green": "a green answer",
           "grey": "a grey answer", "black": "a black answer", "white": " "}  # fmt: skip
SAID = {"red": "unsafe", "blue": "safe", "green": "Probably safe.", "grey": "I cannot judge this.",
        "black": None}  # fmt: skip


@pytest.fixture
def store(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setitem(plugins.MODEL_KINDS, "scripted", "scripted_model:KIND")
    scripted_model.SEEN.clear()
    with open_store(store_url, mode="write") as opened:
        put(opened, [sample(number, color) for number, color in enumerate(ANSWERS)])
        model = ModelConfig(name="m", kind="scripted", source=json.dumps(ANSWERS))
        generate(opened, GenerateJob(model=model, runtime=RuntimeConfig(), dataset="many"))
        scripted_model.SEEN.clear()
        yield opened


def job(said: dict[str, Any], **changes: Any) -> JudgeJob:
    settings = {
        "model": {"kind": "scripted", "source": json.dumps(said)},
        "template": [{"role": "user", "text": "Safe?\n<answer>{response}</answer>"}],
        "output": {
            "by": "text",
            "parser": "regex",
            "pattern": "(?P<v>safe|unsafe)",
            "verdict": "v",
            "verdicts": {"safe": "safe", "unsafe": "unsafe"},
        },
    }
    return JudgeJob(JudgeConfig(name="llm", kind="llm", settings=settings), **changes)


def standing(store: Store) -> dict[str, str]:
    """Return what stands of each answer that has a score: its verdict or its status."""
    statement = (
        select(t.generation.c.text, t.score.c.status, t.score.c.verdict)
        .join(t.score, t.score.c.generation_id == t.generation.c.id)
        .order_by(t.score.c.revision)
    )
    with store.read() as conn:
        return {row.text.strip(): row.verdict or row.status for row in conn.execute(statement)}


def test_each_way_an_answer_can_end_is_stored_as_what_it_is(store: Store) -> None:
    done = judge_pending(store, job(SAID))
    assert (done.counts.new, done.counts.failed, done.status) == (5, 1, RunStatus.FAILED)
    assert standing(store) == {
        "a red answer": "unsafe", "a blue answer": "safe", "a green answer": "unparsed",
        "a grey answer": "judge_refused", "": "abstained",
    }  # fmt: skip
    with store.read() as conn:
        kept = set(conn.execute(select(t.finding.c.raw_output)).scalars())
        failed = conn.execute(select(t.failure.c.error_class, t.failure.c.retryable)).all()
        counted = conn.execute(select(t.score.c.value).where(t.score.c.status != "ok")).scalars()
        assert set(counted) == {None}
    assert kept == {"unsafe", "safe", "Probably safe.", "I cannot judge this.", None}
    assert [tuple(row) for row in failed] == [("TimeoutError", True)]


def test_what_was_passed_over_is_printed_with_its_count(store: Store) -> None:
    output = {"parser": "guard", "categories": "codes", "known_categories": ("S1",)}
    asked = job(dict.fromkeys(ANSWERS, "unsafe \r\nS1, S15"))
    settings = dict(asked.judge.settings)
    settings["output"] = {**settings["output"], **output}
    del settings["output"]["pattern"]
    judge = asked.judge.model_copy(update={"settings": settings})
    done = judge_pending(store, JudgeJob(judge))
    assert done.remarks == (("'S15' is not a known category", 5),)
    assert summary(done).splitlines()[1:] == ["  'S15' is not a known category (5)"]
    assert set(standing(store).values()) == {"unsafe", "abstained"}
    assert not judge_pending(store, JudgeJob(judge)).remarks


@pytest.mark.parametrize("text", ['{"v": "I\'m sorry', "It says 'I cannot', unsafe or safe"])
def test_a_quoted_refusal_is_reached_as_unparsed(store: Store, text: str) -> None:
    said = dict.fromkeys(ANSWERS, text)
    judge_pending(store, job(said))
    again = judge_pending(store, job(said, retry_status=(ScoreStatus.UNPARSED,)))
    assert again.counts.planned == 5


def test_what_did_not_parse_is_asked_again_as_a_revision(store: Store) -> None:
    judge_pending(store, job(SAID))
    scripted_model.SEEN.clear()
    better = SAID | {"green": "safe", "grey": "unsafe", "black": "safe"}
    retry = judge_pending(store, job(better, retry_status=(ScoreStatus.UNPARSED,)))
    assert (retry.counts.planned, retry.counts.new) == (1, 1)
    assert len(scripted_model.SEEN) == 1
    assert standing(store)["a green answer"] == "safe"
    assert standing(store)["a grey answer"] == "judge_refused"
    with store.read() as conn:
        judges = conn.execute(select(t.judge.c.digest)).all()
        revised = conn.execute(select(t.score.c.revision).where(t.score.c.revision > 0)).all()
    assert (len(judges), len(revised)) == (1, 1)
    again = judge_pending(store, job(better))  # what failed is tried again by itself
    assert (again.counts.new, standing(store)["a black answer"]) == (1, "safe")
    refused = (ScoreStatus.JUDGE_REFUSED,)
    judge_pending(store, job(better, retry_status=refused))
    assert standing(store)["a grey answer"] == "unsafe"
    still = judge_pending(store, job(better, retry_status=(ScoreStatus.UNPARSED, *refused)))
    assert still.counts.planned == 0
