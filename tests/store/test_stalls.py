"""A PostgreSQL server that stops answering: every wait ends, and no work of a slow one is cut."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from stalling import Proxy, stalling_proxy

from lam3db.errors import DatabaseBusyError, StoreError
from lam3db.store import haste, postgresql, stalls
from lam3db.store.address import parse
from lam3db.store.engine import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postgres import Server


@pytest.fixture
def proxy(postgres_server: Server) -> Iterator[Proxy]:
    """A proxy before the tests' server."""
    with stalling_proxy(postgres_server.folder) as running:
        yield running


@pytest.fixture
def store(proxy: Proxy, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store behind the proxy whose connection soon loses its patience."""
    for name in ("PATIENCE", "UNREACHABLE_FOR", "_AGAIN", "_TRIAL"):
        monkeypatch.setattr(stalls, name, 0.3)
    with open_store(proxy.url(_name(postgres_url), connect_timeout=2), mode="write") as opened:
        with opened.write() as conn:  # a connection that rests in the pool
            conn.execute(text("SELECT 1"))
        yield opened


def _name(url: str) -> str:
    return str(parse(url).url.database)  # type: ignore[union-attr]


def ends(store: Store, what: str, statement: str = "SELECT 1", value: str = "") -> None:
    """Check that a statement ends within seconds with an error of ours."""
    began = time.monotonic()
    with pytest.raises(StoreError, match=what), store.write() as conn:
        conn.execute(text(statement), {"value": value} if value else {})
    assert time.monotonic() - began < SECONDS


SECONDS = 15
MODES = ("swallow", "freeze")


@pytest.mark.parametrize(("mode", "kind"), [("swallow", "read"), ("freeze", "write")])
def test_a_silent_server_is_given_up(store: Store, proxy: Proxy, mode: Any, kind: str) -> None:
    def statement() -> None:
        with getattr(store, kind)() as conn:
            proxy.mode = mode
            conn.execute(text("SELECT 1"))

    began = time.monotonic()
    with pytest.raises(StoreError, match=r"no answer for \d+ s, and a new connection gets none"):
        statement()
    ends(store, "no answer for|cannot be reached: connection timeout expired")
    assert time.monotonic() - began < SECONDS
    proxy.mode = "pass"
    with store.write() as conn:
        assert conn.execute(text("SELECT 1")).scalar() == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_connection_that_a_firewall_forgot_is_given_up(
    store: Store, proxy: Proxy, mode: Any
) -> None:
    proxy.mode, proxy.new_too = mode, False
    ends(store, "the server waits for us: what it sent was lost on the way.*run again")
    with store.write() as conn:  # by a new connection
        assert conn.execute(text("SELECT 1")).scalar() == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_large_batch_that_nobody_takes_is_given_up(store: Store, proxy: Proxy, mode: Any) -> None:
    proxy.mode, proxy.new_too = mode, False
    ends(store, "no answer for", "SELECT length(:value)", "x" * 20_000_000)


def test_a_large_answer_that_does_not_arrive_is_given_up(store: Store, proxy: Proxy) -> None:
    statement = "SELECT repeat('x', 1000) FROM generate_series(1, 100000)"
    timer = threading.Timer(0.5, setattr, (proxy, "mode", "freeze"))
    proxy.new_too = False

    def read() -> None:
        with store.read() as conn:
            asked = conn.execution_options(yield_per=1000).execute(text(statement))
            with contextlib.closing(asked) as rows:
                timer.start()
                for _ in rows:
                    time.sleep(0.0001)

    with pytest.raises(StoreError, match="the server waits for us"):
        read()
    timer.join()


def test_a_session_that_is_gone_is_told(store: Store, proxy: Proxy, postgres_url: str) -> None:
    proxy.new_too = False

    def ask(direct: Store) -> None:
        with store.write() as conn:
            session = conn.execute(text("SELECT pg_backend_pid()")).scalar()
            proxy.mode = "freeze"
            with direct.write() as other:
                other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": session})
            conn.execute(text("SELECT 1"))

    with (
        open_store(postgres_url, mode="write") as direct,
        pytest.raises(StoreError, match="no such session any more"),
    ):
        ask(direct)


def test_a_slow_statement_is_waited_for(store: Store) -> None:
    with store.write() as conn:
        conn.execute(text("SELECT pg_sleep(1.5)"))
        assert conn.execute(text("SELECT 1")).scalar() == 1


def test_haste_does_not_cut_a_slow_statement(store: Store) -> None:
    haste.hasten()
    try:
        with store.write() as conn:
            conn.execute(text("SELECT pg_sleep(1.5)"))
    finally:
        haste.relax()


def test_what_has_no_session_to_look_at_is_waited_for(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pooler's connections have numbers that the server does not know."""
    monkeypatch.setattr(stalls, "_SESSION", "SELECT -1, NULL, NULL, %s::text")
    with store.write() as conn:
        conn.execute(text("SELECT pg_sleep(1.5)"))


def test_a_dead_connection_that_has_rested_is_replaced(
    store: Store, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose model thinks for an hour meets a firewall that has forgotten it."""
    proxy.mode, proxy.new_too = "swallow", False
    monkeypatch.setattr(stalls, "RESTED", 0)
    before = proxy.connections
    with store.write() as conn:
        assert conn.execute(text("SELECT 1")).scalar() == 1
    assert proxy.connections == before + 1


def test_a_server_that_takes_a_connection_and_says_nothing(proxy: Proxy, postgres_url: str) -> None:
    proxy.mode = "swallow"
    began = time.monotonic()
    with pytest.raises(StoreError, match="cannot be reached: connection timeout expired"):
        open_store(proxy.url(_name(postgres_url), connect_timeout=2), mode="read")
    assert 1.5 < time.monotonic() - began < 4


def test_own_values_win(proxy: Proxy, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def settings(**options: object) -> tuple[dict[str, str], list[str]]:
        url = proxy.url(_name(postgres_url), **options)
        with open_store(url, mode="write") as opened, opened.write() as conn:
            driver: Any = conn.connection.driver_connection
            shown = ("lock_timeout", "jit", "idle_in_transaction_session_timeout")
            return driver.info.get_parameters(), [
                str(conn.exec_driver_sql(f"SHOW {name}").scalar()) for name in shown
            ]

    libpq, server = settings()
    waiting = {name: libpq[name] for name in ("keepalives_idle", "tcp_user_timeout")}
    assert waiting == {"keepalives_idle": "30", "tcp_user_timeout": "60000"}
    assert server == ["2min", "off", "10min"]
    given = {"keepalives_idle": 7, "tcp_user_timeout": 9, "options": "-c lock_timeout=3s -c jit=on"}
    libpq, server = settings(**given)
    assert (libpq["keepalives_idle"], libpq["tcp_user_timeout"]) == ("7", "9")
    assert server == ["3s", "on", "10min"]
    monkeypatch.setenv("PGOPTIONS", "-c lock_timeout=5s")
    monkeypatch.setenv("PGAPPNAME", "mine")
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "17")
    libpq, server = settings()
    assert (libpq["application_name"], server[0]) == ("mine", "5s")
    url = parse(postgres_url).url
    assert url is not None
    assert "connect_timeout" not in postgresql.connect_settings(url, {})


def test_a_setting_that_postgresql_does_not_have_is_told(proxy: Proxy, postgres_url: str) -> None:
    with pytest.raises(StoreError, match=r"no address that PostgreSQL takes.*nonsense"):
        open_store(proxy.url(_name(postgres_url), nonsense=1), mode="read")


@pytest.mark.parametrize("mode", ["read", "write"])
def test_a_lock_held_too_long_is_told(proxy: Proxy, postgres_url: str, mode: Any) -> None:
    name = _name(postgres_url)
    with (
        open_store(proxy.url(name, options="-c lock_timeout=200ms"), mode="write") as store,
        open_store(postgres_url, mode="write") as other,
        other.write() as holder,
    ):
        holder.execute(text("LOCK TABLE run IN ACCESS EXCLUSIVE MODE"))
        with (
            pytest.raises(DatabaseBusyError, match="another process holds the lock"),
            getattr(store, mode)() as conn,
        ):
            conn.execute(text("SELECT count(*) FROM run"))


def test_writers_who_wait_for_each_other_are_told(postgres_url: str) -> None:
    begun = threading.Barrier(2)
    errors: list[DatabaseBusyError] = []

    def lock(first: int, second: int) -> None:
        try:
            with open_store(postgres_url, mode="write") as store, store.write() as conn:
                conn.execute(text("SELECT pg_advisory_xact_lock(:one)"), {"one": first})
                begun.wait()
                conn.execute(text("SELECT pg_advisory_xact_lock(:one)"), {"one": second})
        except DatabaseBusyError as error:
            errors.append(error)

    threads = [threading.Thread(target=lock, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == 1


BATCHES = """
import sys
from sqlalchemy import text
from lam3db.cli import main
from lam3db.pipeline.interrupt import Interruption
from lam3db.store.engine import open_store
import lam3db.cli.app as door

def work():
    with open_store(sys.argv[1], mode="write") as store, Interruption() as interruption:
        while not interruption.asked:
            with store.write() as conn:
                conn.execute(text("SELECT pg_sleep(0.05)"))
            print("batch", flush=True)

door.app = work
main()
"""


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_ends_a_run_whose_database_has_stalled(
    proxy: Proxy, postgres_url: str, presses: int
) -> None:
    url = proxy.url(_name(postgres_url))
    with _started([sys.executable, "-c", BATCHES, url]) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "batch\n"
        proxy.mode = "swallow"
        time.sleep(0.3)
        seconds, said = _interrupted(process, presses)
    assert seconds < SECONDS
    assert process.returncode == (1 if presses == 1 else 130)
    assert ("no answer for" if presses == 1 else "interrupted") in said
    assert "Traceback" not in said


SLEEPS = [sys.executable, "-m", "lam3db", "sql", "SELECT pg_sleep(50)", "--db"]


def test_ctrl_c_ends_a_command_whose_database_has_stalled(proxy: Proxy, postgres_url: str) -> None:
    with _started([*SLEEPS, proxy.url(_name(postgres_url))]) as process:
        _wait_for_sleeper(postgres_url)
        proxy.mode = "swallow"
        seconds, said = _interrupted(process, 1)
    assert seconds < SECONDS
    assert process.returncode == 130
    assert "Traceback" not in said


def test_ctrl_c_stops_what_the_server_is_doing(proxy: Proxy, postgres_url: str) -> None:
    with _started([*SLEEPS, proxy.url(_name(postgres_url))]) as process:
        _wait_for_sleeper(postgres_url)
        _interrupted(process, 1)
    assert process.returncode == 130
    time.sleep(0.2)
    assert _sleepers(postgres_url) == 0


@contextlib.contextmanager
def _started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Run a command beside the test; it is gone at the end of the block."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, start_new_session=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def _interrupted(process: subprocess.Popen[str], presses: int) -> tuple[float, str]:
    """Press Ctrl-C; return how long the process took to end, and what it said."""
    began = time.monotonic()
    for press in range(presses):
        time.sleep(0.3 * press)
        process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    return time.monotonic() - began, said


def _sleepers(url: str) -> int:
    asked = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND state = 'active' AND pid <> pg_backend_pid() AND wait_event = 'PgSleep'"
    )
    with open_store(url, mode="read") as store, store.read() as conn:
        return int(conn.exec_driver_sql(asked).scalar_one())


def _wait_for_sleeper(url: str) -> None:
    until = time.monotonic() + 20
    while not _sleepers(url):
        assert time.monotonic() < until
        time.sleep(0.05)
