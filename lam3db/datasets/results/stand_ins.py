"""What the tools of this field write in the place of an answer that they did not get.

HarmBench and OmniSafeBench-MM write ``$ERROR$`` where an endpoint failed, OmniSafeBench-MM a
sentence where a service turned the prompt away, VLMEvalKit ``Failed to obtain answer``; Excel makes
``#NAME?`` of an answer that begins with ``=`` or ``-``, and a CSV saved from there holds the word;
pandas makes the text ``nan`` or ``<NA>`` of a cell without a value.

What must hold: such a text is never an answer, whichever tool's file it stands in: people join
files of several tools. Words that programs write for nothing and that a model may have said, too
(``None``, ``null``, ``N/A``), are answers that are told.
"""

from __future__ import annotations

from lam3db.records import Failed

STAND_INS = {
    "$ERROR$": "RunnerError",
    "[ERROR] Prompt detected": "ContentRejected",
    "Failed to obtain answer": "VLMEvalKit",
}
"""How a text begins -> the class of the failure."""
EXCEL_ERRORS = frozenset(
    {
        *("#NAME?", "#N/A", "#VALUE!", "#REF!", "#DIV/0!", "#NUM!", "#NULL!", "#SPILL!", "#CALC!"),
        *("#FIELD!", "#BLOCKED!", "#CONNECT!", "#GETTING_DATA"),
    }
)
"""Whole texts that stand where Excel lost an answer."""


PANDAS_BLANKS = frozenset({"nan", "<NA>", "NaT"})
"""Whole texts that stand where a table of pandas had nothing."""
_LONGEST_DOUBT = 40
DOUBTFUL = frozenset({"none", "null", "n/a", "na", "nan", "nil", "undefined", "[]", "{}", "-"})
"""Whole texts, in lower case, that may be an answer or stand for none."""


def stand_in(text: str | None) -> Failed | None:
    """Return the failure that a text stands for; None for an answer."""
    bare = (text or "").lstrip()
    for start, error_class in STAND_INS.items():
        if bare.startswith(start):
            return Failed(error_class, text or "")
    whole = bare.rstrip()
    if whole in PANDAS_BLANKS:
        return Failed("MissingValue", text or "")
    return Failed("ExcelError", text or "") if whole in EXCEL_ERRORS else None


def is_doubtful(text: str) -> bool:
    """Tell whether a text may stand for no answer; only a person can say."""
    return len(text) <= _LONGEST_DOUBT and text.strip().casefold() in DOUBTFUL
