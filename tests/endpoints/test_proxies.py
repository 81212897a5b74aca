"""Through real proxies: HTTP, HTTPS by CONNECT, SOCKS5 with names resolved over there."""

from __future__ import annotations

import base64
import socket
import time
import traceback
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from faulty_server import Asked, FaultyServer, Play
from proxies import HttpProxy, SaysOnly, SocksProxy

from lam3db.config_shapes import EndpointOptions
from lam3db.endpoints import retry
from lam3db.endpoints.client import Call, Client, Reply
from lam3db.errors import EndpointError

if TYPE_CHECKING:
    from pathlib import Path

KEY = "sk-loopback-0123456789abcdef"
FAR = "judge.invalid"


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody here knows a name: what is resolved is resolved by a proxy."""
    monkeypatch.setattr(retry, "BASE_S", 0.001)
    monkeypatch.setenv("STUB_KEY", KEY)
    resolve = socket.getaddrinfo

    def only_here(host: Any, *more: Any, **named: Any) -> Any:
        assert host in ("127.0.0.1", b"127.0.0.1"), f"{host} was to be resolved here"
        return resolve(host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", only_here)


def echo(asked: Asked) -> Play:
    return Play(body={"n": asked.body["n"]})


def ask(url: str, **options: Any) -> list[int]:
    client = Client(EndpointOptions(url=url, attempts=2, **options), "judge stub")
    calls = (Call(n, "/ask", lambda n=n: {"n": n}) for n in range(6))
    try:
        stream = client.ask(calls, _number)
        return sorted(outcome for batch in stream for _, outcome in batch)  # type: ignore[type-var]
    finally:
        client.close()


def _number(reply: Reply) -> int:
    return int(reply.value["n"])


def test_plain_http_goes_with_its_whole_url(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultyServer(echo) as server, HttpProxy({FAR: server.port}) as proxy:
        assert ask(f"http://{FAR}/v1", proxy=proxy.url) == list(range(6))
        assert set(proxy.seen) == {f"POST http://{FAR}/v1/ask"}
        monkeypatch.setenv("http_proxy", proxy.url)
        proxy.seen.clear()
        assert ask(f"http://{FAR}/v1") == list(range(6))
        assert len(proxy.seen) == 6


def certificate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folder / "ca.pem"))
    return authority.issue_cert(FAR)


def test_https_goes_through_a_tunnel_with_the_key_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = certificate(tmp_path, monkeypatch)
    with FaultyServer(echo, issued) as server, HttpProxy({FAR: server.port}, "me:geheim") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert ask(f"https://{FAR}/v1", key_env="STUB_KEY") == list(range(6))
        assert set(proxy.seen) == {f"CONNECT {FAR}:443"}
        assert server.asked[0].headers["Authorization"] == f"Bearer {KEY}"
        assert "Proxy-Authorization" not in server.asked[0].headers


def test_a_certificate_nobody_vouches_for_ends_all_before_the_key_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = certificate(tmp_path, monkeypatch)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with FaultyServer(echo, issued) as server, HttpProxy({FAR: server.port}) as proxy:
        with pytest.raises(EndpointError, match="REQUESTS_CA_BUNDLE"):
            ask(f"https://{FAR}/v1", key_env="STUB_KEY", proxy=proxy.url)
        assert not server.asked


def test_a_bundle_that_is_not_there_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    with pytest.raises(EndpointError, match=r"/nowhere/ca\.pem"):
        ask("https://127.0.0.1:9/v1")


def test_a_hanging_request_inside_of_tls_can_be_left_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = certificate(tmp_path, monkeypatch)
    with (
        FaultyServer(lambda _: Play(body={}, wait_s=30), issued) as server,
        HttpProxy({FAR: server.port}) as proxy,
    ):
        options = EndpointOptions(url=f"https://{FAR}/v1", proxy=proxy.url)
        client = Client(options, "judge stub")
        stream = client.ask((Call(n, "/ask", dict) for n in range(20)), _number)
        assert next(stream) == []
        assert server.asked
        started = time.monotonic()
        stream.close()
        assert time.monotonic() - started < 1
        client.close()


def test_socks_resolves_names_over_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    issued = certificate(tmp_path, monkeypatch)
    with FaultyServer(echo, issued) as server, SocksProxy({FAR: server.port}) as proxy:
        assert ask(f"https://{FAR}/v1", key_env="STUB_KEY", proxy=proxy.url) == list(range(6))
        assert set(proxy.seen) == {f"name {FAR}"}
        proxy.seen.clear()
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        assert ask(f"https://{FAR}/v1") == list(range(6))
        assert set(proxy.seen) == {f"name {FAR}"}


def test_a_proxy_that_refuses_us_ends_all_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with FaultyServer(echo) as server, HttpProxy({FAR: server.port}, "me:geheim") as proxy:
        wrong = proxy.url.replace("geheim", "falsch")
        for scheme in ("http", "https"):
            monkeypatch.setenv(f"{scheme}_proxy", wrong)
            with pytest.raises(EndpointError, match="407") as caught:
                ask(f"{scheme}://{FAR}/v1")
            assert "falsch" not in str(caught.value)
        assert not server.asked


LOGIN = base64.b64encode(b"me:geheimnis7").decode()


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "said",
    [
        "HTTP/1.1 407 geheimnis7 is wrong\r\nContent-Length: 20\r\n\r\nlogin geheimnis7 bad",
        f"HTTP/1.1 502 {LOGIN}\r\nContent-Length: {len(LOGIN)}\r\n\r\n{LOGIN}",
        f"{'x' * 950}geheimnis7 geheimnis7 geheimnis7\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\ngeheimnis7",
        "HTTP/1.1 302 geheimnis7\r\nLocation: /?u=geheimnis7\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_a_proxy_that_repeats_its_password_is_not_repeated(
    scheme: str, said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    with SaysOnly(said.encode()) as proxy:
        monkeypatch.setenv(f"{scheme}_proxy", f"http://me:geheimnis7@127.0.0.1:{proxy.port}")
        client = Client(EndpointOptions(url=f"{scheme}://{FAR}/v1", attempts=1), "judge stub")
        told = ""
        try:
            told += repr(list(client.ask([Call(1, "/ask", dict)], _number)))
        except EndpointError as error:
            told += "".join(traceback.format_exception(error))
        finally:
            client.close()
    assert told
    for secret in ("geheim", LOGIN.rstrip("=")):
        assert secret not in told + caplog.text


def test_a_broken_head_with_the_key_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with SaysOnly(f"HTTP/1.1 200 OK\r\n{KEY}\r\nContent-Length: x\r\n\r\n".encode()) as server:
        url = f"http://127.0.0.1:{server.port}/v1"
        options = EndpointOptions(url=url, key_env="STUB_KEY", attempts=1)
        client = Client(options, "judge stub")
        told = repr(list(client.ask([Call(1, "/ask", dict)], _number)))
        client.close()
    assert KEY not in told + caplog.text


def test_a_proxy_that_is_not_there_ends_all() -> None:
    with HttpProxy({}) as proxy:
        gone = proxy.url
    with pytest.raises(EndpointError, match="proxy"):
        ask(f"http://{FAR}/v1", proxy=gone)


def test_a_proxy_that_cannot_get_there_fails_the_items() -> None:
    with SocksProxy({}) as proxy, pytest.raises(EndpointError, match=FAR):
        ask(f"https://{FAR}/v1", proxy=proxy.url)


def test_no_proxy_of_the_surroundings_is_asked_where_none_is_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with FaultyServer(echo) as server, HttpProxy({}) as proxy:
        for name in ("http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert ask(server.url, proxy="none") == list(range(6))
        assert ask(server.url) == list(range(6)), "nor for this machine"
        assert not proxy.seen


def test_neither_netrc_nor_cookies_get_in_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password geheim\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    def with_cookie(asked: Asked) -> Play:
        return Play(body=echo(asked).body, headers={"Set-Cookie": "track=me"})

    with FaultyServer(with_cookie) as server:
        assert ask(server.url, key_env="STUB_KEY", concurrency=1) == list(range(6))
        for one in server.asked:
            assert one.headers["Authorization"] == f"Bearer {KEY}"
            assert "Cookie" not in one.headers
