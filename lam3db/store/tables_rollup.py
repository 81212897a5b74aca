"""Tables of the roll-up: sums that reports would otherwise scan for.

They are a cache: everything in them follows from the other tables, ``lam3db db verify`` derives
it again, and a database without a row in them gives the same reports. So they refer to others
by plain numbers, and nothing refers to them. What must hold: whoever writes a generation, a
score, a failure or a run leaves a row in ``rollup_touch`` in the same transaction (the
database's own triggers do it, see the migration), and what a touch concerns is not read from
here. ``judge_id`` 0 means no judge, or any.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, LargeBinary, PrimaryKeyConstraint

from lam3db.store import columns as _c

rollup_touch = _c.table(
    "rollup_touch",
    _c.identity(),
    _c.integer("model_version_id"),
    _c.integer("config_id"),
    _c.integer("judge_id"),
    Index(None, "model_version_id", "config_id", "judge_id"),
)
"""What was written since: answers (judge 0) or scores of a model version and config."""

rollup_pair = _c.table(
    "rollup_pair",
    _c.integer("model_version_id"),
    _c.integer("config_id"),
    _c.integer("stamp"),
    *_c.flag("is_stale"),
    _c.integer("dataset_reach"),
    _c.integer("answers"),
    PrimaryKeyConstraint("model_version_id", "config_id"),
    rowid=False,
)
"""A model version and config whose sums are kept, for all datasets up to ``dataset_reach``.

``answers`` is how many it has; whoever settles it last has its ``stamp``.
"""

rollup_selection = _c.table(
    "rollup_selection",
    Column("selection_id", _c.Int, autoincrement=False, nullable=False),
    _c.text("labels"),
    Column("members", LargeBinary, nullable=False),
    PrimaryKeyConstraint("selection_id"),
)
"""The samples of a selection with behavior, category and attack; a selection never changes."""

rollup = _c.table(
    "rollup",
    *_c.word("part", ("whole", "category", "attack", "both")),
    _c.integer("judge_id"),
    _c.integer("selection_id"),
    _c.integer("model_version_id"),
    _c.integer("config_id"),
    _c.integer("reach"),
    _c.number("threshold", null=True),
    _c.text("operator", null=True),
    Column("sums", LargeBinary, nullable=False),
    PrimaryKeyConstraint("part", "judge_id", "selection_id", "model_version_id", "config_id"),
    Index(None, "model_version_id", "config_id"),
    rowid=False,
)
"""Sums of one judge over the answers of one pair to one selection, per ``part``'s labels."""

rollup_unit = _c.table(
    "rollup_unit",
    _c.integer("judge_id"),
    _c.integer("model_version_id"),
    _c.integer("config_id"),
    Column("units", LargeBinary, nullable=False),
    PrimaryKeyConstraint("model_version_id", "config_id", "judge_id"),
)
"""What those are sums of, as columns: a pair's answers (judge 0), what each judge said of them."""

TABLES = frozenset({"rollup", "rollup_pair", "rollup_selection", "rollup_touch", "rollup_unit"})
TRIGGERS = frozenset(
    f"rollup_touched_{at}"
    for at in ("generation_insert", "run_insert", "failure_insert", "score_insert", "score_update")
)
"""What writes ``rollup_touch``; made by the migration."""
