"""Every built-in format can be loaded, explains itself, and a wrong name gets a hint."""

from __future__ import annotations

import sys

import pytest

from lam3db.datasets.results.formats import FORMATS, ReadOptions, reader_of
from lam3db.errors import ConfigError


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_format_has_a_reader_that_says_what_it_reads(name: str) -> None:
    reader = reader_of(name)
    first = (sys.modules[reader.__module__].__doc__ or "").splitlines()[0]
    assert ":" in first
    assert reader.__doc__


def test_a_wrong_name_gets_a_hint() -> None:
    with pytest.raises(ConfigError, match="did you mean 'jailbreakbench'"):
        reader_of("jailbreakbanch")


def test_a_setting_that_nobody_reads_is_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean 'split'"):
        ReadOptions(settings={"splt": "x"}).only("split")
