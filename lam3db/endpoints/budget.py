"""What a job may spend at an endpoint: requests, and dollars.

A request is paid for before it is sent, with the most it could cost; when the reply tells
its usage, the rest is given back. What may have been billed and is not told counts whole.

What must hold: however many threads ask, no more requests leave than ``max_requests``, and
no more is spent than ``max_cost`` (as far as the bounds of :class:`Size` hold: an endpoint
that adds a long prompt of its own to each request knows better).
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lam3db.errors import BudgetExhaustedError

if TYPE_CHECKING:
    from collections.abc import Iterable

_TEMPLATE_TOKENS = 64
"""Roles, separators and the like around the texts."""
_IMAGE_TOKENS = 1_500
_IMAGE_TOKENS_BOUND = 50_000
"""gpt-4o-mini counts up to 2,833 + 8 * 5,667 for one image; nobody is known to count more."""
_MILLION = 1_000_000
_MOST_TOKENS = 1 << 31


@dataclass(frozen=True, slots=True)
class Size:
    """How large a request is, as far as one can know without its tokenizer."""

    text_bytes: int = 0
    images: int = 0
    output_tokens: int = 0

    @property
    def input_bound(self) -> int:
        """Return the most tokens the input can have: one per byte of UTF-8."""
        return self.text_bytes + _TEMPLATE_TOKENS + _IMAGE_TOKENS_BOUND * self.images

    @property
    def estimate(self) -> int:
        """Return the tokens to reckon with for a rate limit: three bytes each, and the output."""
        text = math.ceil(self.text_bytes / 3)
        return text + _IMAGE_TOKENS * self.images + self.output_tokens


def size_of(texts: Iterable[str], images: int = 0, output_tokens: int = 0) -> Size:
    """Return the size of a request that holds these texts."""
    count = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    return Size(count, images, output_tokens)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as an endpoint reports them."""

    input_tokens: int
    output_tokens: int


def usage_of(value: Any) -> Usage | None:
    """Return the usage an OpenAI-compatible reply reports; None where it reports none."""
    found = value.get("usage") if isinstance(value, dict) else None
    if not isinstance(found, dict):
        return None
    counts = [found.get("prompt_tokens"), found.get("completion_tokens", 0)]
    if all(type(one) is int and 0 <= one <= _MOST_TOKENS for one in counts):
        return Usage(*counts)
    return None


@dataclass(slots=True)
class Budget:
    """Counts what is spent. Prices are dollars per million tokens; None means unlimited."""

    max_requests: int | None = None
    max_cost: float | None = None
    input_price: float = 0.0
    output_price: float = 0.0
    requests: int = 0
    cost: float = 0.0
    _reserved: float = 0.0
    _in_flight: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reserve(self, size: Size) -> float | None:
        """Return what is reserved for a request, which may now be sent.

        None: not yet, others in flight may give something back.

        Raises:
            BudgetExhaustedError: it does not fit, and nothing is in flight.

        """
        price = self._price(size.input_bound, size.output_tokens)
        with self._lock:
            if self.max_requests is not None and self.requests >= self.max_requests:
                raise BudgetExhaustedError(
                    f"the budget of {self.max_requests} requests is spent "
                    "(max_requests); what is left stays pending"
                )
            if self.max_cost is not None and self.cost + self._reserved + price > self.max_cost:
                if self._in_flight:
                    return None
                raise BudgetExhaustedError(
                    f"the budget of ${self.max_cost:g} (max_cost) does not cover another request: "
                    f"${self.cost:.6f} are spent and the next could cost ${price:.6f}; what is "
                    "left stays pending"
                )
            self.requests += 1
            self._in_flight += 1
            self._reserved += price
            return price

    def settle(self, reserved: float, usage: Usage | None, *, billed: bool) -> None:
        """Replace a reservation by what it came to; unknown and perhaps billed counts whole."""
        spent = reserved if billed else 0.0
        if billed and usage is not None:
            spent = self._price(usage.input_tokens, usage.output_tokens)
        with self._lock:
            self._in_flight -= 1
            self._reserved -= reserved
            self.cost += spent

    def _price(self, input_tokens: int, output_tokens: int) -> float:
        return (input_tokens * self.input_price + output_tokens * self.output_price) / _MILLION
