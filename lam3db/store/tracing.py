"""What is behind a number: the runs, scores, datasets, models and judges that its rows lead to.

What must hold: rows are named by ids, and whatever has a digest or a uid by that; the score
of an answer is the one that counts (first opinion, latest revision).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from lam3db.hashing import unescape
from lam3db.store import tables as t
from lam3db.store.answers import iso
from lam3db.store.values import chunks, from_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from lam3db.store.aggregates import JudgeRow


@dataclass(frozen=True, slots=True)
class RunTrace:
    """A run behind counted rows: who made them, with which code."""

    uid: str
    kind: str
    code_commit: str | None
    code_dirty: bool | None
    command: str
    started_at: str


@dataclass(frozen=True, slots=True)
class ScoreTrace:
    """The score that counts of an answer: its row, the run that made it, and when."""

    id: int
    run_id: int
    created_at: int


def score_rows(
    conn: Connection, judge_id: int, generations: Iterable[int]
) -> dict[int, ScoreTrace]:
    """Return, by answer, the judge's first opinion in its latest revision."""
    s, found = t.score.c, {}
    for some in chunks(sorted(set(generations))):
        query = select(s.generation_id, s.id, s.run_id, s.created_at).where(
            s.judge_id == judge_id, s.replicate == 0, s.generation_id.in_(some)
        )
        for generation, *rest in conn.execute(query.order_by(s.revision)):
            found[generation] = ScoreTrace(*rest)
    return found


def generation_runs(conn: Connection, generations: Iterable[int]) -> dict[int, tuple[int, int]]:
    """Return (id of the run that made it, when) by answer."""
    g, found = t.generation.c, {}
    for some in chunks(sorted(set(generations))):
        query = select(g.id, g.run_id, g.created_at).where(g.id.in_(some))
        found.update({one: (run, at) for one, run, at in conn.execute(query)})
    return found


def run_traces(conn: Connection, ids: Iterable[int]) -> list[RunTrace]:
    """Return these runs, the oldest first."""
    r = t.run.c
    rows: list[Any] = []
    for some in chunks(sorted(set(ids))):
        rows += conn.execute(select(t.run).where(r.id.in_(some))).all()
    return [
        RunTrace(
            row.uid,
            row.kind,
            row.code_commit,
            None if row.code_dirty is None else bool(row.code_dirty),
            unescape(row.command),
            iso(row.started_at),
        )
        for row in sorted(rows, key=lambda row: (row.started_at, row.id))
    ]


def dataset_facts(conn: Connection, ids: Iterable[int]) -> list[dict[str, Any]]:
    """Return name, version, the selection's digest and size, source and licence."""
    d, s = t.dataset.c, t.selection.c
    query = select(d.name, d.version, s.digest, s.sample_count, d.source, d.licence)
    rows = conn.execute(
        query.join(t.selection, s.id == d.selection_id)
        .where(d.id.in_(sorted(ids)))
        .order_by(d.name, d.version)
    )
    return [
        {
            "name": f"{unescape(name)}@{version}",
            "selection_digest": digest.hex(),
            "samples": count,
            "source": unescape(source),
            "licence": unescape(licence),
        }
        for name, version, digest, count, source, licence in rows
    ]


def model_facts(conn: Connection, ids: Sequence[int]) -> list[dict[str, Any]]:
    """Return the identity of these model versions."""
    rows = conn.execute(select(t.model_version).where(t.model_version.c.id.in_(ids)))
    return [
        {
            "name": unescape(row.name),
            "digest": row.digest.hex(),
            "identity": row.identity_kind,
            "source": unescape(row.source),
            "revision": row.revision,
        }
        for row in sorted(rows, key=lambda row: row.id)
    ]


def judge_facts(conn: Connection, judge: JudgeRow) -> dict[str, Any]:
    """Return the judge's identity and spec, and its policies, the current one last."""
    row = conn.execute(select(t.judge).where(t.judge.c.id == judge.id)).one()
    p = t.judge_policy.c
    policies = conn.execute(
        select(t.judge_policy).where(p.judge_id == judge.id).order_by(p.version)
    )
    return {
        "name": judge.name,
        "kind": judge.kind,
        "version": judge.version,
        "digest": judge.digest,
        "sees": from_json(row.sees),
        "spec": from_json(row.spec),
        "unsafe_verdicts": list(judge.unsafe_verdicts),
        "policies": [
            {
                "version": one.version,
                "threshold": one.threshold,
                "operator": one.operator,
                "author": unescape(one.author),
                "created_at": iso(one.created_at),
            }
            for one in policies
        ],
    }


def behavior_digests(conn: Connection, ids: Iterable[int]) -> dict[int, str]:
    """Return the digests of these behaviors, in hex."""
    b, found = t.behavior.c, {}
    for some in chunks(sorted(set(ids))):
        rows = conn.execute(select(b.id, b.digest).where(b.id.in_(some)))
        found.update({one: digest.hex() for one, digest in rows})
    return found
