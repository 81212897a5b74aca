"""A SQLite file whose pages were damaged: our errors, no traceback, no number without a word."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import merging
import pytest
from typer.testing import CliRunner

from lam3db.cli.app import app
from lam3db.errors import Lam3Error, StoreError
from lam3db.store import damage, rollup
from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = 4096
LOOKS = (("db", "check"), ("db", "verify"), ("db", "stats"), ("sql", "SELECT * FROM v_score"))
USES = (
    ("report",),
    ("report", "--by", "category"),
    ("status",),
    ("issue", "list"),
    ("show", "--limit", "20", "--format", "json"),
    ("export", "scores", "--judge", "wide", "-o", "-"),
    ("judge", "--pending", "--judge", "refusal-gcg"),
    ("db", "settle"),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of one file, with long texts that overflow their pages, and sums."""
    path = tmp_path_factory.mktemp("whole") / "whole.db"
    with open_store(merging.make(path, "a"), mode="write") as store:
        with store.write() as conn:
            conn.exec_driver_sql(f"UPDATE finding SET explanation = '{'long ' * 3000}'")
        rollup.settle(store)
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA journal_mode = DELETE")
    return path


def pages(path: Path) -> dict[str, list[int]]:
    """Return the pages of tables' leaves, of indexes and of what overflows."""
    found: dict[str, list[int]] = {"leaf": [], "index": [], "overflow": []}
    with closing(sqlite3.connect(path)) as conn:
        try:
            rows = conn.execute("SELECT pagetype, name, pageno FROM dbstat").fetchall()
        except sqlite3.OperationalError:  # SQLite was built without it
            return {name: list(range(2, path.stat().st_size // PAGE)) for name in found}
    for kind, name, number in rows:
        is_index = name.startswith(("ix_", "uq_", "sqlite_autoindex"))
        where = kind if kind == "overflow" else "index" if is_index else "leaf"
        if where in found:
            found[where].append(number)
    return found


def zeroed(page: bytearray, _rng: random.Random) -> None:
    page[:] = bytes(len(page))


def scrambled(page: bytearray, rng: random.Random) -> None:
    page[:] = rng.randbytes(len(page))


def bitten(page: bytearray, rng: random.Random) -> None:
    """Change a few bytes of the header and the pointers, as a bad disk does."""
    for _ in range(3):
        page[rng.randrange(64)] = rng.randrange(256)


def torn(page: bytearray, _rng: random.Random) -> None:
    page[len(page) // 2 :] = bytes(len(page) // 2)


WAYS: tuple[Callable[[bytearray, random.Random], None], ...] = (zeroed, scrambled, bitten, torn)


def damaged(whole: Path, target: Path, where: str, seed: int) -> str:
    """Damage a page of a copy; return its URL."""
    rng = random.Random(f"{where} {seed}")
    merging.copy(f"sqlite:///{whole}", target)
    data = bytearray(target.read_bytes())
    start = (rng.choice(pages(whole)[where]) - 1) * PAGE
    page = data[start : start + PAGE]
    WAYS[seed % len(WAYS)](page, rng)
    data[start : start + PAGE] = page
    target.write_bytes(data)
    return f"sqlite:///{target}"


def ran(words: tuple[str, ...], url: str) -> Any:
    """Run a command; check that it ends as commands end."""
    done = CliRunner().invoke(app, [*words, "--db", url])
    is_ours = done.exception is None or isinstance(done.exception, SystemExit | Lam3Error)
    assert is_ours, (words, done.exception)
    return done


@pytest.mark.parametrize("where", ["leaf", "index", "overflow"])
@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_page_is_told(whole: Path, tmp_path: Path, where: str, seed: int) -> None:
    url = damaged(whole, tmp_path / "bad.db", where, seed)
    looked = [ran(words, url) for words in LOOKS]
    used = [ran(words, url) for words in USES]
    with closing(sqlite3.connect(tmp_path / "bad.db")) as conn:
        try:
            is_whole = conn.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
        except sqlite3.DatabaseError:
            is_whole = False
    if not is_whole:
        assert looked[1].exit_code == 1
        for done in used:
            assert "damaged" in str(done.exception), done.output


def test_a_large_file_is_looked_through_when_something_odd_was_read(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(damage, "AT_ONCE", 0)
    for seed in range(8):
        url = damaged(whole, tmp_path / "bad.db", "leaf", seed)
        for words in (*LOOKS, *USES):
            ran(words, url)
        shutil.rmtree(tmp_path / "bad_media", ignore_errors=True)


def test_an_error_of_a_whole_file_keeps_its_traceback(whole: Path) -> None:
    with pytest.raises(TypeError, match="a bug of ours"), open_store(str(whole), mode="read"):
        raise TypeError("a bug of ours")


def test_a_damaged_file_is_not_opened_to_write(whole: Path, tmp_path: Path) -> None:
    target = tmp_path / "bad.db"
    shutil.copy(whole, target)
    data = bytearray(target.read_bytes())
    for number in set(pages(whole)["leaf"]) - {1}:  # the first page says that it is SQLite's
        data[(number - 1) * PAGE : number * PAGE] = bytes(PAGE)
    target.write_bytes(data)
    for mode in ("read", "write"):
        with pytest.raises(StoreError, match=r"damaged .*go back to a backup.*db check"):
            open_store(str(target), mode=mode)  # type: ignore[arg-type]
    assert Path(target).read_bytes() == bytes(data)
