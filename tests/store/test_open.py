"""Opening: a reader makes nothing, a writer makes what it needs, and each fault has a name."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import stored
from sqlalchemy import text

from lam3db.errors import (
    DatabaseBusyError,
    DatabaseForeignError,
    DatabaseMissingError,
    DatabaseNewerError,
    DatabaseOlderError,
    StoreError,
)
from lam3db.store import address, disk, migrate, sqlite
from lam3db.store.engine import default_url, open_store
from lam3db.store.writes import GenerationIn, put_generations

NOBODY = 65_534
HEAD = migrate.revisions()[-1]


def test_the_default_lies_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_url() == "sqlite:///lam3.db"
    with open_store(None, mode="write") as store:
        assert store.media_root == str(tmp_path / "lam3_media")
        assert store.url == "sqlite:///lam3.db"
    assert (tmp_path / "lam3.db").is_file()
    monkeypatch.setenv("LAM3DB_URL", str(tmp_path / "other.db"))
    monkeypatch.setenv("LAM3DB_MEDIA", "s3://bucket/media")
    with open_store(None, mode="write") as store:
        assert store.media_root == "s3://bucket/media"
    assert (tmp_path / "other.db").is_file()


def test_odd_file_names_are_names(tmp_path: Path) -> None:
    path = tmp_path / "a b?c#d%20é.db"
    with open_store(str(path), mode="write") as store, store.write() as conn:
        stored.build(conn)
    assert path.is_file()
    with open_store(f"sqlite:///{path.parent / 'x.db'}", mode="write"):
        pass
    assert {one.name for one in tmp_path.iterdir() if one.suffix == ".db"} == {path.name, "x.db"}


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:///x.db?mode=ro", "without options"),
        ("sqlite:///file:x.db", "without options"),
        ("mysql://me:secret@host/x", "'mysql' is not supported"),
        ("postgresql+asyncpg://host/x", "not supported"),
        ("http://host/x", "not supported"),
        ("", "empty"),
        ("   ", "empty"),
    ],
)
def test_what_is_no_address_is_told(url: str, told: str) -> None:
    with pytest.raises(StoreError, match=told) as caught:
        open_store(url, mode="read")
    assert "secret" not in str(caught.value)


def test_a_reader_creates_nothing(sqlite_url: str, tmp_path: Path) -> None:
    with pytest.raises(DatabaseMissingError, match="lam3db db upgrade"):
        open_store(sqlite_url, mode="read")
    assert list(tmp_path.iterdir()) == []


def test_a_reader_cannot_write(store_url: str) -> None:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        stored.build(conn)
    with open_store(store_url, mode="read") as store:
        with pytest.raises(StoreError, match="opened to read"), store.write():
            pass
        for forbidden in (
            "DELETE FROM run",
            "CREATE TABLE x (y INTEGER)",
            "UPDATE run SET host=''",
        ):
            with pytest.raises(StoreError, match="read-only"), store.read() as conn:
                conn.execute(text(forbidden))
        with store.read() as conn:
            assert stored.count(conn, "run") == 1


def test_a_write_is_whole_or_nothing(store_url: str) -> None:
    with open_store(store_url, mode="write") as store:

        def half() -> None:
            with store.write() as conn:
                stored.build(conn)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            half()
        with store.read() as conn:
            assert stored.count(conn, "run") == stored.count(conn, "sample") == 0


def test_an_empty_file_is_told_and_filled_by_a_writer(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "lam3.db").touch()
    with pytest.raises(DatabaseMissingError, match="empty file"):
        open_store(sqlite_url, mode="read")
    open_store(sqlite_url, mode="write").close()
    open_store(sqlite_url, mode="read").close()


def test_an_older_database_is_upgraded_by_a_writer_with_a_backup(
    sqlite_url: str, tmp_path: Path
) -> None:
    migrate.upgrade(sqlite_url, "0001")
    with pytest.raises(DatabaseOlderError, match=rf"schema 0001.*needs {HEAD}.*lam3db db upgrade"):
        open_store(sqlite_url, mode="read")
    with sqlite3.connect(tmp_path / "lam3.db") as conn:
        conn.execute(
            "INSERT INTO environment (digest, value, created_at) VALUES (zeroblob(32), '{}', 1)"
        )
    conn.close()
    with open_store(sqlite_url, mode="write") as store, store.read() as reading:
        assert stored.count(reading, "environment") == 1
    (saved,) = tmp_path.glob("lam3.db.backup-0001-*")
    assert migrate.sqlite_schema(address.parse(str(saved))).revision == "0001"


def test_an_older_postgresql_waits_to_be_asked(empty_postgres_url: str) -> None:
    for mode in ("read", "write"):
        with pytest.raises(DatabaseMissingError, match="lam3db db upgrade"):
            open_store(empty_postgres_url, mode=mode)
    migrate.upgrade(empty_postgres_url, "1")
    for mode in ("read", "write"):
        with pytest.raises(DatabaseOlderError, match="lam3db db upgrade"):
            open_store(empty_postgres_url, mode=mode)
    assert migrate.upgrade(empty_postgres_url) == migrate.Moved("0001", HEAD)
    open_store(empty_postgres_url, mode="read").close()


def test_a_newer_database_is_left_alone(store_url: str) -> None:
    with open_store(store_url, mode="write") as store, store.write() as conn:
        conn.execute(text("UPDATE lam3db_version SET version_num = '0999'"))
    for mode in ("read", "write"):
        with pytest.raises(DatabaseNewerError, match=r"schema 0999.*install a newer lam3db"):
            open_store(store_url, mode=mode)
    with pytest.raises(DatabaseNewerError):
        migrate.upgrade(store_url)


def test_a_foreign_database_is_left_alone(sqlite_url: str, empty_postgres_url: str) -> None:
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as conn:
        conn.execute("CREATE TABLE theirs (x)")
    conn.close()
    migrate.upgrade(empty_postgres_url)
    with open_store(empty_postgres_url, mode="write") as store, store.write() as writing:
        writing.execute(text("DROP TABLE lam3db_version"))
    for url in (sqlite_url, empty_postgres_url):
        for mode in ("read", "write"):
            with pytest.raises(DatabaseForeignError, match="not one of lam3db's"):
                open_store(url, mode=mode)
        with pytest.raises(DatabaseForeignError):
            migrate.upgrade(url)


@pytest.mark.parametrize("content", [b"name,value\n1,2\n" * 10, b"SQLite format 3\0" + b"x" * 4080])
def test_a_file_that_is_no_database_is_told(
    sqlite_url: str, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "lam3.db").write_bytes(content)
    for mode in ("read", "write"):
        with pytest.raises(DatabaseForeignError, match="no SQLite database"):
            open_store(sqlite_url, mode=mode)
    assert (tmp_path / "lam3.db").read_bytes() == content


def test_a_folder_or_device_is_no_database(tmp_path: Path) -> None:
    for mode in ("read", "write"):
        with pytest.raises(StoreError, match="is a folder"):
            open_store(str(tmp_path), mode=mode)
        with pytest.raises(StoreError, match="device"):
            open_store("/dev/null", mode=mode)
    with pytest.raises(StoreError, match="no folder"):
        open_store(str(tmp_path / "a" / "b" / "x.db"), mode="write")
    with pytest.raises(DatabaseMissingError):
        open_store(str(tmp_path / "a" / "b" / "x.db"), mode="read")


AS_NOBODY = """
import os, sys
from lam3db.errors import Lam3Error
from lam3db.store.engine import open_store
open_store(sys.argv[3], mode="write").close()  # imports all there is, while they can be read
os.setgid({nobody}); os.setuid({nobody})
try:
    with open_store(sys.argv[1], mode=sys.argv[2]) as store:
        with store.read() as conn:
            print(conn.exec_driver_sql("SELECT count(*) FROM run").scalar_one())
except Lam3Error as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="root can be somebody else; a user cannot")
def test_permissions_are_told(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        path = folder / "lam3.db"

        def as_nobody(place: Path, mode: str) -> str:
            code = AS_NOBODY.format(nobody=NOBODY)
            done = subprocess.run(
                [sys.executable, "-c", code, str(place), mode, str(tmp_path / "warm.db")],
                capture_output=True,
                text=True,
                check=True,
            )
            return done.stdout

        assert "check the permissions" in as_nobody(folder / "new.db", "write")
        assert list(folder.iterdir()) == []
        open_store(str(path), mode="write").close()
        assert "folder is not writable" in as_nobody(path, "read")
        path.chmod(0o600)
        assert "cannot be read: Permission denied" in as_nobody(path, "read")
        path.chmod(0o444)
        folder.chmod(0o777)
        assert as_nobody(path, "read") == "0\n"
        assert "read-only here" in as_nobody(path, "write")


def test_a_full_disk_rolls_back_one_batch_and_says_so(sqlite_url: str) -> None:
    """The quota is SQLite's own: a real SQLITE_FULL, as on a full disk."""
    with open_store(sqlite_url, mode="write") as store:
        with store.write() as conn:
            world = stored.build(conn, 300)
            ids = stored.sample_ids(conn, world.selection)
        keys = (world.run, world.model, world.config)

        def batch(replicate: int) -> list[GenerationIn]:
            return [GenerationIn(one, replicate, stored.answer("word " * 200)) for one in ids]

        with store.write() as conn:
            put_generations(conn, *keys, batch(0))
            pages = conn.exec_driver_sql("PRAGMA page_count").scalar_one()
            conn.exec_driver_sql(f"PRAGMA max_page_count = {pages + 20}")
        with pytest.raises(StoreError, match=r"disk is full.*run again"), store.write() as conn:
            put_generations(conn, *keys, batch(1))
        with store.read() as conn:
            assert stored.count(conn, "generation") == 300
        with store.write() as conn:
            conn.exec_driver_sql("PRAGMA max_page_count = 1000000")
            assert put_generations(conn, *keys, batch(1)) == 300


def test_no_room_is_told_before_anything_is_made(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "NEEDED", 1 << 62)
    with pytest.raises(StoreError, match=r"MiB are free and .* MiB are needed"):
        open_store(sqlite_url, mode="write")
    assert list(tmp_path.iterdir()) == []


def test_a_lock_held_too_long_is_told(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.1)
    with (
        open_store(sqlite_url, mode="write") as store,
        open_store(sqlite_url, mode="write") as other,
        store.write() as conn,
    ):
        stored.build(conn)
        with pytest.raises(DatabaseBusyError, match="another process"), other.write():
            pass


def test_one_at_a_time_makes_a_database(tmp_path: Path) -> None:
    with (
        disk.alone_in(tmp_path),
        pytest.raises(DatabaseBusyError, match="creating or upgrading"),
        disk.alone_in(tmp_path, wait=0.1),
    ):
        pass
    with disk.alone_in(tmp_path, wait=0.1):
        pass


MOUNTS = r"""
22 1 0:20 / / rw - ext4 /dev/vda rw
30 22 0:30 / /home rw,relatime shared:1 - nfs4 server:/home rw,vers=4.2
31 30 0:31 / /home/me/local rw - xfs /dev/sdb rw
32 22 0:32 / /mnt/my\040share rw - cifs //server/share rw
33 22 0:33 / /scratch rw - lustre mds@tcp:/scratch rw
34 22 0:34 / /remote rw - fuse.sshfs me@host: rw
35 22 0:35 / /over rw - nfs server:/x rw
36 22 0:36 / /over rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", None),
        ("/var/lib", None),
        ("/home", "nfs4"),
        ("/home/me", "nfs4"),
        ("/home/me/local/deep", None),
        ("/homestead", None),
        ("/mnt/my share/x", "cifs"),
        ("/scratch/run", "lustre"),
        ("/remote", "fuse.sshfs"),
        ("/over", None),
    ],
)
def test_network_file_systems_are_known(folder: str, kind: str | None) -> None:
    assert disk.network_type(Path(folder), MOUNTS) == kind


def test_a_file_on_a_network_is_refused_with_the_cure(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = f"9 1 0:9 / {tmp_path.resolve()} rw - nfs4 server:/x rw\n"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: mounts)
    with pytest.raises(StoreError, match=r"network file system \(nfs4\).*local disk.*PostgreSQL"):
        open_store(sqlite_url, mode="write")


def test_a_server_that_is_not_there_is_one_line_without_the_password() -> None:
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        open_store("postgresql://me:top-secret@127.0.0.1:1/lab", mode="read")
    told = str(caught.value)
    assert "top-secret" not in told
    assert "\n" not in told


def test_a_database_that_is_not_there_is_told(postgres_server: object) -> None:
    with pytest.raises(StoreError, match=r"not let you in.*nowhere"):
        open_store(postgres_server.url("nowhere"), mode="read")  # type: ignore[attr-defined]


def test_another_encoding_is_refused(postgres_server: object) -> None:
    server = postgres_server
    server._run(  # type: ignore[attr-defined]
        "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
    )
    with pytest.raises(StoreError, match="encoded as LATIN1"):
        migrate.upgrade(server.url("latin"))  # type: ignore[attr-defined]
    server.drop("latin")  # type: ignore[attr-defined]


def test_sqlite_is_set_as_designed(sqlite_url: str) -> None:
    with open_store(sqlite_url, mode="write") as store:
        with store.write() as conn:
            asked = ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")
            values = [conn.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked]
            assert values == ["wal", 1, 20_000, 1]
        with store.read() as conn:
            assert conn.exec_driver_sql("PRAGMA query_only").scalar() == 1
            strict = conn.exec_driver_sql(
                "SELECT name FROM pragma_table_list WHERE type = 'table' AND schema = 'main'"
                " AND NOT strict AND name NOT LIKE 'sqlite_%' AND name <> 'lam3db_version'"
            ).all()
            assert strict == []
