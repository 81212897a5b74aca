"""Checking a map's values: each fault with its line, and with what was probably meant.

What must hold: a key or word that nobody knows is refused; nothing is read with a default because
it was not understood.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lam3db.datasets.results.cells import text_of_value, word_of
from lam3db.datasets.results.maps.meanings import WordMeanings, WordRule
from lam3db.datasets.results.maps.patterns import compiled
from lam3db.errors import did_you_mean

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator, Mapping, Sequence

    from lam3db.config_files import Faults, Place

RULES = ("starts", "contains", "pattern")


class Checks:
    """What every part of a map is checked with; what is wrong is noted by its place."""

    def __init__(self, faults: Faults) -> None:
        """Take where faults go."""
        self.faults = faults

    def fault(self, place: Place, what: str) -> None:
        """Note what is wrong at a place, which the message names."""
        self.faults.add(place, f"{dotted(place)}: {what}" if place else what)

    def known(self, values: Mapping[str, Any], names: Sequence[str], place: Place) -> None:
        """Refuse keys that are none of ``names``."""
        for name in values:
            if name not in names:
                self.fault((*place, name), f"no such setting{did_you_mean(name, names)}")

    def mapping(self, values: Mapping[str, Any], name: str, place: Place) -> Mapping[str, Any]:
        """Return the object under a name; empty where it is not there."""
        inner = values.get(name)
        if inner is None:
            return {}
        if not isinstance(inner, dict):
            self.faults.add((*place, name), f"{name}: is no list of `name: ...` lines")
            return {}
        return inner

    def items(self, value: Any) -> Sequence[Any]:
        """Return the elements of a list, or a single value as the only one."""
        return value if isinstance(value, list) else [] if value is None else [value]

    def text(self, values: Mapping[str, Any], name: str, place: Place) -> str | None:
        """Return the text under a name; None where it is not there."""
        text = values.get(name)
        if text is None or isinstance(text, str):
            return text
        self.faults.add((*place, name), f"{name}: {text!r} is no text: put it in quotes")
        return None

    def flag(self, values: Mapping[str, Any], name: str, place: Place) -> bool:
        """Return whether a setting is ``true``."""
        flag = values.get(name, False)
        if not isinstance(flag, bool):
            self.fault((*place, name), f"{flag!r} is neither true nor false")
        return flag is True

    def word(self, value: Any, words: Any, place: Place) -> Any:
        """Return the member of a vocabulary; None with a fault."""
        names = [str(one) for one in words]
        if value not in names:
            what = "is missing" if value is None else repr(value)
            hint = did_you_mean(str(value), names)
            self.fault(place, f"{what}{hint or f': one of {names}'}")
            return None
        return words(value) if callable(words) else value

    def pattern(self, value: Any, place: Place) -> re.Pattern[str] | None:
        """Return a pattern; None with a fault."""
        if not isinstance(value, str) or not value:
            self.fault(place, f"{value!r} is no pattern: put it in quotes")
            return None
        try:
            return compiled(value)
        except ValueError as error:
            self.fault(place, str(error))
            return None

    def words(self, meanings: Mapping[Any, tuple[Any, Place]]) -> WordMeanings[Any]:
        """Return the words of several meanings; ``meanings`` give each its list and its place."""
        exact: dict[str, Any] = {}
        rules: list[WordRule[Any]] = []
        for meaning, (listed, place) in meanings.items():
            for entry in self._entries(listed, meaning, place):
                if isinstance(entry, WordRule):
                    rules.append(entry)
                elif exact.setdefault(entry, meaning) != meaning:
                    self.fault(place, f"{entry!r} has two meanings")
        return WordMeanings(exact, tuple(rules))

    def word_set(self, value: Any, place: Place) -> WordMeanings[bool]:
        """Return words that all mean one thing."""
        return self.words({True: (value, place)})

    def _entries(self, listed: Any, meaning: Any, place: Place) -> Iterator[str | WordRule[Any]]:
        for item in self.items(listed):
            if isinstance(item, dict):
                rule = self._rule(item, meaning, place)
                if rule is not None:
                    yield rule
            elif text_of_value(item) is None:
                self.fault(place, f"{item!r} is no word, nor a rule ({', '.join(RULES)})")
            else:
                yield word_of(item) or ""

    def _rule(self, item: Mapping[str, Any], meaning: Any, place: Place) -> WordRule[Any] | None:
        self.known(item, RULES, place)
        named = [kind for kind in RULES if kind in item]
        if len(named) != 1:
            self.fault(place, f"{item!r}: a rule is one of {', '.join(RULES)}")
            return None
        kind, what = named[0], item[named[0]]
        if kind == "pattern":
            pattern = self.pattern(what, place)
            return None if pattern is None else WordRule(kind, what, meaning, pattern)
        if not isinstance(what, str) or not what.strip():
            self.fault(place, f"{kind}: {what!r} is no text: put it in quotes")
            return None
        return WordRule(kind, what.strip().casefold(), meaning)


def dotted(place: Place) -> str:
    """Return a place as messages name it."""
    return ".".join(map(str, place))
