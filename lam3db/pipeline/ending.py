"""A run that ends by an exception says so in its row.

What must hold: the exception goes on as it was; only where the database itself has failed
does the row stay ``running``, and its old heartbeat tells that the run was killed.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from lam3db.errors import StoreError
from lam3db.records import RunStatus
from lam3db.store import lookup, writes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lam3db.store.engine import Store


@contextmanager
def recorded_end(store: Store, run_id: int) -> Iterator[None]:
    """Write ``failed`` or ``interrupted`` into the run's row when the block raises.

    The counts stay as the last batch wrote them.
    """
    try:
        yield
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt)
        status = RunStatus.INTERRUPTED if stopped else RunStatus.FAILED
        with suppress(StoreError), store.write() as conn:
            writes.finish_run(conn, run_id, status, lookup.run_counts(conn, run_id))
        raise
