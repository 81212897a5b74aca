"""Findings whole: what a judge last said of subjects, with its comment and other numbers.

What must hold: the latest revision counts; texts come back as they came in.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from lam3db.hashing import unescape
from lam3db.records import Finding, ScoreStatus, Verdict
from lam3db.store.bulk import select_in
from lam3db.store.values import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

_SAID = """SELECT id, subject_digest, revision, status, value, verdict, explanation, raw_output
             FROM finding WHERE judge_id = ? AND replicate = 0 AND subject_digest"""
_NUMBERS = "SELECT finding_id, attribute, value FROM finding_attribute WHERE finding_id"


def latest_findings(
    conn: Connection, judge_id: int, subjects: Sequence[bytes]
) -> dict[bytes, Finding]:
    """Return what the judge last said of each subject it has spoken on."""
    latest: dict[bytes, Any] = {}
    for row in select_in(conn, _SAID, (judge_id,), subjects, "bytea"):
        subject = bytes(row[1])
        if subject not in latest or latest[subject][2] < row[2]:
            latest[subject] = row
    numbers: dict[int, dict[str, float]] = defaultdict(dict)
    ids = [row[0] for row in latest.values()]
    for one, attribute, value in select_in(conn, _NUMBERS, (), ids, "bigint"):
        numbers[one][unescape(attribute)] = value
    return {
        subject: Finding(
            ScoreStatus(status),
            value,
            None if verdict is None else Verdict(verdict),
            plain(explanation),
            plain(raw_output),
            numbers[one],
        )
        for subject, (one, _, _, status, value, verdict, explanation, raw_output) in latest.items()
    }
