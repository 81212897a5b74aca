"""Batches by token budget, and that no token is lost in cutting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from small_detoxify import WORDS

from lam3db.judges.windows import Queue, Window, Windower

if TYPE_CHECKING:
    from small_detoxify import Checkpoint


def windows(lengths: list[int]) -> list[Window]:
    return [Window(index, (7,) * length) for index, length in enumerate(lengths)]


@given(st.lists(st.integers(1, 50)), st.integers(1, 200))
def test_every_window_is_taken_once_within_the_budget(lengths: list[int], budget: int) -> None:
    queue = Queue(windows(lengths), budget)
    taken = []
    while queue.waiting:
        batch = queue.take()
        assert len(batch) == 1 or len(batch) * len(batch[0].tokens) <= budget
        assert len(batch[0].tokens) == max(len(window.tokens) for window in batch)
        taken += batch
    assert sorted(window.index for window in taken) == list(range(len(lengths)))
    assert [len(one.tokens) for one in taken] == sorted(lengths, reverse=True)


def test_what_was_too_large_comes_back_in_smaller_batches() -> None:
    queue = Queue(windows([8] * 8), 64)
    batch = queue.take()
    assert len(batch) == 8
    assert queue.halve(batch)
    assert [len(queue.take()), len(queue.take())] == [4, 4]
    assert not queue.waiting


def test_a_single_window_cannot_be_halved() -> None:
    queue = Queue(windows([8]), 64)
    assert not queue.halve(queue.take())


def test_no_token_is_lost_and_windows_overlap(bert: Checkpoint) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(bert.folder)
    text = " ".join(WORDS[number % len(WORDS)] for number in range(101))
    whole = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    cut, failed = Windower(tokenizer, size=20, overlap=5).cut(["", text])
    assert not failed
    assert {window.index for window in cut} == {1}
    inner = [list(window.tokens[1:-1]) for window in cut]
    joined = inner[0] + [token for piece in inner[1:] for token in piece[5:]]
    assert joined == whole
    assert all(len(window.tokens) <= 20 for window in cut)
    ends = {(window.tokens[0], window.tokens[-1]) for window in cut}
    assert ends == {(tokenizer.cls_token_id, tokenizer.sep_token_id)}


def test_a_tokenizer_that_breaks_down_fails_its_text_alone(bert: Checkpoint) -> None:
    """A panic of its Rust is no Exception; a stride it cannot take makes a real one."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(bert.folder)
    cut, failed = Windower(tokenizer, size=6, overlap=4).cut(["red ball", "red ball " * 9])
    assert {window.index for window in cut} == {0}
    assert failed.keys() == {1}
    assert failed[1].error_class == "RuntimeError"
    assert "the tokenizer broke down" in failed[1].message
