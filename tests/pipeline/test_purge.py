"""Purging: what must go is gone from every place, and nothing else is."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import merging
import pytest
import stored
from sqlalchemy import text

from lam3db.errors import ConfigError, NotFoundError
from lam3db.media import MediaRoot
from lam3db.pipeline.ingest import add_dataset
from lam3db.pipeline.purge import find_garbage, plan_purge, purge, remove_garbage
from lam3db.records import Dataset, Media
from lam3db.store import pending, writes
from lam3db.store.copies import note_copy
from lam3db.store.engine import Store, open_store
from lam3db.store.purge import GONE, Target
from lam3db.store.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def store(store_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Store]:
    monkeypatch.setenv("LAM3DB_MEDIA", str(tmp_path / "media"))
    with open_store(store_url, mode="write") as store:
        merging.populate(store, "a")
        yield store


def counts(store: Store) -> dict[str, int]:
    tables = ("sample", "generation", "finding", "score", "media", "behavior", "failure")
    with store.read() as conn:
        asked = {one: text(f"SELECT count(*) FROM {one}") for one in tables}
        return {one: conn.execute(query).scalar_one() for one, query in asked.items()}


def column(store: Store, query: str) -> list[object]:
    with store.read() as conn:
        return list(conn.execute(text(query)).scalars())


def faults(store: Store) -> list[str]:
    return [fault for one in verify(store) for fault in one.faults]


def test_a_sample_takes_its_answers_and_what_was_said_of_them(store: Store) -> None:
    before = counts(store)
    digests = column(store, "SELECT digest FROM sample ORDER BY id")
    scores = column(store, "SELECT value FROM score ORDER BY id")
    done = purge(store, Target(dataset="bench", samples=("k0", "k5")), "me", "personal")
    assert counts(store) == before
    assert column(store, "SELECT digest FROM sample ORDER BY id") == digests
    assert column(store, "SELECT value FROM score ORDER BY id") == scores
    # k0, its twin of the same input in another dataset, and k5
    assert len(done.plan.samples) == 3
    assert done.plan.elsewhere == ("twins@1",)
    assert done.plan.kept_images == 1
    gone = """SELECT g.text FROM generation g JOIN sample s ON s.id = g.sample_id
               WHERE s.prompt IS NULL"""
    assert column(store, gone) == [None, None]
    assert column(store, "SELECT message FROM failure WHERE sample_id IS NOT NULL") == [GONE]
    assert column(store, "SELECT author || ': ' || reason FROM withholding") == ["me: personal"]
    assert faults(store) == []
    with store.read() as conn:
        selection = conn.execute(text("SELECT selection_id FROM dataset WHERE name = 'bench'"))
        progress = pending.generate_progress(conn, 1, 1, selection.scalar_one(), 1)
    assert progress.pending == 1  # k4; k5 failed, and is never posed again


def test_what_shows_the_same_elsewhere_keeps_its_finding(store: Store) -> None:
    said = "SELECT id FROM generation WHERE text = 'same' AND origin_id IS NULL"
    (one,) = column(store, said)
    tone = """SELECT f.withheld_id FROM finding f JOIN score x ON x.finding_id = f.id
               JOIN judge j ON j.id = f.judge_id WHERE j.name = 'tone' AND x.generation_id = {0}"""
    (other,) = column(store, "SELECT id FROM generation WHERE text LIKE 'different%'")
    purge(store, Target(generations=(int(str(one)),)), "me", "quoted a person")
    assert column(store, f"SELECT text FROM generation WHERE id = {one}") == [None]
    assert column(store, f"SELECT text FROM generation WHERE origin_id = {one}") == [None]
    assert None not in column(store, tone.format(one))
    assert column(store, tone.format(other)) == [None]
    assert faults(store) == []


def test_a_whole_dataset_goes_with_its_images_and_does_not_come_back(
    store: Store, tmp_path: Path
) -> None:
    root = MediaRoot(store.media_root)
    (image,) = column(
        store,
        """SELECT DISTINCT m.sha256 FROM media m JOIN sample_media sm ON sm.media_id = m.id
            JOIN selection_sample ss ON ss.sample_id = sm.sample_id
            JOIN dataset d ON d.selection_id = ss.selection_id WHERE d.name = 'clash'""",
    )
    name = bytes(image).hex()  # type: ignore[call-overload]
    data = root.read(name)
    done = purge(store, Target(dataset="clash"), "me", "licence withdrawn")
    assert (done.files, root.has(name)) == (1, False)
    assert purge(store, Target(dataset="clash"), "me", "again").plan.rows == 0
    assert column(store, "SELECT count(*) FROM withholding") == [1]
    folder = tmp_path / "again"
    folder.mkdir()
    (folder / "image.png").write_bytes(data)
    lines = '{"prompt": "new words", "image": "image.png", "behavior": "new"}\n'
    (folder / "new.jsonl").write_text(lines)
    add_dataset(store, folder / "new.jsonl")
    assert not root.has(name)
    with store.read() as conn:
        (selection,) = conn.execute(
            text("SELECT selection_id FROM dataset WHERE name = 'new'")
        ).scalars()
        assert pending.pending_samples(conn, 1, 1, selection, 1) == []
    assert faults(store) == []


def test_a_sample_added_with_other_labels_is_withheld_like_the_one_before(store: Store) -> None:
    purge(store, Target(dataset="bench", samples=("k1",)), "me", "personal")
    media = next(iter(column(store, "SELECT sha256 FROM media ORDER BY id")))
    shown = Media(bytes(media).hex(), "image/png", 1, 8, 6)  # type: ignore[call-overload]
    with store.write() as conn:
        rows = (("k", merging.sample(1, shown, relabelled=True)),)
        writes.put_dataset(conn, Dataset("other", rows, (shown,)))
    last = "SELECT prompt FROM sample ORDER BY id DESC LIMIT 1"
    assert column(store, last) == [None]


def test_an_image_goes_alone(store: Store) -> None:
    (shown,) = column(
        store, "SELECT m.sha256 FROM media m ORDER BY (SELECT count(*) FROM sample_media x"
        " WHERE x.media_id = m.id) DESC LIMIT 1",
    )  # fmt: skip
    name = bytes(shown).hex()  # type: ignore[call-overload]
    done = purge(store, Target(media=(name[:10],)), "me", "a face")
    assert (done.files, len(done.plan.media), done.plan.generations) == (1, 1, ())
    assert None not in column(store, "SELECT prompt FROM sample")
    assert faults(store) == []


def test_nothing_of_it_is_left_in_a_sqlite_file(tmp_path: Path) -> None:
    path = tmp_path / "lam3.db"
    with open_store(str(path), mode="write") as store:
        merging.populate(store, "a")
        done = purge(store, Target(dataset="bench"), "me", "unlawful")
        assert done.left is None
        left = b"".join(file.read_bytes() for file in tmp_path.glob("lam3.db*"))
        for words in (b"prompt 1 ", b"different a", b"disk of a"):
            assert words not in left
        assert b"prompt 10 " in left  # of the other dataset


@pytest.mark.parametrize(
    ("target", "error", "said"),
    [
        (Target(), ConfigError, "name what is to go"),
        (Target(dataset="bnch"), NotFoundError, "did you mean 'bench'"),
        (Target(dataset="bench@7"), NotFoundError, "no such dataset"),
        (Target(dataset="bench", samples=("c0",)), NotFoundError, "in dataset bench"),
        (Target(samples=("zz",)), NotFoundError, "in any dataset"),
        (Target(media=("ab",)), ConfigError, "more digits"),
        (Target(media=("0123456789",)), NotFoundError, "begins so"),
        (Target(generations=(999,)), NotFoundError, "no such answer"),
    ],
)
def test_a_wrong_name_changes_nothing(
    store: Store, target: Target, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        purge(store, target, "me", "reason")
    assert column(store, "SELECT count(*) FROM withholding") == [0]


def test_copies_are_named(store: Store, store_url: str, tmp_path: Path) -> None:
    assert note_copy(store_url, "bundle", tmp_path / "b.db", "me") is None
    _, known = plan_purge(store, Target(dataset="bench"))
    assert [(one.kind, Path(one.path).name) for one in known] == [("bundle", "b.db")]


def test_garbage_is_found_and_removed_only_when_told(store: Store) -> None:
    root = MediaRoot(store.media_root)
    assert find_garbage(store).removable == ()
    loose = root.put(merging.png("yellow"))
    assert (find_garbage(store).orphans, find_garbage(store).young) == ((), 1)
    place = Path(root.path(loose.sha256))
    os.utime(place, (1, 1))
    part = place.with_name(f".{place.name}.{'0' * 32}")
    part.write_bytes(b"half")
    os.utime(part, (1, 1))
    foreign = place.with_name("notes.txt")
    foreign.write_text("mine")
    os.utime(foreign, (1, 1))
    (lost, *_) = column(store, "SELECT sha256 FROM media ORDER BY id")
    name = bytes(lost).hex()  # type: ignore[call-overload]
    root.remove(name)
    found = find_garbage(store)
    assert [one.sha256 for one in found.orphans] == [loose.sha256]
    assert (len(found.parts), found.missing, found.unused) == (1, (name,), ())
    assert place.exists()
    assert remove_garbage(store, found) == 2
    assert foreign.exists()
    assert find_garbage(store, timedelta(0)).removable == ()


def test_the_file_of_a_withheld_image_is_garbage_and_a_fault(store: Store) -> None:
    root = MediaRoot(store.media_root)
    (one, *_) = column(store, "SELECT sha256 FROM media ORDER BY id")
    name = bytes(one).hex()  # type: ignore[call-overload]
    data = root.read(name)
    purge(store, Target(media=(name,)), "me", "a face")
    root.put(data)  # as a kill between rows and files leaves it
    assert any("its file is there" in fault for fault in faults(store))
    assert [one.sha256 for one in find_garbage(store).withheld] == [name]
    assert purge(store, Target(media=(name,)), "me", "again").files == 1
    assert faults(store) == []


def test_what_is_being_added_again_is_no_garbage(store: Store) -> None:
    root = MediaRoot(store.media_root)
    data = merging.png("yellow")
    place = Path(root.path(root.put(data).sha256))
    os.utime(place, (1, 1))
    found = find_garbage(store)
    assert len(found.orphans) == 1
    root.put(data)  # by whoever adds a dataset, and has not written its rows yet
    assert remove_garbage(store, found) == 0
    assert place.exists()
    assert find_garbage(store).orphans == ()


def test_what_a_model_thought_goes_with_its_answer(store: Store) -> None:
    purge(store, Target(generations=(1,)), "me", "harmful")
    asked = "SELECT id FROM generation WHERE {} ORDER BY id"
    gone = column(store, asked.format("text IS NULL"))
    assert gone
    assert column(store, asked.format("reasoning IS NULL")) == gone
    assert column(store, asked.format("reasoning_digest IS NULL")) == []
    assert faults(store) == []


def test_thoughts_of_a_withheld_sample_are_not_kept_when_they_come(store: Store) -> None:
    (late,) = column(store, "SELECT sample_id FROM selection_sample WHERE \"key\" = 'k4'")
    purge(store, Target(dataset="bench"), "me", "unlawful")
    with store.write() as conn:
        row = writes.GenerationIn(int(str(late)), 0, stored.answer("late"))
        assert writes.put_generations(conn, 1, 1, 1, [row]) == 1
    last = "SELECT {} FROM generation ORDER BY id DESC LIMIT 1"
    assert column(store, last.format("reasoning")) == [None]
    assert column(store, last.format("reasoning_digest")) != [None]
    assert faults(store) == []
