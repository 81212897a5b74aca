"""Fixtures for every test: real databases, a clean environment, no socket beyond loopback."""

from __future__ import annotations

import os
import socket
import sys
import uuid
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from typing import TYPE_CHECKING

from postgres import Server, running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNWANTED = ("LAM3DB_", "HF_", "TRANSFORMERS_", "TORCH_HOME", "OPENAI_", "PERSPECTIVE_", "PG")
_NO_POSTGRES = os.environ.get("LAM3DB_NO_POSTGRES") == "1"  # before the environment is cleaned
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take away whatever of the machine could steer a test; keep caches in its folder."""
    for name in list(os.environ):
        if name.startswith(_UNWANTED) or name.lower() in _PROXIES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "no-hub"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("TZ", "UTC")


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that would leave the machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        beyond = self.family != socket.AF_UNIX and (
            not isinstance(address, tuple) or address[0] not in ("127.0.0.1", "::1", "localhost")
        )
        if beyond:
            raise AssertionError(f"a test wanted to connect to {address!r}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Return the URL of a SQLite file that is not there yet."""
    return f"sqlite:///{tmp_path / 'lam3.db'}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A real PostgreSQL server of our own, on a unix socket."""
    if _NO_POSTGRES:
        pytest.skip("LAM3DB_NO_POSTGRES=1")
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres_server: Server) -> str:
    """Return the name of a database that the migrations have built once."""
    from lam3db.store.address import parse
    from lam3db.store.migrate import upgrade

    postgres_server.create("lam3_template")
    upgrade(parse(postgres_server.url("lam3_template")))
    return "lam3_template"


@pytest.fixture
def empty_postgres_url(postgres_server: Server) -> Iterator[str]:
    """Return the URL of an empty database."""
    yield from _database(postgres_server, "template0")


@pytest.fixture
def postgres_url(postgres_server: Server, postgres_template: str) -> Iterator[str]:
    """Return the URL of a database with our tables and no rows."""
    yield from _database(postgres_server, postgres_template)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Return the URL of an empty store, once on each engine; media lie in ``tmp_path``."""
    monkeypatch.setenv("LAM3DB_MEDIA", str(tmp_path / "media"))
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return str(request.getfixturevalue(name))


def _database(server: Server, template: str) -> Iterator[str]:
    name = f"t_{uuid.uuid4().hex}"
    server.create(name, template)
    yield server.url(name)
    server.drop(name)
