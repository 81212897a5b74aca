"""Hostile texts on a terminal."""

from __future__ import annotations

import pytest

from lam3db.report.text import columns, cut, safe_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ntwo", "plain\ntwo"),
        ("a\tb", "a    b"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("a\x00b\x9bc", "a\\x00b\\x9bc"),
        ("one\r\ntwo\rthree", "one\ntwo\\rthree"),
        ("\u202eabc\u2066", "\\u202eabc\\u2066"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("你好 café", "你好 café"),
        ("[bold]x[/]", "[bold]x[/]"),
    ],
)
def test_safe_text(text: str, shown: str) -> None:
    assert safe_text(text) == shown
    safe_text(text).encode()


def test_a_width_makes_one_line_of_at_most_that_many_columns() -> None:
    assert safe_text("one\n  two", 20) == "one two"
    assert safe_text("你好你好", 6) == "你好…"
    assert columns(safe_text("你好" * 30, 11)) <= 11
    assert cut("abc", 3) == "abc"
    assert columns("e\u0301") == 1
