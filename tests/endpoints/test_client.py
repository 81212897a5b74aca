"""The client against a real server that plays each fault."""

from __future__ import annotations

import gzip
import logging
import threading
import time
from base64 import b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from faulty_server import Asked, FaultyServer, Play, error, within

from lam3db.config_shapes import EndpointOptions
from lam3db.endpoints import retry, wire
from lam3db.endpoints.budget import Size
from lam3db.endpoints.client import Call, Client, Reply
from lam3db.endpoints.faults import FaultError, Way, wrong_schema
from lam3db.errors import BudgetExhaustedError, ConfigError, EndpointError
from lam3db.records import Failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

KEY = "sk-loopback-0123456789abcdef"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other at once, and the key is there."""
    monkeypatch.setattr(retry, "BASE_S", 0.001)
    monkeypatch.setenv("STUB_KEY", KEY)


def client(server: FaultyServer, **options: Any) -> Client:
    given = {"url": server.url, "key_env": "STUB_KEY", "attempts": 4, "timeout_s": 5.0}
    return Client(EndpointOptions(**given | options), "judge stub")


def calls(count: int, size: Size | None = None) -> Iterator[Call]:
    for number in range(count):
        yield Call(number, "/ask", lambda number=number: {"n": number}, size or Size())


def read(reply: Reply) -> int:
    if not isinstance(reply.value, dict) or type(reply.value.get("n")) is not int:
        raise wrong_schema("no n")
    return int(reply.value["n"])


def ask(one: Client, asked: Iterable[Call]) -> dict[int, int | Failed]:
    """Return every outcome by tag; none may come twice."""
    found: dict[int, int | Failed] = {}
    try:
        drain(one, asked, found)
    finally:
        one.close()
    assert not threads()
    return found


def drain(one: Client, asked: Iterable[Call], into: dict[int, int | Failed]) -> None:
    """Keep every outcome that is told, whatever ends the stream."""
    for batch in one.ask(asked, read):
        for call, outcome in batch:
            assert call.tag not in into
            into[call.tag] = outcome


def threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("lam3db-endpoint")]


def echo(asked: Asked) -> Play:
    return Play(body={"n": asked.body["n"]})


def first(play: Play, times: int = 1) -> Callable[[Asked], Play]:
    """A script: item 3 meets ``play`` so many times, then all is well."""
    met: list[int] = []

    def script(asked: Asked) -> Play:
        if asked.body["n"] == 3 and len(met) < times:
            met.append(asked.number)
            return play
        return echo(asked)

    return script


PASSING = {
    "rate limit": error(429, "slow down", "rate_limit_exceeded"),
    "500": Play(500, "<html>oops</html>"),
    "503 with a wait": error(503, "busy", Retry_After="0"),
    "dropped": Play(drop=True),
    "cut in the middle": Play(body={"n": 3, "pad": "x" * 100}, cut=30),
    "half a JSON": Play(body='{"n": 3'),
    "no JSON": Play(body="<html>hello</html>"),
    "NaN": Play(body='{"n": NaN}'),
    "another schema": Play(body={"m": 3}),
    "a list": Play(body=[3]),
    "nested without end": Play(body="[" * 200_000),
    "nested nearly too deep": Play(body="[" * 900 + "]" * 900),
    "two lengths": Play(body={"n": 3}, headers={"Content-Length": "2"}),
    "slow": Play(body={"n": 3}, wait_s=3.0),
    "slow to end": Play(body=b" " * 1000, endless=True),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_passing_fault_is_tried_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "slow to end":
        monkeypatch.setattr(wire, "MAX_REPLY", 1 << 40)
        monkeypatch.setattr(wire.time, "monotonic", _Quickly(time.monotonic))
    with FaultyServer(first(PASSING[name])) as server:
        assert ask(client(server, timeout_s=1.0), calls(8)) == {n: n for n in range(8)}
        assert server.counts(lambda one: one.body["n"])[3] == 2


HEAD = b"HTTP/1.1 200 OK\r\n"
DRIPS = {
    "a head": Play(drip=HEAD + b"X: ", body=b"x"),
    "heads before the head": Play(drip=b"", body=b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a body": Play(drip=HEAD + b"Content-Length: 9999\r\n\r\n", body=b" "),
    "a body until the end": Play(drip=HEAD + b'\r\n{"n": 3}', body=b" "),
    "a chunk": Play(drip=HEAD + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n", body=b" "),
    "a trailer": Play(
        drip=HEAD + b'Transfer-Encoding: chunked\r\n\r\n8\r\n{"n": 3}\r\n0\r\n', body=b"X: 1\r\n"
    ),
}


@pytest.mark.parametrize("name", DRIPS)
def test_a_reply_that_drips_is_cut_off_in_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "GRACE_S", 0.1)
    with FaultyServer(first(DRIPS[name], times=1000)) as server:
        started = time.monotonic()
        found = ask(client(server, attempts=2, timeout_s=0.5), calls(8))
        assert time.monotonic() - started < 5
        failed = found.pop(3)
        assert isinstance(failed, Failed)
        assert (failed.error_class, failed.retryable) == ("TimedOutError", True)
        assert found == {n: n for n in range(8) if n != 3}


def test_a_redirection_is_not_read_beyond_the_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not where it leads, and not its body, which may have no end or unpack to one."""
    monkeypatch.setattr(wire, "MAX_REPLY", 1 << 20)
    packed = {"Location": "http://127.0.0.1:1/", "Content-Encoding": "gzip"}
    plays = {
        "TooLargeError": Play(302, b"x" * 65536, {"Location": "/elsewhere"}, endless=True),
        "WrongSchemaError": Play(302, gzip.compress(bytes(1 << 24)), packed),
        "RedirectedError": Play(302, b"", {"Location": "http://[\xff"}),
    }
    for kind, play in plays.items():
        with FaultyServer(first(play)) as server:
            found = ask(client(server), calls(8))
        failed = found.pop(3)
        assert isinstance(failed, Failed)
        assert failed.error_class == kind
        assert found == {n: n for n in range(8) if n != 3}


class _Quickly:
    """A clock that runs ten times as fast."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock

    def __call__(self) -> float:
        return self.clock() * 10


@pytest.mark.parametrize("name", ["500", "dropped", "half a JSON", "another schema", "rate limit"])
def test_a_lasting_fault_fails_one_item_and_may_be_tried_another_day(name: str) -> None:
    with FaultyServer(first(PASSING[name], times=1000)) as server:
        found = ask(client(server, attempts=2, concurrency=1), calls(8))
    failed = found.pop(3)
    assert isinstance(failed, Failed)
    assert failed.retryable
    assert found == {n: n for n in range(8) if n != 3}


@pytest.mark.parametrize(
    ("play", "kind", "retryable", "times"),
    [
        (error(400, "bad input"), "BadRequestError", False, 1),
        (error(422, "bad input"), "BadRequestError", False, 1),
        (Play(403, "<html>blocked</html>"), "ForbiddenError", True, 1),
        (Play(302, "", {"Location": "http://elsewhere.invalid/"}), "RedirectedError", True, 1),
        (Play(307, "", {"Location": "http://127.0.0.1:9/"}), "RedirectedError", True, 1),
        (Play(body={"n": 3}, headers={"Content-Encoding": "gzip"}), "WrongSchemaError", True, 1),
    ],
)
def test_a_fault_of_one_item_is_not_tried_again(
    play: Play, kind: str, *, retryable: bool, times: int
) -> None:
    with FaultyServer(first(play, times=1000)) as server:
        found = ask(client(server), calls(8))
        assert server.counts(lambda one: one.body["n"])[3] == times
    failed = found.pop(3)
    assert isinstance(failed, Failed)
    assert (failed.error_class, failed.retryable) == (kind, retryable)
    assert found == {n: n for n in range(8) if n != 3}


def test_a_reply_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_REPLY", 1 << 20)
    with FaultyServer(first(Play(body=b" " * 65536, endless=True))) as server:
        failed = ask(client(server), calls(8))[3]
    assert isinstance(failed, Failed)
    assert failed.error_class == "TooLargeError"


@pytest.mark.parametrize(
    ("play", "says"),
    [
        (error(401, f"Incorrect API key provided: {KEY}"), "the key in STUB_KEY is refused"),
        (error(403, "not allowed", "forbidden"), "the key in STUB_KEY is refused"),
        (error(404, "The model does not exist", "model_not_found"), "model_not_found"),
        (error(429, "You exceeded your quota", "insufficient_quota"), "insufficient_quota"),
        (Play(405, ""), "HTTP 405"),
    ],
)
def test_what_every_item_would_meet_ends_all_and_fails_none(play: Play, says: str) -> None:
    told: dict[int, int | Failed] = {}
    with FaultyServer(lambda asked: play if asked.body["n"] >= 20 else echo(asked)) as server:
        one = client(server, concurrency=4)
        with pytest.raises(EndpointError, match=says) as caught:
            drain(one, calls(500), told)
        one.close()
        assert len(server.asked) <= 20 + 4, "nobody asks on"
    assert told == {n: n for n in range(20)}, "what was answered is told first"
    assert KEY not in str(caught.value)
    assert not threads()


def test_a_wait_is_one_for_all_threads_and_told(caplog: pytest.LogCaptureFixture) -> None:
    held: list[float] = []

    def script(asked: Asked) -> Play:
        if asked.number == 5:
            held.append(time.monotonic())
            return error(429, "slow down", Retry_After="1")
        return Play(body=echo(asked).body, wait_s=0.02)

    with FaultyServer(_stamped(script, stamps := [])) as server:
        found = ask(client(server, concurrency=4), calls(40))
    assert found == {n: n for n in range(40)}
    quiet = [at for at in stamps if held[0] + 0.3 < at < held[0] + 0.95]
    assert not quiet, "nobody asks while the endpoint wants a pause"
    assert not caplog.records, "a second is not worth a word"


def _stamped(script: Callable[[Asked], Play], stamps: list[float]) -> Callable[[Asked], Play]:
    def stamped(asked: Asked) -> Play:
        stamps.append(time.monotonic())
        return script(asked)

    return stamped


def test_an_endless_wait_can_be_left_at_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with FaultyServer(lambda _: error(429, "tomorrow", Retry_After="86400")) as server:
        one = client(server)
        stream = one.ask(calls(100), read)
        assert next(stream) == [], "the caller hears that time passes"
        started = time.monotonic()
        stream.close()
        assert time.monotonic() - started < 1
        one.close()
        assert not threads()
    assert len(caplog.records) == 1
    assert "86400 s" in caplog.text


def test_a_hanging_request_can_be_left_at_once() -> None:
    with FaultyServer(lambda _: Play(body={}, wait_s=30)) as server:
        one = client(server, timeout_s=60)
        stream = one.ask(calls(100), read)
        assert next(stream) == []
        started = time.monotonic()
        one.close()
        assert time.monotonic() - started < 1
        assert not threads()


def test_an_exception_of_the_caller_leaves_no_thread() -> None:
    with FaultyServer(lambda asked: Play(body=echo(asked).body, wait_s=0.01)) as server:
        one = client(server)

        def broken() -> Iterator[Call]:
            yield from calls(5)
            raise RuntimeError("the caller's own")

        with pytest.raises(RuntimeError, match="own"):
            list(one.ask(broken(), read))
        assert not threads()
        one.close()


def test_no_more_is_taken_than_is_soon_needed() -> None:
    taken = 0

    def counted() -> Iterator[Call]:
        nonlocal taken
        for call in calls(10_000):
            taken += 1
            yield call

    with FaultyServer(echo) as server:
        one = client(server, concurrency=4)
        stream = one.ask(counted(), read)
        told = len(next(stream))
        time.sleep(0.3)
        assert taken <= told + 16
        stream.close()
        one.close()
        assert server.most_at_once <= 4


def test_the_budget_of_requests_is_never_exceeded() -> None:
    with FaultyServer(lambda asked: Play(body=echo(asked).body, wait_s=0.005)) as server:
        one = client(server, concurrency=16, max_requests=37)
        told: dict[int, int | Failed] = {}
        with pytest.raises(BudgetExhaustedError, match="37 requests"):
            drain(one, calls(200), told)
        one.close()
        assert len(server.asked) == len(told) == 37
        assert all(told[number] == number for number in told)


def test_tries_count_in_the_budget_and_what_is_left_is_no_failure() -> None:
    with FaultyServer(lambda _: Play(500, "oops")) as server:
        one = client(server, concurrency=2, attempts=10, max_requests=9)
        with pytest.raises(BudgetExhaustedError):
            assert not [pair for batch in one.ask(calls(50), read) for pair in batch]
        one.close()
        assert len(server.asked) == 9


@pytest.mark.parametrize("tells_usage", [True, False])
def test_the_cost_is_never_exceeded(*, tells_usage: bool) -> None:
    usage = {"usage": {"prompt_tokens": 100, "completion_tokens": 10}} if tells_usage else {}
    price = {"input_price": 1000.0, "output_price": 10_000.0, "max_cost": 4.05}
    with FaultyServer(lambda asked: Play(body=echo(asked).body | usage, wait_s=0.005)) as server:
        one = client(server, concurrency=8, **price)
        with pytest.raises(BudgetExhaustedError, match="max_cost"):
            list(one.ask(calls(100, Size(text_bytes=200, output_tokens=20)), read))
        one.close()
        # 0.1 + 0.1 dollars as told, 0.264 + 0.2 where nothing is told
        spent = len(server.asked) * (0.2 if tells_usage else 0.464)
    assert spent == pytest.approx(one.budget.cost)
    assert spent <= 4.05
    assert spent + 0.464 > 4.05, "and what there was to spend was spent"


def test_a_cost_without_prices_is_refused() -> None:
    with FaultyServer(echo) as server, pytest.raises(ConfigError, match="input_price"):
        client(server, max_cost=1.0)


def test_the_rate_is_kept() -> None:
    with FaultyServer(_stamped(echo, stamps := [])) as server:
        ask(client(server, concurrency=8, requests_per_minute=1200), calls(21))
    gaps = [later - earlier for earlier, later in zip(stamps, stamps[5:], strict=False)]
    assert stamps[-1] - stamps[0] >= 0.98
    assert min(gaps) > 0.15, "no burst"


def test_the_key_is_sent_in_its_header_and_comes_back_nowhere() -> None:
    def parrot(asked: Asked) -> Play:
        if asked.body["n"] == 1:
            return error(400, f"you said {asked.headers['Authorization']}")
        return Play(body={"n": 0, "said": asked.headers["Authorization"]})

    replies: list[Any] = []
    with FaultyServer(parrot) as server:
        one = client(server)
        stream = one.ask(calls(2), lambda reply: replies.append(reply.value) or 0)
        outcomes = [outcome for batch in stream for _, outcome in batch]
        one.close()
        assert {a.headers["Authorization"] for a in server.asked} == {f"Bearer {KEY}"}
    assert KEY not in repr((replies, outcomes, one.key, one.options))
    assert "***" in repr(replies)


AWKWARD = "c2VjcmV0/K+zZz9Q/abcd=="
SPELLED = AWKWARD.replace("/", "\\/").replace("+", "\\u002b")
REPEATS = {
    "an answer": Play(body=f'{{"n": "{SPELLED}", "{SPELLED}": [{{"a": "x {SPELLED}"}}]}}'),
    "an error": Play(400, f'{{"error": {{"message": "{SPELLED}", "code": "{SPELLED}"}}}}'),
    "at the cut": Play(302, b"", {"Location": "https://x/" + "a" * 480 + AWKWARD}),
    "a query": Play(302, b"", {"Location": f"https://x/?k={quote(AWKWARD, safe='')}"}),
    "base 64": Play(400, b64encode(AWKWARD.encode()).decode()),
    "no UTF-8": Play(400, b"\xff " + AWKWARD.encode() + b" \xff"),
}


@pytest.mark.parametrize("name", REPEATS)
def test_a_key_that_is_repeated_in_another_spelling_is_taken_out(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUB_KEY", AWKWARD)
    with FaultyServer(lambda _: REPEATS[name]) as server:
        one = client(server, attempts=1)
        found = [outcome for batch in one.ask(calls(1), _whole) for _, outcome in batch]
        one.close()
    assert len(found) == 1
    assert "***" in str(found[0])
    for form in (AWKWARD, AWKWARD[:10], quote(AWKWARD, safe=""), "YzJWamNtVjAvSyt6Wno5US9hYmNk"):
        assert form not in str(found[0])


def _whole(reply: Reply) -> Any:
    return reply.value


def test_a_missing_key_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STUB_KEY")
    with FaultyServer(echo) as server, pytest.raises(ConfigError, match="STUB_KEY"):
        client(server)


def test_nobody_listening_ends_all_with_one_message() -> None:
    with FaultyServer(echo) as server:
        gone = client(server, attempts=2)
    with pytest.raises(EndpointError, match=r"judge stub at 127.0.0.1:\d+: cannot be reached"):
        list(gone.ask(calls(50), read))
    gone.close()
    assert not threads()


def test_a_body_that_cannot_be_made_fails_alone() -> None:
    def body() -> dict[str, Any]:
        raise ValueError("no picture")

    asked = [*calls(3), Call(3, "/ask", body), *[Call(4, "/ask", lambda: {"n": 4})]]
    with FaultyServer(echo) as server:
        found = ask(client(server), asked)
    assert found.pop(3) == Failed("ValueError", "no picture")
    assert found == {0: 0, 1: 1, 2: 2, 4: 4}


def test_a_reader_may_end_all() -> None:
    def refuse(_: Reply) -> int:
        raise FaultError(Way.END, "NoLogprobsError", "no logprobs")

    with FaultyServer(echo) as server:
        one = client(server)
        with pytest.raises(EndpointError, match="no logprobs"):
            list(one.ask(calls(50), refuse))
        one.close()
    assert within(1, lambda: not threads())


def test_connections_are_kept_between_streams() -> None:
    with FaultyServer(echo) as server:
        one = client(server, concurrency=1)
        for _ in range(3):
            list(one.ask(calls(5), read))
        assert len(one._wires) == 1
        one.close()
