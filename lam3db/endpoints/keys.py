"""API keys: from the environment or a ``.env`` file of the working folder, and nowhere else.

The environment comes first. The file is read for the one name asked and never loaded into
the environment, where every program we start would see all of it.

What must hold: a key is shown, stored and logged nowhere, nor is a piece of it in an error; a
key that cannot be one is told by its variable's name.
"""

from __future__ import annotations

import os
import re
from base64 import b64encode, urlsafe_b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lam3db.errors import ConfigError
from lam3db.redaction import MASK

ENV_FILE = ".env"
_CLEAN = re.compile(r"[!-~]+")
_SHORT = 4
_PIECE = 12
"""Characters: so much of a key is masked in an error even where the rest of it was cut off."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key and where it was found; printing one shows the variable's name only."""

    value: str = field(repr=False)
    variable: str
    place: str

    def mask(self, text: str) -> str:
        """Return ``text`` without the key, as it is or as a URL or Base64 writes it."""
        if len(self.value) >= _SHORT:
            for form in self._forms():
                text = text.replace(form, MASK)
        return text

    def mask_pieces(self, text: str) -> str:
        """Return ``text`` without the key and without any long piece of it; for errors only."""
        text = self.mask(text)
        value = self.value
        pieces = {value[at : at + _PIECE] for at in range(len(value) - _PIECE + 1)}
        hidden: set[int] = set()
        for piece in pieces:
            hidden.update(
                place
                for found in re.finditer(f"(?={re.escape(piece)})", text)
                for place in range(found.start(), found.start() + _PIECE)
            )
        return "".join(
            one if place not in hidden else "" if place - 1 in hidden else MASK
            for place, one in enumerate(text)
        )

    def mask_json(self, value: Any) -> Any:
        """Return a JSON value without the key in its texts and names.

        JSON spells one text in many ways, so this looks at what it says, not at its bytes.
        """
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, list):
            return [self.mask_json(one) for one in value]
        if isinstance(value, dict):
            return {self.mask(name): self.mask_json(one) for name, one in value.items()}
        return value

    def _forms(self) -> tuple[str, ...]:
        raw = self.value.encode()
        packed = b64encode(raw).decode().rstrip("=")
        return self.value, quote(self.value, safe=""), packed, *_packed_inside(raw)


def _packed_inside(raw: bytes) -> tuple[str, ...]:
    """Return what Base64 makes of it amid other bytes, but for what depends on those."""
    found = {
        pack(bytes(lead) + raw)[start : 8 * (lead + len(raw)) // 6].decode()
        for lead, start in ((0, 0), (1, 2), (2, 3))
        for pack in (b64encode, urlsafe_b64encode)
    }
    return tuple(sorted(one for one in found if len(one) >= 2 * _SHORT))


def find_key(variable: str) -> Key | None:
    """Return the key of this variable; None where it is set nowhere.

    Raises:
        ConfigError: it holds blanks, quotes or what no HTTP header can carry.

    """
    place = "the environment"
    value = os.environ.get(variable)
    if not value:
        place = ENV_FILE
        value = _from_file(variable)
    if not value:
        return None
    if _CLEAN.fullmatch(value) is None or value[0] in "\"'":
        raise ConfigError(
            f"{variable} (from {place}) is no clean key: set it again without blanks, quotes, "
            "line ends or characters beyond ASCII"
        )
    return Key(value, variable, place)


def require_key(variable: str, what: str) -> Key:
    """Return the key of this variable; raise ConfigError where it is set nowhere."""
    key = find_key(variable)
    if key is None:
        raise ConfigError(
            f"{what}: no key: set {variable} in the environment, or write {variable}=... into "
            f"{ENV_FILE} in the working folder"
        )
    return key


def _from_file(variable: str) -> str | None:
    from dotenv import dotenv_values

    if not Path(ENV_FILE).is_file():
        return None
    try:
        return dotenv_values(ENV_FILE, interpolate=False).get(variable)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{ENV_FILE} cannot be read: {error}") from error
