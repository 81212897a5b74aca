"""How bad an issue is and how it stands: one vocabulary, in English and in the lab's Chinese.

What must hold: a word is stored in its English form; every word shown can be read back.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Literal, TypeVar

from lam3db.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

Language = Literal["en", "zh"]


class Severity(StrEnum):
    """How bad it is, the worst first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class IssueStatus(StrEnum):
    """How it stands; ``resolved`` and ``rejected`` are ends, all others are open."""

    NEW = "new"
    OPEN = "open"
    IN_PROGRESS = "in_progress"
    PARTLY = "partly"
    RESOLVED = "resolved"
    REJECTED = "rejected"

    @property
    def is_end(self) -> bool:
        """Whether nothing is left to do."""
        return self in {IssueStatus.RESOLVED, IssueStatus.REJECTED}


_SEVERITY: Mapping[Severity, tuple[str, ...]] = {
    Severity.CRITICAL: ("严重", "致命", "紧急", "blocker"),
    Severity.HIGH: ("高",),
    Severity.MEDIUM: ("中", "中等", "moderate"),
    Severity.LOW: ("低", "minor"),
}
_STATUS: Mapping[IssueStatus, tuple[str, ...]] = {
    IssueStatus.NEW: ("新问题", "新增", "新"),
    IssueStatus.OPEN: ("未解决", "待解决", "重新打开", "unresolved", "reopened"),
    IssueStatus.IN_PROGRESS: ("处理中", "进行中", "in progress"),
    IssueStatus.PARTLY: ("部分解决", "partly resolved", "partially resolved"),
    IssueStatus.RESOLVED: ("已解决", "已修复", "已关闭", "closed", "fixed", "done"),
    IssueStatus.REJECTED: ("不处理", "非问题", "wontfix", "won't fix"),
}
"""What else is read for a word; the first is how it is shown in Chinese."""

_W = TypeVar("_W", bound=StrEnum)


def read_severity(word: str) -> Severity:
    """Return what a word means; raise InputError for none that is known."""
    return _read(word, _SEVERITY, "severity")


def read_status(word: str) -> IssueStatus:
    """Return what a word means; raise InputError for none that is known."""
    return _read(word, _STATUS, "status")


def shown_severity(word: Severity, language: Language) -> str:
    """Return the word as people read it."""
    return _SEVERITY[word][0] if language == "zh" else str(word)


def shown_status(word: IssueStatus, language: Language) -> str:
    """Return the word as people read it."""
    return _STATUS[word][0] if language == "zh" else str(word).replace("_", " ")


def _read(word: str, words: Mapping[_W, tuple[str, ...]], what: str) -> _W:
    plain = word.strip().strip("*_").strip().lower()  # a cell of Markdown may be bold
    for one in words:
        if plain in {str(one), str(one).replace("_", " "), *words[one]}:
            return one
    known = [*map(str, words), *(others[0] for others in words.values())]
    raise InputError(f"{what} {word!r}: no such word{did_you_mean(plain, known)}")
