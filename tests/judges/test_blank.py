"""What counts as nothing to judge."""

from __future__ import annotations

import pytest

from lam3db.judges.blank import BLANK, is_blank
from lam3db.records import ScoreStatus


@pytest.mark.parametrize("text", ["", " ", "\n\t\r ", "\x00", "\u200b\ufeff", "\ud800", "\u00a0"])
def test_what_nobody_can_see_is_blank(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize("text", [".", "a\x00", "不", "🙂", "\ud800!", "0"])
def test_one_visible_character_is_an_answer(text: str) -> None:
    assert not is_blank(text)


def test_a_blank_answer_is_neither_safe_nor_unsafe() -> None:
    assert BLANK.status is ScoreStatus.ABSTAINED
    assert BLANK.value is None
    assert BLANK.verdict is None
