"""Units beside their sums: what other thresholds, rules and clusters are answered from.

Pairs that were summed before are stale until they are summed with their units.

What must hold: neither this file nor ``sql/0007_units.sql`` changes after a release.
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

WORDS = {
    "sqlite": {"int": "INTEGER", "bytes": "BLOB", "strict": " STRICT"},
    "postgresql": {"int": "BIGINT", "bytes": "BYTEA", "strict": ""},
}


def upgrade() -> None:
    """Create the table; what was summed has to be summed again."""
    sql = (Path(__file__).parents[1] / "sql" / "0007_units.sql").read_text(encoding="utf-8")
    plain = "\n".join(line for line in sql.splitlines() if not line.startswith("--"))
    op.execute(plain.strip().removesuffix(";").format(**WORDS[op.get_context().dialect.name]))
    op.execute("UPDATE rollup_pair SET is_stale = 1")


def downgrade() -> None:
    """Drop the table: nothing is lost that could not be derived again."""
    op.execute("DROP TABLE rollup_unit")
