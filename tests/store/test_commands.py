"""`lam3db db ...` and `lam3db sql` as a user meets them."""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import stored
from sqlalchemy import text
from typer.testing import CliRunner, Result

from lam3db.cli.app import app
from lam3db.errors import DatabaseMissingError, InputError, StoreError
from lam3db.store import migrate
from lam3db.store.engine import open_store
from lam3db.store.views import VIEWS

HEAD = migrate.revisions()[-1]


def lam3db(*words: object) -> Result:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=True)
    if isinstance(result.exception, Exception) and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_a_database_is_made_checked_verified_counted(store_url: str) -> None:
    made = lam3db("db", "upgrade", "--db", store_url)
    assert made.stdout.strip().endswith((f"schema none -> {HEAD}", f"schema {HEAD} already"))
    with open_store(store_url, mode="write") as store, store.write() as conn:
        world = stored.build(conn)
        stored.answer_all(conn, world)
        conn.execute(text("DELETE FROM sample_media"))
        conn.execute(text("DELETE FROM media"))
    checked = lam3db("db", "check", "--db", store_url)
    assert (checked.exit_code, "as made" in checked.stdout) == (0, True)
    counted = lam3db("db", "stats", "--db", store_url)
    assert world.uid[:8] in counted.stdout
    assert "tiny" in counted.stdout
    verified = lam3db("db", "verify", "--db", store_url)
    assert verified.exit_code == 1
    assert verified.stdout.count("its images are others") == 4


def test_a_changed_schema_fails_the_check(store_url: str) -> None:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        conn.execute(text("DROP VIEW v_coverage"))
    checked = lam3db("db", "check", "--db", store_url)
    assert checked.exit_code == 1
    assert "view v_coverage is missing" in checked.stdout


def test_going_back_wants_a_yes(store_url: str) -> None:
    open_store(store_url, mode="write").close()
    with pytest.raises(StoreError, match="--yes"):
        lam3db("db", "downgrade", "base", "--db", store_url)
    open_store(store_url, mode="read").close()
    assert f"{HEAD} -> none" in lam3db("db", "downgrade", "base", "--yes", "--db", store_url).stdout


def test_a_backup_is_a_database_and_never_overwrites(sqlite_url: str, tmp_path: Path) -> None:
    with open_store(sqlite_url, mode="write") as store:
        with store.write() as conn:
            stored.answer_all(conn, stored.build(conn))
        copy = tmp_path / "copy.db"
        with store.write() as conn:  # a writer at work does not disturb
            conn.execute(text("DELETE FROM generation"))
            assert "images are not in it" in lam3db("db", "backup", copy, "--db", sqlite_url).stdout
    with open_store(str(copy), mode="read") as saved, saved.read() as conn:
        assert stored.count(conn, "generation") == 4
    with pytest.raises(InputError, match="already exists"):
        lam3db("db", "backup", copy, "--db", sqlite_url)
    with pytest.raises(InputError, match="no folder"):
        lam3db("db", "backup", tmp_path / "none" / "x", "--db", sqlite_url)
    with pytest.raises(DatabaseMissingError):
        lam3db("db", "backup", tmp_path / "y", "--db", tmp_path / "nothing.db")


_BACKUP = """
import pathlib, sys
from lam3db.store import address, migrate
place = address.parse(sys.argv[1])
print("begin", flush=True)
migrate.backup(place, pathlib.Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_a_backup_that_is_killed_leaves_no_torn_file(sqlite_url: str, tmp_path: Path) -> None:
    chance = random.Random(3)
    with open_store(sqlite_url, mode="write") as store, store.write() as conn:
        conn.execute(text("CREATE TABLE filling (body BLOB)"))
        conn.execute(text("INSERT INTO filling VALUES (zeroblob(60000000))"))
    copy, killed = tmp_path / "copies" / "copy.db", 0
    copy.parent.mkdir()
    for _ in range(8):
        copy.unlink(missing_ok=True)
        with subprocess.Popen(
            [sys.executable, "-c", _BACKUP, sqlite_url, str(copy)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(chance.random() * 0.15)
            process.kill()
        killed += not copy.exists()
        if copy.exists():
            with contextlib.closing(sqlite3.connect(copy)) as saved:
                assert saved.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert killed
    copy.unlink(missing_ok=True)
    lam3db("db", "backup", copy, "--db", sqlite_url)
    assert list(copy.parent.iterdir()) == [copy]


def test_a_damaged_database_is_not_copied(sqlite_url: str, tmp_path: Path) -> None:
    with open_store(sqlite_url, mode="write") as store, store.write() as conn:
        stored.answer_all(conn, stored.build(conn))
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    with contextlib.closing(sqlite3.connect(file)) as plain:
        plain.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = plain.execute("SELECT rootpage FROM sqlite_master WHERE name = 'score'").fetchone()
        size = plain.execute("PRAGMA page_size").fetchone()
    with file.open("r+b") as stream:
        stream.seek((page[0] - 1) * size[0])
        stream.write(b"\xff" * size[0])
    with pytest.raises(StoreError):
        lam3db("db", "backup", tmp_path / "copy.db", "--db", sqlite_url)
    assert not (tmp_path / "copy.db").exists()


def test_postgresql_is_backed_up_by_its_own_tool() -> None:
    url = "postgresql://me:top-secret@db.lab:5433/evals"
    with pytest.raises(StoreError) as caught:
        lam3db("db", "backup", "x y.dump", "--db", url)
    assert str(caught.value).endswith(
        "pg_dump --format custom --file 'x y.dump' --host db.lab --port 5433 --username me evals"
    )


def test_the_views_are_listed() -> None:
    listed = lam3db("db", "views").stdout
    for view in VIEWS:
        assert view.name in listed
        assert all(name in listed for name in view.columns)


def test_sql_prints_tables_csv_and_json(store_url: str) -> None:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        stored.answer_all(conn, stored.build(conn, 1), ['say "hi", \x1b[31m中'])
    asked = ("sql", "SELECT sample, text, NULL AS gap FROM v_generation", "--db", store_url)
    assert json.loads(lam3db(*asked, "--format", "json").stdout) == [
        {"sample": "k0", "text": 'say "hi", \x1b[31m中', "gap": None}
    ]
    assert lam3db(*asked, "--format", "csv").stdout.splitlines() == [
        "sample,text,gap",
        'k0,"say ""hi"", \x1b[31m中",',
    ]
    table = lam3db(*asked).stdout
    assert "\x1b" not in table
    assert r"\x1b[31m中" in table
    with pytest.raises(StoreError, match="refused"):
        lam3db("sql", "DELETE FROM generation", "--db", store_url)
    with pytest.raises(DatabaseMissingError):
        lam3db("sql", "SELECT 1", "--db", "sqlite:////nowhere/lam3.db")


def test_the_address_may_come_from_the_environment(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAM3DB_URL", sqlite_url)
    assert f"none -> {HEAD}" in lam3db("db", "upgrade").stdout
    assert json.loads(lam3db("sql", "SELECT 1 AS one", "--format", "json").stdout) == [{"one": 1}]
