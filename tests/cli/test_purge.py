"""``lam3db purge`` and ``lam3db db gc`` as they are typed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli.typed import lam3db, query
from scored import COMPLIED, World, refusal, sample

from lam3db.store.engine import open_store

MINI = Path(__file__).parents[2] / "data" / "mini_bench"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a database of the shipped benchmark, and a backup of it."""
    folder = tmp_path_factory.mktemp("purge")
    lam3db(folder, "dataset", "add", str(MINI))
    lam3db(folder, "db", "backup", "before.db")
    return folder


def test_without_yes_nothing_goes_and_the_copies_are_named(folder: Path) -> None:
    said = lam3db(folder, "purge", "--dataset", "mini_bench", "--reason", "licence").stdout
    assert "would go: 45 samples" in said
    assert "Nothing was changed" in said
    assert str(folder / "before.db") in said
    assert query(folder, "SELECT count(*) AS n FROM withholding") == [{"n": 0}]


def test_a_blank_reason_or_no_target_is_refused(folder: Path) -> None:
    assert "--reason is blank" in lam3db(folder, "purge", "--reason", " ", code=1).stderr
    assert "name what is to go" in lam3db(folder, "purge", "--reason", "x", code=1).stderr


def test_purged_is_gone_and_the_database_is_whole(folder: Path) -> None:
    (key, *_) = [row["key"] for row in query(folder, 'SELECT "key" FROM selection_sample')]
    asked = ("purge", "--sample", str(key), "--reason", "personal", "--author", "ana", "--yes")
    assert "withheld: 1 samples" in lam3db(folder, *asked).stdout
    assert "nothing that is not withheld already" in lam3db(folder, *asked).stdout
    assert query(folder, "SELECT author, reason FROM withholding") == [
        {"author": "ana", "reason": "personal"}
    ]
    lam3db(folder, "db", "verify")
    lam3db(folder, "db", "check")
    assert "0 files" in lam3db(folder, "db", "gc").stdout


def test_a_report_counts_what_is_withheld_and_says_so(tmp_path: Path) -> None:
    with open_store(str(tmp_path / "lam3.db"), mode="write") as store, store.write() as conn:
        world = World(conn)
        data = world.dataset([sample(f"aim {i}") for i in range(4)])
        answered = world.answer(data, world.model(), world.config())
        told = {answered.ids[f"k{i}", 0]: COMPLIED for i in range(3)}
        world.score(answered, world.judge(refusal()), told)
    before = lam3db(tmp_path, "report", "--by", "model").stdout
    asked = ("purge", "--sample", "k0", "--sample", "k3", "--reason", "personal", "--yes")
    lam3db(tmp_path, *asked)
    after = lam3db(tmp_path, "report", "--by", "model").stdout
    assert "2 answers are withheld" in after
    assert "withheld" not in before
    assert "3/4" in before
    assert [line for line in after.splitlines() if line.startswith("demo")] == [
        line for line in before.splitlines() if line.startswith("demo")
    ]


def test_rubbish_is_shown_and_stays_until_told(folder: Path) -> None:
    media = folder / "lam3_media"
    some = next(path for path in media.rglob("*.png"))
    lost = media / "00" / "00" / f"{'0' * 64}.png"
    lost.parent.mkdir(parents=True)
    shutil.copy(some, lost)
    some.unlink()
    assert "too young" in lam3db(folder, "db", "gc", "--remove").stdout
    said = lam3db(folder, "db", "gc", "--older-than", "0").stdout
    assert "no row" in said
    assert "no file" in said
    assert some.stem in said
    assert lost.exists()
    assert (
        "1 of 1 files removed" in lam3db(folder, "db", "gc", "--older-than", "0", "--remove").stdout
    )
    assert not lost.exists()
