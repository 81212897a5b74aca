"""Typographic apostrophes and quotation marks, and what a typewriter has in their place.

What must hold: a text keeps its length, so that places in it stay what they are.
"""

from __future__ import annotations

_PLAIN = dict.fromkeys(
    map(ord, "\u2018\u2019\u201b\u02bc\u2032\uff07`\u00b4"), "'"
) | dict.fromkeys(map(ord, "\u201c\u201d\u2033\uff02"), '"')


def typewritten(text: str) -> str:
    """Return a text with the apostrophes and quotation marks of a typewriter."""
    return text.translate(_PLAIN)
