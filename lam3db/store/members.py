"""What the members of an ensemble have said, in bulk: the ensemble's way to see.

What must hold: of each member the latest revision counts, and no other; a member without a
score is absent from the answer, never replaced by something; nothing here writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, text

from lam3db.hashing import unescape
from lam3db.records import MemberFinding, ScoreStatus, Verdict
from lam3db.store import tables as t
from lam3db.store.bulk import select_in
from lam3db.store.pending import SHOWN, scope_condition
from lam3db.store.values import from_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from lam3db.store.pending import ScoreScope

_SAID = (
    "SELECT x.generation_id, x.revision, x.status, x.value, x.verdict FROM score x"
    " WHERE x.judge_id = ? AND x.replicate = 0 AND x.generation_id"
)
_SEEN = (
    "SELECT x.id, f.raw_output FROM score x JOIN finding f ON f.id = x.finding_id"
    " WHERE f.raw_output IS NOT NULL AND x.id"
)


def judge_ids(conn: Connection, digests: Sequence[str]) -> dict[str, int]:
    """Return the rows of judges by hex digest; what is not stored is left out."""
    j = t.judge.c
    wanted = [bytes.fromhex(digest) for digest in digests]
    rows = conn.execute(select(j.digest, j.id).where(j.digest.in_(wanted)))
    return {bytes(digest).hex(): one for digest, one in rows}


def judge_names(conn: Connection) -> dict[str, str]:
    """Return the name under which each judge was first stored, by hex digest."""
    rows = conn.execute(select(t.judge.c.digest, t.judge.c.name))
    return {bytes(digest).hex(): unescape(name) for digest, name in rows}


def member_findings(
    conn: Connection, members: Mapping[str, int], generations: Sequence[int]
) -> dict[int, dict[str, MemberFinding]]:
    """Return what each member says of each generation, by generation and hex digest.

    ``members`` are the rows of judges by digest.
    """
    found: dict[int, dict[str, MemberFinding]] = {one: {} for one in generations}
    for digest, judge_id in members.items():
        latest: dict[int, Any] = {}
        for row in select_in(conn, _SAID, (judge_id,), generations, "bigint"):
            if row[0] not in latest or latest[row[0]][1] < row[1]:
                latest[row[0]] = row
        for one, (_, _, status, value, verdict) in latest.items():
            found[one][digest] = MemberFinding(
                digest, ScoreStatus(status), value, None if verdict is None else Verdict(verdict)
            )
    return found


def scored_subjects(
    conn: Connection, judge_id: int, scope: ScoreScope
) -> dict[int, tuple[int, bytes]]:
    """Return (score, subject's digest) of the latest score of each generation in scope, by id.

    What is withheld is left out. This costs what is scored, not what is pending.
    """
    where, known = scope_condition(conn, scope)
    rows = conn.execute(
        text(
            f"""SELECT g.id, x.revision, x.id AS score_id, f.subject_digest
                  FROM score x JOIN finding f ON f.id = x.finding_id
                  JOIN generation g ON g.id = x.generation_id
                 WHERE x.judge_id = :judge AND x.replicate = 0 AND {SHOWN}{where}
                 ORDER BY g.id, x.revision"""
        ),
        {**known, "judge": judge_id},
    )
    return {row.id: (row.score_id, bytes(row.subject_digest)) for row in rows}


def seen_findings(conn: Connection, scores: Sequence[int]) -> dict[int, tuple[MemberFinding, ...]]:
    """Return what an ensemble saw when it made these scores, where that is not withheld.

    What was not written by an ensemble reads as nothing seen.
    """
    rows = select_in(conn, _SEEN, (), list(scores), "bigint")
    return {one: _seen(raw_output) for one, raw_output in rows}


def _seen(raw_output: str) -> tuple[MemberFinding, ...]:
    try:
        return tuple(map(_read, from_json(raw_output)))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return ()


def _read(value: Mapping[str, Any]) -> MemberFinding:
    verdict = value.get("verdict")
    return MemberFinding(
        value["judge"],
        ScoreStatus(value["status"]),
        value.get("value"),
        None if verdict is None else Verdict(verdict),
    )
