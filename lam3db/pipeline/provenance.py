"""Who, where and with which code: what is recorded with every run.

What must hold: nothing secret gets in (the command line is redacted, the environment is a
list of named facts, never a dump of variables), and a fact that cannot be had is None.
"""

from __future__ import annotations

import getpass
import platform
import socket
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from lam3db import __version__
from lam3db.redaction import redact_command

_PACKAGES = (
    "torch", "transformers", "tokenizers", "accelerate", "bitsandbytes", "huggingface-hub",
    "safetensors", "sentencepiece", "detoxify", "pillow", "numpy", "scipy", "sqlalchemy", "alembic",
    "psycopg", "pydantic",
)  # fmt: skip
_GIT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Provenance:
    """The facts of one invocation."""

    command: str
    host: str
    username: str
    code_commit: str | None
    code_dirty: bool | None
    environment: dict[str, Any]

    def columns(self) -> dict[str, Any]:
        """Return what a run's row records of it, but for the environment's id."""
        return {
            "command": self.command,
            "host": self.host,
            "username": self.username,
            "code_commit": self.code_commit,
            "code_dirty": self.code_dirty,
        }


def provenance(device: dict[str, Any] | None = None) -> Provenance:
    """Look around; ``device`` holds what the model stack knows of GPU and driver."""
    commit = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no") if commit else None
    return Provenance(
        command=redact_command(["lam3db", *sys.argv[1:]]),
        host=socket.gethostname(),
        username=_username(),
        code_commit=commit,
        code_dirty=None if changed is None else bool(changed),
        environment=environment(device),
    )


def environment(device: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return packages, Python, operating system and device: what a result may hang on."""
    packages = {name: found for name in _PACKAGES if (found := _version(name)) is not None}
    device = {name: fact for name, fact in (device or {}).items() if name != "packages"}
    return {
        "lam3db": __version__,
        "python": platform.python_version(),
        "os": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "packages": packages,
        **({"device": device} if device else {}),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _username() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without an entry, as in some containers
        return ""


def _git(*arguments: str) -> str | None:
    """Return what git says of the working folder, or None where there is no repository."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed words, no shell
            ["git", *arguments],  # noqa: S607 - the git of the PATH is the user's own
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
