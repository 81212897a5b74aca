"""The pace: exact under a clock of our own, one for all threads."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from lam3db.endpoints.limits import Pace, Stopped
from lam3db.endpoints.retry import CAP_S, asked_wait, backoff


class Clock:
    """Time that passes only when somebody waits."""

    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> float:
        return self.at

    def wait(self, seconds: float, stop: threading.Event) -> None:
        if stop.is_set():
            raise Stopped
        self.at += seconds


def leave(pace: Pace, clock: Clock, tokens: list[int]) -> list[float]:
    """Return when each request left, in seconds from the beginning."""
    start = clock.at
    found = []
    for count in tokens:
        pace.take_turn(count, threading.Event())
        found.append(clock.at - start)
    return found


def test_requests_are_spread_evenly() -> None:
    clock = Clock()
    left = leave(Pace(30, None, clock), clock, [0] * 4)
    assert left == pytest.approx([0, 2, 4, 6])


def test_tokens_are_paid_for_even_where_one_request_is_above_a_minute() -> None:
    clock = Clock()
    left = leave(Pace(None, 600, clock), clock, [10, 1200, 10, 10])
    assert left == pytest.approx([0, 1, 121, 122])


def test_both_rates_hold_and_an_idle_time_is_not_saved_up() -> None:
    clock = Clock()
    pace = Pace(60, 60, clock)
    assert leave(pace, clock, [5, 1]) == pytest.approx([0, 5])
    clock.at += 100
    assert leave(pace, clock, [1, 1, 1]) == pytest.approx([0, 1, 2])


def test_what_was_reserved_and_not_used_comes_back() -> None:
    clock = Clock()
    pace = Pace(None, 60, clock)
    leave(pace, clock, [30])
    pace.correct(30, 3)
    assert leave(pace, clock, [1]) == pytest.approx([3])
    pace.correct(1, 11)
    assert leave(pace, clock, [1]) == pytest.approx([11])


def test_a_pause_is_never_shortened() -> None:
    clock = Clock()
    pace = Pace(None, None, clock)
    assert pace.pause(100) == pytest.approx(100)
    assert pace.pause(5) == 0
    assert leave(pace, clock, [0, 0]) == pytest.approx([100, 100])


def test_an_endless_pause_can_be_left() -> None:
    stop = threading.Event()
    pace = Pace()
    pace.pause(1e12)
    timer = threading.Timer(0.1, stop.set)
    timer.start()
    with pytest.raises(Stopped):
        pace.take_turn(0, stop)
    timer.join()


NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "0.5"}, 0.5),
        ({"Retry-After": "31536000"}, 31_536_000),
        ({"Retry-After": "Wed, 25 Nov 2026 12:01:30 GMT"}, 90),
        ({"Retry-After": "Wed, 25 Nov 2026 11:00:00 GMT"}, 0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "9", "retry-after-ms": "1500"}, 1.5),
        ({"x-ratelimit-reset-requests": "6m0s"}, 360),
        ({"x-ratelimit-reset-tokens": "1m2.5s", "x-ratelimit-remaining-tokens": "0"}, 62.5),
        (
            {
                "x-ratelimit-reset-requests": "20ms",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "1h",
                "x-ratelimit-remaining-tokens": "17",
            },
            0.02,
        ),
        ({"x-ratelimit-reset-requests": "when it suits"}, None),
    ],
)
def test_what_a_reply_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert asked_wait(headers, NOW) == (seconds if seconds is None else pytest.approx(seconds))


def test_back_off_grows_and_is_spread_from_nothing() -> None:
    for tries, most in ((1, 1.0), (3, 4.0), (20, CAP_S), (5000, CAP_S)):
        waits = [backoff(tries) for _ in range(400)]
        assert 0 <= min(waits) < 0.1 * most
        assert 0.9 * most < max(waits) <= most
