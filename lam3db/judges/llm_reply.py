"""What of a judge's reply is its verdict, before any parser reads it.

A judge that thinks writes a block first; a server may write CRLF, blanks at line ends, the
model's end marker or a code fence around the whole. None of it belongs to the verdict.

A reply may be hostile, since an answer may sway its judge: the time that reading takes grows with
its length and not faster.

What must hold: only a block at the very beginning is reasoning, and a verdict is what comes
behind it: a block that was never closed leaves no verdict. Nothing inside the reply is
removed but what is named here, and a reply that holds none of it comes back as it was.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lam3db.judges.typography import typewritten

if TYPE_CHECKING:
    from collections.abc import Iterable

_OPENED = re.compile(r"\s*<(think|thinking|reasoning|thought)>", re.IGNORECASE)
_CLOSED = re.compile(r"\n[ \t]*</think>|</think>(?=[ \t]*[\r\n]|\s*\Z)", re.IGNORECASE)
_LINE_ENDS = re.compile("\r\n?|[\n\u0085\u2028\u2029]")
_UNSEEN = re.compile("[\ufeff\u200b\u2060]")
_END_MARKERS = (
    "</s>", "<eos>", "<end_of_turn>", "<|eot_id|>", "<|eot|>", "<|im_end|>", "<|endoftext|>",
    "<|end_of_text|>", "<|end|>",
)  # fmt: skip
_FENCED = re.compile(r"(`{3,8}|~{3,8})[ \t]*[\w+-]{0,20}[ \t]*\n(.*?)\n?[ \t]*\1", re.DOTALL)
_DECORATION = " \t\n*_`\"'\u2018\u2019\u201c\u201d#>.,;:!()[]{}-\u2022"
_QUOTATIONS = re.compile(
    r"\"[^\"]*(?:\"|\Z)|\u201c[^\u201d]*(?:\u201d|\Z)|\u00ab[^\u00bb]*(?:\u00bb|\Z)|`[^`]*`"
    r"|(?<!\w)['\u2018](?:[^'\u2019]|['\u2019](?=\w)){0,300}+['\u2019](?!\w)"
)


class UnparsedError(Exception):
    """An answer that is not what was requested; the text says why."""


def without_reasoning(text: str) -> str:
    """Return what stands behind a block of reasoning at the beginning.

    A template may have opened the block itself, so that only its end is in the reply, at the end
    or the beginning of a line; within a line somebody speaks of such a tag.

    Raises:
        UnparsedError: the block was never closed.

    """
    opened = _OPENED.match(text)
    if opened is None:
        closed = _CLOSED.search(text)
        return text[closed.end() :] if closed else text
    closed = re.compile(f"</{opened[1]}>", re.IGNORECASE).search(text, opened.end())
    if closed is None:
        raise UnparsedError("its reasoning was never closed")
    return text[closed.end() :]


def tidied(text: str) -> str:
    """Return a reply with plain line ends, without end markers and a fence around the whole."""
    lines = _LINE_ENDS.split(_UNSEEN.sub("", text))
    plain = "\n".join(line.rstrip(" \t\u00a0") for line in lines).strip()
    while plain.endswith(_END_MARKERS):
        plain = plain[: plain.rindex("<")].rstrip()
    fenced = _FENCED.fullmatch(plain)
    return fenced[2].strip() if fenced else plain


def undecorated(text: str) -> str:
    """Return a word without Markdown, quotation marks and punctuation around it."""
    return text.strip(_DECORATION)


def straightened(text: str) -> str:
    """Return a text with typewriter apostrophes, without regard to case."""
    return typewritten(text).casefold()


def without_quotations(text: str) -> str:
    """Return a text without what stands between quotation marks."""
    return _QUOTATIONS.sub(" ", text)


def holds_word(text: str, words: Iterable[str]) -> bool:
    """Tell whether one of the words stands in a text as a word of its own."""
    folded = text.casefold()
    return any(
        re.search(rf"(?<!\w){re.escape(word.casefold())}(?!\w)", folded) for word in words if word
    )
