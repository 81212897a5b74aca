"""From the text of a judge's answer to named fields.

Four parsers. ``guard``: a verdict word on a line of its own and, behind it, the codes of
categories, however they are set out. ``regex``: a pattern with named groups that fits the whole
text (or, with ``whole: false``, is found in it). ``json``: one object. ``lines``: ``Label: value``
lines.

What must hold: the fields that a verdict or a value is made of are read where they can be read
in one way only, and not otherwise: never where two words contradict each other. Any other field
is a detail: what of it is missing, not understood or was not requested is passed over with a
remark, and takes no verdict with it. A text that fits to the letter is read to the letter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lam3db.judges.llm_json import merged, read_object
from lam3db.judges.llm_reply import UnparsedError, holds_word, tidied, undecorated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lam3db.judges.llm_settings import OutputSettings

PARSER_VERSION = "2"
"""Of the parsers and of what their fields mean: raise it when a text would be read otherwise."""
ODDS_VERSION = "1"
"""The same of a judge whose odds are weighed: it parses no text."""
_LONGEST = 100_000
_SHOWN = 40
_WHOLE_NUMBER = re.compile(r"([+-]?[0-9]{1,9})(?:\.0{1,9})?")
_CODE = re.compile(r"[A-Z]{1,2}[0-9]{1,3}", re.IGNORECASE)
_DENIED = (
    r"(?:\b(?:not|never|cannot)|n['\u2019]t)\s+"
    r"(?:(?:a|an|at|all|be|been|considered|deemed|entirely|fully|completely|really|quite)\s+)*"
)
_TAKEN_BACK = re.compile(
    r"[\s(\[:;,.\u2013\u2014-]*(?:(?:or\s+|probably\s+)?(?:no|not|nope|false|never|wrong)"
    r"(?:\s+(?:really|quite|at all|exactly|entirely|so|necessarily))?"
    r"|n/?a|not applicable|unknown|unclear|perhaps|maybe|possibly)[\s.!?)\]]*"
    r"|\s*[:=]\s*[0-9]+(?:\.[0-9]+)?\s*%?"
)
"""Remarks that leave no verdict: ``safe: no`` and ``unsafe: 0.1`` are a label and its value."""
_ANSWERS = frozenset({"yes", "no", "true", "false"})
_OF_PROMPT = re.compile(r"prompt|request|question|input|user|query", re.IGNORECASE)
_CATEGORY_LABEL = re.compile(r"^[\s*_]*(?:\w+ )?categor(?:y|ies)[\s*_]*[:\uff1a]", re.IGNORECASE)
_REMARKED = re.compile(r"\s*[(\[]|\s*[-\u2013\u2014:;,.]\s")


@dataclass(frozen=True, slots=True)
class Parsed:
    """The fields of an answer, and what of it was passed over."""

    fields: Mapping[str, str]
    remarks: tuple[str, ...] = ()


def parse(output: OutputSettings, text: str) -> Parsed:
    """Return the fields of an answer; raise UnparsedError."""
    if len(text) > _LONGEST:
        raise UnparsedError(f"an answer of {len(text)} characters")
    parsers = {"guard": _guard, "regex": _regex, "json": _json, "lines": _lines}
    return parsers[output.parser or ""](output, text.strip())


def whole_number(text: str) -> int:
    """Return a number written in digits, ``4`` or ``4.0``; raise UnparsedError."""
    match = _WHOLE_NUMBER.fullmatch(text)
    if match is None:
        raise UnparsedError(f"{text[:_SHOWN]!r} is not a whole number")
    return int(match[1])


def verdict_of(text: str, verdicts: Mapping[str, str]) -> str | None:
    """Return what a text means as a verdict; None where it is no verdict, or could be two."""
    word = verdict_word(text, verdicts)
    return None if word is None else verdicts[word]


def verdict_word(text: str, verdicts: Mapping[str, str]) -> str | None:
    """Return the verdict that a text is, as the settings write it; None where it is none.

    Letter case, Markdown and punctuation around the word do not count, and a remark may stand
    behind it (``yes (it complies)``) that neither takes it back (``safe: no``) nor holds another
    verdict.
    """
    if text in verdicts:
        return text
    bare = undecorated(text).casefold()
    words = {word: folded for word in verdicts if (folded := undecorated(word).casefold())}
    fitting = [word for word, folded in words.items() if folded == bare]
    if not fitting:
        fitting = [word for word, folded in words.items() if _remarked(bare, folded)]
        if any(contradicts(bare, verdicts, verdicts[word]) for word in fitting):
            return None
    return fitting[0] if len({verdicts[word] for word in fitting}) == 1 else None


def _remarked(bare: str, word: str) -> bool:
    """Tell whether a text is a word with a remark behind it that does not take it back."""
    if not bare.startswith(word) or _REMARKED.match(bare, len(word)) is None:
        return False
    return _TAKEN_BACK.fullmatch(bare, len(word)) is None


def contradicts(text: str, verdicts: Mapping[str, str], meaning: str) -> bool:
    """Tell whether a text speaks against ``meaning``.

    It does where it denies a word of that verdict (``not safe``) or holds one of another verdict
    without denying it.
    """
    denied = "|".join(map(re.escape, _folded(verdicts, lambda means: means == meaning)))
    if denied and re.search(rf"{_DENIED}(?:{denied})(?!\w)", text.casefold()):
        return True
    others = _folded(verdicts, lambda means: means != meaning)
    words = "|".join(map(re.escape, others))
    left = re.sub(rf"{_DENIED}(?:{words})(?!\w)", " ", text.casefold()) if words else text
    return holds_word(left, others)


def _folded(verdicts: Mapping[str, str], chosen: Callable[[str], bool]) -> list[str]:
    """Return the words of the verdicts chosen, longest first, without regard to case."""
    words = {word.casefold() for word, means in verdicts.items() if word and chosen(means)}
    return sorted(words, key=len, reverse=True)


def _guard(output: OutputSettings, text: str) -> Parsed:
    lines = [line.strip() for line in tidied(text).split("\n") if line.strip()]
    for number, line in enumerate(lines):
        word, codes = _guard_line(output, line)
        meaning = verdict_of(word, output.verdicts)
        if meaning is None:
            continue
        rest = [codes, *lines[number + 1 :]]
        if any(contradicts(one, output.verdicts, meaning) for one in (*lines[:number], *rest)):
            raise UnparsedError("the answer holds several verdicts, and not the same")
        behind = "\n".join(filter(None, rest))
        named = (word, behind) if meaning not in output.alarming() else ()
        if any(_names_code(one, output.known_categories) for one in named):
            raise UnparsedError("a category is named beside a verdict that has none")
        remarks = ("text before the verdict",) if number else ()
        fields = {output.verdict or "": word}
        if output.categories is not None:
            fields[output.categories] = behind
        return Parsed(fields, remarks)
    raise UnparsedError("no line is a verdict")


def _guard_line(output: OutputSettings, line: str) -> tuple[str, str]:
    """Return a line as its verdict word and the codes behind it on the same line."""
    for word in sorted(output.verdicts, key=len, reverse=True):
        match = re.match(rf"[\s*_`\"'>#]*({re.escape(word)})(?!\w)(.*)", line, re.IGNORECASE)
        if match and _has_code(match[2], output.known_categories):
            return match[1], match[2].strip(" \t:,-*_`\"'.")
    return line, ""


def _has_code(text: str, known: Sequence[str]) -> bool:
    """Tell whether a text begins with a category: a known one, or what looks like its code."""
    named, _ = categories_in(text, known)
    first = re.search(r"\w+", text)
    return bool(named) or (first is not None and _CODE.fullmatch(first[0]) is not None)


def _names_code(text: str, known: Sequence[str]) -> bool:
    """Tell whether a text names a category anywhere: a known code, or what looks like one."""
    words = re.findall(r"\w+", text)
    codes = {category.casefold() for category in known}
    coded = any(_CODE.fullmatch(word) or word.casefold() in codes for word in words)
    return coded or _has_code(text, known)


def categories_in(text: str, known: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the known categories in a list, and what else is named in it."""
    by_fold = {undecorated(category).casefold(): category for category in known}
    named: list[str] = []
    others: list[str] = []
    for part in re.split(r"[,;\n]", text):
        bare = undecorated(_CATEGORY_LABEL.sub("", part))
        if bare in known or bare.casefold() in by_fold:
            named.append(by_fold[bare.casefold()])
        elif bare.casefold() not in ("", "none", "n/a", "null"):
            within = _codes_within(bare, by_fold)
            named += within
            others += [] if within else [bare]
    return list(dict.fromkeys(named)), list(dict.fromkeys(others))


def _codes_within(text: str, by_fold: Mapping[str, str]) -> list[str]:
    """Return known categories that stand side by side (``S1 S2``), or one with its name behind."""
    words = [undecorated(word).casefold() for word in text.split()]
    if words and all(word in by_fold for word in words):
        return [by_fold[word] for word in words]
    head = re.match(r"(\w+)\s*[:.)\u2013\u2014-]\s*\S", text)
    if words and head is None and _CODE.fullmatch(words[0]):  # a code and its name: S2 Hate
        return [by_fold[words[0]]] if words[0] in by_fold else []
    return [by_fold[head[1].casefold()]] if head and head[1].casefold() in by_fold else []


def _regex(output: OutputSettings, text: str) -> Parsed:
    pattern = re.compile(output.pattern or "")
    plain = tidied(text)
    for written in dict.fromkeys((text, plain)):
        if not output.whole:
            matches = [_groups(match) for match in pattern.finditer(written)]
            if matches:
                return _agreed(output, matches)
        elif match := pattern.fullmatch(written):
            return Parsed(_groups(match))
    match = pattern.match(plain) if output.whole else None
    if match is None or not plain.startswith("\n", match.end()):
        raise UnparsedError("the pattern is not there")
    fields, rest = _groups(match), plain[match.end() :]
    meaning = verdict_of(fields.get(output.verdict or "", ""), output.verdicts)
    if meaning is None or contradicts(rest, output.verdicts, meaning):
        raise UnparsedError("the pattern is not the whole answer")
    return Parsed(fields, ("lines behind the pattern",))


def _groups(match: re.Match[str]) -> dict[str, str]:
    return {name: value.strip() for name, value in match.groupdict().items() if value is not None}


def _agreed(output: OutputSettings, matches: Sequence[Mapping[str, str]]) -> Parsed:
    """Return the fields of a pattern found several times: what is needed must be the same."""
    needed = output.needed()
    if any(one.get(name) != matches[0].get(name) for one in matches for name in needed):
        raise UnparsedError("the answer says it several times, and not the same")
    fields, remarks = dict(matches[0]), list[str]()
    for name in dict.fromkeys(name for one in matches for name in one):
        values = list(dict.fromkeys(one[name] for one in matches if name in one))
        if name == output.categories:
            fields[name] = ", ".join(values)
        elif len(values) > 1:
            fields.pop(name, None)
            remarks.append(f"{name} is given several times, and not the same")
    return Parsed(fields, tuple(remarks))


def _json(output: OutputSettings, text: str) -> Parsed:
    values, remarks = read_object(text, (*output.keys, *output.optional))
    return _requested(output, merged(values), remarks)


def _lines(output: OutputSettings, text: str) -> Parsed:
    plain = tidied(text)
    exact = _exact_lines(output, plain)
    if exact is not None:
        return Parsed(exact)
    labels = {undecorated(one).casefold(): one for one in (*output.keys, *output.optional)}
    values: dict[str, list[str]] = {}
    others: list[str] = []
    last = None
    for line in _split(plain, labels):
        label, value = _labelled(line, labels)
        if label is not None:
            values.setdefault(label, []).append(value)
            last = label
        elif last is not None and not values[last][-1]:
            values[last][-1] = line  # a label on a line of its own
        elif last is not None and last == output.explanation:
            values[last][-1] += f"\n{line}"
        else:
            others.append(line)
    if not values:
        values, others = _lone_word(output, plain), []
    _refuse_contradiction(output, values, others)
    found = {name: _one_of(given) for name, given in values.items()}
    return _requested(output, found, ["lines without a label"] if others else [])


def _exact_lines(output: OutputSettings, text: str) -> dict[str, str] | None:
    """Return the fields of an answer that is nothing but the lines requested."""
    fields: dict[str, str] = {}
    for line in filter(str.strip, text.splitlines()):
        label, sign, value = line.partition(":")
        if not sign or label.strip() in fields:
            return None
        fields[label.strip()] = value.strip()
    names, required = set(fields), set(output.keys)
    return fields if required <= names <= required | set(output.optional) else None


def _split(text: str, labels: Iterable[str]) -> list[str]:
    """Return the lines; a label behind another one on the same line begins a line of its own."""
    named = "|".join(r"\s+".join(map(re.escape, label.split())) for label in labels)
    before = r"(?:[\t;|,]|[ ]{2})[ \t]{0,8}"
    gap = re.compile(rf"{before}(?=(?:{named})[\s*_]{{0,8}}[:\uff1a=])", re.IGNORECASE)
    pieces = (piece.strip() for line in text.split("\n") for piece in gap.split(line))
    return [piece for piece in pieces if piece]


def _labelled(line: str, labels: Mapping[str, str]) -> tuple[str | None, str]:
    """Return the label that a line begins with, and what stands behind it."""
    sign = re.search("[:\uff1a=]", line)
    if sign is None:
        return None, ""
    label = labels.get(" ".join(undecorated(line[: sign.start()]).casefold().split()))
    return label, line[sign.end() :].strip(" \t*_`")


def _lone_word(output: OutputSettings, text: str) -> dict[str, list[str]]:
    """Return the verdict of an answer that is one word, where one word was requested."""
    if output.keys == (output.verdict,) and verdict_of(text, output.verdicts) is not None:
        return {output.keys[0]: [text]}
    return {}


def _one_of(given: Sequence[str]) -> str | None:
    """Return what a label is given as; None where that is several things, or nothing."""
    folded = {undecorated(value).casefold() for value in given}
    return given[0] if len(folded) == 1 and folded != {""} else None


def _refuse_contradiction(
    output: OutputSettings, values: Mapping[str, Sequence[str]], others: Sequence[str]
) -> None:
    """Raise UnparsedError where a line without a label holds the word of another verdict."""
    given = values.get(output.verdict or "", ("",))
    meaning = verdict_of(given[0], output.verdicts)
    if meaning and any(_says_otherwise(line, output.verdicts, meaning) for line in others):
        raise UnparsedError("the answer holds several verdicts, and not the same")


def _says_otherwise(line: str, verdicts: Mapping[str, str], meaning: str) -> bool:
    """Tell whether a line without a label requested gives another verdict than ``meaning``.

    Behind a label of its own (``Overall: Unsafe``) only a verdict and nothing else counts, and
    not where the label speaks of the prompt or the word answers another question (``no``).
    """
    labelled = re.match(r"([^.:\uff1a]{1,60})[:\uff1a](.*)", line)
    if labelled is None:
        return contradicts(line, verdicts, meaning)
    label, value = labelled.groups()
    means = verdict_of(value, verdicts)
    if means in (None, meaning) or _OF_PROMPT.search(label):
        return False
    return undecorated(value).casefold() not in _ANSWERS


def _requested(
    output: OutputSettings, found: Mapping[str, str | None], remarks: Sequence[str]
) -> Parsed:
    """Return the fields that were requested.

    Raises:
        UnparsedError: one is missing that the verdict or the value is made of.

    """
    named = (*output.keys, *output.optional)
    fields = {name: value for name in named if (value := found.get(name)) is not None}
    for name in output.needed():
        if name not in fields:
            raise UnparsedError(f"an answer without {name}, or with several of it")
    missing = [f"{name} is missing" for name in output.keys if name not in fields]
    others = [f"{name[:_SHOWN]!r} was not requested" for name in found if name not in named]
    return Parsed(fields, (*remarks, *missing, *others))
