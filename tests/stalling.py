"""A TCP proxy on loopback before the tests' PostgreSQL: it can swallow what passes, or stand still.

``swallow`` is a firewall that has dropped its state, or a host that hangs: what is sent is taken
(and acknowledged by TCP) and nothing comes back. ``freeze`` takes nothing more either, so that
the sender's buffers fill up. Both say whether new connections are as bad.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TICK = 0.02
_SIZE = 1 << 16
_SMALL = 1 << 13


@dataclass
class Proxy:
    """A running proxy; ``port`` is on 127.0.0.1."""

    server: Path
    port: int
    mode: Literal["pass", "swallow", "freeze"] = "pass"
    new_too: bool = True
    closed: threading.Event = field(default_factory=threading.Event)
    connections: int = 0

    def url(self, database: str, **options: object) -> str:
        """Return the URL of a database behind this proxy."""
        asked = f"?{urlencode(options)}" if options else ""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}{asked}"

    def serve(self, listener: socket.socket) -> None:
        """Take connections until it is closed, each carried by a thread."""
        carriers: list[threading.Thread] = []
        while not self.closed.is_set():
            if select.select([listener], [], [], _TICK)[0]:
                client, _ = listener.accept()
                self.connections += 1
                is_bad = self.mode != "pass" and self.new_too
                carrier = threading.Thread(target=self._carry, args=(client, not is_bad))
                carrier.start()
                carriers.append(carrier)
        for carrier in carriers:
            carrier.join()

    def _carry(self, client: socket.socket, spared: bool) -> None:
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(self.server))
        born_in = self.mode
        with client, server, contextlib.suppress(OSError):
            while not self.closed.is_set():
                spares = self.mode == "pass" or (spared and born_in != "pass")
                if not spares and self.mode == "freeze":
                    self.closed.wait(_TICK)
                    continue
                for source in select.select([client, server], [], [], _TICK)[0]:
                    data = source.recv(_SIZE)
                    if not data:
                        return
                    if spares or self.mode == "pass":
                        (server if source is client else client).sendall(data)


@contextlib.contextmanager
def stalling_proxy(folder: Path) -> Iterator[Proxy]:
    """Run a proxy before the server whose socket lies in ``folder``."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)
        proxy = Proxy(folder / ".s.PGSQL.5432", listener.getsockname()[1])
        thread = threading.Thread(target=proxy.serve, args=(listener,))
        thread.start()
        try:
            yield proxy
        finally:
            proxy.closed.set()
            thread.join()
