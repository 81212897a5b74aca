"""The pace of an endpoint: so many requests and tokens per minute, and pauses for all.

Requests are spread evenly: after one of cost ``c`` the next may leave ``c / rate`` later, so
that no stretch of time holds more than the rate allows, plus one request. There is no burst
to begin with: an endpoint's own windows are not ours.

What must hold: the pace is one for all threads; a pause holds for all of them, and is never
shortened by another; whoever waits wakes at once when it is told to stop.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Protocol

_LOOK_S = 1.0
"""What was reserved and not used comes back: the longest sleep before looking again."""


class Stopped(Exception):  # noqa: N818 - not an error: somebody asked to stop
    """Whoever waited was told to stop."""


class Clock(Protocol):
    """Time, so that tests need not wait for it."""

    def now(self) -> float:
        """Return seconds since some moment."""
        ...

    def wait(self, seconds: float, stop: threading.Event) -> None:
        """Let time pass; raise Stopped when ``stop`` is set."""
        ...


class RealClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        """Return seconds since some moment."""
        return time.monotonic()

    def wait(self, seconds: float, stop: threading.Event) -> None:
        """Let time pass; raise Stopped as soon as ``stop`` is set."""
        if stop.wait(min(seconds, threading.TIMEOUT_MAX)):
            raise Stopped


@dataclass(slots=True)
class Pace:
    """When the next request may leave. Rates are per minute; None means unlimited."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    clock: Clock = field(default_factory=RealClock)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _request_at: float = 0.0
    _tokens_at: float = 0.0
    _paused_until: float = 0.0

    def take_turn(self, tokens: int, stop: threading.Event) -> None:
        """Wait until a request of this many tokens may leave; raise Stopped when told to."""
        while True:
            delay = self._try(tokens)
            if delay <= 0:
                return
            self.clock.wait(min(delay, _LOOK_S), stop)

    def _try(self, tokens: int) -> float:
        with self._lock:
            now = self.clock.now()
            delay = max(self._request_at, self._tokens_at, self._paused_until) - now
            if delay <= 0:
                self._request_at = now + _seconds(1, self.requests_per_minute)
                self._tokens_at = now + _seconds(tokens, self.tokens_per_minute)
            return delay

    def correct(self, reserved: int, used: int) -> None:
        """Give back tokens that were reserved and not used, or take more."""
        with self._lock:
            self._tokens_at += _seconds(used - reserved, self.tokens_per_minute)

    def pause(self, seconds: float) -> float:
        """Let nothing leave for so long; return by how many seconds that is longer than known."""
        with self._lock:
            now = self.clock.now()
            before = max(self._paused_until, now)
            self._paused_until = max(before, now + seconds)
            return self._paused_until - before


def _seconds(amount: float, per_minute: float | None) -> float:
    return 0.0 if per_minute is None else 60.0 * amount / per_minute
