"""A day's log as Markdown, in the shape of the lab's own.

What must hold: the same database gives the same bytes, whenever it is asked; what people wrote
stands as they wrote it, in their order; what follows from runs is beside it and never instead
of it; a text that nobody of the lab wrote (a model's, an error's) cannot become markup.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lam3db.errors import NotFoundError
from lam3db.report.daily_facts import (
    commit_lines,
    judge_line,
    number_tables,
    parameter_rows,
    run_lines,
)
from lam3db.report.daily_words import WORDS
from lam3db.report.formats import markdown_text
from lam3db.report.text import columns, safe_text
from lam3db.store import day as days
from lam3db.store.failure_groups import AUTHOR
from lam3db.store.issue_words import IssueStatus, shown_severity, shown_status
from lam3db.store.issues import load_issues
from lam3db.store.log import load_entries, written_days

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from sqlalchemy import Connection

    from lam3db.report.daily_words import Words
    from lam3db.report.tables import Table
    from lam3db.store.day import DayRun
    from lam3db.store.issue_words import Language
    from lam3db.store.issues import Issue
    from lam3db.store.log import Entry


def latest_day(conn: Connection, zone: tzinfo) -> str:
    """Return the latest day with a run or with words; raise NotFoundError without any."""
    found = [*written_days(conn)[-1:], *filter(None, [days.last_day(conn, zone)])]
    if not found:
        raise NotFoundError("there is nothing to log yet: no run, and no `lam3db log add`")
    return max(found)


def render_day(conn: Connection, day: str, zone: tzinfo, language: Language = "zh") -> str:
    """Return the page of a day, ending in a line feed."""
    words = WORDS[language]
    entries = load_entries(conn, day)
    runs = days.runs_of(conn, day, zone)
    by_section = {name: [one for one in entries if one.section == name] for name in words.sections}
    bodies = {
        "overview": _overview(by_section["overview"], runs, words),
        "parameters": _parameters(by_section["parameters"], runs, words),
        "progress": _progress(conn, by_section["progress"], runs, words),
        "issues": _issues(conn, day, zone, by_section["issues"], words, language),
        "plan": _written(by_section["plan"], words),
        "sync": _sync(by_section["sync"], runs, words),
    }
    blocks = [words.title.format(day=day)]
    for number, (name, title) in enumerate(words.sections.items(), 1):
        body = "\n".join(bodies[name]).strip("\n") or words.nothing
        blocks.append(f"## {number}. {title}\n\n{body}")
    others: dict[str, list[Entry]] = {}
    for one in entries:
        if one.section == "other":
            others.setdefault(one.heading, []).append(one)
    for number, (heading, some) in enumerate(others.items(), len(words.sections) + 1):
        lines = [line for one in some for line in _bullet(one.text)]
        blocks.append(f"## {number}. {_line(heading)}\n\n" + "\n".join(lines))
    return "\n\n---\n\n".join(blocks) + "\n"


def _overview(entries: Sequence[Entry], runs: Sequence[DayRun], words: Words) -> list[str]:
    facts = {
        words.person: sorted({run.username for run in runs if run.username}),
        words.models: sorted({run.subject for run in runs if run.kind == "generate"}),
        words.datasets: sorted({run.dataset for run in runs if run.dataset}),
    }
    written = {(one.fields or {}).get("label") for one in entries}
    lines = [
        f"* {label}{words.colon}{words.join.join(map(markdown_text, found))}"
        for label, found in facts.items()
        if found and label not in written
    ]
    return [*_written(entries, words), *lines]


def _parameters(entries: Sequence[Entry], runs: Sequence[DayRun], words: Words) -> list[str]:
    rows = [
        tuple(one.fields.get(name, "") for name in ("category", "key", "value", "remark"))
        for one in entries
        if one.fields is not None
    ]
    rows += [row for row in parameter_rows(runs, words) if row not in rows]
    table = _pipes(words.parameters, rows) if rows else []
    return [*table, *_written([one for one in entries if one.fields is None], words)]


def _progress(
    conn: Connection, entries: Sequence[Entry], runs: Sequence[DayRun], words: Words
) -> list[str]:
    lines = _written(entries, words)
    if runs:
        lines += ["", f"**{words.runs}{words.colon.strip()}**", ""]
        lines += [f"* {markdown_text(line)}" for line in run_lines(runs, words)]
    tables, judges = number_tables(conn, runs)
    if tables:
        lines += ["", f"**{words.numbers}{words.colon.strip()}**", ""]
        for table in _joined(tables):
            lines += [*_numbers(table), ""]
        lines += [f"* {markdown_text(judge_line(one, words))}" for one in judges]
    return lines


def _joined(tables: Sequence[Table]) -> list[Table]:
    """Put tables of one shape together, in the order of their first rows."""
    from dataclasses import replace

    found: dict[tuple[str, tuple[str, ...], tuple[str, ...]], Table] = {}
    for table in tables:
        key = (table.title, table.groups, table.header)
        known = found.get(key)
        cells = table.cells if known is None else (*known.cells, *table.cells)
        found[key] = replace(table, cells=tuple(dict.fromkeys(cells)))
    return list(found.values())


def _numbers(table: Table) -> list[str]:
    names = [f"{g} {h}".strip() for g, h in zip(table.groups, table.header, strict=True)]
    rows = [tuple(" ".join(cell.split()).replace("[ ", "[") for cell in row) for row in table.cells]
    cells = [(*map(markdown_text, row[: table.left]), *row[table.left :]) for row in rows]
    return [f"{table.title}:", "", *_pipes([*map(markdown_text, names)], cells)]


def _issues(
    conn: Connection,
    day: str,
    zone: tzinfo,
    entries: Sequence[Entry],
    words: Words,
    language: Language,
) -> list[str]:
    """Return the table of what is open at the day's end, or was closed on the day."""
    first, end = days.bounds(day, zone)
    shown = [
        one
        for one in load_issues(conn, until=end - 1)
        if not one.status.is_end or one.changed_at >= first
    ]
    rows = [_issue(one, language) for one in shown]
    table = _pipes(words.issues, rows) if rows else []
    return [*table, *_written(entries, words)]


def _issue(one: Issue, language: Language) -> tuple[str, ...]:
    title = markdown_text(one.title) if one.author == AUTHOR else one.title
    status = shown_status(one.status, language)
    if one.status is IssueStatus.NEW:
        status = f"**{status}**"
    return one.key, title, shown_severity(one.severity, language), status, one.note


def _sync(entries: Sequence[Entry], runs: Sequence[DayRun], words: Words) -> list[str]:
    lines = _written(entries, words)
    commits = commit_lines(runs, words)
    if commits:
        lines.append(f"* {words.commit}{words.colon}{words.join.join(commits)}")
    elif not entries:
        lines.append(f"* {words.commit}{words.colon}{words.to_submit}")
    return lines


def _written(entries: Sequence[Entry], words: Words) -> list[str]:
    """Return what people wrote, under its headings."""
    lines: list[str] = []
    heading = ""
    for one in entries:
        if one.heading != heading:
            heading = one.heading
            lines += ["", f"**{_line(heading)}{words.colon.strip()}**", ""]
        lines += _bullet(one.text)
    return lines


def _line(heading: str) -> str:
    return " ".join(safe_text(heading).split())


def _bullet(text: str) -> list[str]:
    first, *rest = safe_text(text).split("\n")
    return [f"* {first}", *(f"  {line}" if line and line[0] != " " else line for line in rest)]


def _pipes(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a Markdown table whose columns stand in line; a bar in a cell is escaped."""
    cells = [[_one_line(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(columns, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| "
        + " | ".join(cell + " " * (w - columns(cell)) for cell, w in zip(row, widths, strict=True))
        + " |"
        for row in cells
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def _one_line(cell: str) -> str:
    return " ".join(safe_text(cell).split()).replace("|", "\\|").replace("\\\\|", "\\|")
