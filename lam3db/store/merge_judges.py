"""Merging judges and their thresholds.

What must hold: a judge is one row per digest; the threshold in force here stays in force.
Thresholds from there become versions of the history; the one in force is then said again
after them, by ``lam3db merge``, because the last version is the one that counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from lam3db.hashing import unescape
from lam3db.store import tables as t
from lam3db.store.bulk import select_in
from lam3db.store.merge_runs import refuse_secrets
from lam3db.store.values import now

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lam3db.store.merge_rows import Merge, Row

MERGE_AUTHOR = "lam3db merge"


def merge_judges(m: Merge) -> None:
    """Take over judges with the verdicts that they call unsafe, and their thresholds."""
    for page in m.source.pages(t.judge):
        refuse_secrets(m, "judge", page, "spec")
        new = sorted(m.put(t.judge, "digest", page))
        asked = "SELECT judge_id, verdict FROM judge_verdict WHERE judge_id"
        verdicts = select_in(m.source.connection, asked, (), new, "bigint")
        m.insert(t.judge_verdict, m.mapped(t.judge_verdict, verdicts))
        for row in page:
            if row.id in new:
                name = f"{unescape(row.name)} [{bytes(row.digest).hex()[:8]}]"
                m.report.note("judge", f"{name} is new here")
            _put_policies(m, row)


def _put_policies(m: Merge, judge: Any) -> None:
    p = t.judge_policy.c
    asked = select(t.judge_policy).where(p.judge_id == judge.id).order_by(p.version)
    rows = [row for page in m.source.pages(t.judge_policy, asked) for row in page]
    if not rows:
        return
    there = m.mapped(t.judge_policy, rows)
    stored = select(t.judge_policy).where(p.judge_id == there[0]["judge_id"]).order_by(p.version)
    here: list[Row] = [dict(row._mapping) for row in m.conn.execute(stored)]  # noqa: SLF001 - SQLAlchemy's name for a row as a mapping
    known = {_says(row) for row in here}
    new = [row for row in there if not here or _says(row) not in known]
    added = _versions(here, new)
    m.insert(t.judge_policy, added)
    m.report.add("judge_policy", len(added), len(there) - len(new))
    if here and _says(here[-1]) != _says(there[-1]):
        m.report.note(
            "policy",
            f"{unescape(judge.name)}: {here[-1]['operator']} {here[-1]['threshold']:g} stays"
            f" in force here, {there[-1]['operator']} {there[-1]['threshold']:g} is there",
        )


def _versions(here: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """Return the versions to write, numbered after those stored."""
    said = list(new)
    if here and new:
        said.append(here[-1] | {"author": MERGE_AUTHOR, "created_at": now()})
    first = here[-1]["version"] + 1 if here else 1
    return [row | {"version": number} for number, row in enumerate(said, first)]


def _says(row: Row) -> tuple[float, str]:
    return row["threshold"], row["operator"]
