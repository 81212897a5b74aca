"""The way up, down and up again, with rows; and that metadata and migrations say the same."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import stored
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import IntegrityError

from lam3db.errors import DatabaseMissingError, StoreError
from lam3db.records import RunKind
from lam3db.resources import shipped
from lam3db.store import address, migrate, postgresql, put_reviews, sqlite, writes
from lam3db.store.engine import Store, open_store
from lam3db.store.snapshot import broken_keys, differences, snapshot
from lam3db.store.tables import metadata
from lam3db.store.tables_rollup import TABLES, TRIGGERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

ROOT = Path(__file__).resolve().parents[2]
HEAD = migrate.revisions()[-1]
REVIEWS = ("review", "review_item", "review_part")
THOUGHTS = ("reasoning", "reasoning_digest")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a place without any table."""
    name = "sqlite_url" if request.param == "sqlite" else "empty_postgres_url"
    return str(request.getfixturevalue(name))


def seed(store: Store) -> None:
    with store.write() as conn:
        world = stored.build(conn)
        (one, *_) = stored.answer_all(conn, world)
        judge = writes.put_judge(conn, stored.judge())
        run, _ = stored.start(conn, RunKind.JUDGE, judge_id=judge)
        row = writes.FindingIn(stored.subject("answer 0"), stored.unsafe(), (one,))
        writes.put_findings(conn, run, judge, [row])


def contents(url: str) -> dict[str, list[tuple[tuple[str, Any], ...]]]:
    """Return every row of every table as names and values, but what is derived.

    What a model thought is left out: it goes with a step back below its schema.
    """
    with connected(url) as conn:
        there = inspect(conn)
        names = set(there.get_table_names())
        return {
            name: sorted(
                (
                    tuple(pair for pair in row._mapping.items() if pair[0] not in THOUGHTS)
                    for row in conn.execute(text(f"SELECT * FROM {name}"))
                ),
                key=repr,
            )
            for name in metadata.tables
            if name in names - TABLES  # sums are made again
        }


@contextlib.contextmanager
def connected(url: str) -> Iterator[Connection]:
    """Yield a connection to a database in whatever state."""
    at = address.parse(url)
    is_file = at.dialect == "sqlite"
    engine = sqlite.read_engine(at.path) if is_file else postgresql.read_engine(at)
    try:
        with engine.connect() as conn:
            yield conn
    finally:
        engine.dispose()


def test_the_revisions_are_one_numbered_line() -> None:
    config = Config()
    config.set_main_option("script_location", str(shipped("migrations")))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    found = [script.revision for script in scripts.walk_revisions()]
    assert list(reversed(found)) == migrate.revisions()
    assert migrate.revisions() == [f"{at:04}" for at in range(1, len(found) + 1)]
    assert scripts.get_heads() == [migrate.revisions()[-1]]


def test_up_down_and_up_again_keeps_the_rows(store_url: str) -> None:
    with open_store(store_url, mode="write") as store:
        seed(store)
    before = contents(store_url)
    assert sum(map(len, before.values())) > 25
    assert not any(before[name] for name in REVIEWS)
    for revision in reversed(migrate.revisions()[:-1]):
        assert migrate.downgrade(store_url, revision).after == revision
        kept = contents(store_url)
        assert kept == {name: rows for name, rows in before.items() if name in kept}
        assert before.keys() - kept.keys() <= {*REVIEWS, "stored_copy"}
    migrate.upgrade(store_url)
    assert contents(store_url) == before
    with open_store(store_url, mode="read") as store:
        assert differences(store) == broken_keys(store) == []
        with store.read() as conn:
            assert stored.count(conn, "v_score") == 1


def test_a_step_back_loses_reviews_and_no_label(store_url: str) -> None:
    with open_store(store_url, mode="write") as store:
        seed(store)
        with store.write() as conn:
            one = conn.execute(text("SELECT min(id) FROM generation")).scalar_one()
            drawn = [put_reviews.DrawnItem(one, "estimation", 0.5)]
            put_reviews.put_review(conn, "first", 1, {"method": "uniform"}, "anna", drawn)
    before = contents(store_url)
    assert all(before[name] for name in REVIEWS)
    migrate.downgrade(store_url, "0002")
    migrate.upgrade(store_url)
    after = contents(store_url)
    assert after == before | {name: [] for name in REVIEWS}


def test_a_step_back_loses_the_reasoning_and_no_answer(store_url: str) -> None:
    asked = "SELECT text, raw_text, reasoning, reasoning_digest IS NULL FROM generation ORDER BY id"
    with open_store(store_url, mode="write") as store:
        seed(store)
        with store.read() as conn:
            before = [tuple(row) for row in conn.execute(text(asked))]
            shown = conn.execute(text("SELECT reasoning FROM v_generation ORDER BY 1"))
            assert shown.scalars().all() == sorted(row[2] for row in before)
    assert all(thoughts and f"<think>{thoughts}" in raw for _, raw, thoughts, _ in before)
    migrate.downgrade(store_url, "0007")
    with connected(store_url) as conn:
        names = {one["name"] for one in inspect(conn).get_columns("generation")}
        assert not names & set(THOUGHTS)
        assert conn.execute(text("SELECT count(*) FROM v_generation")).scalar_one() == len(before)
    migrate.upgrade(store_url)
    with open_store(store_url, mode="read") as store, store.read() as conn:
        after = [tuple(row) for row in conn.execute(text(asked))]
        assert after == [(words, raw, None, 1) for words, raw, _, _ in before]
        assert differences(store) == []


def test_a_step_back_shows_answers_as_they_were_shown_before(store_url: str) -> None:
    with open_store(store_url, mode="write") as store:
        seed(store)
    columns: dict[str, list[str]] = {}
    for revision in ("0009", "0008", "0007"):
        if revision != HEAD:
            migrate.downgrade(store_url, revision)
        with connected(store_url) as conn:
            found = conn.execute(text("SELECT * FROM v_generation"))
            columns[revision] = list(found.keys())
            assert len(found.all()) == len(contents(store_url)["generation"])
    assert columns["0009"][: len(columns["0008"])] == columns["0008"]
    assert columns["0009"][-1] == "settings"
    assert columns["0007"] == [name for name in columns["0008"] if name != "reasoning"]
    migrate.upgrade(store_url)
    with open_store(store_url, mode="read") as store, store.read() as conn:
        assert list(conn.execute(text("SELECT * FROM v_generation")).keys()) == columns["0009"]


def test_reasoning_needs_its_digest_and_is_withheld_with_its_answer(store_url: str) -> None:
    with open_store(store_url, mode="write") as store:
        seed(store)
        for change in ("reasoning_digest = NULL", "text = NULL, raw_text = NULL, withheld_id = 1"):
            with (
                pytest.raises(IntegrityError, match="ck_generation_reasoning"),
                store.write() as conn,
            ):
                conn.execute(text(f"UPDATE generation SET {change}"))


def test_issues_and_the_log_keep_their_rows_on_the_way_up(store_url: str) -> None:
    migrate.upgrade(store_url)
    migrate.downgrade(store_url, "0003")
    at = address.parse(store_url)
    engine = sqlite.write_engine(at.path) if at.dialect == "sqlite" else postgresql.write_engine(at)
    uids = [f"00000000-0000-0000-0000-00000000000{one}" for one in range(3)]
    with engine.begin() as conn:
        issue = "INSERT INTO issue (uid, key, title, author, created_at)"
        conn.execute(text(f"{issue} VALUES (:u, 'R1', 'x', 'me', 1)"), {"u": uids[0]})
        link = "INSERT INTO issue_link (issue_id, fingerprint, author, created_at)"
        conn.execute(text(f"{link} SELECT id, 'f00', 'me', 1 FROM issue"))
        entry = "INSERT INTO log_entry (uid, day, text, author, created_at)"
        for one in uids[1:]:
            conn.execute(text(f"{entry} VALUES (:u, '2026-11-25', 'done', 'me', 1)"), {"u": one})
    engine.dispose()
    migrate.upgrade(store_url)
    with open_store(store_url, mode="write") as store, store.write() as conn:
        assert differences(store) == []
        entries = "SELECT section, heading, position, fields, text FROM log_entry ORDER BY id"
        rows = [tuple(row) for row in conn.execute(text(entries))]
        assert rows == [("progress", "", 1, None, "done"), ("progress", "", 2, None, "done")]
        model = writes.put_model_version(conn, stored.model())
        new = "INSERT INTO issue_link (issue_id, model_version_id, author, created_at)"
        conn.execute(text(f"{new} SELECT id, :m, 'me', 1 FROM issue"), {"m": model})
        assert conn.execute(text("SELECT count(*) FROM issue_link")).scalar_one() == 2
    migrate.downgrade(store_url, "0003")
    kept = contents(store_url)
    assert len(kept["issue_link"]) == 1
    assert len(kept["log_entry"]) == 2


def test_down_to_nothing_and_up_again(store_url: str, tmp_path: Path) -> None:
    with open_store(store_url, mode="write") as store:
        seed(store)
    before = contents(store_url)
    moved = migrate.downgrade(store_url, "base")
    assert contents(store_url) == {}
    with pytest.raises(DatabaseMissingError):
        open_store(store_url, mode="read")
    with pytest.raises(DatabaseMissingError, match="nothing to downgrade"):
        migrate.downgrade(store_url, "base")
    if store.dialect == "sqlite":
        assert moved.backup is not None
        assert moved.backup.parent == tmp_path
        assert contents(str(moved.backup)) == before
    migrate.upgrade(store_url)
    with open_store(store_url, mode="write") as store:
        seed(store)


def test_steps_that_are_none_are_refused(store_url: str) -> None:
    open_store(store_url, mode="write").close()
    with pytest.raises(StoreError, match="no step back"):
        migrate.downgrade(store_url, HEAD)
    with pytest.raises(StoreError, match=r"no revision '0?99'"):
        migrate.downgrade(store_url, "99")
    with pytest.raises(StoreError, match=rf"at {HEAD} already.*db downgrade 0001 --yes"):
        migrate.upgrade(store_url, "0001")
    with pytest.raises(StoreError, match="db downgrade"):
        migrate.upgrade(store_url, "base")
    assert migrate.upgrade(store_url) == migrate.Moved(HEAD, HEAD)


def test_an_upgrade_is_whole_or_nothing(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = migrate.run_alembic

    def fails(connection: Connection, direction: str, target: str) -> None:
        run(connection, direction, target)
        raise ZeroDivisionError

    monkeypatch.setattr(migrate, "run_alembic", fails)
    with pytest.raises(ZeroDivisionError):
        migrate.upgrade(empty_url)
    monkeypatch.undo()
    if empty_url.startswith("sqlite"):
        assert not address.parse(empty_url).path.exists()
    else:
        with connected(empty_url) as conn:
            assert inspect(conn).get_table_names() == []
    migrate.upgrade(empty_url)


def test_an_upgrade_that_would_leave_a_dangling_row_changes_nothing(sqlite_url: str) -> None:
    migrate.upgrade(sqlite_url, "0001")
    path = address.parse(sqlite_url).path
    with contextlib.closing(sqlite3.connect(path)) as outside, outside:
        outside.execute("INSERT INTO judge_progress VALUES (99, 0)")
    with pytest.raises(StoreError, match="1 rows of judge_progress would refer to nothing"):
        migrate.upgrade(sqlite_url)
    assert migrate.sqlite_schema(address.parse(sqlite_url)).revision == "0001"


def test_metadata_and_migrations_say_the_same(store_url: str) -> None:
    open_store(store_url, mode="write").close()
    with connected(store_url) as conn:
        context = MigrationContext.configure(
            conn,
            opts={
                "version_table": migrate.VERSION_TABLE,
                "compare_type": True,
                "target_metadata": metadata,
            },
        )
        assert compare_metadata(context, metadata) == []


def test_their_ddl_is_the_same_to_the_letter(
    store_url: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """What `alembic check` cannot see: CHECKs, STRICT, WITHOUT ROWID, index conditions."""
    open_store(store_url, mode="write").close()
    with connected(store_url) as conn:
        migrated = snapshot(conn)
    if store_url.startswith("sqlite"):
        engine = create_engine(f"sqlite:///{tmp_path / 'made.db'}")
    else:
        engine = create_engine(request.getfixturevalue("empty_postgres_url"))
    with engine.begin() as conn:
        metadata.create_all(conn)
    with engine.connect() as conn:
        made = snapshot(conn)
    engine.dispose()
    views = {name for name in migrated if name.startswith("view ")}
    version = {name for name in migrated if migrate.VERSION_TABLE in name}
    triggers = {f"trigger {name}" for name in TRIGGERS}
    assert triggers <= migrated.keys()
    assert len(views) + sum("column v_" in name for name in migrated) > 0
    ours = {
        name: sql
        for name, sql in migrated.items()
        if name not in views | version | triggers and not name.startswith("column v_")
    }
    assert ours == made


CHANGES = {
    "an index is gone": "DROP INDEX ix_score_generation_id",
    "a view is gone": "DROP VIEW v_coverage",
    "a view is another": "DROP VIEW v_coverage; CREATE VIEW v_coverage AS SELECT 1 AS x",
    "a column is new": "ALTER TABLE run ADD COLUMN more TEXT",
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_schema_is_told_and_leaves_nothing_behind(store_url: str, what: str) -> None:
    with open_store(store_url, mode="write") as store:
        assert differences(store) == []
        with store.write() as conn:
            for statement in CHANGES[what].split(";"):
                conn.execute(text(statement))
        assert differences(store)
        with store.read() as conn:
            assert len(inspect(conn).get_schema_names()) <= 2


def test_a_trigger_on_our_tables_is_told(sqlite_url: str) -> None:
    with open_store(sqlite_url, mode="write") as store:
        with store.write() as conn:
            conn.exec_driver_sql(
                "CREATE TRIGGER sly AFTER INSERT ON score BEGIN DELETE FROM finding; END"
            )
            conn.exec_driver_sql("CREATE TABLE notes_of_mine (x)")
        assert differences(store) == ["trigger sly is not ours"]


def test_alembic_works_by_hand(empty_url: str) -> None:
    assert (ROOT / "alembic.ini").is_file()

    def alembic(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "alembic", *words],
            cwd=ROOT,
            env={**os.environ, "LAM3DB_URL": empty_url},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    alembic("upgrade", "head")
    assert f"{HEAD} (head)" in alembic("current")
    assert "No new upgrade operations detected" in alembic("check")
    alembic("downgrade", "base")
    alembic("upgrade", "head")
    with open_store(empty_url, mode="read") as store:
        assert differences(store) == []


def test_every_constraint_has_a_name_and_nothing_cascades() -> None:
    for table in metadata.tables.values():
        for constraint in table.constraints:
            assert re.fullmatch(r"(pk|uq|ck|fk)_\w+", str(constraint.name)), (table, constraint)
            assert len(str(constraint.name)) < 64
        assert all(key.ondelete is None for key in table.foreign_keys)
