"""Asks an endpoint many things at once, and tells each outcome as it is known.

Threads take calls from a short queue, one connection each. The caller's iterable is read as
the queue empties, and a body is made in the thread that sends it, so that memory holds what
is in flight and no more.

What must hold: each call taken ends in exactly one outcome, or, when the endpoint need not be
asked any further, in none, and then an exception ends the stream after everything that was
answered has been told; a closed stream leaves no thread behind, whatever one was waiting for;
a key is sent to the endpoint's host, and is in nothing that comes out.
"""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from lam3db.endpoints.budget import Budget
from lam3db.endpoints.exchange import BEARER, Call, Exchange, Probe, Reply, Scheme, list_models
from lam3db.endpoints.faults import FaultError, Way
from lam3db.endpoints.flight import Flight
from lam3db.endpoints.limits import Clock, Pace, RealClock
from lam3db.endpoints.options import way_to
from lam3db.endpoints.retry import backoff
from lam3db.endpoints.wire import Wire
from lam3db.errors import EndpointError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lam3db.config_shapes import EndpointOptions
    from lam3db.endpoints.budget import Size
    from lam3db.records import Failed

__all__ = ["BEARER", "Call", "Client", "Probe", "Reply", "Scheme", "list_models"]

T = TypeVar("T")
_REPORT_S = 5.0
_BUDGET_LOOK_S = 0.05
_PATIENCE = 10
_log = logging.getLogger("lam3db.endpoints")


class Client:
    """One endpoint, with its pace and its budget, for any number of threads."""

    def __init__(
        self,
        options: EndpointOptions,
        what: str,
        scheme: Scheme = BEARER,
        clock: Clock | None = None,
    ) -> None:
        """Look up key and proxy; ``what`` names the judge or model in messages.

        Raises:
            ConfigError: no key, a URL or proxy that is none, a key that would travel open.

        """
        self.proxy, self.key = way_to(options, what)
        self.options = options
        self.what = what
        self.scheme = scheme
        self.clock = clock or RealClock()
        self.pace = Pace(options.requests_per_minute, options.tokens_per_minute, self.clock)
        self.budget = Budget(
            options.max_requests,
            options.max_cost,
            options.input_price or 0.0,
            options.output_price or 0.0,
        )
        self._host = urlsplit(options.url).netloc
        self._exchange = Exchange(options.url.rstrip("/"), scheme, self.key, self.proxy.secrets)
        self._lock = threading.Lock()
        self._wires: list[Wire] = []
        self._flights: list[Flight[Any]] = []
        self._answered = 0

    def ask(
        self, calls: Iterable[Call], read: Callable[[Reply], T]
    ) -> Iterator[list[tuple[Call, T | Failed]]]:
        """Yield outcomes as they become known; a batch is empty where a second passed without.

        ``read`` turns a reply into what is wanted of it, and raises FaultError where it is not
        what was promised: such a reply is a fault like any other, and asked for again.

        Raises:
            BudgetExhaustedError: the budget is spent.
            EndpointError: every other request would fail too (a refused key ...).

        """
        flight = Flight(self._attempt(read), self._open_wire, self._keep_wire, self._concurrency)
        with self._lock:
            self._flights.append(flight)
        try:
            yield from flight.run(calls)
        finally:
            flight.close()
            with self._lock:
                self._flights.remove(flight)

    def once(self, call: Call) -> Reply:
        """Ask one thing once, without pace, budget or another try; raise FaultError."""
        wire = self._open_wire()
        try:
            return self._exchange.send(wire, call)
        finally:
            wire.close()

    def close(self) -> None:
        """End what is in flight; close every connection."""
        with self._lock:
            flights = list(self._flights)
        for flight in flights:
            flight.close()
        with self._lock:
            wires, self._wires = self._wires, []
        for wire in wires:
            wire.close()

    @property
    def _concurrency(self) -> int:
        return self.options.concurrency

    def _open_wire(self) -> Wire:
        with self._lock:
            if self._wires:
                return self._wires.pop()
        return Wire(self.proxy, self.options.timeout_s, self._exchange.masked)

    def _keep_wire(self, wire: Wire) -> None:
        with self._lock:
            self._wires.append(wire)

    def _attempt(self, read: Callable[[Reply], T]) -> Callable[[Wire, Call, threading.Event], T]:
        """Return what a thread does with a call: try until it is answered or given up."""

        def attempt(wire: Wire, call: Call, stop: threading.Event) -> T:
            tries, waits, seen = 0, 0, self._answered
            began = seen
            while True:
                try:
                    return self._once(wire, call, read, stop)
                except FaultError as fault:
                    self._exchange.clear(fault)  # what `read` says of a reply
                    # to be told to wait is no fault of this call while others are answered
                    waits += fault.way is Way.WAIT
                    patient = seen != self._answered and waits < _PATIENCE * self.options.attempts
                    tries += not (fault.way is Way.WAIT and patient)
                    seen = self._answered
                    self._after(fault, tries, stop, alone=began == seen)

        return attempt

    def _once(self, wire: Wire, call: Call, read: Callable[[Reply], T], stop: threading.Event) -> T:
        """Send a call once, when its turn has come and its price is reserved."""
        estimate = call.size.estimate
        self.pace.take_turn(estimate, stop)
        reserved = self._reserve(call.size, stop)
        usage, billed = None, True
        try:
            try:
                reply = self._exchange.send(wire, call)
            except FaultError as fault:
                billed = fault.billed
                raise
            usage = reply.usage
            value = read(reply)
        finally:
            self.budget.settle(reserved, usage, billed=billed)
            if usage is not None:
                self.pace.correct(estimate, usage.input_tokens + usage.output_tokens)
        self._answered += 1  # a lost count between threads does no harm: it only has to change
        return value

    def _reserve(self, size: Size, stop: threading.Event) -> float:
        while True:
            reserved = self.budget.reserve(size)
            if reserved is not None:
                return reserved
            self.clock.wait(_BUDGET_LOOK_S, stop)

    def _after(self, fault: FaultError, tries: int, stop: threading.Event, *, alone: bool) -> None:
        """Wait as the fault calls for, or raise it; ``alone``: nobody was answered meanwhile."""
        if fault.way is Way.END:
            raise EndpointError(f"{self._named}: {self._advised(fault)}") from fault
        if fault.way not in {Way.AGAIN, Way.WAIT}:
            raise fault
        delay = backoff(tries)
        if fault.way is Way.WAIT:
            asked = fault.wait_s is not None
            delay = fault.wait_s if fault.wait_s is not None else delay
            if self.pace.pause(delay) >= _REPORT_S:
                self._report(fault, delay, asked=asked)
        if tries >= self.options.attempts:
            if fault.kind in {"UnreachableError", "ProxyError"} and alone:
                raise EndpointError(f"{self._named}: {fault}; see `lam3db doctor --online`")
            raise fault
        if fault.way is Way.AGAIN:
            self.clock.wait(delay, stop)

    def _report(self, fault: FaultError, delay: float, *, asked: bool) -> None:
        by = "asks to wait" if asked else "is too busy; waiting"
        shown = min(delay, 10 * 365 * 86400.0)
        until = datetime.now(UTC) + timedelta(seconds=shown)
        _log.warning(
            "%s %s %.0f s, until %s UTC (%s). Ctrl-C stops; nothing is lost.",
            self._named, by, delay, until.strftime("%Y-%m-%d %H:%M:%S"), fault,
        )  # fmt: skip

    @property
    def _named(self) -> str:
        return f"{self.what} at {self._host}"

    def _advised(self, fault: FaultError) -> str:
        if fault.kind == "KeyRefusedError":
            if self.options.key_env is None:
                return f"{fault}; it wants a key: name its variable with key_env"
            return f"{fault}; the key in {self.options.key_env} is refused"
        if fault.kind == "QuotaExhaustedError":
            return f"{fault}; nothing is left to spend there, and trying again would not help"
        if fault.kind == "NoSuchModelError":
            return f"{fault}; see whether url and model are right (`lam3db doctor --online`)"
        if fault.kind == "UnsupportedParameterError":
            more = fault.cure and f"; {fault.cure}"
            said = str(fault).rstrip(".")
            return f"{said}; every other request would be refused alike{more}"
        return str(fault)
