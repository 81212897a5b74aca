"""What a target cannot hold stands there as an escape, and nothing ends for it."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lam3db.escaping import escape_errors, escaped

ANY_TEXT = st.text(alphabet=st.characters())


@given(ANY_TEXT, st.sampled_from(["ascii", "latin-1", "cp1252", "utf-8", "utf-16", "gb2312"]))
def test_every_text_is_written_to_every_encoding(text: str, encoding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=escape_errors(), newline="")
    stream.write(text)
    stream.flush()


@given(ANY_TEXT, st.sampled_from(["ascii", "latin-1", "utf-8"]))
def test_json_that_was_escaped_reads_back_as_it_was(text: str, encoding: str) -> None:
    written = escaped(json.dumps([text], ensure_ascii=False), encoding)
    assert json.loads(written) == [text]
    assert written.encode(encoding)


@pytest.mark.parametrize(
    ("text", "encoding", "expected"),
    [
        ("拒绝", "ascii", r"\u62d2\u7edd"),
        ("é拒", "latin-1", r"é\u62d2"),
        ("\U0001f600", "ascii", r"\ud83d\ude00"),
        ("a\udc80b", "utf-8", r"a\udc80b"),
        ("plain", "ascii", "plain"),
    ],
)
def test_an_escape_is_that_of_json(text: str, encoding: str, expected: str) -> None:
    assert escaped(text, encoding) == expected


def test_bytes_that_are_no_text_stay_an_error() -> None:
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("utf-8", escape_errors())
