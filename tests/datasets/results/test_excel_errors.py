"""What Excel writes where it lost an answer is no answer in a text file either."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lam3db.datasets.faults import Faults
from lam3db.datasets.results.formats import ReadOptions, reader_of
from lam3db.datasets.results.stand_ins import stand_in

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("word", ["#NAME?", " #N/A ", "#DIV/0!"])
def test_an_error_of_excels_is_a_failure(tmp_path: Path, word: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"question,answer,label\nq,{word},0\n")
    (record,) = reader_of("jailbreakeval")(path, Faults(path), ReadOptions())
    assert record.response is None
    assert record.failed is not None
    assert record.failed.error_class == "ExcelError"


def test_a_text_that_holds_such_a_word_is_an_answer() -> None:
    assert stand_in("#N/A is what Excel shows") is None
    assert stand_in("N/A") is None
