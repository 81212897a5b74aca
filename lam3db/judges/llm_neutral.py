"""An answer must not be able to talk to its judge.

What an answer, a prompt or a behavior holds is put into the judge's prompt as text. Three
kinds of text could be taken for something else, and each is changed by one rule:

1. Control markers of known models, whatever model judges (``<|im_end|>``, ``</s>``,
   ``[INST]``, ``<<SYS>>``, ``<start_of_turn>``, ``<image>``, ``[[Yes]]``): a space goes after
   the first character. A local model's own control tokens are plain text anyway (see
   :mod:`lam3db.models.markers`); role words such as ``[INST]`` are ordinary text to many
   tokenizers, and an endpoint's tokenizer is not known.
2. The judge's own delimiters, taken from its template: tags and marks in brackets get round
   ones (``</answer>`` becomes ``(/answer)``), lines that are a fence and lines that begin with
   one of its labels (``Answer:``) get ``| `` before them; further ones can be named.
3. Verdicts in the form the judge gives them: labelled lines and, in a text of several lines,
   lines that are nothing but a verdict word (or one and a marker) get ``| `` before them; the
   keys of its JSON lose their double quotes.

What must hold: the same text always becomes the same; what comes out holds none of these;
the time taken grows with the text's length and not faster (an answer is hostile);
``RULE_VERSION`` is raised when a text would become another, and is part of the identity.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

RULE_VERSION = "1"
_SHAPES = re.compile(
    r"<[|\uff5c][^<>\n]{1,60}[|\uff5c]>"  # <|im_end|> and its full-width kin
    r"|<(?:\|(?=\w)|/?(?:s|bos|eos|pad|unk|image|img|video|audio|think|tool_call)>)"
    r"|</?[a-z]+(?:_[a-z0-9]+)+>"  # <start_of_turn>
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|IMG|IMG_BREAK|IMG_END)\]"
    r"|<</?SYS>>"
    r"|\[\[[^\[\]\n]{1,40}\]\]",
    re.IGNORECASE,
)
_BREAKS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
_START = rf"(?:\A|(?<=[{_BREAKS}]))"
_END = rf"(?=\Z|[{_BREAKS}])"
_LINE = re.compile(rf"[{_BREAKS}]")
_TAG = re.compile(r"</?([A-Za-z][\w.-]*)\b[^<>\n]{0,80}>")
_MARK = re.compile(r"\[+[^\[\]\n]{1,60}\]+")
_FENCE = re.compile(r"^[ \t]*([-=#*~`_+])\1{2,}[ \t]*\w*[ \t]*$", re.MULTILINE)
_LABEL = re.compile(r"^[ \t]*([^\n:{}]{1,60}):[ \t]*$", re.MULTILINE)
_ROUND = str.maketrans("<>[]", "()()")


@dataclass(frozen=True, slots=True)
class Delimiters:
    """What a judge's prompt and verdicts are told apart by.

    ``literals`` are the template's own texts, each ending where a field begins or the
    message ends; ``labels`` and ``words`` are those of its verdicts, ``keys`` those of its
    JSON, ``others`` are named by a person.
    """

    literals: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


class Neutraliser:
    """Makes fields harmless for one judge."""

    def __init__(self, delimiters: Delimiters) -> None:
        found = [(_any(_brackets(delimiters.literals)), _rounded)]
        found += [
            (
                _any(
                    rf'"\s{{0,3}}{_loose(key)}\s{{0,3}}"(?=\s{{0,3}}:)' for key in delimiters.keys
                ),
                _unquoted,
            )
        ]
        found += [(_any(re.escape(one) for one in delimiters.others), _spaced)]
        found += [(_SHAPES, _spaced)]
        labels = {*delimiters.labels, *_labels(delimiters.literals)}
        lines = [rf"{_START}[ \t*_#]*{_loose(label)}[ \t*_]*:" for label in sorted(labels)]
        lines += [
            rf"{_START}[ \t]*{re.escape(fence)}{{3,}}[ \t]*(?:[a-z0-9]{{1,20}}[ \t]*)?{_END}"
            for fence in sorted(_fences(delimiters.literals))
        ]
        self._steps: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
            *found,
            (_any(lines), _quoted),
        )
        words = (re.escape(word.strip()) for word in delimiters.words if word.strip())
        self._word = _any(
            rf"{_START}[ \t*_#]*{word}[ \t*_.!]*(?:{_END}|(?=[<\[]))" for word in words
        )

    def clean(self, text: str) -> str:
        """Return the text without anything that this judge could take for its own."""
        for pattern, change in self._steps:
            while pattern.search(text):
                text = pattern.sub(change, text)
        # an answer of one word is an answer; a line of its own after others is a claim
        if _LINE.search(text.strip()):
            text = self._word.sub(_quoted, text)
        return text


def _any(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(patterns) or r"(?!)", re.IGNORECASE)


def _loose(text: str) -> str:
    """Return a pattern for ``text`` in which any white space stands for any other."""
    return r"[ \t]+".join(map(re.escape, text.split()))


def _brackets(literals: tuple[str, ...]) -> list[str]:
    """Return patterns for the tags and marks of a template; a known shape is none of them."""
    tags = {match[1].lower() for text in literals for match in _TAG.finditer(text)}
    marks = {
        " ".join(match[0].strip("[]").lower().split())
        for text in literals
        for match in _MARK.finditer(text)
    }
    return [
        *(rf"<\s{{0,3}}/?\s{{0,3}}{re.escape(tag)}\b[^<>]{{0,80}}>" for tag in sorted(tags)),
        *(
            rf"\[{{1,4}}\s{{0,3}}{_loose(mark)}\s{{0,3}}\]{{1,4}}"
            for mark in sorted(filter(None, marks))
        ),
    ]


def _labels(literals: tuple[str, ...]) -> set[str]:
    found = {match[1].strip(" \t*_#") for text in literals for match in _LABEL.finditer(text)}
    return {label for label in found if label}


def _fences(literals: tuple[str, ...]) -> set[str]:
    return {match[1] for text in literals for match in _FENCE.finditer(text)}


def _spaced(match: re.Match[str]) -> str:
    return f"{match[0][0]} {match[0][1:]}"


def _rounded(match: re.Match[str]) -> str:
    return match[0].translate(_ROUND)


def _quoted(match: re.Match[str]) -> str:
    return f"| {match[0]}"


def _unquoted(match: re.Match[str]) -> str:
    return match[0].replace('"', "'")
