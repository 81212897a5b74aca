"""What a stored value may be, beyond what the database itself holds: the rules by which we write.

A database that others wrote, or that was damaged, can hold texts that we would not have escaped so,
JSON in another form or nested without end, words that no command knows, times outside the calendar.
What must hold: every column of every table has a rule, by its type where it has none of its own; a
value that keeps its rule can be read by every command; what we write keeps the rules.
"""

from __future__ import annotations

import math
import re
from datetime import date
from typing import TYPE_CHECKING, Any

from sqlalchemy import Double, Integer, Text

from lam3db.errors import InputError
from lam3db.hashing import escape, unescape
from lam3db.records import LONGEST_ATTRIBUTE
from lam3db.redaction import redact
from lam3db.store import issues, log
from lam3db.store.issue_words import IssueStatus, Severity
from lam3db.store.values import from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sqlalchemy import Column, Table

    Fault = Callable[[Any], str | None]

MAX_TEXT = 16 << 20
"""Characters of one text, as many as a line of an imported file may have."""
MAX_DEPTH = 100
"""Levels of JSON, three times what an import lets in."""
_LARGEST_INTEGER = 2**53
_LAST_MOMENT = 253_402_300_799_999_999  # the end of the year 9999
_SHOWN = 50
_UID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_BROKEN = (ValueError, TypeError, RecursionError)


def faults_of(table: Table, rows: Iterable[Any]) -> Iterator[str]:
    """Yield what is wrong with each of these rows (all columns of the table), naming the column."""
    checks = _checks(table)
    more = _ROWS.get(table.name)
    for row in rows:
        named = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for it
        for name, check in checks:
            fault = check(named[name])
            if fault is not None:
                yield f"{row_name(table, row)}: {name}: {fault}"
        if more is not None and (fault := more(row)) is not None:
            yield f"{row_name(table, row)}: {fault}"


def row_name(table: Table, row: Any) -> str:
    """Return a table's name with a row's key."""
    key = "/".join(str(row._mapping[column.name]) for column in table.primary_key)  # noqa: SLF001
    return f"{table.name} {key}"


def _checks(table: Table) -> list[tuple[str, Fault]]:
    return [
        (column.name, check)
        for column in table.columns
        if (check := _check_of(table, column)) is not None
    ]


def _check_of(table: Table, column: Column[Any]) -> Fault | None:
    own = _COLUMNS.get((table.name, column.name)) or _NAMED.get(column.name)
    if own is not None:
        return own
    if "json" in column.info:
        return _json_of(column.info["json"])
    if isinstance(column.type, Text):
        return _text_fault
    if isinstance(column.type, Double):
        return _number_fault
    if isinstance(column.type, Integer) and not column.foreign_keys and column.name != "id":
        return _time_fault if column.name.endswith("_at") else _integer_fault
    return None  # bytes and keys: the schema's own rules say it all


def _text_fault(value: str | None) -> str | None:
    if value is None:
        return None
    if len(value) > MAX_TEXT:
        return f"longer than {MAX_TEXT >> 20} Mi characters"
    return None if escape(unescape(value)) == value else "not escaped as lam3db escapes"


def _number_fault(value: float | None) -> str | None:
    return None if value is None or math.isfinite(value) else f"{value} is no number"


def _integer_fault(value: int | None) -> str | None:
    inside = value is None or abs(value) <= _LARGEST_INTEGER
    return None if inside else f"{value} is beyond 2**53"


def _time_fault(value: int | None) -> str | None:
    inside = value is None or 0 <= value <= _LAST_MOMENT
    return None if inside else f"{value} is no time between 1970 and 9999"


def _uid_fault(value: str) -> str | None:
    return None if _UID.fullmatch(value) else "no UUID in its usual form"


def _attribute_fault(value: str) -> str | None:
    return _text_fault(value) or _length_fault(value, LONGEST_ATTRIBUTE)


def _length_fault(value: str, limit: int) -> str | None:
    if len(unescape(value)) <= limit:
        return None
    return f"{value[:_SHOWN]!r} ... is longer than {limit} characters"


def _json_of(kind: type) -> Fault:
    """Return the check of a column that holds the JSON of a dict or a list."""

    def fault_of(value: str | None) -> str | None:
        fault = _text_fault(value)
        if value is None or fault is not None:
            return fault
        try:
            made = from_json(value)
            if _is_deeper(made):
                return f"nested more than {MAX_DEPTH} levels deep"
            right = to_json(made) == value
        except _BROKEN as error:
            return f"no JSON that lam3db wrote ({redact(str(error))[:_SHOWN]})"
        if not isinstance(made, kind):
            return f"no JSON {'object' if kind is dict else 'array'}: {value[:_SHOWN]!r}"
        return None if right else "not in JSON's canonical form"

    return fault_of


def _is_deeper(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return any(isinstance(one, dict | list) for one in level)


def _limited(limit: int) -> Fault:
    return lambda value: _text_fault(value) or _length_fault(value, limit)


def _key_fault(value: str) -> str | None:
    fault = _text_fault(value)
    if fault is not None:
        return fault
    try:
        issues.check_key(unescape(value))
    except InputError as error:
        return redact(str(error))
    return None


def _day_fault(value: str) -> str | None:
    try:
        date.fromisoformat(value if _DAY.fullmatch(value) else "")
    except ValueError:
        return f"{value[:_SHOWN]!r} is no day written YYYY-MM-DD"
    return None


def _section_fault(value: str) -> str | None:
    return None if value in log.SECTIONS else f"{value[:_SHOWN]!r} is no section of the log"


def _fields_fault(value: str | None) -> str | None:
    fault = _json_of(dict)(value)
    if value is None or fault is not None:
        return fault
    is_flat = all(isinstance(word, str) for word in from_json(value).values())
    return None if is_flat else "a field that is no text"


def _event_fault(row: Any) -> str | None:
    words = {"severity": Severity, "status": IssueStatus}.get(row.kind)
    if words is None or row.value is None or row.value in set(words):
        return None
    return f"value: {row.value[:_SHOWN]!r} is no {row.kind} of an issue"


_NAMED: dict[str, Fault] = {"uid": _uid_fault, "attribute": _attribute_fault}
_COLUMNS: dict[tuple[str, str], Fault] = {
    ("issue", "key"): _key_fault,
    ("issue", "title"): _limited(issues.LONGEST["title"]),
    ("issue_event", "text"): _limited(issues.LONGEST["note"]),
    ("log_entry", "day"): _day_fault,
    ("log_entry", "section"): _section_fault,
    ("log_entry", "text"): _limited(log.LONGEST),
    ("log_entry", "heading"): _limited(log.LONGEST),
    ("log_entry", "fields"): _fields_fault,
}
_ROWS: dict[str, Fault] = {"issue_event": _event_fault}
