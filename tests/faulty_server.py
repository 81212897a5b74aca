"""A real HTTP server on loopback that plays whatever a script says, fault by fault."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Asked:
    """A request as the server heard it; ``number`` counts from 0."""

    number: int
    method: str
    target: str
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Play:
    """What to do with a request: a status and a body, and how to go wrong with them.

    ``wait_s`` before anything is said; ``drop`` closes without a word; ``cut`` sends so many
    bytes of the body it has announced, then closes; ``endless`` goes on sending for ever;
    ``drip`` sends these bytes in place of a reply, then byte by byte what a body is made of.
    """

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    wait_s: float = 0.0
    drop: bool = False
    cut: int | None = None
    endless: bool = False
    drip: bytes | None = None

    @property
    def payload(self) -> bytes:
        """The body as bytes: JSON, unless it is bytes or text already."""
        if isinstance(self.body, bytes):
            return self.body
        text = self.body if isinstance(self.body, str) else json.dumps(self.body)
        return text.encode()


def error(status: int, message: str = "no", code: str | None = None, **headers: str) -> Play:
    """An error as OpenAI's API words it."""
    body = {"error": {"message": message, "type": code, "code": code}}
    return Play(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


class FaultyServer:
    """Plays a script; a context manager. ``asked`` is what it has heard so far."""

    def __init__(self, script: Callable[[Asked], Play], certificate: Any = None) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self.stopping = threading.Event()
        self._server = _Quiet(("127.0.0.1", 0), _handler(self))
        self._scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(context)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self._scheme = "https"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of whoever still waits, and stop."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}/v1"

    def hear(self, method: str, target: str, headers: Mapping[str, str], body: Any) -> Play:
        with self._lock:
            asked = Asked(len(self.asked), method, target, dict(headers), body)
            self.asked.append(asked)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            play = self.script(asked)
            self.stopping.wait(play.wait_s)
            return play
        finally:
            with self._lock:
                self._at_once -= 1

    def counts(self, of: Callable[[Asked], Any]) -> Counter[Any]:
        return Counter(of(one) for one in self.asked)


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are what the tests are about."""


def _drip(stream: Any, start: bytes, more: bytes, stopping: threading.Event) -> None:
    """Write a beginning, then a little at a time, for ever."""
    stream.write(start)
    while not stopping.wait(0.05):
        stream.write(more)


def _handler(server: FaultyServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            raw = self.rfile.read(length)
            with contextlib.suppress(ValueError):
                raw = json.loads(raw)
            self._play(server.hear(self.command, self.path, dict(self.headers), raw))

        do_GET = do_POST  # noqa: N815 - as http.server wants it

        def _play(self, play: Play) -> None:
            if play.drop:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            payload = play.payload
            if play.drip is not None:
                self.close_connection = True
                _drip(self.wfile, play.drip, payload, server.stopping)
                return
            self.send_response(play.status)
            self.send_header("Content-Type", "application/json")
            for name, value in play.headers.items():
                self.send_header(name, value)
            if play.endless:
                self.close_connection = True
                self.end_headers()
                while not server.stopping.is_set():
                    self.wfile.write(payload)
                return
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            if play.cut is not None:
                self.wfile.write(payload[: play.cut])
                self.wfile.flush()
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.wfile.write(payload)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Tell whether something comes to hold within so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.01)
    return holds()
