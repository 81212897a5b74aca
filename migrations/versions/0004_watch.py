"""Issues can be linked to models, judges and answers; the log knows sections and their order.

What must hold: this file does not change after a release. No row is lost on the way up; on the
way down, links that the older schema cannot hold and the sections of log entries are.
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_LINK = """CREATE TABLE issue_link (
    id INTEGER NOT NULL,
    issue_id INTEGER NOT NULL,
    fingerprint TEXT,
    run_id INTEGER,
    generation_id INTEGER,
    failure_id INTEGER,
    author TEXT NOT NULL,
    created_at INTEGER NOT NULL,{columns}
    CONSTRAINT pk_issue_link PRIMARY KEY (id),
    CONSTRAINT {rule},
    CONSTRAINT fk_issue_link_issue_id FOREIGN KEY(issue_id) REFERENCES issue (id),
    CONSTRAINT fk_issue_link_run_id FOREIGN KEY(run_id) REFERENCES run (id),
    CONSTRAINT fk_issue_link_generation_id FOREIGN KEY(generation_id) REFERENCES generation (id),
    CONSTRAINT fk_issue_link_failure_id FOREIGN KEY(failure_id) REFERENCES failure (id){keys}
) STRICT"""
_ENTRY = """CREATE TABLE log_entry (
    id INTEGER NOT NULL,
    uid TEXT NOT NULL,
    day TEXT NOT NULL,
    text TEXT NOT NULL,
    author TEXT NOT NULL,
    created_at INTEGER NOT NULL,{columns}
    CONSTRAINT pk_log_entry PRIMARY KEY (id),
    CONSTRAINT uq_log_entry_uid UNIQUE (uid),
    CONSTRAINT ck_log_entry_uid_length CHECK (length(uid) = 36),
    CONSTRAINT ck_log_entry_day CHECK (length(day) = 10){rules}
) STRICT"""
_OLD_RULE = "ck_issue_link_one CHECK ((fingerprint IS NOT NULL) <> (run_id IS NOT NULL))"
_NEW_RULE = (
    "ck_issue_link_some CHECK (fingerprint IS NOT NULL OR run_id IS NOT NULL"
    " OR generation_id IS NOT NULL OR model_version_id IS NOT NULL OR judge_id IS NOT NULL)"
)
_NEW_KEYS = {
    "fk_issue_link_model_version_id": "FOREIGN KEY(model_version_id) REFERENCES model_version (id)",
    "fk_issue_link_judge_id": "FOREIGN KEY(judge_id) REFERENCES judge (id)",
}
_POSITION = "ck_log_entry_position CHECK (position >= 0)"
_LINK_INDEXES = {
    "ix_issue_link_fingerprint": "issue_link (fingerprint)",
    "ix_issue_link_issue_id": "issue_link (issue_id)",
}
_ENTRY_INDEXES = {"ix_log_entry_day": "log_entry (day)"}
_OLD_LINK = "id, issue_id, fingerprint, run_id, generation_id, failure_id, author, created_at"
_OLD_ENTRY = "id, uid, day, text, author, created_at"


def upgrade() -> None:
    """Widen both tables."""
    if op.get_context().dialect.name == "sqlite":
        columns = "\n    model_version_id INTEGER,\n    judge_id INTEGER,"
        keys = "".join(f",\n    CONSTRAINT {name} {key}" for name, key in _NEW_KEYS.items())
        link = _LINK.format(columns=columns, rule=_NEW_RULE, keys=keys)
        _rebuild("issue_link", link, _OLD_LINK, _LINK_INDEXES)
        columns = (
            "\n    section TEXT NOT NULL,\n    heading TEXT NOT NULL,"
            "\n    position INTEGER NOT NULL,\n    fields TEXT,"
        )
        entry = _ENTRY.format(columns=columns, rules=f",\n    CONSTRAINT {_POSITION}")
        added = ", section, heading, position"
        _rebuild("log_entry", entry, _OLD_ENTRY, _ENTRY_INDEXES, added, ", 'progress', '', id")
        return
    for column in ("model_version_id", "judge_id"):
        op.execute(f"ALTER TABLE issue_link ADD COLUMN {column} BIGINT")
    for name, key in _NEW_KEYS.items():
        op.execute(f"ALTER TABLE issue_link ADD CONSTRAINT {name} {key}")
    op.execute("ALTER TABLE issue_link DROP CONSTRAINT ck_issue_link_one")
    op.execute(f"ALTER TABLE issue_link ADD CONSTRAINT {_NEW_RULE}")
    for column in ("section TEXT", "heading TEXT", "position BIGINT", "fields TEXT"):
        op.execute(f"ALTER TABLE log_entry ADD COLUMN {column}")
    op.execute("UPDATE log_entry SET section = 'progress', heading = '', position = id")
    for column in ("section", "heading", "position"):
        op.execute(f"ALTER TABLE log_entry ALTER COLUMN {column} SET NOT NULL")
    op.execute(f"ALTER TABLE log_entry ADD CONSTRAINT {_POSITION}")


def downgrade() -> None:
    """Narrow both tables; a link to a model, a judge or an answer alone is dropped."""
    op.execute(
        "DELETE FROM issue_link WHERE model_version_id IS NOT NULL OR judge_id IS NOT NULL"
        " OR (fingerprint IS NOT NULL) = (run_id IS NOT NULL)"
    )
    if op.get_context().dialect.name == "sqlite":
        link = _LINK.format(columns="", rule=_OLD_RULE, keys="")
        _rebuild("issue_link", link, _OLD_LINK, _LINK_INDEXES)
        _rebuild("log_entry", _ENTRY.format(columns="", rules=""), _OLD_ENTRY, _ENTRY_INDEXES)
        return
    op.execute("ALTER TABLE issue_link DROP CONSTRAINT ck_issue_link_some")
    op.execute(f"ALTER TABLE issue_link ADD CONSTRAINT {_OLD_RULE}")
    for column in ("model_version_id", "judge_id"):
        op.execute(f"ALTER TABLE issue_link DROP COLUMN {column}")
    for column in ("section", "heading", "position", "fields"):
        op.execute(f"ALTER TABLE log_entry DROP COLUMN {column}")


def _rebuild(
    table: str, made: str, kept: str, indexes: dict[str, str], added: str = "", values: str = ""
) -> None:
    """Make a SQLite table anew with its rows: it cannot change a rule in place."""
    for name in indexes:
        op.execute(f"DROP INDEX {name}")
    op.execute(f"ALTER TABLE {table} RENAME TO {table}_old")
    op.execute(made)
    op.execute(f"INSERT INTO {table} ({kept}{added}) SELECT {kept}{values} FROM {table}_old")
    op.execute(f"DROP TABLE {table}_old")
    for name, columns in indexes.items():
        op.execute(f"CREATE INDEX {name} ON {columns}")
