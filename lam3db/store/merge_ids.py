"""Which row there is which row here, on disk: two integers for every row of the source.

What must hold: memory stays the same however many rows are merged (SQLite spills a temporary
database by itself), and a row that was not mapped is never found.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Self

from lam3db.store.values import CHUNK, chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_CACHE_KIB = 65_536


class IdMap:
    """Ids of a source by table; closes itself."""

    def __init__(self) -> None:
        """Open a private database that goes with the connection."""
        self._conn = sqlite3.connect("", isolation_level=None)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KIB}"):
            self._conn.execute(f"PRAGMA {pragma}")
        self._conn.execute(
            "CREATE TABLE id (what TEXT, there INTEGER, here INTEGER, PRIMARY KEY (what, there))"
            " WITHOUT ROWID"
        )

    def put(self, what: str, pairs: Iterable[tuple[int, int]]) -> None:
        """Keep (id there, id here) of a table; one that is mapped already is mapped anew."""
        rows = ((what, there, here) for there, here in pairs)
        self._conn.execute("BEGIN")
        self._conn.executemany("INSERT OR REPLACE INTO id VALUES (?, ?, ?)", rows)
        self._conn.execute("COMMIT")

    def get(self, what: str, there: Sequence[int | None]) -> dict[int, int]:
        """Return the ids here of those that are mapped."""
        wanted = sorted({one for one in there if one is not None})
        found: dict[int, int] = {}
        for part in chunks(wanted, CHUNK):
            marks = ",".join("?" * len(part))
            found.update(
                self._conn.execute(
                    f"SELECT there, here FROM id WHERE what = ? AND there IN ({marks})",
                    (what, *part),
                )
            )
        return found

    def close(self) -> None:
        """Forget everything."""
        self._conn.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Forget everything."""
        self.close()
