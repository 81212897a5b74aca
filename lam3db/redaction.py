"""No secret in a row, a log or an error: one function that takes them out.

What must hold: whatever text from outside (a command line, an exception, an environment
value, a database URL) goes into a row, a log or a message has been through :func:`redact`.

Two kinds of things are taken for secrets: a value with a name before it (``api_key=...``,
``--token ...``, ``Authorization: Bearer ...``) and a value whose shape tells (``sk-...``,
``hf_...``, a URL with a password, a private key). Counts of tokens and a model's special
tokens (``pad_token``, ``image_token`` ...) are neither.
"""

from __future__ import annotations

import re

MASK = "***"
_SPECIAL = "bos|eos|pad|unk|sep|cls|mask|image|video|audio|special|stop|end|next|first|last|added"
_PLAIN_NAME = (
    r"(?:api[_-]?key|access[_-]?key|private[_-]?key|account[_-]?key|secret(?:[_-]?key)?|credentials?"
    rf"|(?<!\w)token|(?<![a-z0-9])(?!(?:{_SPECIAL})[_-])[a-z0-9]+[_-]token"
    r"|[a-z0-9]*password|[a-z0-9]*passwd|passphrase|authorization)"
)
_NAME = rf"(?:[a-z0-9]+[_-])*{_PLAIN_NAME}"
_SECRET_NAME = re.compile(_NAME, re.IGNORECASE)
# the user may be absent (redis://:secret@host); the password may itself hold "@", "/" or ":"
_URL_PASSWORD = re.compile(
    r"(?P<head>\b[a-z][a-z0-9+.-]*://[^\s:/@'\"]*:)[^\s'\"]+(?=@[^\s@/]*)", re.IGNORECASE
)
_URL_TOKEN = re.compile(r"(?P<head>\bhttps?://)[^\s:/@'\"]{12,}(?=@)", re.IGNORECASE)
_QUERY_KEY = re.compile(r"(?P<head>[?&](?:key|sig)=)[^\s&\"']+", re.IGNORECASE)
_BEARER = re.compile(r"(?P<head>\b(?:bearer|basic)\s+)(?=\S*[\d=])[\w.~+/=-]{8,}", re.IGNORECASE)
_ASSIGNED = re.compile(
    rf"""(?P<head>(?<![a-z0-9]){_NAME}["']?\s*[=:]\s*(?:b?["'])?(?:(?:bearer|basic|token)\s+)?)"""
    r"""(?P<value>(?<=")[^"\n]{4,}|(?<=')[^'\n]{4,}|[^\s"'&,;<{\[(*][^\s"'&,;]{3,})""",
    re.IGNORECASE,
)
_OPTION = re.compile(
    rf"""(?P<head>(?<![\w-])--?{_NAME}\s+)(?P<value>"[^"]*"|'[^']*'|(?!-)[^\s"']+)""", re.IGNORECASE
)
_SHAPED = re.compile(
    r"\b(?:sk-[\w-]{8,}|hf_[A-Za-z0-9]{8,}|AIza[\w-]{20,}|gh[pousr]_\w{16,}|github_pat_\w{16,}"
    r"|glpat-[\w-]{16,}|xox[abeoprs]-[\w-]{8,}|A(?:KIA|SIA)[A-Z0-9]{16}|r8_\w{20,}|gsk_\w{20,}"
    r"|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]+)"
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)


def redact(text: str) -> str:
    """Return ``text`` with passwords, keys and tokens replaced by ``***``."""
    text = _PRIVATE_KEY.sub(MASK, text)
    for pattern in (_URL_PASSWORD, _URL_TOKEN, _QUERY_KEY, _BEARER, _ASSIGNED, _OPTION):
        text = pattern.sub(rf"\g<head>{MASK}", text)
    return _SHAPED.sub(MASK, text)


def redact_command(arguments: list[str]) -> str:
    """Return a command line fit to be stored: each argument redacted, quoted for a shell."""
    import shlex

    return redact(shlex.join(arguments))


def is_secret_name(name: str) -> bool:
    """Tell whether a key or variable of this name holds a secret (``api_key``, ``HF_TOKEN``)."""
    return _SECRET_NAME.fullmatch(name) is not None


def looks_secret(text: str) -> bool:
    """Tell whether the text holds something of a secret's shape, whatever it is called."""
    patterns = (_SHAPED, _PRIVATE_KEY, _URL_PASSWORD)
    return any(pattern.search(text) is not None for pattern in patterns)
