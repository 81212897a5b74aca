"""What a reader passes over is counted by name, and no file makes it endless."""

from __future__ import annotations

from lam3db.datasets.files.remarks import Remarks


def test_each_remark_is_one_line_with_its_count() -> None:
    remarks = Remarks()
    for _ in range(1200):
        remarks.unread("advbench_label")
    remarks.unread("note", 3)
    remarks.unparsed("label", "1.0", 2)
    remarks.unparsed("label", "maybe")
    remarks.unparsed("second", "1.0")
    remarks.note("equal rows are counted once", 2)
    assert remarks.lines() == [
        "not read: advbench_label (1,200), note (3)",
        "label: unparsed words: '1.0' (2), 'maybe' (1)",
        "second: unparsed words: '1.0' (1)",
        "equal rows are counted once (2)",
    ]


def test_endless_names_and_words_stay_bounded() -> None:
    remarks = Remarks()
    for number in range(5000):
        remarks.unread(f"field {number}")
        remarks.unparsed("label", f"word {number} " + "x" * 500)
    unread, words, *_ = remarks.lines()
    assert "further ones (4,000)" in unread
    assert len(words) < 100_000


def test_nothing_noticed_is_nothing_said() -> None:
    assert Remarks().lines() == []
