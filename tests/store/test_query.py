"""Somebody's own statement: it reads, and the database refuses all else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import stored

from lam3db.errors import StoreError
from lam3db.store.engine import Store, open_store
from lam3db.store.query import run_query

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def rows(store: Store, statement: str) -> list[tuple[object, ...]]:
    with run_query(store, statement) as answered:
        return list(answered.rows)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url, mode="write") as opened, opened.write() as conn:
        stored.answer_all(conn, stored.build(conn))
    with open_store(store_url, mode="read") as opened:
        yield opened


def test_a_select_answers(store: Store) -> None:
    with run_query(store, "SELECT model, count(*) AS n FROM v_generation GROUP BY model;") as found:
        assert found.columns == ("model", "n")
        assert list(found.rows) == [("tiny", 4)]
    assert rows(store, "SELECT text_digest FROM generation LIMIT 1")[0][0] != b""
    assert rows(store, "SELECT 1 WHERE 'a%sb' LIKE 'a%'") == [(1,)]
    assert rows(store, "WITH x AS (SELECT 1 AS a) SELECT a FROM x -- said") == [(1,)]
    assert rows(store, "VALUES (1), (2)") == [(1,), (2,)]


def test_bytes_come_as_hexadecimals_and_many_rows_come(store: Store) -> None:
    ((digest,),) = rows(store, "SELECT digest FROM model_version")
    assert digest == stored.model().digest.hex()
    numbers = """WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 5000)
                 SELECT x FROM n"""
    assert len(rows(store, numbers)) == 5000


EITHER = (
    "DELETE FROM generation",
    "UPDATE generation SET text = 'x'",
    "INSERT INTO environment (digest, value, created_at) VALUES (NULL, '', 1)",
    "DROP TABLE generation",
    "CREATE TABLE x (y INTEGER)",
    "CREATE TEMPORARY TABLE x (y INTEGER)",
    "SELECT 1; DELETE FROM generation",
    "COMMIT; DELETE FROM generation",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT x",
    "ANALYZE",
    "VACUUM",
    "",
    "   ",
    "SELECT '\0'",
    "SELEC 1",
    "SELECT nothing FROM nowhere",
)
SQLITE = (
    "PRAGMA query_only = 0",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA user_version = 7",
    "PRAGMA writable_schema = 1",
    "PRAGMA wal_checkpoint(TRUNCATE)",
    "ATTACH '{folder}/other.db' AS other",
    "VACUUM INTO '{folder}/other.db'",
    "SELECT load_extension('x')",
    "REINDEX",
    "WITH x AS (SELECT 1) DELETE FROM generation",
    "REPLACE INTO judge_progress VALUES (1, 1)",
)
POSTGRESQL = (
    "WITH x AS (DELETE FROM generation RETURNING 1) SELECT * FROM x",
    "SET TRANSACTION READ WRITE",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    "SELECT set_config('transaction_read_only', 'off', false)",
    "SELECT 1; COMMIT; DROP TABLE generation CASCADE",
    "DO $$ BEGIN DELETE FROM generation; END $$",
    "COPY (SELECT 1) TO '{folder}/other.db'",
    "COPY (SELECT 1) TO PROGRAM 'touch {folder}/other.db'",
    "SELECT nextval(pg_get_serial_sequence('generation', 'id'))",
    "SELECT 1 INTO TABLE x",
    "SELECT * FROM generation FOR UPDATE",
    "CALL x()",
    "EXPLAIN ANALYZE DELETE FROM generation",
    "LOCK TABLE generation",
    "NOTIFY x",
    "PREPARE x AS SELECT 1",
    "CLOSE lam3db_sql",
    "select 1 \x1b[31m",
)


def test_all_else_is_refused(store: Store, tmp_path: Path) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    taken = []
    for statement in (*EITHER, *(SQLITE if store.dialect == "sqlite" else POSTGRESQL)):
        try:
            rows(store, statement.replace("{folder}", str(tmp_path)))
        except StoreError:
            continue
        taken.append(statement)
    assert taken == []
    with store.read() as conn:
        assert stored.count(conn, "generation") == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert not (tmp_path / "other.db").exists()


def test_what_the_server_lets_through_is_rolled_back(postgres_url: str) -> None:
    """PostgreSQL 15 makes large objects in a READ ONLY transaction; later ones refuse."""
    with open_store(postgres_url, mode="read") as store:
        try:
            rows(store, "SELECT lo_create(0)")
        except StoreError as error:
            assert "read-only" in str(error)  # noqa: PT017 - one of two right answers
        assert rows(store, "SELECT count(*) FROM pg_largeobject_metadata") == [(0,)]


def test_a_refusal_says_it_is_one(store: Store) -> None:
    with pytest.raises(StoreError, match="refused"):
        rows(store, "DELETE FROM generation")
    with pytest.raises(StoreError, match="one statement"):
        rows(store, "SELECT 1; SELECT 2")


def test_harmless_pragmas_answer(sqlite_url: str) -> None:
    open_store(sqlite_url, mode="write").close()
    with open_store(sqlite_url, mode="read") as store:
        assert rows(store, "PRAGMA journal_mode") == [("wal",)]
        assert ("generation_id",) in [row[1:2] for row in rows(store, "PRAGMA table_info(v_score)")]
        assert rows(store, "EXPLAIN QUERY PLAN SELECT * FROM run")
