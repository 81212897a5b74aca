"""No secret in a row, a log or an error: one function that takes them out.

What must hold: whatever text from outside (a command line, an exception, an environment
value, a database URL) goes into a row, a log or a message has been through :func:`redact`.
"""

from __future__ import annotations

import re

MASK = "***"
_URL_PASSWORD = re.compile(r"(?P<head>[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s@/]+(?=@)", re.IGNORECASE)
_NAMED = re.compile(
    r"""(?P<head>(?:[a-z0-9_-]*(?:api[_-]?key|secret|token(?!s)|password|passwd|authorization))"""
    r"""["']?\s*(?:=|:|\s)\s*["']?(?:bearer\s+)?)(?P<value>[^\s"'&,;]{4,})""",
    re.IGNORECASE,
)
_QUERY_KEY = re.compile(r"(?P<head>[?&]key=)[^\s&\"']+", re.IGNORECASE)
_SHAPED = re.compile(
    r"\b(?:sk-[\w-]{8,}|hf_[A-Za-z0-9]{8,}|AIza[\w-]{20,}|gh[pousr]_\w{16,}|xox[abp]-[\w-]{8,})"
)


def redact(text: str) -> str:
    """Return ``text`` with passwords, keys and tokens replaced by ``***``."""
    text = _URL_PASSWORD.sub(rf"\g<head>{MASK}", text)
    text = _QUERY_KEY.sub(rf"\g<head>{MASK}", text)
    text = _NAMED.sub(rf"\g<head>{MASK}", text)
    return _SHAPED.sub(MASK, text)


def redact_command(arguments: list[str]) -> str:
    """Return a command line fit to be stored: each argument redacted, quoted for a shell."""
    import shlex  # noqa: PLC0415 - needed once a run

    return redact(shlex.join(arguments))
