"""Merging issues, their events and links, and the entries of the daily log.

What must hold: all are known by their uid (a link by what it links); an issue's key that is
taken here by another issue gets a suffix, and is reported.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, select

from lam3db.hashing import unescape
from lam3db.store import tables as t

if TYPE_CHECKING:
    from lam3db.store.merge_rows import Merge, Row


def merge_watch(m: Merge) -> None:
    """Take over what people wrote; a bundle has nothing of it."""
    if m.source.is_bundle:
        return
    for page in m.source.pages(t.issue):
        for there, row in zip(page, m.mapped(t.issue, page), strict=True):
            _put_issue(m, there, row)
    for page in m.source.pages(t.issue_event):
        m.put(t.issue_event, "uid", page)
    for page in m.source.pages(t.issue_link):
        for row in m.mapped(t.issue_link, page):
            _put_link(m, row)
    for page in m.source.pages(t.log_entry):
        m.put(t.log_entry, "uid", page)


def _put_issue(m: Merge, there: Any, row: Row) -> None:
    found = m.known(t.issue, "uid", [row["uid"]])
    m.report.add("issue", int(not found), len(found))
    if not found:
        row["key"] = _free_key(m, row["key"])
        if row["key"] != there.key:
            old, new = unescape(there.key), unescape(row["key"])
            m.report.note("issue", f"{old} is another issue here: the one from there is {new}")
        m.insert(t.issue, [row])
        found = m.known(t.issue, "uid", [row["uid"]])
    m.ids.put("issue", [(there.id, found[row["uid"]])])


def _free_key(m: Merge, key: str) -> str:
    tried = (key if number == 1 else f"{key}-{number}" for number in count(1))
    return next(one for one in tried if not m.known(t.issue, "key", [one]))


def _put_link(m: Merge, row: Row) -> None:
    c = t.issue_link.c
    same = [c[name].is_not_distinct_from(value) for name, value in row.items()]
    is_known = m.conn.execute(select(c.id).where(and_(*same)).limit(1)).scalar() is not None
    m.report.add("issue_link", int(not is_known), int(is_known))
    if not is_known:
        m.insert(t.issue_link, [row])
