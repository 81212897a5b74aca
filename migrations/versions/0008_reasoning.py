"""What a model thought before it answered, beside the answer.

What must hold: neither this file nor ``sql/0008_reasoning.sql`` changes after a release. No row
is lost on the way up; on the way down the reasoning is, which ``raw_text`` still holds.
"""

from __future__ import annotations

import re
from pathlib import Path

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

COLUMNS = {
    "reasoning_digest": "{bytes} CONSTRAINT ck_generation_reasoning_digest_length"
    " CHECK (length(reasoning_digest) = 32)",
    "reasoning": "TEXT CONSTRAINT ck_generation_reasoning CHECK (reasoning IS NULL"
    " OR (reasoning_digest IS NOT NULL AND withheld_id IS NULL))",
}
WORDS = {
    "sqlite": (
        "BLOB",
        r"lower(hex(\1))",
        (
            r"(strftime('%Y-%m-%dT%H:%M:%S', \1 / 1000000, 'unixepoch')"
            r" || printf('.%06dZ', \1 % 1000000))"
        ),
    ),
    "postgresql": (
        "BYTEA",
        r"encode(\1, 'hex')",
        (
            r"to_char(timestamp '1970-01-01' + \1 * interval '1 microsecond',"
            r""" 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
        ),
    ),
}
_ADDED = "       g.reasoning AS reasoning,\n"


def upgrade() -> None:
    """Add the columns, and show the reasoning in the view."""
    for name, kind in COLUMNS.items():
        kind_here = kind.format(bytes=WORDS[op.get_context().dialect.name][0])
        op.execute(f"ALTER TABLE generation ADD COLUMN {name} {kind_here}")
    _replace_view(_view())


def downgrade() -> None:
    """Show the view as it was, and drop the columns with what they hold."""
    before = _view().replace(_ADDED, "")
    _replace_view(before)
    for name in reversed(COLUMNS):
        op.execute(f"ALTER TABLE generation DROP COLUMN {name}")


def _replace_view(statement: str) -> None:
    _, hexed, iso = WORDS[op.get_context().dialect.name]
    sql = re.sub(r"HEX\(([\w.]+)\)", hexed, statement)
    sql = re.sub(r"ISO\(([\w.]+)\)", iso, sql)
    op.execute("DROP VIEW v_generation")
    op.get_bind().exec_driver_sql(sql)


def _view() -> str:
    sql = (Path(__file__).parents[1] / "sql" / "0008_reasoning.sql").read_text(encoding="utf-8")
    plain = "\n".join(line for line in sql.splitlines() if not line.startswith("--"))
    return plain.strip().removesuffix(";")
