"""What the tools of this field write in the place of an answer that they did not get.

HarmBench and OmniSafeBench-MM write ``$ERROR$`` where an endpoint failed, OmniSafeBench-MM a
sentence where a service turned the prompt away, VLMEvalKit ``Failed to obtain answer``; Excel makes
``#NAME?`` of an answer that begins with ``=`` or ``-``, and a CSV saved from there holds the word.

What must hold: such a text is never an answer, whichever tool's file it stands in: people join
files of several tools.
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


def stand_in(text: str | None) -> Failed | None:
    """Return the failure that a text stands for; None for an answer."""
    bare = (text or "").lstrip()
    for start, error_class in STAND_INS.items():
        if bare.startswith(start):
            return Failed(error_class, text or "")
    return Failed("ExcelError", text or "") if bare.rstrip() in EXCEL_ERRORS else None
