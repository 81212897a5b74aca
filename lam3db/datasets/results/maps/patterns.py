"""Patterns (regular expressions) that a map's author writes and that strangers' cells meet.

What must hold: a pattern whose time doubles with each character is refused when the map is read; no
pattern is tried on a text without end, nor for more than some seconds on a text (where the system
has a timer for it, in the main thread: elsewhere only the first two hold).
"""

from __future__ import annotations

import re
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lam3db.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator


LONGEST = 10_000
"""Characters of a text that a pattern is tried on: as many at its start, and at its end."""
SECONDS = 5.0
"""What a pattern may take on one text; the usual takes millionths of it."""
_CASE = re.IGNORECASE
_SKIPPED = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_ENDLESS = re.compile(r"[*+]|\{\d{2,}\}|\{\d*,(?:\d{2,})?\}")
_GROUP = re.compile(r"\([^()]*\)")


def compiled(text: str) -> re.Pattern[str]:
    """Return a pattern that pays no heed to case.

    Raises:
        ValueError: it is no pattern, or one whose time may double with each character.

    """
    try:
        pattern = re.compile(text, _CASE)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{text!r} is not a pattern: {error}") from None
    if _explodes(text):
        message = "repeats a group that itself repeats or chooses, and may never end"
        raise ValueError(f"{text!r} {message}")
    return pattern


def taken(pattern: re.Pattern[str], text: str) -> str | None:
    """Return what a pattern takes from a text: its first group, or all that it matches."""
    match = _match(pattern, text)
    if match is None:
        return None
    groups = [one for one in match.groups() if one is not None]
    return groups[0] if groups else match[0]


def matches(pattern: re.Pattern[str], text: str) -> bool:
    """Tell whether a pattern is somewhere in a text."""
    return _match(pattern, text) is not None


def _match(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    try:
        with _limited():
            if len(text) <= 2 * LONGEST:
                return pattern.search(text)
            return pattern.search(text[:LONGEST]) or pattern.search(text[-LONGEST:])
    except _TooLongError:
        what = f"takes more than {SECONDS:g} s on a text of {len(text):,} characters"
        message = f"the pattern {pattern.pattern!r} {what}: repeat less in it"
        raise InputError(message) from None


class _TooLongError(Exception):
    """The time of a pattern is over."""


@contextmanager
def _limited() -> Iterator[None]:
    """End what runs inside after some seconds; a timer that was set before goes on."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or not hasattr(signal, "setitimer"):
        yield
        return
    before, begun = signal.signal(signal.SIGALRM, _stop), time.monotonic()
    left, interval = signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        rest = max(0.001, left - (time.monotonic() - begun)) if left else 0.0
        signal.setitimer(signal.ITIMER_REAL, rest, interval)
        signal.signal(signal.SIGALRM, before)


def _stop(*_: Any) -> None:
    raise _TooLongError


def _explodes(text: str) -> bool:
    """Tell whether a group that repeats without end holds a choice or such a repetition."""
    bare = _SKIPPED.sub("x", text)
    while (group := _GROUP.search(bare)) is not None:
        inner, after = group[0][1:-1], bare[group.end() :]
        varies = "|" in inner or "?" in inner.removeprefix("?") or _ENDLESS.search(inner)
        if varies and _ENDLESS.match(after):
            return True
        token = "x*" if varies else "x"  # what encloses this group encloses that, too
        bare = f"{bare[: group.start()]}{token}{after}"
    return False
