r"""Texts into encodings that cannot hold them: what does not fit stands there as its escape.

What must hold: no output ends because a text holds a lone surrogate, or a character that the
target's encoding lacks; what is written in its place is ``\uXXXX`` in lower-case hexadecimals (a
pair of them beyond U+FFFF), which JSON reads back as the same text.
"""

from __future__ import annotations

import codecs

_NAME = "lam3db.escape"
_BEYOND = 0x10000


def escape_errors() -> str:
    """Return the name to give as ``errors`` of a stream or of :meth:`str.encode`."""
    codecs.register_error(_NAME, _escape)
    return _NAME


def escaped(text: str, encoding: str = "utf-8") -> str:
    r"""Return ``text`` with every character that ``encoding`` lacks as its ``\uXXXX``."""
    return text.encode(encoding, escape_errors()).decode(encoding)


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_code, error.object[error.start : error.end])), error.end


def _code(character: str) -> str:
    number = ord(character)
    if number < _BEYOND:
        return f"\\u{number:04x}"
    high, low = divmod(number - _BEYOND, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
