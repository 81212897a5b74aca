"""What is withheld stays so, whoever writes after: a model still at it, a judge, a merge, a file.

A purge takes away what is stored. A run that began before it goes on answering what it had
read, its judges quote it, an older database or file brings it again. What must hold: none of
them brings a body back; an answer to a sample that is withheld, what is said of it and why it
failed are counted as ever, and their texts are not kept. A sample that only a bundle left out
is not withheld in this sense, and neither is an answer whose text was never published: what judges
said of it is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from lam3db.store.bulk import select_in
from lam3db.store.failure_groups import AUTHOR
from lam3db.store.insert import lock_bodies
from lam3db.store.tables_watch import BUNDLE, UNPUBLISHED
from lam3db.store.values import new_uid, now

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

GONE = "(withheld)"
"""What stands in place of a failure's message."""
_REAL = f"(SELECT w.id FROM withholding w WHERE w.author NOT IN ('{BUNDLE}', '{UNPUBLISHED}'))"
_NO_TEXT = "the source published no text of these answers"
_BY = f"""COALESCE(CASE WHEN g.withheld_id IN {_REAL} THEN g.withheld_id END,
                   CASE WHEN s.withheld_id IN {_REAL} THEN s.withheld_id END)"""
_SAMPLES = f"SELECT id, withheld_id FROM sample WHERE withheld_id IN {_REAL} AND id"
_ANSWERS = f"""SELECT g.id, {_BY} FROM generation g JOIN sample s ON s.id = g.sample_id
                WHERE {_BY} IS NOT NULL AND g.id"""
_FOLLOW_SAMPLES = f"""UPDATE generation
           SET text = NULL, raw_text = NULL, reasoning = NULL, withheld_id =
          (SELECT s.withheld_id FROM sample s WHERE s.id = generation.sample_id)
         WHERE withheld_id IS NULL
           AND sample_id IN (SELECT s.id FROM sample s WHERE s.withheld_id IN {_REAL})"""
_SAID = f"""SELECT x.finding_id, MIN(g.withheld_id) FROM generation g
              JOIN score x ON x.generation_id = g.id
              JOIN finding f ON f.id = x.finding_id AND f.withheld_id IS NULL
             WHERE g.withheld_id IN {_REAL} GROUP BY x.finding_id"""
_STAYING = """SELECT DISTINCT x.finding_id FROM score x JOIN generation g ON g.id = x.generation_id
               WHERE g.withheld_id IS NULL AND x.finding_id"""
_MUTE = """UPDATE finding SET explanation = NULL, raw_output = NULL, withheld_id = :gone
            WHERE id = :id"""
_FAILED = f"""UPDATE failure SET message = '{GONE}' WHERE message <> '{GONE}' AND
          (sample_id IN (SELECT s.id FROM sample s WHERE s.withheld_id IN {_REAL})
           OR generation_id IN (SELECT g.id FROM generation g WHERE g.withheld_id IN {_REAL}))"""
_QUOTING = f"""SELECT DISTINCT i.id, f.stage, f.error_class FROM failure f
     JOIN issue_link l ON l.fingerprint = f.fingerprint
     JOIN issue i ON i.id = l.issue_id AND i.author = '{AUTHOR}'
    WHERE f.message = '{GONE}' AND i.title NOT LIKE '%{GONE}'"""


def withheld_samples(conn: Connection, samples: Iterable[int]) -> dict[int, int]:
    """Return those of these samples that are withheld, with what withheld them.

    Nobody purges until the transaction ends.
    """
    return _found(conn, _SAMPLES, samples)


def withheld_answers(conn: Connection, answers: Iterable[int]) -> dict[int, int]:
    """Return those of these answers that are withheld, or are to a sample that is.

    Nobody purges until the transaction ends.
    """
    return _found(conn, _ANSWERS, answers)


def unpublished(conn: Connection) -> int:
    """Return what withholds answers of which their source published labels and no text."""
    known = {"author": UNPUBLISHED, "reason": _NO_TEXT}
    stored = text("SELECT MIN(id) FROM withholding WHERE author = :author AND reason = :reason")
    found = conn.execute(stored, known).scalar()
    if found is None:
        made = text(
            "INSERT INTO withholding (uid, author, reason, created_at)"
            " VALUES (:uid, :author, :reason, :at) RETURNING id"
        )
        found = conn.execute(made, {**known, "uid": new_uid(), "at": now()}).scalar_one()
    return int(found)


def follow(conn: Connection) -> None:
    """Take away every text that belongs to what is withheld, as after a merge or an import."""
    if _is_any(conn):
        conn.execute(text(_FOLLOW_SAMPLES))
        said = dict(map(tuple, conn.execute(text(_SAID))))
        for row in select_in(conn, _STAYING, (), sorted(said), "bigint"):
            del said[row.finding_id]
        if said:
            conn.execute(text(_MUTE), [{"id": one, "gone": by} for one, by in said.items()])
        conn.execute(text(_FAILED))
        hush(conn)


def hush(conn: Connection) -> None:
    """Let issues that opened themselves quote no failure whose message is withheld."""
    rows = conn.execute(text(_QUOTING)).all()
    change = text("UPDATE issue SET title = :title WHERE id = :id")
    for row in rows:
        title = f"failure ({row.stage}): {row.error_class}: {GONE}"
        conn.execute(change, {"title": title, "id": row.id})


def _found(conn: Connection, asked: str, wanted: Iterable[int]) -> dict[int, int]:
    lock_bodies(conn, alone=False)
    if not _is_any(conn):
        return {}
    rows = select_in(conn, asked, (), sorted(set(wanted)), "bigint")
    return dict(map(tuple, rows))


def _is_any(conn: Connection) -> bool:
    return conn.execute(text(f"SELECT 1 FROM {_REAL} w LIMIT 1")).first() is not None
