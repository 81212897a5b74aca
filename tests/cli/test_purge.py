"""``lam3db purge`` and ``lam3db db gc`` as they are typed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli.typed import lam3db, query

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
