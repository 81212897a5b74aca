"""The daily log's rows: what people wrote, by day and section.

What must hold: an entry is never changed; entries keep the order they were written in; the same
page read twice is there once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from lam3db.errors import InputError
from lam3db.hashing import canonical_json, unescape
from lam3db.redaction import redact
from lam3db.store import tables as t
from lam3db.store.insert import lock_versions
from lam3db.store.values import from_json, new_uid, now, stored, uid_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

SECTIONS = ("overview", "parameters", "progress", "issues", "plan", "sync", "other")
LONGEST = 20_000
"""Characters of one entry."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A sentence, a bullet with what is below it, or a row of a table (its ``fields`` by name).

    ``heading`` is what it stands under inside of its section, "" for nothing; in section
    ``other`` it is the section's own heading.
    """

    section: str
    text: str
    heading: str = ""
    fields: Mapping[str, str] | None = None


def add_entries(
    conn: Connection, day: str, entries: Sequence[Entry], author: str, at: int | None = None
) -> int:
    """Write entries of a day (YYYY-MM-DD) after those that are there; return how many are new.

    One that stands there already, in its section and under its heading, is not written again.
    With a time of its own (a page that was read) its identity is made from its content.

    Raises:
        InputError: an unknown section, or a text that is empty or too long.

    """
    lock_versions(conn)
    known = [_key(one) for one in load_entries(conn, day)]
    last = conn.execute(
        select(func.max(t.log_entry.c.position)).where(t.log_entry.c.day == day)
    ).scalar()
    position = 0 if last is None else int(last) + 1
    rows: list[dict[str, Any]] = []
    for one in entries:
        _check(one)
        redacted = _redacted(one)
        if _key(redacted) in known:
            known.remove(_key(redacted))  # a sentence may well stand there twice
            continue
        rows.append(
            {
                "uid": new_uid() if at is None else uid_of(*_identity(day, one, author, rows)),
                "day": day,
                "text": stored(redacted.text),
                "author": stored(redact(author)),
                "created_at": now() if at is None else at,
                "section": one.section,
                "heading": stored(redacted.heading),
                "position": position + len(rows),
                "fields": _fields(redacted),
            }
        )
    if rows:
        conn.execute(t.log_entry.insert(), rows)
    return len(rows)


def load_entries(conn: Connection, day: str) -> list[Entry]:
    """Return what people wrote of a day, in order."""
    c = t.log_entry.c
    asked = select(c.section, c.text, c.heading, c.fields).where(c.day == day)
    return [
        Entry(
            section,
            unescape(text),
            unescape(heading),
            None if fields is None else from_json(fields),
        )
        for section, text, heading, fields in conn.execute(asked.order_by(c.position, c.id))
    ]


def written_days(conn: Connection) -> list[str]:
    """Return the days of which somebody wrote something, in order."""
    c = t.log_entry.c.day
    return list(conn.execute(select(c).distinct().order_by(c)).scalars())


def _identity(day: str, one: Entry, author: str, before: list[dict[str, Any]]) -> list[object]:
    """Return what tells an entry of a page apart: its content, and which one of its kind it is."""
    same = (one.section, stored(one.heading), stored(redact(one.text)))
    count = sum((row["section"], row["heading"], row["text"]) == same for row in before)
    return ["entry", day, *_key(one), author, count]


def _key(one: Entry) -> tuple[str, str, str, str]:
    return one.section, one.heading, one.text, _fields(one) or ""


def _fields(one: Entry) -> str | None:
    return None if one.fields is None else canonical_json(dict(one.fields))


def _redacted(one: Entry) -> Entry:
    fields = one.fields
    if fields is not None:
        fields = {name: redact(value) for name, value in fields.items()}
    return Entry(one.section, redact(one.text), redact(one.heading), fields)


def _check(one: Entry) -> None:
    if one.section not in SECTIONS:
        raise InputError(f"section {one.section!r}: write one of {', '.join(SECTIONS)}")
    if not one.text.strip():
        raise InputError("an entry of the log is empty")
    if len(one.text) > LONGEST or len(one.heading) > LONGEST:
        raise InputError(f"an entry of the log has {len(one.text)} characters, {LONGEST} go")
