"""Files that this database was copied to: noted when made, named when something must go.

What must hold: a copy that could not be noted is made all the same, and whoever made it is
told; backups beside the file that upgrades made are found by their names.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sqlalchemy import select

from lam3db.errors import Lam3Error
from lam3db.hashing import unescape
from lam3db.redaction import redact
from lam3db.store.engine import open_store
from lam3db.store.tables_copies import stored_copy
from lam3db.store.values import new_uid, now, stored

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from lam3db.store.address import Address
    from lam3db.store.engine import Store

Kind = Literal["backup", "bundle"]


@dataclass(frozen=True, slots=True)
class Copy:
    """A file with what the database held; ``made_at`` is None where only its name is known."""

    kind: str
    path: str
    host: str
    made_at: datetime | None


def note_copy(url: str | None, kind: Kind, path: Path, author: str) -> str | None:
    """Note a copy that was made; return why it could not be, or None.

    A database of an older schema is not upgraded for this.
    """
    row = {
        "uid": new_uid(),
        "kind": kind,
        "path": stored(redact(str(path.resolve()))),
        "host": stored(socket.gethostname()),
        "author": stored(author),
        "created_at": now(),
    }
    try:
        open_store(url, mode="read").close()
        with open_store(url, mode="write") as store, store.write() as conn:
            conn.execute(stored_copy.insert().values(row))
    except Lam3Error as error:
        return str(error)
    return None


def copies(store: Store) -> list[Copy]:
    """Return the copies known of, the oldest first, then backups that upgrades left."""
    with store.read() as conn:
        noted = _noted(conn)
    known = {one.path for one in noted}
    return noted + [one for one in _beside(store.address) if one.path not in known]


def _noted(conn: Connection) -> list[Copy]:
    c = stored_copy.c
    rows = conn.execute(select(c.kind, c.path, c.host, c.created_at).order_by(c.created_at, c.id))
    return [
        Copy(kind, unescape(path), unescape(host), datetime.fromtimestamp(at / 1e6, UTC))
        for kind, path, host, at in rows
    ]


def _beside(address: Address) -> list[Copy]:
    if address.dialect != "sqlite":
        return []
    path = Path(address.path).resolve()
    start = f"{path.name}.backup-"
    names = sorted(one.name for one in path.parent.iterdir() if one.name.startswith(start))
    return [Copy("backup", str(path.parent / name), "", None) for name in names]
