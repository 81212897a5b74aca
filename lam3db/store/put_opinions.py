"""Writing what a judge said elsewhere, under the rule by which databases are merged.

What must hold: what is stored stays, and stays what numbers are made of; a finding that says
what the judge has said of the subject before, in whichever replicate or revision, is known;
another is kept as the next replicate, scored on every answer that shows the subject.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lam3db.hashing import escape
from lam3db.store import tables as t
from lam3db.store.bulk import insert_new, select_in
from lam3db.store.merge_findings import stored_histories
from lam3db.store.merge_opinions import Said
from lam3db.store.values import chunks, now, stored_or_none

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from lam3db.records import Finding

_AT_ONCE = 500
_LINKED = (
    "SELECT DISTINCT x.generation_id, f.subject_digest FROM score x"
    " JOIN finding f ON f.id = x.finding_id WHERE x.replicate = 0 AND x.judge_id = ?"
    " AND f.subject_digest"
)
_IDS = "SELECT id, subject_digest, replicate FROM finding WHERE judge_id = ? AND subject_digest"


@dataclass(slots=True)
class Opinions:
    """Findings by subject with the replicate they become; ``known`` say what is stored."""

    new: dict[bytes, tuple[int, Finding]] = field(default_factory=dict)
    known: int = 0

    @property
    def others(self) -> int:
        """How many contradict what the judge has said before."""
        return sum(1 for replicate, _ in self.new.values() if replicate)


def compare(conn: Connection, judge_id: int, findings: Mapping[bytes, Finding]) -> Opinions:
    """Return which findings are new, and as which replicate."""
    found = Opinions()
    for part in chunks(sorted(findings), _AT_ONCE):
        here = stored_histories(conn, judge_id, part)
        for subject in part:
            histories = here.get(subject, {})
            said = _said(findings[subject])
            if any(said.says(one) for history in histories.values() for one in history):
                found.known += 1
            else:
                found.new[subject] = max(histories, default=-1) + 1, findings[subject]
    return found


def put_opinions(conn: Connection, run_id: int, judge_id: int, opinions: Opinions) -> None:
    """Write new findings; those in further replicates with a score for each answer."""
    for part in chunks(sorted(opinions.new), _AT_ONCE):
        at = now()
        rows = [_row(judge_id, run_id, at, subject, *opinions.new[subject]) for subject in part]
        insert_new(conn, t.finding, tuple(rows[0]), [tuple(row.values()) for row in rows])
        ids = {
            (bytes(subject), replicate): one
            for one, subject, replicate in select_in(conn, _IDS, (judge_id,), part, "bytea")
        }
        numbers = [
            (ids[subject, opinions.new[subject][0]], name, value)
            for subject in part
            for name, value in _numbers(opinions.new[subject][1])
        ]
        insert_new(conn, t.finding_attribute, ("finding_id", "attribute", "value"), numbers)
        _score_others(conn, judge_id, rows, ids)


def _score_others(
    conn: Connection,
    judge_id: int,
    rows: Sequence[Mapping[str, Any]],
    ids: Mapping[tuple[bytes, int], int],
) -> None:
    others = {row["subject_digest"]: row for row in rows if row["replicate"]}
    scores = []
    for generation, subject in select_in(conn, _LINKED, (judge_id,), sorted(others), "bytea"):
        row = others[bytes(subject)]
        link = {
            "generation_id": generation,
            "finding_id": ids[bytes(subject), row["replicate"]],
        }
        kept = {name: row[name] for name in _SHARED}
        scores.append(kept | link)
    if scores:
        insert_new(conn, t.score, tuple(scores[0]), [tuple(row.values()) for row in scores])


_SHARED = (
    *("judge_id", "replicate", "revision", "status", "value", "verdict"),
    *("run_id", "created_at"),
)


def _row(
    judge_id: int, run_id: int, at: int, subject: bytes, replicate: int, finding: Finding
) -> dict[str, Any]:
    keys = {"judge_id": judge_id, "subject_digest": subject, "replicate": replicate, "revision": 0}
    return keys | _content(finding) | {"run_id": run_id, "created_at": at}


def _content(finding: Finding) -> dict[str, Any]:
    return {
        "status": str(finding.status),
        "value": None if finding.value is None else float(finding.value),
        "verdict": None if finding.verdict is None else str(finding.verdict),
        "explanation": stored_or_none(finding.explanation),
        "raw_output": stored_or_none(finding.raw_output),
    }


def _said(finding: Finding) -> Said:
    return Said(_content(finding) | {"withheld_id": None}, _numbers(finding))


def _numbers(finding: Finding) -> tuple[tuple[str, float], ...]:
    named = finding.attributes.items()
    return tuple(sorted((escape(name), float(value)) for name, value in named))
