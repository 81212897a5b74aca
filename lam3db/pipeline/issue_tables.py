"""Tables of issues from elsewhere: a Markdown page or a CSV file, read whole or not at all.

What must hold: every fault is told with its line; the same table again changes nothing; an
issue that is there already gets what is new as events, its key and title stay.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lam3db.datasets.faults import Faults, shown
from lam3db.errors import InputError
from lam3db.store.issue_words import read_severity, read_status
from lam3db.store.issues import LONGEST, Change, NewIssue, change_issue, load_issues, open_issue

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Connection

MAX_BYTES = 16 << 20
_COLUMNS = {
    "key": ("id", "key", "编号", "issue"),
    "title": ("描述", "description", "title", "问题描述", "问题"),
    "severity": ("严重程度", "severity", "严重性"),
    "status": ("状态", "status"),
    "note": ("备注", "note", "notes", "remark"),
}
_RULE = re.compile(r":?-{1,}:?")


@dataclass(frozen=True, slots=True)
class Imported:
    """What a table brought: issues opened, events added to known ones, rows that said nothing new.

    ``notes`` are sentences on what was not taken over.
    """

    opened: int
    events: int
    known: int
    notes: tuple[str, ...]


def read_issues(path: Path) -> list[NewIssue]:
    """Return the issues of a ``.md`` or ``.csv`` file; raise InputError with every fault."""
    words = read_page_text(path, MAX_BYTES)
    faults = Faults(path)
    if path.suffix.lower() == ".csv":
        found = issues_of(_csv_rows(words, faults), faults)
    else:
        tables = list(markdown_tables(words))
        found = next((some for rows in tables if (some := issues_of(rows, faults))), [])
    if not found and not faults.count:
        faults.add(None, None, "no table with the columns ID, description, severity, status")
    faults.raise_if_any()
    return found


def read_page_text(path: Path, most: int) -> str:
    """Return the text of a small file; raise InputError where it is none, or has no end."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(most + 1)
        if len(raw) > most:
            raise InputError(f"{path} is larger than {most >> 20} MiB")
        return raw.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8: save it as UTF-8") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def _csv_rows(words: str, faults: Faults) -> list[tuple[int, list[str]]]:
    try:
        return [(at, row) for at, row in enumerate(csv.reader(io.StringIO(words)), 1) if row]
    except csv.Error as error:
        faults.add(None, None, f"cannot be read as CSV: {error}: is a closing quote missing?")
        return []


def markdown_tables(words: str) -> Iterator[list[tuple[int, list[str]]]]:
    """Yield the tables of a Markdown text as (line from 1, cells); the rule line is left out."""
    rows: list[tuple[int, list[str]]] = []
    for number, line in enumerate([*words.splitlines(), ""], 1):
        if not line.lstrip().startswith("|"):
            if rows:
                yield rows
            rows = []
            continue
        cells = cells_of(line)
        if not all(_RULE.fullmatch(cell) for cell in cells):
            rows.append((number, cells))


def cells_of(line: str) -> list[str]:
    r"""Return the cells of a table's line; ``\|`` is a bar inside of a cell."""
    inner = line.strip().removeprefix("|")
    parts = re.split(r"(?<!\\)\|", inner)
    if parts and not parts[-1].strip():
        parts.pop()
    return [part.strip().replace("\\|", "|") for part in parts]


def issues_of(rows: Sequence[tuple[int, list[str]]], faults: Faults) -> list[NewIssue]:
    """Return the issues of a table, none where it is no table of issues."""
    if not rows:
        return []
    header = [cell.strip().lower() for cell in rows[0][1]]
    at = {
        field: header.index(name)
        for field, names in _COLUMNS.items()
        for name in names
        if name in header
    }
    if {"key", "title"} - at.keys():
        return []
    found = [_issue(line, cells, at, faults) for line, cells in rows[1:]]
    keys = [one.key for one in found if one is not None]
    for key, count in Counter(keys).items():
        if count > 1:
            faults.add(None, None, f"the issue {shown(key)} is there {count} times")
    return [one for one in found if one is not None]


def _issue(line: int, cells: list[str], at: dict[str, int], faults: Faults) -> NewIssue | None:
    def cell(field: str) -> str:
        place = at.get(field)
        return cells[place].strip() if place is not None and place < len(cells) else ""

    if not cell("key") or not cell("title"):
        faults.add(line, None, "an issue needs an ID and a description")
        return None
    for field, most in LONGEST.items():
        if len(cell(field)) > most:
            faults.add(line, field, f"has {len(cell(field))} characters, {most} go")
            return None
    try:
        change = Change(
            severity=read_severity(cell("severity")) if cell("severity") else None,
            status=read_status(cell("status")) if cell("status") else None,
            note=cell("note"),
        )
    except InputError as error:
        faults.add(line, None, str(error))
        return None
    return NewIssue(cell("title"), cell("key"), change)


def store_issues(
    conn: Connection, issues: Sequence[NewIssue], author: str, at: int | None = None
) -> Imported:
    """Open what is new, and note what has changed as of ``at`` (now); the caller commits."""
    known = {one.key: one for one in load_issues(conn)}
    opened = events = same = 0
    notes = []
    for issue in issues:
        there = known.get(issue.key or "")
        if there is None:
            open_issue(conn, issue, author, at, read_from_file=True)
            opened += 1
            continue
        if at is not None and there.opened_at > at:
            notes.append(f"{there.key} was opened later than this here: it is left as it is")
            continue
        if there.title != issue.title:
            notes.append(f"{there.key} keeps its description: {there.title}")
        added = change_issue(conn, there.key, issue.change, author, at, read_from_file=True)
        events += added
        same += not added
    return Imported(opened, events, same, tuple(notes))
