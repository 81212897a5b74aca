"""Identity is content: canonical JSON, digests, and the one escape for odd characters.

Canonical JSON follows RFC 8785 (keys sorted by UTF-16 code units, numbers as ECMAScript
prints them, no white space, no Unicode normalisation). A digest is SHA-256 over
``lam3db:<kind>:<version>``, a line feed, and the canonical JSON in UTF-8: 32 bytes.

NUL (which PostgreSQL refuses) and lone surrogates (which no driver encodes) are written
through one reversible escape *before* hashing and storing, so that a text has one digest on
every engine. The escape character is U+E000 of the private use area, followed by the four
hex digits of the code unit it stands for; it escapes itself.

What must hold: equal values give equal bytes, in every process and release; a field added
to a hashed value later is left out at its neutral value, so old digests stay.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

ESCAPE = "\ue000"
_UNSTORABLE = re.compile("[\x00\ud800-\udfff\ue000]")
_ESCAPED = re.compile(ESCAPE + "([0-9A-F]{4})")
_LARGEST_INTEGER = 2**53
_CHUNK = 1 << 20
_SMALLEST_PLAIN = -7
_LARGEST_PLAIN = 21


def escape(text: str) -> str:
    """Return ``text`` as it is stored and hashed; the same object where nothing is odd."""
    if _UNSTORABLE.search(text) is None:
        return text
    return _UNSTORABLE.sub(lambda m: f"{ESCAPE}{ord(m[0]):04X}", text)


def unescape(text: str) -> str:
    """Undo :func:`escape`."""
    if ESCAPE not in text:
        return text
    return _ESCAPED.sub(lambda m: chr(int(m[1], 16)), text)


def canonical_json(value: object) -> str:
    """Return ``value`` as RFC 8785 JSON with every string escaped.

    Raises:
        TypeError: a value that is no JSON (a set, bytes, a non-string key).
        ValueError: NaN, an infinity, or an integer beyond 2**53.

    """
    if isinstance(value, str):
        return _string(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(canonical_json, value)) + "]"
    if isinstance(value, Mapping):
        return _object(value)
    message = f"{type(value).__name__} is not JSON: {value!r}"
    raise TypeError(message)


def digest(kind: str, value: object, version: int = 1) -> bytes:
    """Return the 32-byte identity of ``value`` as a thing of this ``kind``."""
    body = f"lam3db:{kind}:{version}\n{canonical_json(value)}"
    return hashlib.sha256(body.encode()).digest()


def text_digest(text: str) -> bytes:
    """Return the digest of an answer's text, by which equal answers are known."""
    return hashlib.sha256(f"lam3db:text:1\n{_string(text)}".encode()).digest()


def file_sha256(path: Path, tick: Callable[[int], None] | None = None) -> str:
    """Return the hex SHA-256 of a file; ``tick`` is told the bytes read, chunk by chunk."""
    state = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            state.update(chunk)
            if tick is not None:
                tick(len(chunk))
    return state.hexdigest()


def _string(text: str) -> str:
    return encode_basestring(escape(text))


def _integer(value: int) -> str:
    if abs(value) > _LARGEST_INTEGER:
        message = f"{value} is beyond 2**53 and would not survive JSON: store it as text"
        raise ValueError(message)
    return str(int(value))


def _float(value: float) -> str:
    """Print as ECMAScript's Number::toString does (shortest digits that read back)."""
    if not math.isfinite(value):
        message = f"{value} is not JSON: a missing number is null"
        raise ValueError(message)
    if value == 0:
        return "0"
    sign, digits, exponent = _shortest_digits(value)
    point = len(digits) + exponent
    if _SMALLEST_PLAIN < point - 1 < _LARGEST_PLAIN:
        return sign + _plain(digits, point)
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{point - 1:+d}"


def _shortest_digits(value: float) -> tuple[str, str, int]:
    # float's own: the repr of a subclass (numpy.float64) need not be a number
    mantissa, _, power = float.__repr__(value).lstrip("-").partition("e")
    whole, _, part = mantissa.partition(".")
    part = "" if part == "0" else part
    digits = (whole + part).lstrip("0")
    exponent = int(power or 0) - len(part)
    stripped = digits.rstrip("0")
    return ("-" if value < 0 else ""), stripped, exponent + len(digits) - len(stripped)


def _plain(digits: str, point: int) -> str:
    if point <= 0:
        return "0." + "0" * -point + digits
    if point >= len(digits):
        return digits + "0" * (point - len(digits))
    return f"{digits[:point]}.{digits[point:]}"


def _object(value: Mapping[Any, object]) -> str:
    for key in value:
        if not isinstance(key, str):
            message = f"a JSON key must be a string, not {key!r}"
            raise TypeError(message)
    escaped: Sequence[tuple[str, object]] = [(escape(k), v) for k, v in value.items()]
    ordered = sorted(escaped, key=lambda item: item[0].encode("utf-16-be"))
    return "{" + ",".join(f"{_string_raw(k)}:{canonical_json(v)}" for k, v in ordered) + "}"


def _string_raw(escaped: str) -> str:
    return encode_basestring(escaped)
