"""What a check of the database has looked at, and what was wrong.

What must hold: a fault of one row, even one that cannot be read, keeps no other row from being
looked at.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from lam3db.errors import StoreError
from lam3db.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What our own readers raise on JSON and words that we did not write."""

_ENGINE = (DBAPIError, sqlite3.Error, StoreError)
"""What the database raises on a page that is damaged."""
_LONG = 200


@dataclass(slots=True)
class Checked:
    """One kind of thing: how many were derived again, left out as withheld, and the faults."""

    what: str
    count: int = 0
    withheld: int = 0
    faults: list[str] = field(default_factory=list)

    def expect(self, name: str, right: bool, fault: str = "its digest does not match") -> None:
        """Count one, and keep the fault where it is wrong."""
        self.count += 1
        if not right:
            self.faults.append(f"{self.what} {name}: {fault}")

    @contextlib.contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """Take what cannot be read at all as a fault of the row."""
        try:
            yield
        except (*_UNREADABLE, *_ENGINE) as error:
            cause = str(getattr(error, "orig", error))[:_LONG] or type(error).__name__
            self.expect(name, right=False, fault=f"it cannot be read: {redact(cause)}")
