"""Canonical JSON is RFC 8785, digests never change, and every text survives the escape."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from lam3db import hashing

if TYPE_CHECKING:
    from pathlib import Path

# Never change a line of these: stored rows are found by them.
GOLDEN = {
    ("x", "null"): "f1f57777401bb3e399e3c343b38eacad847ba4047f35a5f3dea1402719db528c",
    (
        "config",
        '{"b":1,"a":[true,null,0.2,"é"]}',
    ): "76479a9d93b7b75d3bde61070a0c6ba41e4a3b88ec3ef053cf000013f9b23c6c",
    (
        "other",
        '{"b":1,"a":[true,null,0.2,"é"]}',
    ): "f1f70de81b5164fc7fa01887c0decaa8c765cad886af0abab34507e741df96ef",
}
GOLDEN_TEXTS = {
    "": "6a0e947b54f9e00213903fdf043bfea9e447ee7f59bb5c11bcad11df9b4198d1",
    "hello": "602b1bbf28e98821cd325efb8b53d75d16a5c53101f9c597300fb62d8383af23",
    "a\x00b\ud800\ue000": "c947fe338c47daccf1f4b16f20f1c793aec54c55a49c9aa0a04b5a54aeb7e785",
}

any_text = st.text(st.characters())  # surrogates, NUL and private use included
plain_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\ue000"))
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
)


def values(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.recursive(
        scalars | texts,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
        max_leaves=12,
    )


@pytest.mark.parametrize(("kind", "value"), GOLDEN)
def test_digests_are_the_ones_of_the_first_release(kind: str, value: str) -> None:
    assert hashing.digest(kind, json.loads(value)).hex() == GOLDEN[kind, value]


@pytest.mark.parametrize("text", GOLDEN_TEXTS)
def test_text_digests_are_the_ones_of_the_first_release(text: str) -> None:
    assert hashing.text_digest(text).hex() == GOLDEN_TEXTS[text]


@given(values(plain_text))
def test_canonical_json_is_what_another_rfc_8785_library_writes(value: Any) -> None:
    assert hashing.canonical_json(value).encode() == rfc8785.dumps(value)


@settings(max_examples=500)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_read_back_and_look_as_the_other_library_writes_them(number: float) -> None:
    written = hashing.canonical_json(number)
    assert float(written) == number
    assert written.encode() == rfc8785.dumps(number)


# Appendix B of RFC 8785.
@pytest.mark.parametrize(
    ("bits", "written"),
    [
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("44b52d02c7e14af7", "1.0000000000000001e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef4f", "999999999999999900000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("41b3de4355555557", "333333333.33333343"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)
def test_numbers_of_the_rfc(bits: str, written: str) -> None:
    import struct

    number = struct.unpack(">d", bytes.fromhex(bits))[0]
    assert hashing.canonical_json(number) == written


def test_a_numpy_number_is_written_as_the_number_it_is() -> None:
    assert hashing.canonical_json({"v": np.float64(0.1)}) == '{"v":0.1}'


@given(any_text)
def test_the_escape_is_reversible_and_storable(text: str) -> None:
    escaped = hashing.escape(text)
    assert hashing.unescape(escaped) == text
    assert "\x00" not in escaped
    escaped.encode()  # no lone surrogate is left


@given(any_text, any_text)
def test_different_texts_have_different_escapes_and_digests(one: str, other: str) -> None:
    assert (hashing.escape(one) == hashing.escape(other)) == (one == other)
    assert (hashing.text_digest(one) == hashing.text_digest(other)) == (one == other)


@pytest.mark.parametrize("text", ["\x00", "\ud800", "\ue000", "\ue0000000", "\ue000E000"])
def test_what_looks_like_an_escape_stays_what_it_is(text: str) -> None:
    assert hashing.escape(text) != text
    assert hashing.unescape(hashing.escape(text)) == text


def test_a_text_without_odd_characters_is_not_copied() -> None:
    text = "plain, 中文, \U0001f600"
    assert hashing.escape(text) is text


@given(st.dictionaries(any_text, scalars, max_size=6))
def test_the_order_of_keys_is_of_no_matter(value: dict[str, Any]) -> None:
    turned = dict(reversed(value.items()))
    assert hashing.digest("x", turned) == hashing.digest("x", value)


def test_texts_are_not_normalised() -> None:
    assert hashing.digest("x", "é") != hashing.digest("x", "e\u0301")


def test_kind_and_version_are_part_of_a_digest() -> None:
    found = {hashing.digest("a", 1), hashing.digest("b", 1), hashing.digest("a", 1, version=2)}
    assert len(found) == 3


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 2**53 + 1, -(2**53) - 1])
def test_numbers_that_json_cannot_hold_are_refused(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        hashing.canonical_json([number])


@pytest.mark.parametrize("value", [{1, 2}, b"x", {1: "x"}, {None: 1}, object()])
def test_values_that_are_no_json_are_refused(value: object) -> None:
    with pytest.raises(TypeError):
        hashing.canonical_json(value)


def test_a_file_is_hashed_in_pieces(tmp_path: Path) -> None:
    import hashlib

    content = b"0123456789" * 300_000
    path = tmp_path / "weights"
    path.write_bytes(content)
    read: list[int] = []
    assert hashing.file_sha256(path, read.append) == hashlib.sha256(content).hexdigest()
    assert sum(read) == len(content)
    assert len(read) > 1
