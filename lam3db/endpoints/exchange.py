"""One call and its reply: JSON there, JSON back, the key in its header and nowhere else.

What must hold: a reply is JSON to its end, or a fault; the key is in no reply and in no
fault, should the endpoint repeat it, and the proxy's password in no fault. Good replies are
not searched for that: it may be any word, and an answer must stay what it was.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from requests.structures import CaseInsensitiveDict

from lam3db import __version__
from lam3db.endpoints.budget import Size, Usage, usage_of
from lam3db.endpoints.faults import ErrorReply, FaultError, Way, classify
from lam3db.whole_numbers import whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lam3db.endpoints.faults import Classifier
    from lam3db.endpoints.keys import Key
    from lam3db.endpoints.wire import Wire


@dataclass(frozen=True, slots=True)
class Call:
    """One request. ``body`` makes its JSON (in the sending thread); None sends a GET.

    ``tag`` is the caller's own handle.
    """

    tag: Any
    path: str
    body: Callable[[], Mapping[str, Any]] | None
    size: Size = field(default_factory=Size)


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful reply: its JSON and how long the last try took."""

    value: Any
    latency_ms: float
    usage: Usage | None


@dataclass(frozen=True, slots=True)
class Scheme:
    """How an API is spoken to: the header that carries its key, and what its errors mean."""

    header: str = "Authorization"
    prefix: str = "Bearer "
    classify: Classifier = classify


BEARER = Scheme()


@dataclass(frozen=True, slots=True)
class Probe:
    """How to see whether an endpoint works: a call that costs nothing or next to it.

    ``model`` is looked for in the list of models that the call gives; None: it gives none.
    """

    call: Call
    model: str | None = None
    scheme: Scheme = BEARER


def list_models(model: str | None) -> Probe:
    """Return the probe of an OpenAI-compatible endpoint: does it list this model?"""
    return Probe(Call(None, "/models", None), model)


@dataclass(frozen=True, slots=True)
class Exchange:
    """Speaks to one endpoint, whose URL is ``base``, over whichever wire it is given."""

    base: str
    scheme: Scheme
    key: Key | None
    proxy_secrets: tuple[Key, ...] = ()

    def send(self, wire: Wire, call: Call) -> Reply:
        """Send a call and return its JSON; raise FaultError for whatever else comes back."""
        data = None
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"lam3db/{__version__}",
        }
        if call.body is not None:
            data = json.dumps(call.body(), allow_nan=False).encode()
            headers["Content-Type"] = "application/json"
        if self.key is not None:
            headers[self.scheme.header] = self.scheme.prefix + self.key.value
        started = time.monotonic()
        try:
            method = "GET" if data is None else "POST"
            raw = wire.send(method, self.base + call.path, headers, data)
            body = self._without_key(raw.body)
            if raw.status // 100 != 2:  # noqa: PLR2004 - success
                body = self._told(body)
                text = body[:4096].decode("utf-8", "replace")
                told = self._clean(_json_or_none(body))
                raise self.scheme.classify(
                    ErrorReply(raw.status, self._heads(raw.headers), told, text)
                )
        except FaultError as fault:
            self.clear(fault)
            raise
        value = self._clean(_json(body, self._told))
        return Reply(value, 1000 * (time.monotonic() - started), usage_of(value))

    def masked(self, text: str) -> str:
        """Return a text for people without any secret of this exchange, nor pieces of one."""
        for secret in (self.key, *self.proxy_secrets):
            text = text if secret is None else secret.mask_pieces(text)
        return text

    def clear(self, fault: FaultError) -> None:
        """Take the secrets out of a fault's text."""
        fault.args = (self.masked(str(fault)),)

    def _told(self, body: bytes) -> bytes:
        """Return what of a reply may be shown in a fault."""
        return self.masked(body.decode("utf-8", "replace")).encode()

    def _clean(self, value: Any) -> Any:
        try:
            return value if self.key is None else self.key.mask_json(value)
        except RecursionError as error:
            raise FaultError(Way.AGAIN, "NotJsonError", "a reply nested too deep") from error

    def _heads(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Return a reply's headers without the key, before they are cut to be shown."""
        clean = CaseInsensitiveDict[str]()
        clean.update({name: self.masked(value) for name, value in headers.items()})
        return clean

    def _without_key(self, body: bytes) -> bytes:
        """Return a reply without the key, should the endpoint have repeated it."""
        if self.key is None:
            return body
        text = body.decode("utf-8", "surrogateescape")
        masked = self.key.mask(text)
        return body if masked == text else masked.encode("utf-8", "surrogateescape")


def _json_or_none(body: bytes) -> Any:
    try:
        return _json(body)
    except FaultError:
        return None


def _json(body: bytes, told: Callable[[bytes], bytes] = bytes) -> Any:
    """Return a reply's JSON; what is cut short or none at all is a fault."""
    try:
        return json.loads(body, parse_constant=_refuse_constant, parse_int=whole_number)
    except (ValueError, RecursionError) as error:
        start = told(body)[:60].decode("utf-8", "replace")
        text = f"the reply is no JSON ({len(body)} bytes, {start!r} ...): {error}"
        fault = FaultError(Way.AGAIN, "NotJsonError", text)
        fault.billed = True
        raise fault from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")
