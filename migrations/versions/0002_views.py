"""The views for people: names and ISO times instead of ids.

What must hold: neither this file nor ``sql/0002_views.sql`` changes after a release; a later
revision drops the views and creates them anew.
"""

from __future__ import annotations

import re
from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WORDS = {
    "sqlite": (
        r"lower(hex(\1))",
        (
            r"(strftime('%Y-%m-%dT%H:%M:%S', \1 / 1000000, 'unixepoch')"
            r" || printf('.%06dZ', \1 % 1000000))"
        ),
        "REAL",
    ),
    "postgresql": (
        r"encode(\1, 'hex')",
        (
            r"to_char(timestamp '1970-01-01' + \1 * interval '1 microsecond',"
            r""" 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
        ),
        "DOUBLE PRECISION",
    ),
}


def upgrade() -> None:
    """Create the views, each after those it reads."""
    hexed, iso, number = WORDS[op.get_context().dialect.name]
    for statement in _statements():
        sql = re.sub(r"HEX\(([\w.]+)\)", hexed, statement)
        sql = re.sub(r"ISO\(([\w.]+)\)", iso, sql)
        op.get_bind().exec_driver_sql(sql.format(number=number))


def downgrade() -> None:
    """Drop the views; no row is lost."""
    for statement in reversed(_statements()):
        name = re.match(r"CREATE VIEW (\w+)", statement)
        if name is not None:
            op.execute(f"DROP VIEW {name[1]}")


def _statements() -> list[str]:
    sql = (Path(__file__).parents[1] / "sql" / "0002_views.sql").read_text(encoding="utf-8")
    plain = "\n".join(line for line in sql.splitlines() if not line.startswith("--"))
    return [part.strip() for part in plain.split(";\n") if part.strip()]
