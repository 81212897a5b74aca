"""How a run ends: by an exception, which its row says; and then with its sums made.

What must hold: the exception goes on as it was; only where the database itself has failed
does the row stay ``running``, until the next process marks it (see lost_runs). Sums are a
cache: what keeps them from being made is no fault of the run, and reports scan instead.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from lam3db.errors import StoreError
from lam3db.records import RunStatus
from lam3db.store import lookup, writes
from lam3db.store.rollup import settle

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


_SECONDS = 60.0


def sum_up(store: Store) -> None:
    """Bring the sums that reports read up to date; what takes longer than a minute is left."""
    with suppress(StoreError):
        settle(store, _SECONDS)
