"""Merging scores: the links from answers to what was said of them.

The links of an answer in one replicate are a history like that of a finding. Where all lead to
findings of one subject, they stand in the order of that finding's history. An ensemble's lead to
what its members said in turn, may come back to an earlier finding, and stand in the order of
their times, the first asking before every revision.

A judge that was imported may have said different things of equal subjects: each answer keeps what
was said of it, in the replicate it came in.

What must hold: a score says what its finding here says, because it is made from it; a link is
the same if it leads to the same finding and, where it revises, was made by the same author at
the same time; an answer that a judge has scored in any replicate has a score in replicate 0
too, so that a merge makes nothing pending again.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.store import tables as t
from lam3db.store.bulk import select_in
from lam3db.store.merge_judges import MERGE_AUTHOR
from lam3db.store.put_findings import link_findings
from lam3db.store.results import imported_judges

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lam3db.store.merge_rows import Merge, Row

    Chain = list["Link"]

_STORED = (
    "SELECT id, generation_id, replicate, revision, finding_id, author, reason, created_at"
    " FROM score WHERE judge_id = ? AND generation_id"
)
_FINDINGS = (
    "SELECT id, subject_digest, replicate, revision, status, value, verdict, author, reason"
    " FROM finding WHERE id"
)


@dataclass(slots=True)
class Link:
    """One link of an answer; ``row`` is None where it is stored, under ``id``."""

    finding_id: int
    author: str | None
    reason: str | None
    created_at: int
    id: int = 0
    revision: int = -1
    row: Row | None = None

    @property
    def is_signed(self) -> bool:
        """Whether somebody revised by it; a merge that numbered it did not."""
        return self.author not in (None, MERGE_AUTHOR)

    def is_same(self, other: Link, revision: int) -> bool:
        """Tell whether a stored link is ``other`` from there, to a finding of that revision."""
        if self.finding_id != other.finding_id:
            return False
        if not other.is_signed:
            return True
        if not self.is_signed:  # linked after the finding was revised, so never revised itself
            return revision > 0
        mine = (self.author, self.reason, self.created_at)
        return mine == (other.author, other.reason, other.created_at)


def merge_scores(m: Merge) -> None:
    """Take over scores, judge by judge within each page."""
    for page in m.source.pages(t.score):
        by_judge: dict[int, list[Row]] = defaultdict(list)
        for row in m.mapped(t.score, page):
            by_judge[row["judge_id"]].append(row)
        for judge, rows in by_judge.items():
            _put(m, judge, rows)


def _put(m: Merge, judge: int, rows: Sequence[Row]) -> None:
    generations = sorted({row["generation_id"] for row in rows})
    stored = select_in(m.conn, _STORED, (judge,), generations, "bigint")
    used = {row["finding_id"] for row in rows} | {row.finding_id for row in stored}
    findings = {row.id: row for row in select_in(m.conn, _FINDINGS, (), sorted(used), "bigint")}
    chains: dict[tuple[int, int], Chain] = defaultdict(list)
    for row in stored:
        said = (row.finding_id, row.author, row.reason, row.created_at)
        chains[row.generation_id, row.replicate].append(Link(*said, row.id, row.revision))
    changed = set()
    spoken = judge in imported_judges(m.conn)
    for row in rows:
        finding = findings[row["finding_id"]]
        first = chains.get((row["generation_id"], 0), [])
        own = spoken and (not first or any(one.finding_id == finding.id for one in first))
        key = (row["generation_id"], row["replicate"] if own else finding.replicate)
        link = Link(finding.id, row["author"], row["reason"], row["created_at"], row=row)
        if not any(one.is_same(link, finding.revision) for one in chains[key]):
            chains[key].append(link)
            changed.add(key)
    written = _write(m, {key: chains[key] for key in sorted(changed)}, findings)
    m.report.add("score", len(written), len(rows) - len(written))
    _link_first(m, judge, [row for row in written if row["replicate"]], findings)


def _write(
    m: Merge, chains: Mapping[tuple[int, int], Chain], findings: Mapping[int, Any]
) -> list[Row]:
    """Write the new links of these chains, and put the stored ones where they belong now."""
    new: list[Row] = []
    moved: list[Row] = []
    for (_, replicate), chain in chains.items():
        for revision, link in enumerate(_in_order(chain, findings)):
            finding = findings[link.finding_id]
            signed = _signed(link, finding) if revision else {"author": None, "reason": None}
            place = {"replicate": replicate, "revision": revision, **signed}
            if link.row is not None:
                said = {name: getattr(finding, name) for name in ("status", "value", "verdict")}
                new.append(link.row | place | said)
            elif link.revision != revision:
                moved.append({"row": link.id, "revision": revision, **signed})
    m.number(t.score, moved)
    m.insert(t.score, new)
    return new


def _in_order(chain: Chain, findings: Mapping[int, Any]) -> Chain:
    """Return links as they follow each other; the same from whichever side they came."""
    subjects = {bytes(findings[link.finding_id].subject_digest) for link in chain}
    if len(subjects) == 1:
        return sorted(chain, key=lambda one: (findings[one.finding_id].revision, one.created_at))
    return sorted(chain, key=lambda one: (one.is_signed, one.created_at, one.finding_id))


def _signed(link: Link, finding: Any) -> dict[str, str]:
    """Return who revised and why; a score is revised because its finding was."""
    return {
        "author": link.author or finding.author or MERGE_AUTHOR,
        "reason": link.reason or finding.reason or "scored on both sides of a merge",
    }


def _link_first(m: Merge, judge: int, rows: Sequence[Row], findings: Mapping[int, Any]) -> None:
    """Give answers that came with a further opinion the one that numbers are made of here."""
    by_run: dict[int, list[tuple[bytes, int]]] = defaultdict(list)
    for row in rows:
        subject = bytes(findings[row["finding_id"]].subject_digest)
        by_run[row["run_id"]].append((subject, row["generation_id"]))
    for run, pairs in by_run.items():
        m.report.add("score", link_findings(m.conn, run, judge, pairs), 0)
