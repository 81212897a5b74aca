"""How values cross the border of the database.

What must hold: a text goes in through :func:`stored` or :func:`to_json` (escaped) and comes
out through :func:`plain` or :func:`from_json` (unescaped), so that callers never see the
escape; a time is an integer of microseconds since 1970 in UTC; free text that could hold a
secret goes in through :func:`clean`.
"""

from __future__ import annotations

import json
import time
import uuid
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from lam3db.hashing import canonical_json, escape, unescape
from lam3db.redaction import MASK, is_secret_name, redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

CHUNK = 500
"""Parameters per statement when ids are looked up."""

_SPACE = uuid.UUID("3f9d4a9e-6a53-5d0b-9a58-8b0a4bb2f0c7")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_T = TypeVar("_T")

stored = escape
to_json = canonical_json


def now() -> int:
    """Return the time as it is stored."""
    return time.time_ns() // 1000


def as_datetime(microseconds: int) -> datetime:
    """Return a stored time as an aware UTC datetime."""
    return _EPOCH + timedelta(microseconds=microseconds)


def new_uid() -> str:
    """Return an identity for a row that has no content to hash."""
    return str(uuid.uuid4())


def uid_of(*parts: object) -> str:
    """Return an identity that follows from content: the same in every database that reads it."""
    return str(uuid.uuid5(_SPACE, canonical_json([str(part) for part in parts])))


def stored_or_none(text: str | None) -> str | None:
    """Return an optional text as it is stored."""
    return None if text is None else escape(text)


def plain(text: str | None) -> str | None:
    """Return a stored text, which may be absent, as it came."""
    return None if text is None else unescape(text)


def from_json(text: str) -> Any:
    """Read back what :func:`to_json` wrote."""
    value = json.loads(text)
    return _unescaped(value) if "\ue000" in text or "\\ue000" in text else value


def clean(value: Any) -> Any:
    """Return a JSON value without secrets: by the name of the key and by shape."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    if hasattr(value, "items"):
        return {key: _clean_named(key, item) for key, item in value.items()}
    return value


def clean_json(value: Mapping[str, Any]) -> str:
    """Return a mapping as canonical JSON without secrets."""
    return to_json(clean(value))


def chunks(items: Sequence[_T], size: int = CHUNK) -> Iterator[Sequence[_T]]:
    """Cut a sequence into pieces of at most ``size``."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def paged(items: Iterable[_T], size: int = CHUNK) -> Iterator[list[_T]]:
    """Gather what comes one by one into lists of at most ``size``."""
    rest = iter(items)
    while page := list(islice(rest, size)):
        yield page


def _clean_named(key: str, value: Any) -> Any:
    secret = isinstance(value, str) and value and is_secret_name(key)
    return MASK if secret else clean(value)


def _unescaped(value: Any) -> Any:
    if isinstance(value, str):
        return unescape(value)
    if isinstance(value, list):
        return [_unescaped(item) for item in value]
    if isinstance(value, dict):
        return {unescape(key): _unescaped(item) for key, item in value.items()}
    return value
