"""The table of copies: which files hold what this database held, so that they can be named.

What must hold: as in :mod:`lam3db.store.tables`, which names it too. It is about this file
alone and never merged; whoever deletes a copy need not say so here.
"""

from __future__ import annotations

from lam3db.store import columns as _c

stored_copy = _c.table(
    "stored_copy",
    _c.identity(),
    *_c.uid(),
    *_c.word("kind", ("backup", "bundle")),
    _c.text("path"),
    _c.text("host"),
    _c.text("author"),
    _c.integer("created_at"),
)
