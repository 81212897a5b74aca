"""Scores as a list to a file and back: what a judge said, for scripts and from elsewhere.

What must hold: a list is imported whole or not at all, twice the same as once; a judge is
known by its digest; findings are linked to every answer that shows their subject, as judging
does; another finding than the one stored is kept beside it and never takes its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.datasets.scores import read_scores
from lam3db.errors import ConfigError
from lam3db.hashing import digest, file_sha256
from lam3db.pipeline.ending import sum_up
from lam3db.pipeline.judge import shown_subject
from lam3db.pipeline.judge_run import start_judge_run
from lam3db.pipeline.judge_todo import WINDOW
from lam3db.records import RunStatus, Sees
from lam3db.store import lookup, pending, reads, writes
from lam3db.store import tables as t
from lam3db.store.pending import ScoreScope
from lam3db.store.put_opinions import compare, put_opinions
from lam3db.store.values import chunks
from lam3db.store.verify import judge_identity
from lam3db.store.writes import RunCounts

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from lam3db.datasets.scores import ScoreList
    from lam3db.records import JudgeIdentity
    from lam3db.store.engine import Store
    from lam3db.store.put_opinions import Opinions


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What a list brought: findings by how they stood here, and answers scored by them."""

    judge: str
    digest: str
    lines: int
    new: int
    known: int
    others: int
    scored: int


def stored_identity(conn: Connection, judge_id: int) -> JudgeIdentity:
    """Return the identity of a stored judge."""
    row = conn.execute(t.judge.select().where(t.judge.c.id == judge_id)).one()
    return judge_identity(conn, row)


def import_scores(store: Store, path: Path) -> ImportResult:
    """Take over a list of scores.

    Raises:
        InputError: everything that is wrong with the file; nothing was stored.
        ConfigError: the judge is known neither here nor by the file, or cannot come as a list.

    """
    listed = read_scores(path)
    sha256 = file_sha256(path)
    with store.write() as conn:
        identity, judge = _judge(conn, listed)
        _refuse_foreign_subjects(listed, identity)
        said = {line.subject_digest: line.finding for line in listed.lines}
        opinions = compare(conn, judge, said)
        links = _unscored(conn, judge, identity, said)
        if opinions.new or links:
            _write(conn, identity, judge, opinions, links, {"import": path.name, "sha256": sha256})
    sum_up(store)
    return ImportResult(
        judge=identity.name,
        digest=identity.digest.hex(),
        lines=len(listed.lines),
        new=len(opinions.new) - opinions.others,
        known=opinions.known,
        others=opinions.others,
        scored=len(links),
    )


def _judge(conn: Connection, listed: ScoreList) -> tuple[JudgeIdentity, int]:
    """Return the judge of the list, written if the file tells who it is."""
    found = lookup.judge_id(conn, listed.judge_digest)
    if found is not None:
        identity = stored_identity(conn, found)
    elif listed.identity is not None:
        identity = listed.identity
    else:
        raise ConfigError(
            f"judge {listed.judge_digest.hex()[:12]} is not known here, and no line has its"
            " judge_identity: export the list again, with its first line"
        )
    if Sees.FINDINGS in identity.sees:
        raise ConfigError(
            f"judge {identity.name!r} judges what other judges said: import theirs, and let it"
            " judge here"
        )
    return identity, writes.put_judge(conn, identity)


def _refuse_foreign_subjects(listed: ScoreList, identity: JudgeIdentity) -> None:
    """Derive again the subjects of a judge that is shown the response and nothing else."""
    if set(identity.sees) != {Sees.RESPONSE}:
        return
    for line in listed.lines:
        if line.text_digest is not None:
            made = digest("subject", {"response": line.text_digest.hex()})
            if made != line.subject_digest:
                listed.faults.add(line.line, "subject_digest", "is not what its text_digest gives")
    listed.faults.raise_if_any()


def _unscored(
    conn: Connection, judge: int, identity: JudgeIdentity, said: dict[bytes, Any]
) -> list[tuple[bytes, int]]:
    """Return the answers without a score of this judge that show one of these subjects."""
    todo = pending.pending_scores(conn, judge, ScoreScope(), retry=True)
    found: list[tuple[bytes, int]] = []
    for part in chunks([row.generation_id for row in todo], WINDOW):
        for one, shown in reads.load_judged(conn, part, identity.sees).items():
            subject = shown_subject(identity.sees, shown).digest
            if subject in said:
                found.append((subject, one))
    return found


def _write(
    conn: Connection,
    identity: JudgeIdentity,
    judge: int,
    opinions: Opinions,
    links: list[tuple[bytes, int]],
    requested: dict[str, Any],
) -> None:
    run_id, _ = start_judge_run(conn, identity, judge, requested)
    put_opinions(conn, run_id, judge, opinions)
    new = writes.link_findings(conn, run_id, judge, links)
    pending.advance_watermark(conn, judge)
    writes.finish_run(conn, run_id, RunStatus.FINISHED, RunCounts(len(links), new, 0, 0))
