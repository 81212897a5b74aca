"""Whether somebody waits for this process to end: then a silent database is given up sooner.

Ctrl-C lets a run finish its batch, which a database that has stalled would keep it from doing.
What must hold: haste shortens only the waiting for a server that says nothing; a server at work
is waited for all the same. Haste outlasts the batch by the moment in which its run's end is
written.
"""

from __future__ import annotations

import math
import time

_LINGERS = 15.0
_until = -math.inf


def hasten() -> None:
    """Say that the process has been asked to end; safe in a signal's handler."""
    global _until  # noqa: PLW0603 - of the process, like the signal that it stands for
    _until = math.inf


def relax() -> None:
    """Say that what was asked to end has ended."""
    global _until  # noqa: PLW0603
    _until = min(_until, time.monotonic() + _LINGERS)


def is_hastened() -> bool:
    """Tell whether the process has been asked to end."""
    return time.monotonic() < _until
