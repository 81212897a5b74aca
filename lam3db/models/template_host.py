"""Chat templates rendered elsewhere: one process for all models of this one, under limits.

What must hold: a template that runs on, takes memory or writes without end costs the request it
was rendered for, and no more than the limits; the next request finds a working process again; a
process is never shared with a fork, and none is left behind.
"""

from __future__ import annotations

import atexit
import os
import select
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lam3db.errors import InputError
from lam3db.models import template_child

if TYPE_CHECKING:
    from collections.abc import Mapping


class TemplateLimitError(InputError):
    """A chat template went beyond the limits of one rendering."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one rendering may use. Real templates take milliseconds and a few megabytes."""

    cpu_s: float = 5.0
    wall_s: float = 60.0
    memory_bytes: int = 1 << 30
    characters: int = 1 << 25


LIMITS = Limits()


class TemplateHost:
    """Renders in a child process, which is started when it is first needed."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting = select.poll()
        self._owner = 0

    def render(self, template: str, variables: Mapping[str, Any]) -> str:
        """Return the text that a template makes of JSON values.

        Raises:
            TemplateLimitError: it did not end within the limits.
            InputError: the template raised an error.

        """
        with self._lock:
            reply = self._asked({"template": template, "variables": dict(variables)})
        if "refused" in reply:
            raise InputError(reply["refused"])
        if "exceeded" in reply:
            raise TemplateLimitError(self._beyond(reply["exceeded"]))
        return str(reply["text"])

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _asked(self, job: dict[str, Any]) -> dict[str, Any]:
        process = self._running()
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("a process without pipes")
        try:
            template_child.send(process.stdin, job)
            ready = self._waiting.poll(self._limits.wall_s * 1000)
            reply = template_child.receive(process.stdout) if ready else None
        except OSError:
            reply = None
        if reply is None:
            return {"exceeded": self._reason(process)}
        return dict(reply)

    def _reason(self, process: subprocess.Popen[bytes]) -> str:
        """Return what ended a process that gave no reply."""
        try:
            code = process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            code = _TIMED_OUT
        self._end()
        return "time" if code == _TIMED_OUT else "memory"

    def _beyond(self, what: str) -> str:
        limits = self._limits
        told = {
            "time": f"runs longer than {limits.cpu_s:g} s",
            "memory": f"needs more than {limits.memory_bytes >> 20} MiB of memory",
            "output": f"writes more than {limits.characters:,} characters",
        }
        return f"it {told[what]}, and was stopped"

    def _running(self) -> subprocess.Popen[bytes]:
        if self._owner != os.getpid():  # a fork's pipes are its parent's
            self._process, self._owner = None, os.getpid()
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._process = subprocess.Popen(  # noqa: S603 - this Python, our own file
                [sys.executable, "-I", "-X", "utf8", str(Path(template_child.__file__))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            limits = self._limits
            start = {
                "path": sys.path,
                "memory_bytes": limits.memory_bytes,
                "cpu_s": limits.cpu_s,
                "characters": limits.characters,
            }
            self._waiting = select.poll()  # takes pipes of any number, which select does not
            if self._process.stdin is not None and self._process.stdout is not None:
                self._waiting.register(self._process.stdout, select.POLLIN)
                template_child.send(self._process.stdin, start)
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        process.kill()
        process.communicate()


_TIMED_OUT = -signal.SIGPROF
"""How a process ends that its own timer has ended."""

HOST = TemplateHost()
"""The one of this process."""
atexit.register(HOST.close)
