"""Issues: what people track over time, each told by its events.

An issue is its key and title; severity, status and note are what its latest events say, at
whatever moment one asks. What must hold: nothing is overwritten, every change is an event with
author and time; a change that changes nothing writes nothing; a key names one issue for good.
"""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, text

from lam3db.errors import InputError, NotFoundError, did_you_mean
from lam3db.hashing import unescape
from lam3db.redaction import redact
from lam3db.store import tables as t
from lam3db.store.insert import lock_versions
from lam3db.store.issue_words import IssueStatus, Severity
from lam3db.store.values import as_datetime, new_uid, now, stored, uid_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

LONGEST = {"key": 100, "title": 2000, "note": 20_000}
"""Characters; what people write in a line, not files."""
_DIGITS = 18
"""Of a part of a key that counts as a number; a longer one is a text."""
_KEY = re.compile(r"[^\s|`*<>]+")


@dataclass(frozen=True, slots=True)
class Event:
    """One change; ``at`` is microseconds since 1970, ``value`` the word of a change of state."""

    kind: str
    value: str | None
    text: str
    author: str
    at: int


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue as it stands (or stood); ``events`` are in order, ``note`` the latest comment."""

    id: int
    key: str
    title: str
    author: str
    opened_at: int
    severity: Severity
    status: IssueStatus
    note: str
    events: tuple[Event, ...] = ()

    @property
    def changed_at(self) -> int:
        """When its last event was."""
        return self.events[-1].at if self.events else self.opened_at


@dataclass(frozen=True, slots=True)
class Change:
    """What is to become of an issue; None leaves a thing as it is."""

    severity: Severity | None = None
    status: IssueStatus | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class NewIssue:
    """An issue to be opened; without a key it gets ``B<day>-<next number>``."""

    title: str
    key: str | None = None
    change: Change = field(default_factory=Change)


def open_issue(
    conn: Connection,
    issue: NewIssue,
    author: str,
    at: int | None = None,
    *,
    read_from_file: bool = False,
) -> str:
    """Write a new issue and return its key.

    What is ``read_from_file`` has an identity made from its content, so that two databases
    that read one file have the same issue, and not two, when they are merged.

    Raises:
        InputError: a text is empty or too long, or the key is taken.

    """
    lock_versions(conn)
    at = now() if at is None else at
    key = _next_key(conn, _day(at)) if issue.key is None else issue.key
    check_key(key)
    _check("title", issue.title)
    if conn.execute(select(t.issue.c.id).where(t.issue.c.key == stored(key))).scalar():
        raise InputError(f"there is an issue {key} already: `lam3db issue update {key}` changes it")
    row = {
        "uid": uid_of("issue", key, issue.title, at) if read_from_file else new_uid(),
        "key": stored(key),
        "title": stored(redact(issue.title)),
        "author": stored(redact(author)),
        "created_at": at,
    }
    one = conn.execute(t.issue.insert().values(row).returning(t.issue.c.id)).scalar_one()
    of = str(row["uid"]) if read_from_file else None
    _write(conn, int(one), [Event("opened", None, "", author, at)], of)
    first = replace(
        issue.change,
        severity=issue.change.severity or Severity.MEDIUM,
        status=issue.change.status or IssueStatus.NEW,
    )
    _write(conn, int(one), _events(None, first, author, at), of)
    return key


def change_issue(
    conn: Connection,
    key: str,
    change: Change,
    author: str,
    at: int | None = None,
    *,
    read_from_file: bool = False,
) -> int:
    """Write what is new in ``change``, as of ``at`` (now); return how many events that were.

    ``read_from_file`` as in :func:`open_issue`.

    Raises:
        NotFoundError: no such issue.
        InputError: the note is too long.

    """
    lock_versions(conn)
    at = now() if at is None else at
    issue = find_issue(conn, key, until=at)
    events = _events(issue, change, author, at)
    _write(conn, issue.id, events, key if read_from_file else None)
    return len(events)


def _events(issue: Issue | None, change: Change, author: str, at: int) -> list[Event]:
    events = []
    if change.severity is not None and (issue is None or issue.severity != change.severity):
        events.append(Event("severity", str(change.severity), "", author, at))
    if change.status is not None and (issue is None or issue.status != change.status):
        events.append(Event("status", str(change.status), "", author, at))
    if change.note is not None and redact(change.note) != (issue.note if issue else ""):
        _check("note", change.note, may_be_empty=True)
        events.append(Event("comment", None, change.note, author, at))
    return events


def _write(conn: Connection, issue: int, events: Sequence[Event], of: str | None) -> None:
    """Write events; ``of`` names their issue where their identity follows from content."""
    rows = [
        {
            "uid": new_uid() if of is None else uid_of("event", of, *astuple(one)),
            "issue_id": issue,
            "kind": one.kind,
            "value": one.value,
            "text": stored(redact(one.text)),
            "author": stored(redact(one.author)),
            "created_at": one.at,
        }
        for one in events
    ]
    if rows:
        conn.execute(t.issue_event.insert(), rows)


def check_key(key: str) -> None:
    """Raise InputError for what cannot be the key of an issue."""
    _check("key", key)
    if not _KEY.fullmatch(key):
        raise InputError(f"key {key!r}: no blanks, and none of | ` * < > in it")


def _check(what: str, words: str, *, may_be_empty: bool = False) -> None:
    if not words.strip() and not may_be_empty:
        raise InputError(f"the {what} of an issue is empty")
    if len(words) > LONGEST[what]:
        raise InputError(f"the {what} of an issue has {len(words)} characters, {LONGEST[what]} go")


def _day(at: int) -> str:
    return f"{as_datetime(at):%Y%m%d}"


def _next_key(conn: Connection, day: str) -> str:
    start = f"B{day}-"
    keys = conn.execute(select(t.issue.c.key).where(t.issue.c.key.startswith(start))).scalars()
    ends = [key[len(start) :] for key in keys]
    numbers = [int(end) for end in ends if end.isdecimal() and len(end) <= _DIGITS]
    return f"{start}{max(numbers, default=0) + 1}"


def find_issue(conn: Connection, key: str, until: int | None = None) -> Issue:
    """Return an issue as it stood at ``until`` (now); raise NotFoundError."""
    found = [one for one in load_issues(conn, until=until, key=key) if one.key == key]
    if not found:
        known = [unescape(one) for one in conn.execute(select(t.issue.c.key)).scalars()]
        hint = did_you_mean(key, known) if known else " - none is stored yet"
        raise NotFoundError(f"there is no issue {key!r}{hint}")
    return found[0]


def load_issues(
    conn: Connection, *, until: int | None = None, key: str | None = None
) -> list[Issue]:
    """Return every issue opened by ``until``, in the natural order of their keys."""
    issues = select(t.issue)
    if key is not None:
        issues = issues.where(t.issue.c.key == stored(key))
    events: dict[int, list[Event]] = {}
    e = t.issue_event.c
    asked = select(e.issue_id, e.kind, e.value, e.text, e.author, e.created_at)
    asked = asked.order_by(e.created_at, e.id)
    if until is not None:
        asked = asked.where(e.created_at <= until)
        issues = issues.where(t.issue.c.created_at <= until)
    for one, kind, value, words, author, at in conn.execute(asked):
        event = Event(kind, value, unescape(words), unescape(author), at)
        events.setdefault(one, []).append(event)
    rows = conn.execute(issues).all()
    return sorted((_issue(row, events.get(row.id, [])) for row in rows), key=_order)


def _issue(row: Any, events: Sequence[Event]) -> Issue:
    severity, status, note = Severity.MEDIUM, IssueStatus.NEW, ""
    for event in events:
        if event.kind == "severity" and event.value:
            severity = Severity(event.value)
        elif event.kind == "status" and event.value:
            status = IssueStatus(event.value)
        elif event.kind == "closed":
            status = IssueStatus.RESOLVED
        elif event.kind == "reopened":
            status = IssueStatus.OPEN
        elif event.kind == "comment":
            note = event.text
    return Issue(
        id=row.id,
        key=unescape(row.key),
        title=unescape(row.title),
        author=unescape(row.author),
        opened_at=row.created_at,
        severity=severity,
        status=status,
        note=note,
        events=tuple(events),
    )


def _order(issue: Issue) -> tuple[tuple[int, int, str], ...]:
    """Return what sorts B20251112-9 before B20251112-16."""
    parts = re.findall(r"\d+|\D+", issue.key)
    return tuple(
        (0, int(p), "") if p.isdecimal() and len(p) <= _DIGITS else (1, 0, p) for p in parts
    )


@dataclass(frozen=True, slots=True)
class Link:
    """What an issue is about: ids of rows, or the fingerprint of failures; one or more."""

    fingerprint: str | None = None
    run_id: int | None = None
    generation_id: int | None = None
    model_version_id: int | None = None
    judge_id: int | None = None


def link_issue(conn: Connection, key: str, link: Link, author: str, at: int | None = None) -> bool:
    """Link an issue; return whether that is new. Raises NotFoundError for no such issue."""
    lock_versions(conn)
    issue = find_issue(conn, key)
    values = {name: getattr(link, name) for name in Link.__slots__}
    c = t.issue_link.c
    same = [c[name].is_not_distinct_from(value) for name, value in values.items()]
    known = select(c.id).where(c.issue_id == issue.id, c.failure_id.is_(None), *same)
    if conn.execute(known).first() is not None:
        return False
    row = {**values, "issue_id": issue.id, "author": stored(redact(author))}
    conn.execute(t.issue_link.insert().values(**row, created_at=now() if at is None else at))
    return True


_LINKS = """SELECT l.issue_id, l.fingerprint, r.uid AS run, l.generation_id, m.name AS model,
       m.digest AS model_digest, j.name AS judge, j.digest AS judge_digest
  FROM issue_link l LEFT JOIN run r ON r.id = l.run_id
  LEFT JOIN model_version m ON m.id = l.model_version_id
  LEFT JOIN judge j ON j.id = l.judge_id ORDER BY l.id"""


def load_links(conn: Connection) -> dict[int, list[str]]:
    """Return what each issue is linked to, in words, by the issue's id."""
    found: dict[int, list[str]] = {}
    for row in conn.execute(text(_LINKS)):
        words = []
        if row.fingerprint is not None:
            words.append(f"failures {row.fingerprint}")
        if row.run is not None:
            words.append(f"run {row.run[:8]}")
        if row.generation_id is not None:
            words.append(f"answer {row.generation_id}")
        if row.model is not None:
            words.append(f"model {unescape(row.model)} #{bytes(row.model_digest).hex()[:8]}")
        if row.judge is not None:
            words.append(f"judge {unescape(row.judge)} #{bytes(row.judge_digest).hex()[:8]}")
        found.setdefault(row.issue_id, []).append(", ".join(words))
    return found
