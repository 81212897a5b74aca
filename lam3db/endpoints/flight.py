"""Calls in flight: threads, the two queues between them and the caller, and how they end.

What must hold: no more calls are taken from the caller than the threads will soon need, and until
one has succeeded no more than the threads have at once (a wrong set-up is to cost little); an
exception that ends everything comes after every outcome that was had; after :meth:`close` no
thread is left, whether it slept, waited for a turn or read from a socket.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from lam3db.endpoints.faults import FaultError, Way
from lam3db.endpoints.limits import Stopped
from lam3db.errors import EndpointError
from lam3db.records import Failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lam3db.endpoints.exchange import Call
    from lam3db.endpoints.wire import Wire

T = TypeVar("T")

TICK_S = 1.0
"""How long a caller hears nothing before it gets an empty batch."""
DEPTH = 4
"""Calls taken per thread: those waiting and those answered, while the caller is busy."""
_GATHER_S = 0.03
_MOST = 256
_JOIN_S = 20.0


class _Left:
    """The mark of a call that nobody will answer: it stays as it was."""


class Flight(Generic[T]):
    """One stream of calls and its threads."""

    def __init__(
        self,
        attempt: Callable[[Wire, Call, threading.Event], T],
        open_wire: Callable[[], Wire],
        keep_wire: Callable[[Wire], None],
        concurrency: int,
    ) -> None:
        self._attempt = attempt
        self._open_wire = open_wire
        self._keep_wire = keep_wire
        self._concurrency = concurrency
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._fatal: EndpointError | None = None
        self._tasks: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[tuple[Call, Any]] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._wires: set[Wire] = set()
        self._closed = False

    def run(self, calls: Iterable[Call]) -> Iterator[list[tuple[Call, T | Failed]]]:
        """Yield outcomes in the order in which they are known, then raise what ended it."""
        source = iter(calls)
        depth = self._concurrency
        waiting = 0
        more = True
        while True:
            while more and waiting < depth and not self._ending.is_set():
                call = next(source, None)
                more = call is not None
                if call is not None:
                    waiting += 1
                    self._tasks.put(call)
                    self._staff(waiting)
            if not waiting:
                break
            batch = self._gather(waiting)
            waiting -= len(batch)
            if any(
                outcome is not _Left and not isinstance(outcome, Failed) for _, outcome in batch
            ):
                depth = self._concurrency * DEPTH
            yield [(call, outcome) for call, outcome in batch if outcome is not _Left]
        self._dismiss()
        if self._fatal is not None:
            raise self._fatal

    def close(self) -> None:
        """End every thread, in the middle of what it does."""
        self._ending.set()
        with self._lock:
            self._closed = True
            wires = list(self._wires)
        for wire in wires:
            wire.abort()
        self._dismiss()

    def _dismiss(self) -> None:
        """Let every thread go home, and wait for it."""
        for _ in self._threads:
            self._tasks.put(None)
        end = time.monotonic() + _JOIN_S  # only a name that is being resolved cannot be cut short
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        self._threads.clear()

    def _staff(self, waiting: int) -> None:
        """Have as many threads as there are calls, up to the concurrency."""
        if len(self._threads) < min(waiting, self._concurrency):
            name = f"lam3db-endpoint-{len(self._threads)}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _gather(self, waiting: int) -> list[tuple[Call, Any]]:
        """Return what is known: at least one outcome, or none after a second."""
        try:
            batch = [self._results.get(timeout=TICK_S)]
        except queue.Empty:
            return []
        until = time.monotonic() + _GATHER_S
        while len(batch) < min(waiting, _MOST):
            try:
                batch.append(self._results.get(timeout=max(0.0, until - time.monotonic())))
            except queue.Empty:
                break
        return batch

    def _work(self) -> None:
        """Answer calls until there are no more."""
        wire = self._open_wire()
        with self._lock:
            self._wires.add(wire)
            if self._closed:
                wire.abort()
        try:
            while (call := self._tasks.get()) is not None:
                self._results.put((call, self._outcome(wire, call)))
        finally:
            with self._lock:
                self._wires.discard(wire)
            if wire.aborted:
                wire.close()
            else:
                self._keep_wire(wire)

    def _outcome(self, wire: Wire, call: Call) -> T | Failed | type[_Left]:
        try:
            return _Left if self._ending.is_set() else self._attempt(wire, call, self._ending)
        except Stopped:
            return _Left
        except EndpointError as error:
            with self._lock:
                self._fatal = self._fatal or error
            self._ending.set()
            return _Left
        except FaultError as fault:
            # a thread cut off is not a connection lost
            again = fault.way is not Way.ITEM
            failed = Failed(fault.kind, str(fault), again, of_sample=fault.of_sample)
            return _Left if self._closed else failed
        except Exception as error:  # noqa: BLE001 - making a body may raise anything; it is told
            return Failed.from_exception(error)
