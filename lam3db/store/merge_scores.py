"""Merging scores: the links from answers to what was said of them.

What must hold: a score says what its finding here says, because it is made from it; the links
of an answer stand in the order of the finding's history; an answer that a judge has scored in
any replicate has a score in replicate 0 too, so that a merge makes nothing pending again.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.store import tables as t
from lam3db.store.bulk import select_in
from lam3db.store.put_findings import link_findings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lam3db.store.merge_rows import Merge, Row

    Chain = list["Link"]

_STORED = (
    "SELECT id, generation_id, replicate, revision, finding_id, author, reason FROM score"
    " WHERE judge_id = ? AND generation_id"
)
_FINDINGS = (
    "SELECT id, subject_digest, replicate, revision, status, value, verdict, author, reason,"
    " created_at FROM finding WHERE id"
)


@dataclass(slots=True)
class Link:
    """One link of an answer; ``row`` is None where it is stored, under ``id``."""

    finding_id: int
    author: str | None
    reason: str | None
    id: int = 0
    revision: int = -1
    row: Row | None = None


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
        link = Link(row.finding_id, row.author, row.reason, row.id, row.revision)
        chains[row.generation_id, row.replicate].append(link)
    changed = set()
    for row in rows:
        key = (row["generation_id"], findings[row["finding_id"]].replicate)
        if all(link.finding_id != row["finding_id"] for link in chains[key]):
            chains[key].append(Link(row["finding_id"], row["author"], row["reason"], row=row))
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
        for revision, link in enumerate(sorted(chain, key=lambda one: _order(one, findings))):
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


def _order(link: Link, findings: Mapping[int, Any]) -> tuple[int, int]:
    finding = findings[link.finding_id]
    return finding.revision, finding.created_at


def _signed(link: Link, finding: Any) -> dict[str, str]:
    """Return who revised and why; a score is revised because its finding was."""
    return {
        "author": link.author or finding.author or "lam3db merge",
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
