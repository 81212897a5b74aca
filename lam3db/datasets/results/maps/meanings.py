"""What the words of a column mean: whole words, and rules about how a text begins or what it has.

What must hold: a whole word comes before every rule; a text that rules of two meanings fit has
none, and neither has a word that nobody gave a meaning.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from lam3db.datasets.results.cells import text_of_value, word_of
from lam3db.datasets.results.maps.patterns import matches

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator, Mapping

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WordRule(Generic[T]):
    """What a text means that starts with a text, contains it, or in which a pattern is."""

    kind: str
    what: str
    meaning: T
    pattern: re.Pattern[str] | None = None

    def fits(self, text: str, folded: str) -> bool:
        """Tell whether a text is meant; ``folded`` is the same without case and outer spaces."""
        if self.pattern is not None:
            return matches(self.pattern, text)
        return folded.startswith(self.what) if self.kind == "starts" else self.what in folded


@dataclass(frozen=True, slots=True)
class WordMeanings(Generic[T]):
    """Meanings by word, as :func:`word_of` has them, then by rule."""

    exact: Mapping[str, T] = field(default_factory=dict)
    rules: tuple[WordRule[T], ...] = ()

    def __bool__(self) -> bool:
        """Tell whether anything has a meaning."""
        return bool(self.exact or self.rules)

    def meaning(self, value: Any) -> T | None:
        """Return what a cell means; None where it means nothing, or two things."""
        word = word_of(value)
        if word is None:
            return None
        if word in self.exact:
            return self.exact[word]
        if not self.rules:
            return None
        text = text_of_value(value) or ""
        folded = text.strip().casefold()
        meanings = {rule.meaning for rule in self.rules if rule.fits(text, folded)}
        return meanings.pop() if len(meanings) == 1 else None

    def meanings(self) -> Iterator[T]:
        """Yield every meaning that something has."""
        yield from self.exact.values()
        yield from (rule.meaning for rule in self.rules)


def known_words(words: WordMeanings[Any]) -> str:
    """Return the words as a message names them."""
    rules = [f"{rule.kind}: {rule.what!r}" for rule in words.rules]
    return ", ".join([*map(repr, sorted(words.exact)), *rules])
