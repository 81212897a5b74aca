"""From the text of a judge's answer to named fields, strictly.

Three parsers. ``regex``: a pattern with named groups that fits the whole text (or, with
``whole: false``, is found in it; found more than once, every finding must say the same).
``json``: one object with exactly the keys asked for, alone or in one code fence. ``lines``:
``Label: value`` lines, each label once, and no other line.

What must hold: a text that is not exactly what was asked for has no fields, however much of
it looks right: what could be read two ways is not read.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lam3db.judges.llm_settings import OutputSettings

PARSER_VERSION = "1"
"""Of the parsers and of what their fields mean: raise it when a text would be read otherwise."""
_LONGEST = 100_000
_FENCED = re.compile(r"```(?:json)?[ \t]*\n(.*)\n```", re.DOTALL)
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,9}")


class UnparsedError(Exception):
    """An answer that is not what was asked for; the text says why."""


def parse(output: OutputSettings, text: str) -> dict[str, str]:
    """Return the fields of an answer; raise UnparsedError."""
    if len(text) > _LONGEST:
        raise UnparsedError(f"an answer of {len(text)} characters")
    parser = {"regex": _regex, "json": _json, "lines": _lines}[output.parser or ""]
    return parser(output, text.strip())


def whole_number(text: str) -> int:
    """Return a number written in digits; raise UnparsedError."""
    if _WHOLE_NUMBER.fullmatch(text) is None:
        raise UnparsedError(f"{text[:40]!r} is no whole number")
    return int(text)


def _regex(output: OutputSettings, text: str) -> dict[str, str]:
    pattern = re.compile(output.pattern or "")
    if output.whole:
        match = pattern.fullmatch(text)
        found = [_groups(match)] if match else []
    else:
        found = [_groups(match) for match in pattern.finditer(text)]
    if not found:
        raise UnparsedError("the pattern is not there")
    if any(one != found[0] for one in found):
        raise UnparsedError("the answer says it several times, and not the same")
    return found[0]


def _groups(match: re.Match[str]) -> dict[str, str]:
    return {name: value.strip() for name, value in match.groupdict().items() if value is not None}


def _json(output: OutputSettings, text: str) -> dict[str, str]:
    fenced = _FENCED.fullmatch(text)
    try:
        value = json.loads(
            fenced[1] if fenced else text, object_pairs_hook=_once, parse_constant=_refused
        )
    except (ValueError, RecursionError) as error:
        raise UnparsedError("no JSON object alone") from error
    if not isinstance(value, dict):
        raise UnparsedError("JSON, but no object")
    _check_names(output, value)
    return {name: _as_text(name, item) for name, item in value.items()}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key given twice")
    return dict(pairs)


def _refused(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _as_text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value).strip()
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    raise UnparsedError(f"the value of {name} is neither text nor whole number")


def _lines(output: OutputSettings, text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in filter(str.strip, text.splitlines()):
        label, sign, value = line.partition(":")
        if not sign or label.strip() in found:
            raise UnparsedError("a line that is no label with a value, or a label given twice")
        found[label.strip()] = value.strip()
    _check_names(output, found)
    return found


def _check_names(output: OutputSettings, found: Mapping[str, Any]) -> None:
    names = set(found)
    missing = sorted(set(output.keys) - names)
    other = sorted(names - {*output.keys, *output.optional})
    if missing or other:
        told = f"without {missing[0]}" if missing else f"with {other[0][:40]!r}"
        raise UnparsedError(f"an answer {told}")
