"""How long to wait before another try: as asked for, else with exponential back-off.

What must hold: a wait that an endpoint asks for is never cut short; what is no number of
seconds and no date counts as not asked.
"""

from __future__ import annotations

import math
import random
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BASE_S = 0.5
CAP_S = 60.0
_SPAN = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>ms|[dhms])")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_dice = random.Random()  # noqa: S311 - spreads the tries of several threads, keeps no secret


def backoff(tries: int) -> float:
    """Return seconds before the next try after ``tries`` (from 1): full jitter.

    Uniform between 0 and min(60, 0.5 * 2**tries), as in "Exponential Backoff And Jitter"
    (AWS Architecture Blog, 2015).
    """
    return _dice.uniform(0, min(CAP_S, BASE_S * 2 ** min(tries, 16)))


def asked_wait(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds a reply asks to wait; None where it asks for nothing.

    ``retry-after-ms`` (OpenAI), ``Retry-After`` in seconds or as a date, else the time after
    which the used-up one of OpenAI's two allowances is whole again.
    """
    found = _seconds(headers.get("retry-after-ms"), 0.001)
    if found is None:
        found = _seconds(headers.get("Retry-After"), 1.0)
    if found is None:
        found = _until(headers.get("Retry-After"), now or datetime.now(UTC))
    return _reset(headers) if found is None else found


def _seconds(text: str | None, unit: float) -> float | None:
    try:
        number = float(text) * unit if text else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _until(text: str | None, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(text) if text else None
    except (ValueError, IndexError, OverflowError):
        return None
    if moment is None:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def _reset(headers: Mapping[str, str]) -> float | None:
    spans = []
    for what in ("requests", "tokens"):
        left = headers.get(f"x-ratelimit-remaining-{what}")
        span = _span(headers.get(f"x-ratelimit-reset-{what}"))
        if span is not None and left in (None, "0"):
            spans.append(span)
    return max(spans, default=None)


def _span(text: str | None) -> float | None:
    """Read ``6m0s``, ``1.5s``, ``20ms``."""
    text = (text or "").strip()
    parts = list(_SPAN.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        return None
    return math.fsum(float(part["number"]) * _UNITS[part["unit"]] for part in parts)
