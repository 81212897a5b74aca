"""What an annotator may write, and who an annotator is.

Three schemes: ``safety`` (safe, unsafe, refused), ``refusal`` (refused, not_refused) and a
``grade`` between two whole numbers (``grade:1-5``), each with ``skip`` for "I cannot tell".
An annotator is a judge of kind ``human``: a pseudonym, the digest of the guideline, what was
shown and the scheme. What must hold: another guideline, scheme or view is another judge, whose
labels are never pooled with these; a skip is ``abstained`` and never reads as safe.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lam3db.errors import ConfigError, InputError, did_you_mean
from lam3db.records import Finding, JudgeIdentity, JudgeKind, ScoreStatus, Sees, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SKIP = "skip"
VERSION = "1"
"""Of the schemes below: raise it when the same label would become another finding."""
ADJUDICATOR = "adjudicator"
_WORDS = {
    "safety": (Verdict.SAFE, Verdict.UNSAFE, Verdict.REFUSED),
    "refusal": (Verdict.REFUSED, Verdict.NOT_REFUSED),
}
_UNSAFE = {"safety": (Verdict.UNSAFE,), "refusal": (Verdict.NOT_REFUSED,)}
_HEADINGS = {"safety": "ASR", "refusal": "non-refusal", "grade": "grade"}
_GRADE = re.compile(r"grade:(-?\d{1,3})-(-?\d{1,3})")
_NUMBER = re.compile(r"[-+]?\d{1,6}(?:\.\d{1,6})?")
_PSEUDONYM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_LARGEST_GUIDELINE = 1 << 20
_SHOWABLE = (Sees.RESPONSE, Sees.PROMPT, Sees.BEHAVIOR, Sees.IMAGE, Sees.REASONING)


@dataclass(frozen=True, slots=True)
class Scheme:
    """What labels there are; ``low`` and ``high`` bound a grade, both included."""

    name: str
    low: int = 0
    high: int = 0

    @property
    def written(self) -> str:
        """Return the scheme as options and identities write it."""
        return f"grade:{self.low}-{self.high}" if self.name == "grade" else self.name

    @property
    def words(self) -> tuple[str, ...]:
        """Return every label, in the order in which they are offered."""
        if self.name == "grade":
            return (*map(str, range(self.low, self.high + 1)), SKIP)
        return (*map(str, _WORDS[self.name]), SKIP)

    def finding(self, label: str) -> Finding:
        """Return what a label says; raise ValueError with what is allowed."""
        word = label.strip().casefold()
        if word == SKIP:
            return Finding(ScoreStatus.ABSTAINED)
        if self.name != "grade":
            if word in self.words:
                return Finding(verdict=Verdict(word))
            hint = did_you_mean(word, self.words[:-1])
            raise ValueError(f"is none of {', '.join(self.words)}{hint if 'did' in hint else ''}")
        grade = float(word) if _NUMBER.fullmatch(word) else None
        if grade is None or not grade.is_integer() or not self.low <= grade <= self.high:
            raise ValueError(f"is no whole number from {self.low} to {self.high}, nor {SKIP}")
        return Finding(value=grade)


def read_scheme(written: str) -> Scheme:
    """Return the scheme of these words; raise ConfigError."""
    found = _GRADE.fullmatch(written)
    if found and int(found[1]) < int(found[2]):
        return Scheme("grade", int(found[1]), int(found[2]))
    if written in _WORDS:
        return Scheme(written)
    raise ConfigError(f"--labels {written}: write safety, refusal, or a grade such as grade:1-5")


def read_shown(words: str) -> tuple[Sees, ...]:
    """Return what annotators are shown, from a list with commas.

    Raises:
        ConfigError: an unknown word, or no response.

    """
    known = [str(one) for one in _SHOWABLE]
    given = [word.strip() for word in words.split(",") if word.strip()]
    for word in given:
        if word not in known:
            raise ConfigError(f"--show {word}{did_you_mean(word, known)}")
    if str(Sees.RESPONSE) not in given:
        raise ConfigError("--show: people label the response, so it must be among what is shown")
    return tuple(one for one in _SHOWABLE if str(one) in given)


def check_pseudonym(name: str) -> str:
    """Return the name where it is fit to be stored and shown; raise ConfigError."""
    if not _PSEUDONYM.fullmatch(name):
        raise ConfigError(f"annotator {name!r}: use up to 40 letters, digits and _ . -")
    return name


def guideline_digest(path: Path) -> str:
    """Return the hex SHA-256 of a guideline; line ends count as they are.

    Raises:
        InputError: it cannot be read, is empty or larger than 1 MiB.

    """
    if path.exists() and not path.is_file():
        raise InputError(f"--guideline {path}: is no regular file")
    try:
        with path.open("rb") as stream:
            raw = stream.read(_LARGEST_GUIDELINE + 1)
    except OSError as error:
        raise InputError(f"--guideline {path}: cannot be read: {error.strerror}") from error
    if not raw.strip() or len(raw) > _LARGEST_GUIDELINE:
        why = "is larger than 1 MiB" if raw.strip() else "is empty"
        raise InputError(f"--guideline {path}: {why}; it is what annotators were told to do")
    return hashlib.sha256(raw).hexdigest()


def annotator(
    pseudonym: str,
    guideline: str,
    shown: Sequence[Sees],
    scheme: Scheme,
    *,
    adjudicates: bool = False,
) -> JudgeIdentity:
    """Return a person as a judge; ``guideline`` is its hex SHA-256."""
    spec = {
        "annotator": check_pseudonym(pseudonym),
        "guideline": guideline,
        "labels": scheme.written,
    }
    name = f"human:{pseudonym}"
    if adjudicates:
        spec["role"] = ADJUDICATOR
        name += f":{ADJUDICATOR}"
    return JudgeIdentity(
        name=name,
        kind=JudgeKind.HUMAN,
        version=VERSION,
        spec=spec,
        sees=tuple(shown),
        unsafe_verdicts=_UNSAFE.get(scheme.name, ()),
        heading=_HEADINGS[scheme.name],
    )
