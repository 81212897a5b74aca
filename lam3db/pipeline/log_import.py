"""A page of the log into the store: its issues, its sentences, its parameters.

What must hold: all or nothing; the same page again changes nothing; issues and entries are
dated the page's day, so that showing that day gives the page's own tables.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

from lam3db.config import normalize_runtime
from lam3db.config_files import read_value
from lam3db.errors import ConfigError, InputError
from lam3db.pipeline.issue_tables import Imported, store_issues
from lam3db.store.log import add_entries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lam3db.config import LoadedRuntime
    from lam3db.pipeline.log_page import Page
    from lam3db.store.engine import Store

_UNUSED = re.compile(r"未启用|不启用|not used|not in use|unused", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PageSettings:
    """The settings that a page's parameters name.

    ``runtime`` are they in the one form, or None with ``why_not``. ``unused`` are settings that
    the page lists and says are not in use: they are left out.
    """

    runtime: LoadedRuntime | None
    why_not: str | None
    unused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImportedPage:
    """What came in."""

    day: str
    entries: int
    issues: Imported


def page_settings(page: Page) -> PageSettings:
    """Return the settings of a page; stores nothing."""
    settings = [row for row in page.parameters if not _UNUSED.search(row["remark"])]
    unused = tuple(row["key"] for row in page.parameters if row not in settings)
    runtime, why_not = _runtime(settings)
    return PageSettings(runtime, why_not, unused)


def page_day(page: Page, day: str | None) -> str:
    """Return the day of a page, ``day`` first; raise InputError where neither names one."""
    named = day or page.day
    if named is None:
        raise InputError("the page names no day in its title: give it with --date YYYY-MM-DD")
    noon(named)
    return named


def import_page(store: Store, page: Page, author: str, day: str | None = None) -> ImportedPage:
    """Store a page under its day.

    Raises:
        InputError: the page names no day, and none is given; or an entry is too long.

    """
    named = page_day(page, day)
    at = noon(named)
    with store.write() as conn:
        issues = store_issues(conn, page.issues, author, at)
        entries = add_entries(conn, named, page.entries, author, at)
    return ImportedPage(named, entries, issues)


def noon(day: str) -> int:
    """Return 12:00 UTC of a day, which is that day in every zone from -11 to +11 hours.

    Raises:
        InputError: no day in the form YYYY-MM-DD.

    """
    try:
        when = date.fromisoformat(day)
    except ValueError:
        raise InputError(f"day {day!r}: write YYYY-MM-DD, for example 2025-11-12") from None
    if when.isoformat() != day:
        raise InputError(f"day {day!r}: write YYYY-MM-DD, for example 2025-11-12")
    return int(datetime.combine(when, time(12), UTC).timestamp()) * 1_000_000


def _runtime(rows: Sequence[Mapping[str, str]]) -> tuple[LoadedRuntime | None, str | None]:
    """Return the settings that the parameter table names, in the one form.

    A row that is no setting of a runtime (a model's path, a judge) is left to the table.
    """
    raw = {
        row["key"]: _value(row["value"])
        for row in rows
        if row["key"] and row["key"].isascii() and row["key"] == row["key"].lower()
    }
    if not raw:
        return None, None
    try:
        return normalize_runtime(raw, "the page's parameters"), None
    except ConfigError as error:
        return None, str(error)


def _value(cell: str) -> Any:
    """Return a cell as YAML reads it, backticks taken off; a text where it is none."""
    plain = cell.strip().strip("`")
    try:
        value = read_value(plain)
    except ValueError:
        return plain
    return value if isinstance(value, str | int | float | bool) else plain
