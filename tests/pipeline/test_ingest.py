"""A dataset into a real store: once, whole, in versions, or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from typer.testing import CliRunner

from lam3db.cli.dataset import app
from lam3db.datasets.load import load_dataset
from lam3db.errors import ConfigError, InputError, MediaError, NotFoundError
from lam3db.media import MediaRoot
from lam3db.pipeline.ingest import add_dataset, store_dataset
from lam3db.records import images_of, text_of
from lam3db.store import reads
from lam3db.store.engine import Store, open_store
from lam3db.store.samples import selection_samples

if TYPE_CHECKING:
    from collections.abc import Iterator

MINI = Path(__file__).parent.parent.parent / "data" / "mini_bench"


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url, mode="write") as opened:
        yield opened


def write(folder: Path, *objects: dict[str, object]) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "bench.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in objects))
    return path


def media_files(store: Store) -> list[Path]:
    return [path for path in Path(store.media_root).rglob("*") if path.is_file()]


def test_what_comes_in_comes_out(store: Store) -> None:
    result = add_dataset(store, MINI)
    assert (result.name, result.version, result.is_new) == ("mini_bench", 1, True)
    assert (result.samples, result.images, result.with_image) == (45, 45, 45)
    assert sum(result.attacks.values()) == sum(result.categories.values()) == 45
    loaded = load_dataset(MINI).dataset
    root = MediaRoot(store.media_root)
    with store.read() as conn:
        row = reads.find_dataset(conn, "mini_bench")
        members = reads.select_members(conn, row.selection_id, {}, None)
        messages = reads.load_messages(conn, [sample for _, sample in members])
        shown = selection_samples(conn, row.selection_id, None)
    assert [key for key, _ in members] == [key for key, _ in loaded.samples]
    for (key, sample_id), (_, sample), seen in zip(members, loaded.samples, shown, strict=True):
        assert messages[sample_id] == sample.messages
        assert (seen.key, seen.prompt) == (key, text_of(sample.messages))
        assert (seen.behavior, seen.category) == (sample.behavior.text, sample.behavior.category)
        assert (seen.attack, seen.is_benign) == (sample.attack.name, sample.behavior.is_benign)
        assert seen.images == images_of(sample.messages)
        for sha256 in seen.images:
            assert root.open(sha256).mode == "RGB"


def test_adding_again_changes_nothing(store: Store) -> None:
    add_dataset(store, MINI)
    before = {path: path.stat().st_ino for path in media_files(store)}
    again = add_dataset(store, MINI)
    assert (again.version, again.is_new) == (1, False)
    assert {path: path.stat().st_ino for path in media_files(store)} == before  # not rewritten
    with store.read() as conn:
        assert len(reads.list_datasets(conn)) == 1


def test_a_changed_file_is_a_new_version_beside_the_old(store: Store, tmp_path: Path) -> None:
    first = write(tmp_path / "b", {"key": "a", "prompt": "x"}, {"key": "b", "prompt": "y"})
    assert add_dataset(store, first, "bench").version == 1
    second = write(tmp_path / "b", {"key": "a", "prompt": "x"}, {"key": "b", "prompt": "changed"})
    result = add_dataset(store, second, "bench")
    assert (result.version, result.is_new) == (2, True)
    with store.read() as conn:
        old = selection_samples(conn, reads.find_dataset(conn, "bench@1").selection_id, None)
        new = selection_samples(conn, reads.find_dataset(conn, "bench").selection_id, None)
    assert [row.prompt for row in old] == ["x", "y"]
    assert [row.prompt for row in new] == ["x", "changed"]
    assert old[0].id == new[0].id
    again = write(tmp_path / "b", {"key": "a", "prompt": "x"}, {"key": "b", "prompt": "y"})
    assert add_dataset(store, again, "bench").version == 1


def test_odd_texts_come_back_as_they_were(store: Store, tmp_path: Path) -> None:
    odd = "a\x00b\ud800 \ue000 \x1b[2J"
    path = write(tmp_path / "b", {"key": odd, "prompt": odd, "category": odd, "attack": odd})
    add_dataset(store, path)
    with store.read() as conn:
        row = reads.find_dataset(conn, "bench")
        (seen,) = selection_samples(conn, row.selection_id, 5)
    assert seen.key == seen.prompt == seen.behavior == seen.category == seen.attack == odd


def test_a_bad_file_stores_nothing(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(MINI, folder)
    (folder / "pic45.png").write_bytes((folder / "pic45.png").read_bytes()[:100])
    with pytest.raises(InputError, match=r"'pic45\.png': a damaged"):
        add_dataset(store, folder)
    assert media_files(store) == []
    with store.read() as conn:
        assert reads.list_datasets(conn) == []


def test_an_image_that_changes_meanwhile_stores_no_row(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "b"
    path = write(folder, {"prompt": "x", "image": "a.png"})
    Image.new("RGB", (4, 4), "red").save(folder / "a.png")
    loaded = load_dataset(path)
    Image.new("RGB", (4, 4), "blue").save(folder / "a.png")
    with pytest.raises(MediaError, match=r"a\.png: its bytes have changed since"):
        store_dataset(store, loaded)
    with store.read() as conn:
        assert reads.list_datasets(conn) == []


def test_a_media_root_that_cannot_be_written_stores_no_row(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LAM3DB_MEDIA", str(tmp_path / "file"))
    with open_store(store_url, mode="write") as store:
        with pytest.raises(MediaError, match=r"media root .* cannot be written"):
            add_dataset(store, MINI)
        with store.read() as conn:
            assert reads.list_datasets(conn) == []


# the command


def call(*arguments: str) -> tuple[str, str]:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


def test_add_tells_what_came_in(sqlite_url: str) -> None:
    stdout, stderr = call("add", str(MINI), "--db", sqlite_url, "--licence", "Apache-2.0")
    lines = [" ".join(line.split()) for line in stdout.splitlines()]
    assert lines[0] == "mini_bench@1 new"
    assert "samples 45" in lines
    assert "images 45 in 45 samples" in lines
    assert any(line.startswith("attacks 3 ") and "typographic" in line for line in lines)
    assert lines[-1].endswith("--dataset mini_bench")
    assert stderr == ""
    stdout, _ = call("add", str(MINI), "--db", sqlite_url)
    assert stdout.startswith("mini_bench@1  unchanged")


def test_add_tells_notes_on_stderr(sqlite_url: str, tmp_path: Path) -> None:
    path = tmp_path / "b.csv"
    path.write_text("goal\nHi\n")
    stdout, stderr = call("add", str(path), "--db", sqlite_url)
    assert "column 'goal' is taken as prompt" in stderr
    assert "note" not in stdout
    call("add", str(path), "--db", sqlite_url, "--map", "prompt=goal", "--name", "other")
    assert [
        row["name"] for row in json.loads(call("list", "--db", sqlite_url, "--format", "json")[0])
    ] == [
        "b",
        "other",
    ]


def test_a_bad_file_makes_no_database(sqlite_url: str, tmp_path: Path) -> None:
    path = tmp_path / "b.csv"
    path.write_text("prompt,prompt\nHi,Hi\n")
    with pytest.raises(InputError):
        call("add", str(path), "--db", sqlite_url)
    with pytest.raises(ConfigError, match="--map 'prompt': write name=value"):
        call("add", str(path), "--db", sqlite_url, "--map", "prompt")
    assert [one.name for one in tmp_path.iterdir()] == ["b.csv"]


def test_show_prints_hostile_texts_harmlessly(sqlite_url: str, tmp_path: Path) -> None:
    path = write(tmp_path / "b", {"key": "k", "prompt": "[red]\x1b[2Jhi\ud800 " + "x" * 200})
    call("add", str(path), "--db", sqlite_url)
    stdout, stderr = call("show", "bench", "--db", sqlite_url)
    assert "\x1b" not in stdout
    assert "[red]\\x1b[2Jhi\\ud800" in stdout
    assert "x" * 60 not in stdout
    assert "bench@1: 1 of 1 samples" in stderr
    (row,) = json.loads(call("show", "bench@1", "--db", sqlite_url, "--format", "json")[0])
    assert row["prompt"] == "[red]\x1b[2Jhi\ud800 " + "x" * 200
    assert row["images"] == []


def test_show_takes_a_limit_and_knows_near_names(sqlite_url: str) -> None:
    call("add", str(MINI), "--db", sqlite_url)
    shown = call("show", "mini_bench", "--limit", "3", "--format", "csv", "--db", sqlite_url)[0]
    assert len(shown.splitlines()) == 4
    with pytest.raises(NotFoundError, match="did you mean 'mini_bench'"):
        call("show", "mini_bnech", "--db", sqlite_url)


def test_names_of_a_dataset_that_look_alike_are_told(store: Store, tmp_path: Path) -> None:
    lines = [{"prompt": "a", "category": "Hate"}, {"prompt": "b", "category": "Hate "}]
    result = add_dataset(store, write(tmp_path / "alike", *lines))
    (told,) = [note for note in result.notes if "stored as different" in note]
    assert told.startswith("categories that differ in blanks only")
