"""Whole numbers written in digits by strangers: read within bounds, or refused in plain words.

What must hold: no text of digits, however long, ends in Python's own error about the length of
integers, and none takes long to read.
"""

from __future__ import annotations

MOST_DIGITS = 400
"""As many as the largest double has, and some more: no number that is computed with has more."""


def whole_number(text: str) -> int:
    """Return the number; also for ``parse_int`` of a JSON decoder.

    Raises:
        ValueError: it has too many digits, or is not a number.

    """
    if len(text) > MOST_DIGITS:
        raise ValueError(
            f"the number {text[:12]}... has {len(text):,} characters (limit {MOST_DIGITS})"
        )
    return int(text)
