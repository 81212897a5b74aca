"""How the answers of a file ended.

What must hold: an answer that is stored ended in an ordinary way or was cut; a word without a
meaning is a fault with what to say; what a service wrote in the place of an answer that it had
filtered is the message of a failure, and no answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import shown
from lam3db.datasets.results.cells import text_of_value
from lam3db.errors import ConfigError
from lam3db.finish_reasons import MEANINGS, UNTOLD, NoAnswer, bare_word, read_finish_reason
from lam3db.records import Failed, FinishReason
from lam3db.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lam3db.datasets.faults import Faults

SETTING = "ends"
"""The ``--set`` with which a user gives words a meaning."""
_LONGEST = 4000


@dataclass(frozen=True, slots=True)
class Ended:
    """An answer, or why there is none, and how it ended."""

    response: str | None
    failed: Failed | None = None
    finish_reason: FinishReason = FinishReason.STOP


class Endings:
    """Reads the ends of one file's answers. ``cure`` is what gives a word a meaning there."""

    def __init__(self, faults: Faults, meanings: Mapping[str, str], cure: str) -> None:
        """Take where faults go, and the meanings that the user has given."""
        self.faults, self._meanings, self._cure = faults, meanings, cure

    def read(self, row: int, field: str, word: Any, answer: str | None) -> Ended:
        """Return how an answer ended; ``word`` None or empty: nobody tells."""
        text = text_of_value(word)
        if word is not None and text is None:
            self.faults.add(row, field, f"{shown(word)} is not a word")
            return Ended(answer)
        if text is None or (bare_word(text) in UNTOLD and not self._is_chosen(text)):
            return Ended(answer)
        meaning = read_finish_reason(text, self._meanings)
        if isinstance(meaning, FinishReason):
            return Ended(answer, None, meaning)
        if meaning is None:
            return self._unknown(row, field, text, answer)
        self.faults.remarks.note(f"{field}: {shown(text)} is an attempt without an answer")
        return Ended(None, _failed(meaning, answer))

    def _is_chosen(self, word: str) -> bool:
        return word.strip().casefold() in self._meanings

    def _unknown(self, row: int, field: str, word: str, answer: str | None) -> Ended:
        why = f"stopped for {shown(word)}"
        if answer is not None:
            what = f"{why}: a whole answer, a cut one or none? say {self._cure % word}"
            self.faults.add(row, field, what)
        return Ended(None, Failed("UnknownFinishError", why))


def chosen_ends(settings: Mapping[str, str]) -> dict[str, str]:
    """Return what ``--set ends=WORD:stop,WORD:failed`` says; raise ConfigError."""
    meanings = {}
    for part in filter(None, settings.get(SETTING, "").split(",")):
        word, _, meaning = part.rpartition(":")
        if not word.strip() or meaning.strip() not in MEANINGS:
            message = f"WORD:MEANING is expected, with the meaning {', '.join(MEANINGS)}"
            raise ConfigError(f"--set {SETTING}={part}: {message}")
        meanings[word.strip().casefold()] = meaning.strip()
    return meanings


def _failed(meaning: NoAnswer, answer: str | None) -> Failed:
    text = (answer or "").strip()
    return Failed(meaning.error_class, redact(text)[:_LONGEST] if text else meaning.why)
