"""Merging from a file made to do harm: refused whole, said why, and the target as it was."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import merging
import pytest

from lam3db.errors import (
    DatabaseForeignError,
    DatabaseMissingError,
    DatabaseNewerError,
    DatabaseOlderError,
    InputError,
    Lam3Error,
    StoreError,
)
from lam3db.hashing import canonical_json, text_digest
from lam3db.pipeline.merge import merge_database
from lam3db.store import migrate
from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that nothing is wrong with."""
    folder = tmp_path_factory.mktemp("honest")
    merging.make(folder / "a.db", "a")
    return folder / "a.db"


@pytest.fixture
def hostile(honest: Path, tmp_path: Path) -> Path:
    """A copy of it to spoil."""
    merging.copy(f"sqlite:///{honest}", tmp_path / "evil.db")
    return tmp_path / "evil.db"


@pytest.fixture
def target(tmp_path: Path) -> str:
    """A database with rows of its own."""
    return merging.make(tmp_path / "here.db", "b")


def spoil(path: Path, *statements: str) -> None:
    """Write past every rule that the database would hold."""
    with contextlib.closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("PRAGMA ignore_check_constraints = 1")
        conn.execute("PRAGMA writable_schema = 1")
        for statement in statements:
            conn.execute(statement)


def refused(target: str, source: Path, kind: type[Lam3Error], says: str) -> None:
    """Check that a source is refused for this reason and changed nothing."""
    before = merging.numbered(target)
    with pytest.raises(kind) as caught:
        merge_database(target, str(source))
    assert says in str(caught.value)
    assert merging.numbered(target) == before
    assert merging.faults(target) == []


DEEP = "[" * 5000 + "]" * 5000
WRONG = {
    "behavior": ("UPDATE behavior SET text = 'other' WHERE id = 1", "behavior 1: its digest"),
    "sample": ("UPDATE sample SET metadata = '{}' WHERE id = 2", "sample 2: its digest"),
    "prompt": ("UPDATE sample SET prompt = 'x' WHERE id = 2", "its prompt is another"),
    "input": ("UPDATE sample SET input_digest = digest", "its input's digest"),
    "config": ("UPDATE config SET value = '{}'", "config 1: its digest"),
    "columns": ("UPDATE config SET dtype = 'fp32'", "its columns do not match"),
    "model": ("UPDATE model_version SET declared = 'x'", "model tiny: its digest"),
    "judge": ("UPDATE judge SET version = '2' WHERE id = 1", "judge wide: its digest"),
    "verdict": ("INSERT INTO judge_verdict VALUES (1, 'safe')", "judge wide: its digest"),
    "environment": ("UPDATE environment SET value = '{}'", "environment 1: its digest"),
    "selection": ("UPDATE selection SET digest = zeroblob(32) WHERE id = 1", "selection 1"),
    "text": ("UPDATE generation SET text = 'x' WHERE id = 1", "generation 1: its digest"),
    "copy": (
        "UPDATE generation SET origin_id = 2 WHERE origin_id IS NOT NULL",
        "it is no copy of its origin",
    ),
    "score": ("UPDATE score SET value = 0.5 WHERE id = 1", "score 1: it does not say"),
    "subject": (
        "UPDATE finding SET subject_digest = zeroblob(32) WHERE id = 1",
        "its judge was shown something else",
    ),
    "json": ("UPDATE run SET requested = 'nope'", "no JSON that lam3db wrote"),
    "json twice": ("""UPDATE run SET options = '{"a":1,"a":2}'""", "canonical form"),
    "json nan": ("""UPDATE run SET options = '{"a":NaN}'""", "no JSON that lam3db wrote"),
    "json deep": (f"UPDATE run SET options = '{DEEP}'", "no JSON that lam3db wrote"),
    "json judged": ("UPDATE judge SET spec = '[' WHERE id = 1", "judge 1: spec: no JSON"),
    "json sees": ("""UPDATE judge SET sees = '["all"]' WHERE id = 1""", "it cannot be read"),
    "messages": ("UPDATE sample SET messages = '[[]]' WHERE id = 1", "it cannot be read"),
    "nul": ("UPDATE log_entry SET text = 'a' || char(0)", "not escaped as lam3db escapes"),
    "escape": ("UPDATE log_entry SET text = char(57344) || 'x'", "not escaped as lam3db"),
    "utf-8": ("UPDATE log_entry SET text = CAST(x'ff' AS TEXT)", "not UTF-8"),
    "time": (f"UPDATE run SET started_at = {1 << 62}", "no time between 1970 and 9999"),
    "uid": ("UPDATE log_entry SET uid = substr(uid, 1, 35) || '/'", "no UUID in its usual form"),
    "word": ("UPDATE finding SET status = 'fine'", "it breaks a rule of the schema"),
    "number": ("UPDATE finding_attribute SET value = 9e999", "it breaks a rule of the schema"),
    "reference": ("DELETE FROM config", "refers to a config that is not there"),
    "history": (
        "UPDATE finding SET revision = revision + 2 WHERE revision > 0",
        "the revisions of a finding have gaps",
    ),
    "column": ("ALTER TABLE score ADD COLUMN more TEXT", "score is not as made"),
    "loose": (
        "UPDATE sqlite_master SET sql = replace(sql, ' STRICT', '') WHERE name = 'run'",
        "run is not as made",
    ),
    "half": ("UPDATE generation SET raw_text = NULL WHERE id = 1", "it breaks a rule"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_right_is_refused_whole(hostile: Path, target: str, what: str) -> None:
    statement, says = WRONG[what]
    spoil(hostile, statement)
    refused(target, hostile, InputError, says)


def test_a_value_of_another_type_is_refused(hostile: Path, target: str) -> None:
    """STRICT is only a word in the file's own description of itself."""
    of_log = "WHERE name = 'log_entry'"
    spoil(hostile, f"UPDATE sqlite_master SET sql = replace(sql, ' STRICT', '') {of_log}")
    spoil(hostile, "UPDATE log_entry SET created_at = 'soon'")
    spoil(hostile, f"UPDATE sqlite_master SET sql = sql || ' STRICT' {of_log}")
    refused(
        target,
        hostile,
        InputError,
        "log_entry 1: created_at: it breaks a rule of the schema (type)",
    )


def test_every_fault_of_a_kind_is_told(hostile: Path, target: str) -> None:
    spoil(hostile, "UPDATE judge SET version = '2'", "UPDATE config SET value = '{}'")
    with pytest.raises(InputError) as caught:
        merge_database(target, str(hostile))
    assert len([line for line in caught.value.faults if "digest does not match" in line]) == 4


LIVE = {
    "trigger": "CREATE TRIGGER t AFTER INSERT ON score BEGIN DELETE FROM score; END",
    "view": "CREATE VIEW issue AS WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x FROM r)"
    " SELECT x FROM r",
    "virtual table": "CREATE VIRTUAL TABLE issue USING fts5(x)",
}


@pytest.mark.parametrize("what", LIVE)
def test_what_works_by_itself_is_refused_before_a_row_is_read(
    hostile: Path, target: str, what: str
) -> None:
    statements = [LIVE[what]]
    if what != "trigger":
        statements = ["DROP TABLE issue_link", "DROP TABLE issue_event", "DROP TABLE issue"]
        statements.append(LIVE[what])
    spoil(hostile, *statements)
    refused(target, hostile, DatabaseForeignError, f"it holds the {what}")


def test_a_virtual_table_in_disguise_is_refused(hostile: Path, target: str) -> None:
    spoil(
        hostile,
        "CREATE VIRTUAL TABLE other USING fts5(x)",
        "UPDATE sqlite_master SET sql = 'CREATE/**/VIRTUAL/**/TABLE other USING fts5(x)'"
        " WHERE name = 'other'",
    )
    refused(target, hostile, DatabaseForeignError, "it holds the virtual table 'other'")


def test_an_index_that_computes_is_refused_before_it_does(hostile: Path, target: str) -> None:
    dear = "+".join(f"length(hex(zeroblob(9000000 + id + {n})))" for n in range(100))
    spoil(
        hostile,
        "CREATE INDEX dear ON log_entry(length(id))",
        f"UPDATE sqlite_master SET sql = 'CREATE INDEX dear ON log_entry({dear})'"
        " WHERE name = 'dear'",
    )
    refused(target, hostile, DatabaseForeignError, "it holds the computed index 'dear'")


def test_an_index_of_somebodys_own_is_no_fault(hostile: Path, target: str) -> None:
    spoil(hostile, "CREATE INDEX mine ON log_entry(created_at)")
    assert merge_database(target, str(hostile)).changes


@pytest.mark.parametrize("end", ["-journal", "-wal", "-shm"])
def test_what_lies_beside_is_a_file(hostile: Path, target: str, end: str) -> None:
    beside = hostile.with_name(hostile.name + end)
    beside.unlink(missing_ok=True)
    os.mkfifo(beside)
    refused(target, hostile, DatabaseForeignError, "no regular file")
    beside.unlink()
    beside.symlink_to("/dev/zero")
    refused(target, hostile, DatabaseForeignError, "no regular file")


def test_a_schema_that_is_no_text_is_told_in_one_line(hostile: Path, target: str) -> None:
    data = hostile.read_bytes()
    for old in (b"CREATE TABLE", b"issue_link", b"log_entry"):
        hostile.write_bytes(data.replace(old, b"\xeb" * len(old)))
        refused(target, hostile, Lam3Error, "")


def test_a_secret_in_an_identity_is_refused(hostile: Path, target: str) -> None:
    value = canonical_json({"token": "sk-abcdefghijklmnop1234"})
    state = hashlib.sha256(f"lam3db:environment:1\n{value}".encode()).digest()
    spoil(hostile, f"UPDATE environment SET value = '{value}', digest = x'{state.hex()}'")
    refused(target, hostile, InputError, "looks like a key or password")


def test_a_giant_text_is_refused(hostile: Path, target: str) -> None:
    big = "a" * ((16 << 20) + 1)
    for repeats, says in ((1, "longer than 16 Mi characters"), (5, "larger than 64 MiB")):
        with contextlib.closing(sqlite3.connect(hostile)) as conn, conn:
            conn.execute("DELETE FROM score WHERE generation_id = 3")
            conn.execute(
                "UPDATE generation SET raw_text = '', text = ?, text_digest = ? WHERE id = 3",
                (big * repeats, text_digest(big * repeats)),
            )
        refused(target, hostile, InputError, says)


def test_a_giant_name_of_a_number_is_refused(hostile: Path, target: str) -> None:
    giant = "a" * 10_000
    spoil(
        hostile,
        f"INSERT INTO finding_attribute SELECT min(id), '{giant}', 0.5 FROM finding",
    )
    refused(target, hostile, InputError, "is longer than 200 characters")


def _image(path: Path) -> Path:
    folder = path.with_name(f"{path.stem}_media")
    return next(file for file in folder.rglob("*.png") if file.read_bytes() == merging.png("red"))


def _swap(file: Path) -> None:
    file.write_bytes(merging.png("green"))


def _pipe(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _grow(file: Path) -> None:
    with file.open("wb") as stream:
        stream.truncate(65 << 20)


@pytest.mark.parametrize(
    ("spoilt", "says"),
    [
        (Path.unlink, "is not in the media root"),
        (_swap, "is another image than its row says"),
        (_pipe, "not a file"),
        (_grow, "more than 64 MiB"),
    ],
)
def test_images_are_opened_before_they_are_believed(
    hostile: Path, target: str, spoilt: Callable[[Path], None], says: str
) -> None:
    spoilt(_image(hostile))
    refused(target, hostile, InputError, says)


def test_images_that_stayed_behind_are_told_in_one_line(hostile: Path, target: str) -> None:
    shutil.rmtree(hostile.with_name(f"{hostile.stem}_media"))
    spoil(
        hostile,
        "INSERT INTO media (sha256, mime_type, byte_count, width, height, created_at)"
        f" VALUES (x'{'ab' * 32}', 'image/png', 9, 8, 6, 1)",
    )
    with pytest.raises(InputError) as told:
        merge_database(target, str(hostile))
    head, *faults = str(told.value).splitlines()
    assert "nothing was merged" in head
    assert len(faults) == 1
    assert re.search(r"2 images are not in the media root .*evil_media .* --media", faults[0])


def test_what_is_no_image_is_not_put(hostile: Path, target: str, tmp_path: Path) -> None:
    page = b"<html><script>alert(1)</script></html>"
    name = hashlib.sha256(page).hexdigest()
    folder = tmp_path / "evil_media" / name[:2] / name[2:4]
    folder.mkdir(parents=True)
    (folder / f"{name}.png").write_bytes(page)
    spoil(
        hostile,
        "INSERT INTO media (sha256, mime_type, byte_count, width, height, created_at)"
        f" VALUES (x'{name}', 'image/png', {len(page)}, 8, 6, 1)",
    )
    refused(target, hostile, InputError, "a web page")
    assert not list((tmp_path / "here_media").rglob(f"{name}*"))


def test_a_row_that_lies_about_its_image_is_refused(hostile: Path, target: str) -> None:
    spoil(hostile, "UPDATE media SET width = 800 WHERE id = 2")
    refused(target, hostile, InputError, "is another image than its row says")


def test_an_image_that_is_here_need_not_come_along(honest: Path, tmp_path: Path) -> None:
    here = merging.copy(f"sqlite:///{honest}", tmp_path / "here.db")
    shutil.copy(honest, tmp_path / "bare.db")
    assert merge_database(here, str(tmp_path / "bare.db")).changes == 0


def test_a_damaged_file_is_refused(hostile: Path, target: str) -> None:
    data = bytearray(hostile.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 20_000] = b"\xa5" * 20_000
    hostile.write_bytes(data)
    refused(target, hostile, Lam3Error, "")


def test_what_is_no_database_of_ours_is_said_to_be_none(target: str, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(other)) as conn, conn:
        conn.execute("CREATE TABLE notes (id INTEGER)")
    refused(target, other, DatabaseForeignError, "is not one of lam3db's databases")
    page = tmp_path / "page.db"
    page.write_text("hello")
    refused(target, page, DatabaseForeignError, "is no SQLite database")
    (tmp_path / "empty.db").touch()
    refused(target, tmp_path / "empty.db", DatabaseMissingError, "is an empty file")
    refused(target, tmp_path / "gone.db", DatabaseMissingError, "gone.db to merge from")
    refused(target, tmp_path, StoreError, "is a folder")
    assert not (tmp_path / "gone.db").exists()


def test_another_schema_is_said_to_be_older_or_newer(
    hostile: Path, target: str, tmp_path: Path
) -> None:
    spoil(hostile, "UPDATE lam3db_version SET version_num = '9999'")
    refused(target, hostile, DatabaseNewerError, "install a newer lam3db")
    old = tmp_path / "old.db"
    migrate.upgrade(f"sqlite:///{old}", "0001")
    refused(target, old, DatabaseOlderError, "run `lam3db db upgrade`")


def test_a_database_is_not_merged_into_itself(target: str) -> None:
    with pytest.raises(Lam3Error, match="is the database itself"):
        merge_database(target, target.removeprefix("sqlite:///"))


def test_the_source_is_not_written_to(hostile: Path, target: str) -> None:
    hostile.chmod(0o444)
    before = hostile.read_bytes()
    merge_database(target, str(hostile))
    assert hostile.read_bytes() == before
    with open_store(target, mode="read") as store, store.read() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM log_entry").scalar() == 2
