"""An answer's images, labels and settings in the view of answers.

What must hold: neither this file nor ``sql/0009_settings.sql`` changes after a release. No row
changes; on the way down the view is that of 0008 again.
"""

from __future__ import annotations

import re
from pathlib import Path

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ORDERED = "ORDER BY si.position ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"
WORDS = {
    "sqlite": {
        r"HEX\(([\w.]+)\)": r"lower(hex(\1))",
        r"ISO\(([\w.]+)\)": (
            r"(strftime('%Y-%m-%dT%H:%M:%S', \1 / 1000000, 'unixepoch')"
            r" || printf('.%06dZ', \1 % 1000000))"
        ),
        r"IN_ORDER\((.*?), si\.position\)": rf"group_concat(\1, ',') OVER ({_ORDERED})",
        r"SETTING\((\w+)\)": r"(SELECT e.value FROM json_each(c.value) e WHERE e.key = '\1')",
    },
    "postgresql": {
        r"HEX\(([\w.]+)\)": r"encode(\1, 'hex')",
        r"ISO\(([\w.]+)\)": (
            r"to_char(timestamp '1970-01-01' + \1 * interval '1 microsecond',"
            r""" 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
        ),
        r"IN_ORDER\((.*?), si\.position\)": rf"string_agg(\1, ',') OVER ({_ORDERED})",
        r"SETTING\((\w+)\)": r"(CAST(c.value AS jsonb) ->> '\1')",
    },
}
"""Dialect -> what stands in the SQL, as a pattern -> the engine's own words for it.

SQLite lets no view of an untrusted schema call ``json_extract``; ``json_each`` is harmless to it.
"""


def upgrade() -> None:
    """Show images, target, metadata and settings beside each answer."""
    _replace_view("0009_settings.sql")


def downgrade() -> None:
    """Show the view as it was."""
    _replace_view("0008_reasoning.sql")


def _replace_view(name: str) -> None:
    sql = (Path(__file__).parents[1] / "sql" / name).read_text(encoding="utf-8")
    statement = "\n".join(line for line in sql.splitlines() if not line.startswith("--"))
    for pattern, words in WORDS[op.get_context().dialect.name].items():
        statement = re.sub(pattern, words, statement, flags=re.DOTALL)
    op.execute("DROP VIEW v_generation")
    op.get_bind().exec_driver_sql(statement.strip().removesuffix(";"))
