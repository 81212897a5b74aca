r"""Texts of models on a terminal: shown, never obeyed.

A model's answer may hold escape sequences that clear a screen or rewrite a title, marks
that turn the direction of writing, lone surrogates that no terminal encodes. What must
hold: what :func:`safe_text` returns can be printed anywhere and hides nothing: every such
character stands there as its code (``\x1b``, ``\u202e``), so an answer that holds one reads
so. The database and the exports keep the text exactly as it came.
"""

from __future__ import annotations

import re
import unicodedata

_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and line feed, DEL, C1
    "\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)
_CUT = "\u2026"


def safe_text(text: str, width: int | None = None) -> str:
    """Return ``text`` fit for a terminal.

    Controls, escape sequences, direction marks, invisible characters and lone surrogates
    become their codes; tabs become four spaces. Without ``width`` line feeds stay; with it
    the text is put on one line and cut to that many terminal columns, the last being an
    ellipsis. Rich markup is untouched: print with ``markup=False`` or wrap in ``rich.text.Text``.
    """
    text = _HARMFUL.sub(_code, text.replace("\r\n", "\n")).replace("\t", "    ")
    return text if width is None else cut(" ".join(text.split()), width)


def cut(text: str, width: int) -> str:
    """Return ``text`` cut to ``width`` terminal columns, ending in an ellipsis if it was longer."""
    if columns(text) <= width:
        return text
    used, kept = 0, []
    for character in text:
        used += columns(character)
        if used > width - 1:
            break
        kept.append(character)
    return "".join(kept) + _CUT if width > 0 else ""


def columns(text: str) -> int:
    """Return how many terminal columns ``text`` takes: wide characters two, combining none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def _code(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
