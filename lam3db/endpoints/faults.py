"""What can go wrong with a request, and what is done about it.

A fault names its way: try again, wait (and let everybody wait), fail this request for good
or for now, or end the whole job because every other request would fail the same way.

What must hold: a fault never passes for an answer; its text is short, without a secret, and
says what the endpoint said.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from lam3db.endpoints.refusals import cure, objection
from lam3db.endpoints.retry import asked_wait
from lam3db.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Classifier = Callable[["ErrorReply"], "FaultError"]

_SHOWN = 500
_SPENT = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})


class Way(Enum):
    """What is done about a fault."""

    AGAIN = "again"
    """Try again after a moment; a failure worth another invocation when that does not help."""
    WAIT = "wait"
    """Let every thread wait, then try again."""
    ITEM = "item"
    """This request fails, for good."""
    LATER = "later"
    """This request fails; another invocation may try it again."""
    END = "end"
    """Nothing else need be asked: the job ends, what is left stays pending."""


class FaultError(Exception):
    """A request without a usable answer. ``kind`` becomes the failure's error class.

    ``of_sample``: it is about this request's sample (its length, its image, a filter) and says
    nothing of the others. ``cure``: what to change, for a fault that ends the job.
    """

    def __init__(
        self,
        way: Way,
        kind: str,
        text: str,
        wait_s: float | None = None,
        *,
        of_sample: bool = False,
        cure: str = "",
    ) -> None:
        super().__init__(_printable(redact(text[: 4 * _SHOWN]))[: 2 * _SHOWN])
        self.way = way
        self.kind = kind
        self.wait_s = wait_s
        """Seconds the endpoint asks to wait; None where it asks nothing."""
        self.of_sample = of_sample
        self.cure = cure
        self.billed = False
        """Whether the endpoint may have worked on the request all the same."""


def _printable(text: str) -> str:
    """Return text from outside without what would steer a terminal."""
    return "".join(one if one.isprintable() else " " for one in text)


def wrong_schema(text: str) -> FaultError:
    """Return the fault of a reply that is JSON and not what was promised."""
    return FaultError(Way.AGAIN, "WrongSchemaError", f"not the reply that was promised: {text}")


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """A reply whose status is no success. ``value`` is its JSON, None where it has none."""

    status: int
    headers: Mapping[str, str]
    value: Any
    text: str

    @property
    def error(self) -> Mapping[str, Any]:
        """Return the ``error`` object that OpenAI's and Google's APIs send, else nothing."""
        found = self.value.get("error") if isinstance(self.value, dict) else None
        return found if isinstance(found, dict) else {}

    @property
    def words(self) -> str:
        """Return status and what the endpoint says, for people."""
        said = self.error.get("message")
        if not isinstance(said, str):
            said = self.text
        codes = (self.error.get(name) for name in ("code", "status"))
        code = next((one for one in codes if isinstance(one, str)), None)
        named = "" if code is None else f" ({code[:_SHOWN]})"
        said = " ".join(said[: 2 * _SHOWN].split())[:_SHOWN]
        return f"HTTP {self.status}{named}: {said}" if said else f"HTTP {self.status}{named}"

    def names(self, *codes: str) -> bool:
        """Tell whether the error's ``code`` or ``type`` is one of these."""
        return any(self.error.get(name) in codes for name in ("code", "type"))


_BY_STATUS = {
    400: (Way.ITEM, "BadRequestError"),
    401: (Way.END, "KeyRefusedError"),
    402: (Way.END, "QuotaExhaustedError"),
    404: (Way.END, "NoSuchModelError"),
    405: (Way.END, "WrongAddressError"),
    407: (Way.END, "ProxyError"),
    408: (Way.AGAIN, "TimedOutError"),
    409: (Way.AGAIN, "ServerFaultError"),
    425: (Way.AGAIN, "ServerFaultError"),
    429: (Way.WAIT, "RateLimitedError"),
}


def classify(reply: ErrorReply) -> FaultError:
    """Return the fault of an error reply as OpenAI-compatible endpoints mean it.

    429 has two meanings: too fast, and nothing left to spend. 403 in the API's own words is
    about the key; without them (a filter in between, a web page) it is about this request.
    """
    status = reply.status
    way, kind = _BY_STATUS.get(status, (Way.ITEM, "BadRequestError"))
    if 300 <= status < 400:  # noqa: PLR2004 - the range of redirections
        way, kind = Way.LATER, "RedirectedError"
        where = redact(reply.headers.get("Location", "nowhere")[:_SHOWN])
        text = f"HTTP {status}: a redirection to {where} is not followed"
        return FaultError(way, kind, text)
    if status == 403:  # noqa: PLR2004 - forbidden
        way, kind = (Way.END, "KeyRefusedError") if reply.error else (Way.LATER, "ForbiddenError")
    elif status >= 500:  # noqa: PLR2004 - server errors
        way, kind = Way.AGAIN, "ServerFaultError"
    if reply.names(*_SPENT):
        way, kind = Way.END, "QuotaExhaustedError"
    wait_s = asked_wait(reply.headers)
    about = objection(status, reply.value, reply.text)
    if about.about == "form" and way is Way.ITEM:
        remedy = cure(reply.words, about.names)
        return FaultError(Way.END, "UnsupportedParameterError", reply.words, cure=remedy)
    if way is Way.AGAIN and wait_s is not None:
        way = Way.WAIT
    return FaultError(way, kind, reply.words, wait_s, of_sample=about.about == "sample")
