"""Ctrl-C finishes the batch: the first signal asks, the second one insists.

What must hold: between two looks at :attr:`Interruption.asked` a batch is either written
whole or not at all, and the handlers that were there before are put back. A database that has
stalled does not keep a batch from ending: the first signal makes waiting for it short.
"""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Self

from lam3db.store import haste

if TYPE_CHECKING:
    from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """A context in which SIGINT and SIGTERM ask politely once."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        """Take the signals over (in the main thread; elsewhere nothing can)."""
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() gave us
        self._before.clear()
        haste.relax()

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        haste.hasten()
