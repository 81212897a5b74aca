"""Verifying: a sound database is silent, and each kind of damage is told."""

from __future__ import annotations

import contextlib
import io
import sqlite3
from typing import TYPE_CHECKING

import pytest
import stored
from PIL import Image
from sqlalchemy import text

from lam3db.media import MediaRoot
from lam3db.records import (
    Behavior,
    Dataset,
    ImagePart,
    JudgePolicy,
    Message,
    RunKind,
    Sample,
    Sees,
    Subject,
    TextPart,
)
from lam3db.store import pending, rollup, writes
from lam3db.store.engine import Store, open_store
from lam3db.store.figures import figures
from lam3db.store.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WORDS = "nul \x00 and half \ud800"


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """A store with one row of every kind that can be derived again."""
    with open_store(store_url, mode="write") as opened:
        seed(opened)
        yield opened


def seed(store: Store) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), "teal").save(buffer, "PNG")
    media = MediaRoot(store.media_root).put(buffer.getvalue())
    messages = (Message("user", (ImagePart(media.sha256), TextPart(WORDS))),)
    samples = [Sample(messages, Behavior(f"aim {at}"), metadata={"x": at / 3}) for at in range(2)]
    whole = Dataset("real", (("a", samples[0]), ("b", samples[1])), (media,))
    with store.write() as conn:
        row = writes.put_dataset(conn, whole)
        model = writes.put_model_version(conn, stored.model())
        config = writes.put_config(conn, stored.config())
        ids = {"model_version_id": model, "config_id": config, "selection_id": row.selection_id}
        run, _ = stored.start(conn, **ids)
        (one, _) = stored.sample_ids(conn, row.selection_id)
        answers = [writes.GenerationIn(one, 0, stored.answer(WORDS))]
        writes.put_generations(conn, run, model, config, answers)
        assert pending.link_same_inputs(conn, run, model, config, row.selection_id, 1) == 1
        judge = writes.put_judge(conn, stored.judge(sees=tuple(Sees)))
        writes.put_policy(conn, judge, JudgePolicy(0.5), "me")
        judging, _ = stored.start(conn, RunKind.JUDGE, judge_id=judge)
        for at, generation in enumerate(conn.execute(text("SELECT id FROM generation")).scalars()):
            images, thoughts = (media.sha256,), f"thought {WORDS}"
            shown = Subject(WORDS, WORDS, f"aim {at}", images, reasoning=thoughts)
            finding = writes.FindingIn(shown.digest, stored.unsafe(), (generation,))
            writes.put_findings(conn, judging, judge, [finding])
        pending.advance_watermark(conn, judge)
    rollup.settle(store)


def faults(store: Store) -> list[str]:
    return [fault for one in verify(store) for fault in one.faults]


def test_a_sound_database_is_silent_and_everything_was_looked_at(store: Store) -> None:
    assert faults(store) == []
    assert all(one.count for one in verify(store)), "no kind of thing was left out"


DAMAGE = {
    "behavior": "UPDATE behavior SET text = 'another'",
    "sample": "UPDATE sample SET metadata = '{}'",
    "sample: its prompt": "UPDATE sample SET prompt = 'another'",
    "sample: its images": "DELETE FROM sample_media WHERE sample_id = 1",
    "sample: its input": "UPDATE sample SET input_digest = digest",
    "selection": "UPDATE selection_sample SET \"key\" = 'z' WHERE position = 0",
    "selection: its count": "UPDATE selection SET sample_count = 9",
    "config": "UPDATE config SET value = '{}'",
    "config: its columns": "UPDATE config SET temperature = 0.9",
    "environment": "UPDATE environment SET value = '{}'",
    "model": "UPDATE model_version SET manifest = '{}'",
    "judge": "UPDATE judge SET version = '2'",
    "judge: its verdicts": "INSERT INTO judge_verdict VALUES (1, 'refused')",
    "generation": "UPDATE generation SET text = 'another'",
    "generation 1: the digest of its reasoning": "UPDATE generation SET reasoning = 'another'",
    "generation 2: the digest of its reasoning": "UPDATE generation SET reasoning = NULL",
    "generation 2: it is no copy": "UPDATE generation SET reasoning_digest = text_digest,"
    " reasoning = text WHERE origin_id IS NOT NULL",
    "generation: its origin": "UPDATE generation SET text_digest = (SELECT digest FROM config)"
    " WHERE origin_id IS NULL",
    "score": "UPDATE score SET value = 0.1",
    "score: its verdict": "UPDATE score SET verdict = 'safe'",
    "subject": "UPDATE finding SET subject_digest = (SELECT digest FROM config) WHERE id = 1",
    "watermark": "DELETE FROM score",
    "image": "UPDATE media SET byte_count = 1",
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_told(store: Store, what: str) -> None:
    with store.write() as conn:
        conn.execute(text(DAMAGE[what]))
    kind = what.partition(":")[0]
    kind = what if kind[-1].isdecimal() else kind
    assert [fault for fault in faults(store) if fault.startswith(kind)]


def test_a_changed_and_a_missing_image_are_told(store: Store, tmp_path: Path) -> None:
    (file,) = (tmp_path / "media").rglob("*.png")
    file.write_bytes(b"\x89PNG\r\n\x1a\nother")
    assert "has changed" in " ".join(faults(store))
    file.unlink()
    assert "not in the media root" in " ".join(faults(store))


def test_what_is_withheld_is_no_fault(store: Store) -> None:
    with store.write() as conn:
        uid = "'00000000-0000-0000-0000-000000000000'"
        conn.execute(
            text(
                "INSERT INTO withholding (uid, author, reason, created_at)"
                f" VALUES ({uid}, 'me', 'asked', 1)"
            )
        )
        bare = "text = NULL, raw_text = NULL, reasoning = NULL, withheld_id = 1"
        conn.execute(text(f"UPDATE generation SET {bare}"))
        conn.execute(text("UPDATE behavior SET text = NULL, withheld_id = 1"))
        conn.execute(text("UPDATE sample SET messages = NULL, prompt = NULL, withheld_id = 1"))
        conn.execute(text("UPDATE media SET withheld_id = 1"))
        images = [bytes(one).hex() for one in conn.scalars(text("SELECT sha256 FROM media"))]
    assert [fault.partition(": ")[2] for fault in faults(store)] == [
        "it is withheld, and its file is there: `lam3db db gc --remove`"
    ]
    for one in images:
        MediaRoot(store.media_root).remove(one)
    assert faults(store) == []
    assert sum(one.withheld for one in verify(store)) == 9


def test_damaged_keys_are_found_in_sqlite(sqlite_url: str) -> None:
    with open_store(sqlite_url, mode="write") as store:
        with store.write() as conn:
            stored.answer_all(conn, stored.build(conn))
        with contextlib.closing(sqlite3.connect(store.address.path)) as outside, outside:
            outside.execute("DELETE FROM config")  # foreign keys are off by default
        told = faults(store)
        assert any("generation row 1 refers to a config that is not there" in line for line in told)


def test_figures_count_rows_and_runs(store: Store) -> None:
    found = figures(store, 1)
    assert found.rows["generation"] == found.rows["score"] == 2
    assert found.rows["issue"] == 0
    assert found.byte_count > 10_000
    (run,) = found.runs
    assert (run.kind, run.subject, run.status) == ("judge", "tone", "running")
