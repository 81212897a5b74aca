"""Failures of one cause as an issue of its own: opened with the first, followed by all.

What must hold: a fingerprint has one issue, opened in the transaction of its first failure; it
has the same key and uid in every database, so that merging makes one of two; what is left of
its failures is asked of the rows, never counted along.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select, text

from lam3db.hashing import unescape
from lam3db.store import tables as t
from lam3db.store.bulk import select_in
from lam3db.store.insert import insert_ignore
from lam3db.store.issue_words import IssueStatus, Severity
from lam3db.store.values import stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

AUTHOR = "lam3db"
_SPACE = uuid.UUID("5b0a0c36-8f0e-5c5a-9f2c-3d3a6b0f9f11")
_TITLE = 160
_KINDS: tuple[tuple[str, Severity, str], ...] = (
    ("out of memory", Severity.HIGH, r"out ?of ?memory|MemoryError|cannot allocate memory"),
    ("CUDA error", Severity.HIGH, r"\bCUDA\b|cuBLAS|cuDNN|NCCL|device-side assert"),
    ("disk full", Severity.HIGH, r"No space left|disk (is )?full"),
    ("missing file", Severity.HIGH, r"FileNotFound|No such file|is not in the media root"),
    ("rate limit (429)", Severity.MEDIUM, r"\b429\b|rate.?limit|too many requests|quota"),
    ("access refused", Severity.HIGH, r"\b40[13]\b|unauthori[sz]ed|forbidden|invalid.{0,9}key"),
    ("time-out", Severity.MEDIUM, r"time.?out|timed out|\b504\b"),
    (
        "no connection",
        Severity.MEDIUM,
        r"ConnectionError|ConnectError|refused|unreachable|\b50[023]\b|resolve|Proxy",
    ),
    ("image", Severity.MEDIUM, r"MediaError|image|pixels"),
    ("parse failure", Severity.MEDIUM, r"JSONDecode|pars(e|ing)|Unparsed|malformed|not valid"),
)
"""Kind, severity, and what its class or message looks like; the first that fits."""


def kind_of(error_class: str, message: str) -> tuple[str, Severity]:
    """Return what sort of failure this is, in words, and how bad that is."""
    words = f"{error_class}: {message}"
    for kind, severity, pattern in _KINDS:
        if re.search(pattern, words, re.IGNORECASE):
            return kind, severity
    return "failure", Severity.MEDIUM


def key_of(fingerprint: str) -> str:
    """Return the key of a fingerprint's own issue."""
    return f"F-{fingerprint[:10]}"


@dataclass(frozen=True, slots=True)
class FirstSeen:
    """The first failure of a fingerprint: texts as stored, ``at`` in microseconds since 1970."""

    fingerprint: str
    stage: str
    error_class: str
    message: str
    at: int


def track(conn: Connection, failures: Sequence[FirstSeen]) -> int:
    """Open issues for fingerprints that have none; return how many.

    A fingerprint that a person has linked to an issue of their own gets none.
    """
    first: dict[str, FirstSeen] = {}
    for one in failures:
        first.setdefault(one.fingerprint, one)
    asked = "SELECT fingerprint FROM issue_link WHERE fingerprint"
    linked = {row[0] for row in select_in(conn, asked, (), sorted(first), "text")}
    new = [one for name, one in sorted(first.items()) if name not in linked]
    for one in new:
        _open(conn, one)
    return len(new)


def track_all(conn: Connection) -> int:
    """Open issues for whatever failed and is in none, as after a merge or an upgrade."""
    rows = conn.execute(
        text("""SELECT f.fingerprint, f.stage, f.error_class, f.message, f.created_at FROM failure f
                 WHERE f.id IN (SELECT MIN(x.id) FROM failure x WHERE x.fingerprint NOT IN
                   (SELECT l.fingerprint FROM issue_link l WHERE l.fingerprint IS NOT NULL)
                   GROUP BY x.fingerprint) ORDER BY f.id""")
    )
    return track(conn, [FirstSeen(*row) for row in rows])


def _open(conn: Connection, one: FirstSeen) -> None:
    kind, severity = kind_of(unescape(one.error_class), unescape(one.message))
    line = next(iter(unescape(one.message).strip().splitlines()), "")
    title = f"{kind} ({one.stage}): {unescape(one.error_class)}: {line}"
    if len(title) > _TITLE:
        title = f"{title[: _TITLE - 1]}\N{HORIZONTAL ELLIPSIS}"
    uid = str(uuid.uuid5(_SPACE, one.fingerprint))
    common = {"author": AUTHOR, "created_at": one.at}
    row = {"uid": uid, "key": key_of(one.fingerprint), "title": stored(title), **common}
    insert_ignore(conn, t.issue, [row])
    issue = conn.execute(select(t.issue.c.id).where(t.issue.c.uid == uid)).scalar()
    if issue is None:  # a person has taken the key
        return
    events = (("opened", None), ("severity", str(severity)), ("status", str(IssueStatus.NEW)))
    rows = [
        {
            "uid": str(uuid.uuid5(_SPACE, f"{one.fingerprint} {kind}")),
            "issue_id": issue,
            "kind": kind,
            "value": value,
            "text": "",
            **common,
        }
        for kind, value in events
    ]
    insert_ignore(conn, t.issue_event, rows)
    link = {"issue_id": issue, "fingerprint": one.fingerprint, **common}
    conn.execute(t.issue_link.insert().values(link))


@dataclass(frozen=True, slots=True)
class Group:
    """The failures behind an issue. Times are microseconds since 1970.

    ``count`` are attempts, ``subjects`` what they were at (answers or scores to be had),
    ``left`` how many of these have not succeeded since.
    """

    fingerprint: str
    count: int
    subjects: int
    left: int
    first_at: int
    last_at: int
    runs: tuple[str, ...]


LEFT = """CASE WHEN f.sample_id IS NOT NULL THEN NOT EXISTS (
         SELECT 1 FROM generation g WHERE g.model_version_id = r.model_version_id
           AND g.config_id = r.config_id AND g.sample_id = f.sample_id
           AND g.replicate = f.replicate AND g.variant = 0)
       WHEN f.generation_id IS NOT NULL THEN NOT EXISTS (
         SELECT 1 FROM score x WHERE x.judge_id = f.judge_id
           AND x.generation_id = f.generation_id AND x.replicate = f.replicate)
       WHEN f.stage = 'generate' THEN NOT EXISTS (
         SELECT 1 FROM generation g JOIN run later ON later.id = g.run_id
          WHERE later.model_version_id = r.model_version_id AND g.created_at > f.created_at)
       ELSE NOT EXISTS (
         SELECT 1 FROM score x WHERE x.judge_id = f.judge_id AND x.created_at > f.created_at) END"""
"""Whether what a failure ``f`` of run ``r`` was at has not succeeded since; SQL."""
_GROUPS = f"""SELECT l.issue_id, f.fingerprint, f.stage, r.uid, f.created_at, r.model_version_id,
       r.config_id, f.sample_id, f.generation_id, f.judge_id, f.replicate, {LEFT} AS is_left
  FROM (SELECT DISTINCT issue_id, fingerprint FROM issue_link) l
  JOIN failure f ON f.fingerprint = l.fingerprint JOIN run r ON r.id = f.run_id
 ORDER BY f.created_at, f.id"""


def load_groups(conn: Connection) -> dict[int, list[Group]]:
    """Return the groups of failures behind each issue, by the issue's id.

    A fingerprint that is linked twice (two processes at once, two databases merged) counts once.
    A failure that is of no one sample (a model that did not load) is left until its model
    answers, or its judge scores, after it.
    """
    rows: dict[tuple[int, str], list[tuple[object, ...]]] = {}
    for row in conn.execute(text(_GROUPS)):
        rows.setdefault((row.issue_id, row.fingerprint), []).append(tuple(row))
    found: dict[int, list[Group]] = {}
    for (issue, fingerprint), some in rows.items():
        subjects = {one[5:11]: bool(one[11]) for one in some}
        times = [int(str(one[4])) for one in some]
        found.setdefault(issue, []).append(
            Group(
                fingerprint=fingerprint,
                count=len(some),
                subjects=len(subjects),
                left=sum(subjects.values()),
                first_at=min(times),
                last_at=max(times),
                runs=tuple(dict.fromkeys(str(one[3]) for one in some)),
            )
        )
    return found
