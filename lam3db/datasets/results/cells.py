"""Single values of a row: texts, labels and numbers, each read strictly or told as a fault.

What must hold: a word that is not known is never taken for one that is; a missing value is
None, and so is no label; a number is finite.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import shown
from lam3db.records import Finding, Message, ScoreStatus, TextPart, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lam3db.datasets.faults import Faults
    from lam3db.records import ImagePart

_LONGEST_WORD = 200
_EXACT = 2**53
"""The largest whole number that every reader of JSON keeps."""
_WRITTEN = re.compile(r"[+-]?(?:0|[1-9]\d{0,30})(?:\.\d{0,30})?(?:e[+-]?\d{1,2})?", re.ASCII)
"""A number as programs write it. ``01`` is none: it may be a code, whose zeros count."""


def posed(prompt: str | None, *images: ImagePart, system: str | None = None) -> tuple[Message, ...]:
    """Return a user's message of images and a text, after a system message where there is one."""
    texts = () if prompt is None else (TextPart(prompt),)
    said = (Message("user", (*images, *texts)),)
    return said if system is None else (Message("system", (TextPart(system),)), *said)


def text_or_none(value: Any, row: int, column: str, faults: Faults) -> str | None:
    """Return a text, None for null; anything else is a fault."""
    if value is None or isinstance(value, str):
        return value
    faults.add(row, column, f"{shown(value)} is no text")
    return None


def text_of_value(value: Any) -> str | None:
    """Return a text or number as text (``1`` for 1.0, ``true`` for True); None for the rest."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int | float) else None


def word_of(value: Any) -> str | None:
    """Return a cell as words are compared: without case and outer spaces; None for no word.

    A number is one word however it is written: ``1``, ``1.0`` and ``"1.00"`` are ``1``.
    """
    text = text_of_value(value)
    if text is None:
        return None
    return _folded(text) if len(text) <= _LONGEST_WORD else text.strip().casefold()


@lru_cache(4096)
def _folded(text: str) -> str:
    word = text.strip().casefold()
    return same_number(word) if word[:1].isdigit() or word[:1] in ("+", "-") else word


def same_number(word: str) -> str:
    """Return a number as it is shortest; what is none stays as it is."""
    if _WRITTEN.fullmatch(word) is None:
        return word
    text = f"{Decimal(word):f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def number_of(value: Any) -> float | None:
    """Return a finite number, from a number or the text of one; None where it is none."""
    if isinstance(value, str):
        if "_" in value or len(value) > _LONGEST_WORD:
            return None
        try:
            value = float(value.strip())
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def plain_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the texts, booleans and numbers that JSON keeps exactly; the rest is left out."""
    return {
        name: value
        for name, value in values.items()
        if isinstance(value, str)
        or (isinstance(value, float) and math.isfinite(value))
        or (isinstance(value, int) and abs(value) <= _EXACT)
    }


@dataclass(frozen=True, slots=True)
class Labels:
    """What the words of a column mean, compared as :func:`word_of` has them.

    ``words`` are verdicts by word; the others are the words by which a judge says that it has
    not scored, and those that mean that there is no label. Numbers and booleans are their text.
    """

    words: Mapping[str, Verdict]
    unscored: Mapping[str, ScoreStatus] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()

    def finding(self, value: Any, **details: Any) -> Finding | None:
        """Return what a cell says: None for no label, status ``unparsed`` for an unknown word."""
        text, word = text_of_value(value), word_of(value) or ""
        if value is None or (text is not None and word in self.missing):
            return None
        if word in self.words:
            return Finding(verdict=self.words[word], **details)
        status = self.unscored.get(word, ScoreStatus.UNPARSED)
        if not details.get("raw_output"):
            details["raw_output"] = text if text is not None else shown(value)
        return Finding(status, **details)


YES_NO = Labels(
    {
        **dict.fromkeys(("1", "true", "yes"), Verdict.UNSAFE),
        **dict.fromkeys(("0", "false", "no"), Verdict.SAFE),
    },
    missing=frozenset({""}),
)
"""Whether the attack succeeded, as most files say it."""
