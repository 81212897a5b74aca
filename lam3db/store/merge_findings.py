"""Merging findings, subject by subject, by the rule of :mod:`lam3db.store.merge_opinions`.

What must hold: one judge's findings on one subject are looked at together; a part holds a
bounded number of rows; every finding of the source ends with an id here, and its attributes
are those it came with.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from lam3db.hashing import unescape
from lam3db.store import tables as t
from lam3db.store.bulk import insert_new, select_in
from lam3db.store.merge_opinions import Said, bring_together, by_subject, split
from lam3db.store.source import PAGE
from lam3db.store.values import as_datetime

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection

    from lam3db.store.merge_opinions import History, Opinion, Place
    from lam3db.store.merge_rows import Merge, Row

LONGEST = 10_000
"""Findings of one subject; no honest history is longer."""
_COLUMNS = ", ".join(column.name for column in t.finding.columns)
_STORED = f"SELECT {_COLUMNS} FROM finding WHERE judge_id = ? AND subject_digest"
_ATTRIBUTES = "SELECT finding_id, attribute, value FROM finding_attribute WHERE finding_id"


def merge_findings(m: Merge) -> None:
    """Take over findings and their attributes."""
    f = t.finding.c
    asked = select(t.finding).order_by(f.judge_id, f.subject_digest, f.replicate, f.revision)
    rows = (row for page in m.source.pages(t.finding, asked) for row in page)
    for part in _whole_subjects(m, rows):
        attributes = _attributes(m.source.connection, part)
        _put(m, _said(part, attributes))


def _whole_subjects(m: Merge, rows: Iterator[Any]) -> Iterator[list[Any]]:
    """Yield rows of one judge in parts that hold all of each subject."""
    part: list[Any] = []
    for _, group in groupby(rows, lambda row: (row.judge_id, bytes(row.subject_digest))):
        whole: list[Any] = []
        for row in group:
            whole.append(row)
            if len(whole) > LONGEST:
                m.source.refuse([f"finding {row.id}: more than {LONGEST} of one subject"])
        if part and (len(part) >= PAGE or part[0].judge_id != whole[0].judge_id):
            yield part
            part = []
        part += whole
    if part:
        yield part


def _attributes(conn: Connection, rows: Sequence[Any]) -> list[Any]:
    return select_in(conn, _ATTRIBUTES, (), [row.id for row in rows], "bigint")


def _said(rows: Sequence[Any], attributes: Sequence[Any]) -> list[Said]:
    found: dict[int, list[tuple[str, float]]] = defaultdict(list)
    for one, name, value in attributes:
        found[one].append((name, value))
    said, names = [], t.finding.columns.keys()
    for row in rows:
        made: Row = dict(zip(names, row, strict=True))
        made["subject_digest"] = bytes(row.subject_digest)
        said.append(Said(made, tuple(sorted(found.get(row.id, ())))))
    return said


@dataclass(slots=True)
class _Plan:
    """What is to be done here for a part of the findings from there."""

    new: dict[tuple[bytes, int, int], Place] = field(default_factory=dict)
    moved: list[Row] = field(default_factory=list)
    known: list[Place] = field(default_factory=list)

    def take(self, subject: bytes, opinion: Opinion) -> None:
        """Note each place of an opinion."""
        for revision, place in enumerate(opinion.places):
            if place.is_new:
                self.new[subject, opinion.replicate, revision] = place
                continue
            self.known.append(place)
            if place.said.row["revision"] != revision:
                self.moved.append({"row": place.said.row["id"], "revision": revision})


def _put(m: Merge, there: Sequence[Said]) -> None:
    """Take over all that one judge said of some subjects."""
    one = there[0].row["judge_id"]
    judge = m.ids.get("judge", [one])[one]
    here = stored_histories(m.conn, judge, sorted({said.row["subject_digest"] for said in there}))
    plan = _Plan()
    for subject, said in by_subject(there):
        try:
            histories = split(said)
        except ValueError as error:
            m.source.refuse([f"finding {said[0].row['id']}: {error}"])
        for opinion in bring_together(here.get(subject, {}), histories):
            plan.take(subject, opinion)
            _tell(m, subject, opinion)
    m.number(t.finding, plan.moved)
    ids = _insert(m, judge, plan)
    ids |= {id(place): place.said.row["id"] for place in plan.known}
    pairs = [(said, ids[id(p)]) for p in (*plan.new.values(), *plan.known) for said in p.there]
    m.ids.put("finding", ((said.row["id"], found) for said, found in pairs))
    m.report.add("finding", len(plan.new), len(there) - len(plan.new))
    if not m.source.is_bundle:
        new = {id(said) for place in plan.new.values() for said in place.there}
        m.withhold(t.finding, [(_Row(s.row), found) for s, found in pairs if id(s) not in new])


@dataclass(frozen=True, slots=True)
class _Row:
    """A finding as the withholding reads it."""

    row: Row

    @property
    def withheld_id(self) -> int | None:
        """Who withheld it there."""
        return self.row["withheld_id"]  # type: ignore[no-any-return]


def stored_histories(
    conn: Connection, judge_id: int, subjects: Sequence[bytes]
) -> dict[bytes, dict[int, History]]:
    """Return what a judge said here of these subjects, by replicate."""
    rows = select_in(conn, _STORED, (judge_id,), subjects, "bytea")
    ordered = sorted(rows, key=lambda row: bytes(row.subject_digest))
    said = _said(ordered, _attributes(conn, rows))
    return {subject: split(group) for subject, group in by_subject(said)}


def _insert(m: Merge, judge: int, plan: _Plan) -> dict[int, int]:
    """Write what is new; return the id here of each new place."""
    if not plan.new:
        return {}
    rows = m.mapped(t.finding, [place.said.row for place in plan.new.values()])
    for row, (_, replicate, revision) in zip(rows, plan.new, strict=True):
        row |= {"replicate": replicate, "revision": revision}
    m.insert(t.finding, rows)
    subjects = sorted({subject for subject, _, _ in plan.new})
    found = {
        (bytes(row.subject_digest), row.replicate, row.revision): row.id
        for row in select_in(m.conn, _STORED, (judge,), subjects, "bytea")
    }
    numbers = [
        (found[at], name, value)
        for at, place in plan.new.items()
        for name, value in place.said.attributes
    ]
    insert_new(m.conn, t.finding_attribute, ("finding_id", "attribute", "value"), numbers)
    return {id(place): found[at] for at, place in plan.new.items()}


def _tell(m: Merge, subject: bytes, opinion: Opinion) -> None:
    name = f"subject {subject.hex()[:12]}"
    if opinion.is_new and opinion.replicate:
        sentence = "its judge said something else there, kept as replicate"
        m.report.note("opinion", f"{name}: {sentence} {opinion.replicate}")
    last = opinion.places[-1]
    if last.is_new and not opinion.is_new:
        row = last.said.row
        at = f"{as_datetime(row['created_at']):%Y-%m-%d %H:%M:%SZ}"
        who = unescape(row["author"])
        m.report.note("revision", f"{name}: the revision of {at} by {who} is current now")
