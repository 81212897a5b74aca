"""The search for cycles is off inside and as it was outside."""

from __future__ import annotations

import gc

import pytest

from lam3db.collector import uncollected


def test_it_is_off_inside_and_on_again_outside_whatever_happens() -> None:
    @uncollected()
    def fails() -> None:
        assert not gc.isenabled()
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled(), "the outer one ends later"
        raise ZeroDivisionError

    assert gc.isenabled()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fails()
        assert gc.isenabled()
