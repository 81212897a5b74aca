"""Tables of what people watch over time: issues, the daily log, and what is withheld.

What must hold: as in :mod:`lam3db.store.tables`, which names them too. An issue's state is
read from its events; nothing of it is overwritten.
"""

from __future__ import annotations

from sqlalchemy import Index, UniqueConstraint

from lam3db.store import columns as _c

BUNDLE = "lam3db bundle"
"""The author of a withholding that says no more than: left out of this bundle."""

UNPUBLISHED = "lam3db import"
"""The author of a withholding of answers whose source published labels and no text."""

withholding = _c.table(
    "withholding",
    _c.identity(),
    *_c.uid(),
    _c.text("author"),
    _c.text("reason"),
    _c.integer("created_at"),
)

issue = _c.table(
    "issue",
    _c.identity(),
    *_c.uid(),
    _c.text("key"),
    UniqueConstraint("key"),
    _c.text("title"),
    _c.text("author"),
    _c.integer("created_at"),
    _c.rule("title", "length(title) > 0"),
)

issue_event = _c.table(
    "issue_event",
    _c.identity(),
    *_c.uid(),
    _c.reference("issue"),
    *_c.word("kind", ("opened", "comment", "status", "severity", "assigned", "closed", "reopened")),
    _c.text("value", null=True),
    _c.text("text"),
    _c.text("author"),
    _c.integer("created_at"),
    Index(None, "issue_id"),
)

issue_link = _c.table(
    "issue_link",
    _c.identity(),
    _c.reference("issue"),
    _c.text("fingerprint", null=True),
    _c.reference("run", null=True),
    _c.reference("generation", null=True),
    _c.reference("failure", null=True),
    _c.text("author"),
    _c.integer("created_at"),
    _c.reference("model_version", null=True),
    _c.reference("judge", null=True),
    _c.rule(
        "some",
        "fingerprint IS NOT NULL OR run_id IS NOT NULL OR generation_id IS NOT NULL"
        " OR model_version_id IS NOT NULL OR judge_id IS NOT NULL",
    ),
    Index(None, "issue_id"),
    Index(None, "fingerprint"),
)

log_entry = _c.table(
    "log_entry",
    _c.identity(),
    *_c.uid(),
    _c.text("day"),
    _c.text("text"),
    _c.text("author"),
    _c.integer("created_at"),
    _c.text("section"),
    _c.text("heading"),
    _c.integer("position"),
    _c.json("fields", dict, null=True),
    _c.rule("day", "length(day) = 10"),
    _c.rule("position", "position >= 0"),
    Index(None, "day"),
)
