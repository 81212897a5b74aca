"""The one JSON object in a judge's reply.

The object may stand in a code fence or between sentences, have a comma before its last brace
or lack that brace: each of these can be read in one way only. Single quotes, an open text and
an object within an object cannot, and are not read.

What must hold: of several objects that could be meant all must say the same; a key given twice
says one thing or is not read.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from lam3db.judges.llm_reply import UnparsedError, tidied

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Pairs = list[tuple[str, Any]]
_BEFORE_BRACE = re.compile(r",\s*\}\s*\Z")
_FENCES = ("", "json")
_BEGUN = re.compile(r"\{\s*[\"'\u2018\u2019\u201c\u201d]")
_MOST_BRACES = 100
_LONGEST_NUMBER = 10**9


class _Object:
    """The pairs of an object, keys given twice included."""

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs


def read_object(text: str, keys: Collection[str]) -> tuple[dict[str, list[Any]], list[str]]:
    """Return what each key is given as, and what was passed over.

    A key in other letters is the one of ``keys`` that it is without regard to case.

    Raises:
        UnparsedError: no object holds any of the keys, or several hold different things.

    """
    objects, beside = _objects(text)
    remarks = ["text beside the JSON object"] if beside else []
    if not objects:
        objects, remarks = _mended(tidied(text))
    readings = [reading for one in objects if (reading := _named(one.pairs, keys))]
    if not readings:
        raise UnparsedError("no JSON object with the keys requested" if objects else "no JSON")
    if any(reading != readings[0] for reading in readings):
        raise UnparsedError("several JSON objects, and not the same")
    return readings[0], remarks


def _decoder() -> json.JSONDecoder:
    return json.JSONDecoder(object_pairs_hook=_Object, parse_constant=_constant, strict=False)


def _constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _objects(text: str) -> tuple[list[_Object], bool]:
    """Return every object that is in no other one, and whether other text stands beside them.

    None at all where one of them is broken: what is inside a broken object is not read.
    """
    decoder = _decoder()
    objects: list[_Object] = []
    beside, start = [""], 0
    for _ in range(_MOST_BRACES):
        brace = text.find("{", start)
        if brace < 0:
            break
        beside.append(text[start:brace])
        try:
            value, start = decoder.raw_decode(text, brace)
            objects.append(value)
        except (ValueError, RecursionError):
            if _BEGUN.match(text, brace):
                return [], True
            beside.append(text[brace])
            start = brace + 1
    beside.append(text[start:])
    left = tidied("".join(beside)).strip("`~ \t\n").casefold()
    return objects, left not in _FENCES


def _mended(text: str) -> tuple[list[_Object], list[str]]:
    """Return the object in a text that only lacks its last brace, or has a comma before it."""
    start = text.find("{")
    if start < 0:
        return [], []
    body = text[start:].strip("`~ \n")
    cures = {
        _BEFORE_BRACE.sub("}", body): "a comma before the last brace",
        body.rstrip(" \n,") + "}": "the last brace is missing",
    }
    for cured, remark in cures.items():
        try:
            return [_decoder().decode(cured)], [remark]
        except (ValueError, RecursionError):
            continue
    return [], []


def _named(pairs: Pairs, keys: Collection[str]) -> dict[str, list[Any]]:
    """Return the values of each key, each different one once; empty where no key was requested."""
    by_fold = {key.casefold(): key for key in keys}
    values: dict[str, list[Any]] = {}
    for written, value in pairs:
        name = written if written in keys else by_fold.get(written.strip().casefold(), written)
        given = values.setdefault(name, [])
        text = as_text(value)
        if text not in given:
            given.append(text)
    return values if values.keys() & set(keys) else {}


def as_text(value: Any) -> str | None:
    """Return a value as the text that the parsers read; None for null and what has no text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < _LONGEST_NUMBER:
        return str(int(value))
    if isinstance(value, str | int | float):
        return str(value).strip()
    if isinstance(value, list):
        return ", ".join(item for item in value if isinstance(item, str))
    return None


def merged(values: Mapping[str, list[Any]]) -> dict[str, str | None]:
    """Return one text for each key; None where it is given as different things or as nothing."""
    return {name: given[0] if len(given) == 1 else None for name, given in values.items()}
