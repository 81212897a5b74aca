"""Which words of a score are verdicts, as the user says with ``--set unsafe=...``.

What must hold: a word that the user has not named is no verdict, and none is both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lam3db.datasets.results.cells import Labels
from lam3db.errors import ConfigError
from lam3db.records import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping


def verdict_words(settings: Mapping[str, str]) -> Labels | None:
    """Return what the words mean; None where the user names none.

    Raises:
        ConfigError: only one side is named, or a word is on both.

    """
    named = {side: _words(settings.get(side, "")) for side in ("unsafe", "safe")}
    if not named["unsafe"] and not named["safe"]:
        return None
    for side, words in named.items():
        if not words:
            message = "name the words of both sides, --set unsafe=... and --set safe=..."
            raise ConfigError(f"--set {side}= is missing: {message}")
    both = named["unsafe"] & named["safe"]
    if both:
        raise ConfigError(f"--set: {min(both)!r} is both unsafe and safe")
    return Labels(
        {
            **dict.fromkeys(named["unsafe"], Verdict.UNSAFE),
            **dict.fromkeys(named["safe"], Verdict.SAFE),
        }
    )


def _words(text: str) -> set[str]:
    return {word.strip().casefold() for word in text.split(",") if word.strip()}
