"""What is withheld while somebody works with it: an outcome, and no error.

A purge takes rows first and files after, and may come between the reading of a list and that of its
texts or images. What it has taken is neither posed nor judged, exported or bundled, and none of
these ends, or counts a failure, because of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from lam3db.errors import MediaError
from lam3db.store.purge import withheld_images

if TYPE_CHECKING:
    from collections.abc import Callable

    from lam3db.store.engine import Store

Result = TypeVar("Result")


def again_if_withheld(store: Store, act: Callable[[], Result]) -> Result:
    """Return what ``act`` returns; do it again where images were withheld while it was at it.

    Raises:
        MediaError: an image is missing, and not because it was withheld meanwhile.

    """
    while True:
        before = _withheld(store)
        try:
            return act()
        except MediaError:
            if _withheld(store) == before:
                raise


def _withheld(store: Store) -> frozenset[str]:
    with store.read() as conn:
        return withheld_images(conn)
