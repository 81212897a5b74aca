"""What a long step tells whoever is looking; the command line draws it, tests collect it.

What must hold: nothing here changes what is computed or stored.
"""

from __future__ import annotations

from typing import Protocol


class Watch(Protocol):
    """The ears of a long step."""

    def note(self, text: str) -> None:
        """Hear a sentence for the user: a setting without effect, what is being loaded."""
        ...

    def hashing(self, name: str, done: int, total: int) -> None:
        """Hear how far the digest of a large file is, in bytes."""
        ...

    def begin(self, title: str, total: int, done: int, failed: int, unit: str = "new") -> None:
        """Hear that ``total`` things are wanted, of which some are stored or have failed.

        ``unit`` is what :meth:`advance` counts, where that is not what is newly stored.
        """
        ...

    def advance(self, new: int, failed: int) -> None:
        """Hear that a batch is written."""
        ...

    def end(self) -> None:
        """Hear that the step begun last is over."""
        ...


class Silence:
    """A watch that hears nothing."""

    def note(self, text: str) -> None:
        """Ignore it."""

    def hashing(self, name: str, done: int, total: int) -> None:
        """Ignore it."""

    def begin(self, title: str, total: int, done: int, failed: int, unit: str = "new") -> None:
        """Ignore it."""

    def advance(self, new: int, failed: int) -> None:
        """Ignore it."""

    def end(self) -> None:
        """Ignore it."""
