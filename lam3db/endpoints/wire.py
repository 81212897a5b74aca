"""One thread's connection to an endpoint: sends a request, reads a bounded reply, can be cut.

Nothing of the surroundings steers it but what is asked for: no ``.netrc``, no cookies, no
redirection, a proxy only as :mod:`lam3db.endpoints.proxy` says. Certificates are checked
against REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE, else against the usual authorities.

What must hold: a request goes to the host it names and to no other; a reply of any size or
speed costs bounded memory and time; :meth:`Wire.abort` ends whatever the thread is waiting
for.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
import threading
import time
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from lam3db.endpoints.faults import FaultError, Way

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lam3db.endpoints.proxy import Proxy

MAX_REPLY = 4 << 20
"""Bytes: a hundred times the longest answer; their JSON takes up to 25 times as much memory."""
CONNECT_S = 15.0
GRACE_S = 1.0
"""How much later than its time a reply is cut: a silent endpoint is found out before."""
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Raw:
    """A reply as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes


_CONNECTION = re.compile(r"^\w+\(host='([^']*)', port=(\d+)\): ")  # as urllib3 names one


class _Cutter:
    """The sockets of one session, so that another thread can cut them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._cut = False

    def hold(self, one: Any) -> None:
        """Remember a socket; cut it at once where that was asked for."""
        with self._lock:
            self._sockets = [old for old in self._sockets if old.fileno() >= 0]
            self._sockets.append(one)
            if self._cut:
                _shut(one)

    def cut(self) -> None:
        """Wake whoever reads from or writes to one of the sockets, now and from now on."""
        self._cut = True
        self.drop()

    def drop(self) -> None:
        """Wake whoever reads from or writes to one of the sockets."""
        with self._lock:
            for one in self._sockets:
                _shut(one)


class _Session(requests.Session):
    """A session that does not even look where a redirection leads.

    Requests would read a redirection's whole body, unpacked and of any size, to know it.
    """

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return nowhere."""


def _shut(one: socket.socket) -> None:
    plain = getattr(one, "socket", one)  # TLS inside of TLS, to a proxy that speaks it
    with contextlib.suppress(OSError):
        # of the plain socket: TLS would want to say good-bye and wait for an answer
        socket.socket.shutdown(plain, socket.SHUT_RDWR)


class _Adapter(HTTPAdapter):
    """Requests' adapter, with connections that a cutter knows of."""

    def __init__(self, cutter: _Cutter) -> None:
        self._cutter = cutter
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the manager of direct connections."""
        super().init_poolmanager(*args, **kwargs)
        _watch(self.poolmanager, self._cutter)

    def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> Any:
        """Make the manager of connections through a proxy."""
        known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not known:
            _watch(manager, self._cutter)
        return manager


def _watch(manager: Any, cutter: _Cutter) -> None:
    """Let a pool manager make connections that tell the cutter of their sockets."""
    manager.pool_classes_by_scheme = {
        scheme: type(
            pool.__name__, (pool,), {"ConnectionCls": _watched(pool.ConnectionCls, cutter)}
        )
        for scheme, pool in manager.pool_classes_by_scheme.items()
    }


def _watched(base: Any, cutter: _Cutter) -> Any:
    class Watched(base):  # type: ignore[misc]  # one of urllib3's connections
        def _new_conn(self) -> Any:
            made = super()._new_conn()
            cutter.hold(made)
            return made

        def connect(self) -> None:
            super().connect()
            cutter.hold(self.sock)  # TLS has put another socket in the place of the first

    return Watched


class Wire:
    """A session for one thread at a time."""

    def __init__(self, proxy: Proxy, timeout_s: float, masked: Callable[[str], str] = str) -> None:
        """Open nothing yet; ``masked`` takes secrets out of what is told of a fault."""
        _silence_urllib3()
        self.aborted = False
        self._masked = masked
        self._timeout_s = timeout_s
        self._cutter = _Cutter()
        self._session = _Session()
        self._session.trust_env = False
        self._session.verify = (
            os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        )
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers.clear()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(self._cutter))
        if proxy.url is not None:
            self._session.proxies = {"http": proxy.url, "https": proxy.url}

    def send(self, method: str, url: str, headers: Mapping[str, str], data: bytes | None) -> Raw:
        """Send a request and read the reply.

        Raises:
            FaultError: no connection, no reply in time, a broken or an oversized reply.

        """
        late = threading.Event()
        try:
            raw = self._exchanged(method, url, headers, data, late)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            # not chained: what a proxy said may hold its password, and a traceback would show it
            raise (self._too_late() if late.is_set() else _fault(error, self._masked)) from None
        if late.is_set():  # a connection that is cut looks like one that has ended
            raise self._too_late()
        return raw

    def _exchanged(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        data: bytes | None,
        late: threading.Event,
    ) -> Raw:
        started = time.monotonic()
        with (
            self._cut_when_late(late),
            self._session.request(
                method,
                url,
                headers=dict(headers),
                data=data,
                timeout=(min(CONNECT_S, self._timeout_s), self._timeout_s),
                allow_redirects=False,
                stream=True,
            ) as response,
        ):
            body = self._read(response, started + self._timeout_s)
            return Raw(response.status_code, response.headers, body)

    @contextlib.contextmanager
    def _cut_when_late(self, late: threading.Event) -> Iterator[None]:
        """Cut the connection where a reply comes so slowly that no single read is too slow.

        A read waits for its whole chunk, a head for its last line: either may go on for ever.
        """

        def drop() -> None:
            late.set()
            self._cutter.drop()

        timer = threading.Timer(self._timeout_s + GRACE_S, drop)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()

    def _too_late(self) -> FaultError:
        text = f"the reply did not end within {self._timeout_s:g} s"
        return _billed(FaultError(Way.AGAIN, "TimedOutError", text))

    def _read(self, response: requests.Response, deadline: float) -> bytes:
        packing = response.headers.get("Content-Encoding", "identity")
        if packing != "identity":
            text = f"a reply packed as {self._masked(packing)[:40]!r}, which was not asked for"
            raise FaultError(Way.LATER, "WrongSchemaError", text)
        body = bytearray()
        for chunk in response.raw.stream(_CHUNK, decode_content=False):
            body += chunk
            if len(body) > MAX_REPLY:
                text = f"a reply of more than {MAX_REPLY >> 20} MiB"
                raise FaultError(Way.LATER, "TooLargeError", text)
            if time.monotonic() > deadline:
                raise self._too_late()
        return bytes(body)

    def abort(self) -> None:
        """End whatever a thread is waiting for; what it gets is a lost connection."""
        self.aborted = True
        self._cutter.cut()

    def close(self) -> None:
        """Close the connection."""
        self._session.close()


def _billed(fault: FaultError) -> FaultError:
    fault.billed = True
    return fault


def _silence_urllib3() -> None:
    """Keep urllib3 from telling what it got: a broken head, say, with a key that came back."""
    for name in ("urllib3.connection", "urllib3.connectionpool", "urllib3.response"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _fault(error: Exception, masked: Callable[[str], str]) -> FaultError:
    """Return what an exception of requests or urllib3 means."""
    text = masked(_plain(error))
    unproven = isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE_VERIFY" in text
    if unproven or "TLS CA certificate bundle" in text:
        cure = "where a proxy signs with a certificate of its own, name it: REQUESTS_CA_BUNDLE"
        found = Way.END, "CertificateError", f"{text}; {cure}"
    elif isinstance(error, requests.exceptions.ProxyError):
        refused = "407" in text or "authentication" in text.lower()
        found = Way.END if refused else Way.AGAIN, "ProxyError", f"the proxy: {text}"
    elif isinstance(error, requests.ConnectTimeout) or _never_connected(error):
        found = Way.AGAIN, "UnreachableError", f"cannot be reached: {text}"
    elif isinstance(error, requests.exceptions.InvalidHeader):
        found = Way.AGAIN, "WrongSchemaError", f"a broken reply: {text}"
    elif isinstance(error, ValueError) and not isinstance(error, requests.ConnectionError):
        found = Way.END, "WrongAddressError", text  # InvalidURL, InvalidSchema ...
    else:
        late = (
            isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError)
            or "timed out" in text
        )
        kind = "TimedOutError" if late else "ConnectionLostError"
        said = "no reply in time" if late else "the connection broke"
        return _billed(FaultError(Way.AGAIN, kind, f"{said}: {text}"))
    return FaultError(*found)


def _never_connected(error: BaseException) -> bool:
    seen: set[int] = set()
    queue: list[Any] = [error]
    while queue:
        one = queue.pop()
        if id(one) in seen or not isinstance(one, BaseException):
            continue
        seen.add(id(one))
        if isinstance(one, urllib3.exceptions.NewConnectionError | socket.gaierror):
            return True
        queue += [*one.args, getattr(one, "reason", None), one.__cause__]
    return False


def _plain(error: BaseException) -> str:
    """Return the innermost reason: requests wraps it in representations of objects."""
    seen: set[int] = set()
    one: Any = error
    while id(one) not in seen:
        seen.add(id(one))
        inner = getattr(one, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((part for part in one.args if isinstance(part, BaseException)), None)
        if inner is None:
            break
        one = inner
    text = str(one) or type(one).__name__
    if isinstance(one, urllib3.exceptions.HTTPError) and len(one.args) > 1:
        text = str(one.args[-1])  # the connection itself stands before it
    text = text.partition(">: ")[2] or text
    return _CONNECTION.sub(r"\1:\2: ", text)
