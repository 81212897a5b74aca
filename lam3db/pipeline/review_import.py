"""Labels that come back in a file: checked cell by cell, stored whole or not at all.

What must hold: every fault is told at once with row, column, value and what is allowed, and
then nothing is stored; a text that was changed is no longer what was judged, and is refused;
a row without a label stays open; the same file again changes nothing; another label on the
same item is a revision with its author and a reason, or an error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lam3db.errors import ConfigError, InputError
from lam3db.pipeline.ending import sum_up
from lam3db.pipeline.judge_run import start_judge_run
from lam3db.pipeline.review_cells import same_text
from lam3db.pipeline.review_files import read_sheet
from lam3db.pipeline.review_items import (
    IMAGES,
    OWN_COLUMNS,
    TEXT_COLUMNS,
    Item,
    belongs_to,
    load_items,
    shown_in,
)
from lam3db.pipeline.review_labels import annotator, check_pseudonym, guideline_digest, read_scheme
from lam3db.records import Finding, RunStatus
from lam3db.store import reviews, writes
from lam3db.store.findings import latest_findings
from lam3db.store.insert import lock_versions
from lam3db.store.writes import FindingIn, RunCounts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from lam3db.pipeline.review_files import Sheet
    from lam3db.pipeline.review_labels import Scheme
    from lam3db.records import JudgeIdentity
    from lam3db.store.engine import Store
    from lam3db.store.reviews import ReviewRow

_SHOWN = 50
_LONGEST_COMMENT = 10_000


@dataclass(frozen=True, slots=True)
class Import:
    """What is to be read. ``reason`` lets labels that differ from stored ones become revisions."""

    file: Path
    annotator: str
    guideline: Path
    review: str | None = None
    adjudicates: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of it, in items."""

    review: str
    judge: str
    digest: str
    new: int
    revised: int
    unchanged: int
    open: int


def import_labels(store: Store, asked: Import) -> Imported:
    """Read a file of labels into the store.

    Raises:
        ConfigError: a name that is no pseudonym, an empty reason.
        NotFoundError: no such review.
        InputError: the file is refused, with every reason.

    """
    check_pseudonym(asked.annotator)
    if asked.reason is not None and not asked.reason.strip():
        raise ConfigError("--revise needs --reason TEXT: why is it another label now?")
    guideline = guideline_digest(asked.guideline)
    sheet = read_sheet(asked.file)
    with store.write() as conn:
        lock_versions(conn)
        review, items = _items(conn, asked, sheet)
        scheme = read_scheme(review.spec["labels"])
        said, open_ = _labels(asked.file, sheet, items, scheme)
        identity = annotator(
            asked.annotator,
            guideline,
            shown_in(sheet.columns),
            scheme,
            adjudicates=asked.adjudicates,
        )
        counts = _store(conn, asked, identity, said)
    sum_up(store)
    return Imported(review.name, identity.name, identity.digest.hex(), *counts, open_)


def _items(
    conn: Connection, asked: Import, sheet: Sheet
) -> tuple[ReviewRow, dict[str, Item | None]]:
    """Return the review the file is of, and its items by name (None: withheld by now).

    Raises:
        InputError: it is of no review, or its columns are not those of an export.

    """
    shown = shown_in(sheet.columns)
    known = {"item", IMAGES, *TEXT_COLUMNS.values(), *OWN_COLUMNS}
    strange = [name for name in sheet.columns if name and name not in known]
    missing = [name for name in ("response", "label") if name not in sheet.columns]
    if strange or missing:
        faults = [f"column {name!r} is none of ours: take it out" for name in strange]
        faults += [f"column {name!r} is missing" for name in missing]
        raise InputError(f"{asked.file}: its columns are not those of an export", faults)
    every = reviews.list_reviews(conn)
    if asked.review is not None:
        every = [reviews.find_review(conn, asked.review)]
    places = [[item.position for item in reviews.review_items(conn, one.id)] for one in every]
    names = {cells["item"].strip() for _, cells in sheet.rows}
    found = belongs_to(every, places, asked.annotator, names)
    if found is None:
        where = f"review {asked.review}" if asked.review else "any review here"
        raise InputError(
            f"{asked.file}: its items are none of {where} for annotator {asked.annotator!r}:"
            " was it exported for another annotator, or from another database?"
        )
    review, exported = found
    if set(exported) != set(shown):
        took = ", ".join(sorted(map(str, set(exported) ^ set(shown))))
        raise InputError(
            f"{asked.file}: it was exported with another view (columns added or taken out: {took}):"
            " what was shown belongs to the label"
        )
    items, withheld = load_items(conn, review, asked.annotator, shown)
    named: dict[str, Item | None] = dict.fromkeys(withheld)
    return review, named | {name: item for item in items for name in item.names}


def _labels(
    file: Path, sheet: Sheet, items: Mapping[str, Item | None], scheme: Scheme
) -> tuple[dict[str, tuple[int, Item, Finding]], int]:
    """Return (row, item, finding) by the item's name, and how many rows are open."""
    faults: list[str] = []
    said: dict[str, tuple[int, Item, Finding]] = {}
    first: dict[str, int] = {}
    open_ = 0
    for number, cells in sheet.rows:
        name = cells["item"].strip()
        if name not in items:
            faults.append(f"row {number}, column item: {_short(name)} is no item of this review")
            continue
        item = items[name]
        if item is None:  # withheld since: nobody's label is wanted
            continue
        if item.name in first:
            faults.append(f"row {number}, column item: {name} is in row {first[item.name]} too")
            continue
        first[item.name] = number
        there = [f"row {number}, {fault}" for fault in _changed(item, cells, sheet)]
        finding, wrong = _finding(cells, scheme)
        there += [f"row {number}, {fault}" for fault in wrong]
        faults += there
        if finding is None:
            open_ += not there
        elif not there:
            said[item.name] = (number, item, finding)
    _raise(file, faults)
    return said, open_


def _changed(item: Item, cells: Mapping[str, str], sheet: Sheet) -> list[str]:
    """Return the columns whose text is no longer what was exported."""
    hint = "" if sheet.is_xlsx else "; programs change what looks like a number or a date in CSV: "
    hint += "" if sheet.is_xlsx else "export .xlsx"
    return [
        f"column {name}: the text was changed ({_short(cells[name])}): only label, confidence and "
        f"comment are yours to write{hint}"
        for name in TEXT_COLUMNS.values()
        if name in cells and not same_text(cells[name], item.text(name))
    ]


def _finding(cells: Mapping[str, str], scheme: Scheme) -> tuple[Finding | None, list[str]]:
    """Return what a row says (None: it is open), and what is wrong with it."""
    faults: list[str] = []
    label = cells.get("label", "").strip()
    comment = cells.get("comment", "").strip()
    confidence = cells.get("confidence", "").strip()
    if not label:
        if confidence or comment:
            given = "confidence" if confidence else "comment"
            return None, [f"column label: empty, but there is a {given}: write {scheme.words[-1]}?"]
        return None, []
    finding = None
    try:
        finding = scheme.finding(label)
    except ValueError as error:
        faults.append(f"column label: {_short(label)} {error}")
    share = _share(confidence)
    if confidence and share is None:
        faults.append(f"column confidence: {_short(confidence)} is no number from 0 to 1")
    if len(comment) > _LONGEST_COMMENT:
        faults.append(f"column comment: has more than {_LONGEST_COMMENT:,} characters")
    if finding is None or faults:
        return None, faults
    numbers = {} if share is None else {"confidence": share}
    return replace(finding, explanation=comment or None, attributes=numbers), []


def _share(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number <= 1 and "_" not in text else None


def _store(
    conn: Connection,
    asked: Import,
    identity: JudgeIdentity,
    said: Mapping[str, tuple[int, Item, Finding]],
) -> tuple[int, int, int]:
    """Write what is new and what is revised; return how many were new, revised, unchanged."""
    judge_id = writes.put_judge(conn, identity)
    subjects = [item.subject.digest for _, item, _ in said.values()]
    before = latest_findings(conn, judge_id, subjects)
    new, revised, unchanged = [], [], []
    faults = []
    for number, item, finding in said.values():
        known = before.get(item.subject.digest)
        row = FindingIn(item.subject.digest, finding, _answers(conn, item))
        if known is None:
            new.append(row)
        elif known == finding:
            unchanged.append(row)
        else:
            revised.append(row)
            what = f"{_words(known)} is stored, {_words(finding)} is written"
            faults.append(f"row {number}: {what}: to change it, --revise --reason TEXT")
    if asked.reason is None:
        _raise(asked.file, faults)
    _write(conn, asked, identity, judge_id, (new, revised, unchanged))
    return len(new), len(revised), len(unchanged)


def _write(
    conn: Connection,
    asked: Import,
    identity: JudgeIdentity,
    judge_id: int,
    rows: tuple[list[FindingIn], list[FindingIn], list[FindingIn]],
) -> None:
    new, revised, unchanged = rows
    known = {label.generation_id for label in _mine(conn, judge_id, unchanged)}
    pairs = [
        (row.subject_digest, one)
        for row in unchanged
        for one in row.generation_ids
        if one not in known
    ]
    if not (new or revised or pairs):
        return
    requested = {"file": asked.file.name, "annotator": asked.annotator}
    run_id, _ = start_judge_run(conn, identity, judge_id, requested)
    writes.put_findings(conn, run_id, judge_id, new)
    writes.link_findings(conn, run_id, judge_id, pairs)
    if revised:
        reason = asked.reason or ""
        writes.put_revisions(conn, run_id, judge_id, revised, asked.annotator, reason)
    counts = RunCounts(len(new) + len(revised), len(new) + len(revised), len(pairs), 0)
    writes.finish_run(conn, run_id, RunStatus.FINISHED, counts)


def _mine(conn: Connection, judge_id: int, rows: Sequence[FindingIn]) -> list[reviews.Label]:
    everything = [one for row in rows for one in row.generation_ids]
    return [one for one in reviews.human_labels(conn, everything) if one.judge_id == judge_id]


def _answers(conn: Connection, item: Item) -> tuple[int, ...]:
    """Return every answer a label of this item is of: those of the review and their copies."""
    found = reviews.copies(conn, item.generations)
    return tuple(sorted({one for others in found.values() for one in others}))


def _words(finding: Finding) -> str:
    label = finding.verdict or finding.value
    parts = ["skip" if label is None else f"{label:g}" if isinstance(label, float) else str(label)]
    if "confidence" in finding.attributes:
        parts.append(f"confidence {finding.attributes['confidence']:g}")
    if finding.explanation:
        parts.append(f"comment {_short(finding.explanation)}")
    return ", ".join(parts)


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")


def _raise(file: Path, faults: Sequence[str]) -> None:
    if faults:
        more = [f"... and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
        count = f"{len(faults)} fault{'s' * (len(faults) != 1)}"
        raise InputError(f"{file}: {count}; nothing was stored", [*faults[:_SHOWN], *more])
