"""How Alembic reaches the database: through lam3db's own connections.

``lam3db db upgrade`` hands a connection in; ``alembic upgrade head`` by hand goes through the
same door (lock, backup, foreign-key check). What must hold: one transaction for all revisions,
and our own version table, so that two tools can live in one database.
"""

from __future__ import annotations

from alembic import context

from lam3db.errors import StoreError
from lam3db.store.migrate import VERSION_TABLE, by_hand
from lam3db.store.tables import metadata

if context.is_offline_mode():
    raise StoreError("--sql is not supported: the revisions ask the database what it is")

connection = context.config.attributes.get("connection")
with by_hand(connection) as connected:
    context.configure(connection=connected, target_metadata=metadata, version_table=VERSION_TABLE)
    with context.begin_transaction():
        context.run_migrations()
