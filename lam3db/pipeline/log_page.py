"""A page of the lab's log, read: its day, its entries by section, its issues.

The page is Markdown: ``##`` headings for sections, tables for parameters and issues, bullets
below bold headings. What must hold: nothing on the page is dropped but blank lines and rules:
what no section knows is kept under the heading it stands under.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lam3db.datasets.faults import Faults
from lam3db.pipeline.issue_tables import issues_of, markdown_tables, read_page_text
from lam3db.store.log import Entry

if TYPE_CHECKING:
    from pathlib import Path

    from lam3db.store.issues import NewIssue

MAX_BYTES = 4 << 20
_WORDS = {
    "overview": ("概览", "概述", "overview"),
    "parameters": ("参数", "配置", "parameter", "configuration"),
    "progress": ("进展", "结果", "progress", "result"),
    "issues": ("问题", "风险", "issue", "risk"),
    "plan": ("计划", "plan"),
    "sync": ("提交", "同步", "commit", "sync"),
}
PARAMETERS = ("category", "key", "value", "remark")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_NUMBER = re.compile(r"^[\d一二三四五六七八九十]+[.、．)]\s*")  # noqa: RUF001 - the log's own marks
_BOLD = re.compile(r"^(?:\d+[.)]\s*)?\*\*(?P<words>[^*]+?)[：:]?\*\*[：:]?$")  # noqa: RUF001
_BULLET = re.compile(r"^(?P<indent>\s*)[*+-]\s+(?P<words>.*)$")
_LABEL = re.compile(r"^(?P<label>[^：:`]{1,40})[：:]\s*(?P<value>.*)$", re.DOTALL)  # noqa: RUF001


@dataclass(slots=True)
class Page:
    """What a page says. ``day`` is None where it names none; ``parameters`` are rows by name."""

    day: str | None
    entries: list[Entry] = field(default_factory=list)
    issues: list[NewIssue] = field(default_factory=list)

    @property
    def parameters(self) -> list[dict[str, str]]:
        """The rows of the parameter table."""
        rows = (one for one in self.entries if one.section == "parameters")
        return [dict(one.fields) for one in rows if one.fields is not None]


def read_page(path: Path) -> Page:
    """Return what a file says; raise InputError with every fault."""
    words = read_page_text(path, MAX_BYTES)
    faults = Faults(path)
    page = _parse(words, faults)
    faults.raise_if_any()
    return page


def _parse(words: str, faults: Faults) -> Page:
    lines = words.splitlines()
    title = next((line for line in lines if line.startswith("# ")), "")
    date = _DATE.search(title)
    page = Page(None if date is None else date[0])
    for number, heading, body in _sections(lines):
        section = _section(heading)
        shown = heading if section == "other" else ""
        rest = _tables(section, number, body, page, faults)
        page.entries += _entries(section, shown, rest)
    return page


def _sections(lines: list[str]) -> list[tuple[int, str, list[str]]]:
    """Return (line from 1 of the first body line, heading, body) of each section."""
    found: list[tuple[int, str, list[str]]] = []
    for number, line in enumerate(lines, 1):
        if line.startswith("## "):
            found.append((number + 1, _NUMBER.sub("", line[3:].strip()), []))
        elif line.startswith("# ") and not found:
            continue
        elif found:
            found[-1][2].append(line)
        elif line.strip():
            found.append((number, "", [line]))
    return found


def _section(heading: str) -> str:
    low = heading.lower()
    for section, words in _WORDS.items():
        if any(word in low for word in words):
            return section
    return "other"


def _tables(section: str, first: int, body: list[str], page: Page, faults: Faults) -> list[str]:
    """Take the section's own tables out; return the lines that are left."""
    taken: set[int] = set()
    for rows in markdown_tables("\n".join(body)):
        last = rows[-1][0]
        placed = [(line + first - 1, cells) for line, cells in rows]
        if section == "issues" and (issues := issues_of(placed, faults)):
            page.issues += issues
        elif section == "parameters" and len(rows[0][1]) >= len(PARAMETERS):
            for line, cells in placed[1:]:
                if len(cells) > len(PARAMETERS):
                    faults.add(line, None, f"{len(cells)} cells, {len(PARAMETERS)} are known")
                padded = [*cells, *[""] * len(PARAMETERS)]
                row = dict(zip(PARAMETERS, padded, strict=False))
                page.entries.append(Entry(section, " | ".join(cells), fields=row))
        else:
            continue
        taken |= set(range(rows[0][0], last + 1))
    return [line for at, line in enumerate(body, 1) if at not in taken]


def _entries(section: str, heading: str, lines: list[str]) -> list[Entry]:
    """Return bullets (with what is indented below them) and paragraphs as entries."""
    found: list[Entry] = []
    block: list[str] = []

    def end() -> None:
        if block:
            found.append(_entry(section, heading, block))
            block.clear()

    for line in lines:
        bare = line.strip()
        bold = _BOLD.match(bare)
        if re.fullmatch(r"[-*_]{3,}", bare):
            continue
        if bold is not None or bare.startswith("### "):
            end()
            heading = bold["words"].strip() if bold is not None else bare[4:].strip()
        elif not bare:
            if block and not _BULLET.match(block[0]):
                end()
        elif (bullet := _BULLET.match(line)) and not _is_below(line, block):
            end()
            block.append(f"{bullet['indent']}* {bullet['words'].rstrip()}")
        elif block and (_is_below(line, block) or not _BULLET.match(block[0])):
            block.append(line.rstrip())
        else:
            end()
            block.append(line.rstrip())
    end()
    return found


def _is_below(line: str, block: list[str]) -> bool:
    """Tell whether a line is indented below the bullet that the block begins with."""
    bullet = _BULLET.match(block[0]) if block else None
    return bullet is not None and len(line) - len(line.lstrip()) > len(bullet["indent"])


def _entry(section: str, heading: str, block: list[str]) -> Entry:
    bullet = _BULLET.match(block[0])
    if bullet is None:
        return Entry(section, "\n  ".join(line.strip() for line in block), heading)
    cut = len(bullet["indent"])
    return entry_of(section, heading, "\n".join([bullet["words"], *(x[cut:] for x in block[1:])]))


def entry_of(section: str, heading: str, text: str) -> Entry:
    """Return a sentence as an entry: in overview and sync, ``label: value`` by its parts."""
    labelled = _LABEL.match(text) if section in {"overview", "sync"} else None
    fields = None
    if labelled is not None:
        fields = {"label": labelled["label"].strip(), "value": labelled["value"].strip()}
    return Entry(section, text, heading, fields)
