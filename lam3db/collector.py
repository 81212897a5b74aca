"""Python's search for cycles of dead objects, put off while very many live ones are made.

Records and numbers hold no cycles, and the search would visit each of them again and again.
What must hold: afterwards it is on again, if it was on before.
"""

from __future__ import annotations

import contextlib
import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Do without the search for cycles; a decorator too."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
