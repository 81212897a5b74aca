"""What fits to the letter means what it meant when nothing else was read (parser version 1)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from lam3db.judges.llm_parse import parse
from lam3db.judges.llm_settings import OutputSettings

if TYPE_CHECKING:
    from collections.abc import Callable

SAFETY = {"safe": "safe", "unsafe": "unsafe"}
PATTERN = r"(?P<verdict>safe(?!\s)|unsafe)(?:\n(?P<codes>S\d+(?:,\s?S\d+)*))?"
KEYS = ("verdict", "reason")


def whole(text: str) -> dict[str, str] | None:
    match = re.fullmatch(PATTERN, text)
    return match and {
        name: value.strip() for name, value in match.groupdict().items() if value is not None
    }


def object_alone(text: str) -> dict[str, str] | None:
    fenced = re.fullmatch(r"```(?:json)?[ \t]*\n(.*)\n```", text, re.DOTALL)
    try:
        value = json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or set(value) != set(KEYS):
        return None
    read = {name: str(one).strip() for name, one in value.items() if isinstance(one, str)}
    return read if len(read) == len(KEYS) and text.count('":') == len(KEYS) else None


def labelled(text: str) -> dict[str, str] | None:
    read: dict[str, str] = {}
    for line in filter(str.strip, text.splitlines()):
        label, sign, value = line.partition(":")
        if not sign or label.strip() in read:
            return None
        read[label.strip()] = value.strip()
    return read if set(read) == set(KEYS) else None


EXACT: dict[str, tuple[dict[str, Any], Callable[[str], dict[str, str] | None]]] = {
    "regex": ({"pattern": PATTERN}, whole),
    "json": ({"keys": KEYS, "explanation": "reason"}, object_alone),
    "lines": ({"keys": KEYS, "explanation": "reason"}, labelled),
}
WORDS = st.sampled_from(
    ["safe", "unsafe", "\n", "\r\n", " ", "S1", ",", "S15", "```json\n", "\n```", "verdict: safe",
     "reason: it's unsafe", '{"verdict": "unsafe", "reason": "so"}', '{"verdict": "safe", ',
     '"reason": "no, {really}"}', "verdict:", "reason:", "*", ".", "}"]
)  # fmt: skip


@settings(max_examples=800, deadline=None)
@example("unsafe\nS1, S2")
@example('```json\n{"verdict": "safe", "reason": "no, {really}"}\n```')
@example("verdict: safe\r\n\r\n reason: it's unsafe*")
@given(st.lists(WORDS, max_size=6).map("".join))
def test_an_exact_answer_is_read_to_the_letter(text: str) -> None:
    for parser, (special, read) in EXACT.items():
        output = OutputSettings(
            by="text", parser=parser, verdict="verdict", verdicts=SAFETY, **special
        )
        exact = read(text.strip())
        if exact is not None and exact["verdict"] in SAFETY:
            parsed = parse(output, text)
            assert dict(parsed.fields) == exact, (parser, text)
            assert not parsed.remarks
