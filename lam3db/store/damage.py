"""Whether a SQLite file is damaged: asked when one is opened, and when something odd was read.

SQLite keeps no checksums of its pages: a damaged one is found when its structure makes no sense,
and may else be read as rows that nobody wrote. What must hold: a file that is small enough to be
looked through at once is, before anything is read of it; an error that rows of a damaged file have
led to becomes ours; ``lam3db db`` and ``lam3db sql`` can look at a damaged file all the same.
"""

from __future__ import annotations

import contextlib
import sqlite3
import struct
import zlib
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from lam3db.errors import StoreError
from lam3db.store import sqlite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lam3db.store.address import Address

AT_ONCE = 64 << 20
"""Bytes of a file that is looked through when it is opened: a tenth of a second or two."""
_ODD: tuple[type[Exception], ...] = (
    *(TypeError, ValueError, LookupError, AttributeError, ArithmeticError, AssertionError),
    *(RecursionError, SQLAlchemyError, sqlite3.Error, zlib.error, struct.error),
)
"""What our readers raise on values that no writer of ours wrote."""


def refuse_damaged(address: Address) -> None:
    """Raise StoreError for a small file that is damaged."""
    if address.path.stat().st_size <= AT_ONCE:
        fault = _fault(address)
        if fault is not None:
            raise StoreError(_sentence(address, fault))


def behind(error: BaseException | None, address: Address) -> StoreError | None:
    """Return our error for an odd one that a damaged file has led to; None for any other."""
    if address.dialect != "sqlite" or not isinstance(error, _ODD):
        return None
    fault = _fault(address)
    return None if fault is None else StoreError(_sentence(address, fault))


@contextlib.contextmanager
def explained(address: Address) -> Iterator[None]:
    """Say of an odd error that the file is damaged, if it is; else let the error pass.

    Raises:
        StoreError: the file is damaged.

    """
    try:
        yield
    except _ODD as error:
        ours = behind(error, address)
        if ours is None:
            raise
        raise ours from error


def _fault(address: Address) -> str | None:
    """Return what SQLite finds wrong with the file, None for nothing."""
    try:
        with contextlib.closing(sqlite.connect_read(address.path)) as connection:
            (line,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except StoreError as error:
        return str(error)
    except (sqlite3.Error, DBAPIError) as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        return str(error) if code == sqlite3.SQLITE_CORRUPT else None  # the rest has its own words
    except UnicodeDecodeError:
        return "what SQLite says of it is no text"
    return None if line == "ok" else " ".join(str(line).split())


def _sentence(address: Address, fault: str) -> str:
    return (
        f"{address.shown}: the file is damaged ({fault[:_LONG]}): go back to a backup, or try"
        " sqlite3's .recover; `lam3db db check` and `lam3db db verify` tell how far it goes"
    )


_LONG = 200
