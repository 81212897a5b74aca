"""What a reader noticed in a file and did not use, counted by name.

What must hold: nothing that a file holds is dropped without a word. A reader that passes over a
field, a row or a word says so here; what is said appears once, with the number of times.
"""

from __future__ import annotations

from collections import Counter

_MOST = 1000
_LONGEST = 60


class Remarks:
    """Remarks on one file, in the order in which each was first made."""

    def __init__(self) -> None:
        """Start with none."""
        self._unread: Counter[str] = Counter()
        self._words: Counter[tuple[str, str]] = Counter()
        self._notes: Counter[str] = Counter()

    def unread(self, field: str, count: int = 1) -> None:
        """Record that ``count`` rows have ``field`` and that it is not read."""
        _count(self._unread, field, count)

    def unparsed(self, field: str, word: str, count: int = 1) -> None:
        """Record a word of ``field`` that has no meaning here and was stored as ``unparsed``."""
        _count(self._words, (field, _clipped(word)), count)

    def note(self, text: str, count: int = 1) -> None:
        """Record anything else, a whole sentence without a number: it is printed with its count."""
        _count(self._notes, text, count)

    def lines(self) -> list[str]:
        """Return every remark as a line of its own."""
        lines = []
        if self._unread:
            names = ", ".join(f"{name} ({count:,})" for name, count in self._unread.items())
            lines.append(f"not read: {names}")
        for field in dict.fromkeys(field for field, _ in self._words):
            words = [(word, n) for (name, word), n in self._words.items() if name == field]
            texts = ", ".join(f"{word!r} ({count:,})" for word, count in words)
            lines.append(f"{field}: unparsed words: {texts}")
        lines += [f"{text} ({count:,})" for text, count in self._notes.items()]
        return lines


def _count(counter: Counter[str] | Counter[tuple[str, str]], key: object, count: int) -> None:
    """Count a key; beyond a thousand different ones those that are new are counted as one."""
    if key not in counter and len(counter) >= _MOST:
        key = ("...", "further ones") if isinstance(key, tuple) else "further ones"
    counter[key] += count  # type: ignore[index] # one of the two kinds of key


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"
