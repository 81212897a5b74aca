"""Real proxies on loopback: HTTP (whole URLs and CONNECT) and SOCKS5, with their own names."""

from __future__ import annotations

import base64
import contextlib
import select
import socket
import socketserver
import struct
import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Proxy:
    """Leads where ``names`` say: host -> port on this machine. ``seen`` is what was asked of it."""

    handler: type[socketserver.BaseRequestHandler]

    def __init__(self, names: Mapping[str, int], login: str | None = None) -> None:
        self.names = names
        self.login = login
        self.seen: list[str] = []
        proxy = self

        class Handler(self.handler):  # type: ignore[name-defined,misc]
            of = proxy

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def reach(self, host: str) -> socket.socket | None:
        """Connect to where a name leads; None where nobody here knows it."""
        port = self.names.get(host)
        return None if port is None else socket.create_connection(("127.0.0.1", port))


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are no matter."""


class _Http(socketserver.StreamRequestHandler):
    of: HttpProxy

    def handle(self) -> None:
        line = self.rfile.readline().decode()
        headers = []
        while (header := self.rfile.readline()) not in (b"\r\n", b""):
            headers.append(header)
        method, target, _ = line.split()
        self.of.seen.append(f"{method} {target}")
        if self.of.login is not None:
            wanted = b"Basic " + base64.b64encode(self.of.login.encode())
            if not any(wanted in one for one in headers):
                self.wfile.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n")
                self.wfile.write(b"Content-Length: 0\r\nConnection: close\r\n\r\n")
                return
        if method == "CONNECT":
            self._tunnel(target)
        else:
            self._forward(method, target, headers)

    def _tunnel(self, target: str) -> None:
        there = self.of.reach(target.partition(":")[0])
        if there is None:
            self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        _pump(self.connection, there)

    def _forward(self, method: str, target: str, headers: list[bytes]) -> None:
        """Hand one request on; a whole URL is what tells a proxy where to."""
        scheme, _, rest = target.partition("://")
        assert scheme == "http", "a request without a whole URL was not meant for a proxy"
        host, _, path = rest.partition("/")
        there = self.of.reach(host.partition(":")[0])
        if there is None:
            self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return
        kept = [one for one in headers if not one.lower().startswith((b"proxy-", b"connection"))]
        head = f"{method} /{path} HTTP/1.1\r\nConnection: close\r\n".encode()
        length = next(
            (int(one.split(b":")[1]) for one in kept if one.lower().startswith(b"content-length")),
            0,
        )
        there.sendall(head + b"".join(kept) + b"\r\n" + self.rfile.read(length))
        _pump(self.connection, there)


class HttpProxy(_Proxy):
    """An HTTP proxy; ``login`` is ``user:password`` where it wants one."""

    handler = _Http

    @property
    def url(self) -> str:
        login = f"{self.login}@" if self.login else ""
        return f"http://{login}127.0.0.1:{self.port}"


class _Socks(socketserver.BaseRequestHandler):
    """The part of RFC 1928 that a client of ours needs: no login, CONNECT."""

    of: SocksProxy

    def handle(self) -> None:
        _, count = self._take(2)
        self._take(count)
        self.request.sendall(b"\x05\x00")
        _, _, _, kind = self._take(4)
        if kind == 3:
            host = self._take(self._take(1)[0]).decode()
            self.of.seen.append(f"name {host}")
        else:
            host = socket.inet_ntoa(self._take(4))
            self.of.seen.append(f"address {host}")
        struct.unpack(">H", self._take(2))
        there = self.of.reach(host)
        self.request.sendall(bytes([5, 0 if there else 4, 0, 1, 0, 0, 0, 0, 0, 0]))
        if there is not None:
            _pump(self.request, there)

    def _take(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self.request.recv(count - len(data))
            if not part:
                raise ConnectionError("the client has left")
            data += part
        return data


class SocksProxy(_Proxy):
    """A SOCKS5 proxy that resolves names itself, as ``ssh -D`` does."""

    handler = _Socks

    @property
    def url(self) -> str:
        return f"socks5h://127.0.0.1:{self.port}"


class _Says(socketserver.BaseRequestHandler):
    of: SaysOnly

    def handle(self) -> None:
        self.request.recv(65536)
        with contextlib.suppress(OSError):
            self.request.sendall(self.of.words)
            self.request.shutdown(socket.SHUT_WR)
            self.request.recv(65536)


class SaysOnly(_Proxy):
    """A server or proxy that answers whatever it is asked with the same bytes."""

    handler = _Says

    def __init__(self, words: bytes) -> None:
        super().__init__({})
        self.words = words


def _pump(one: Any, other: socket.socket) -> None:
    """Carry bytes both ways until either side has had enough."""
    with contextlib.suppress(OSError), other:
        while True:
            for ready in select.select([one, other], [], [])[0]:
                data = ready.recv(65536)
                if not data:
                    return
                (other if ready is one else one).sendall(data)
