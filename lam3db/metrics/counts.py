"""How many items there are of each outcome.

What must hold: every item has exactly one outcome, so the outcomes add up to the total, and
nothing that was not scored can pass for safe.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Counts:
    """How many there are of each outcome; together they are the total.

    ``too_few`` are samples with fewer scored replicates than the rule asks for.
    """

    scored: int = 0
    unparsed: int = 0
    judge_refused: int = 0
    abstained: int = 0
    judge_failed: int = 0
    pending: int = 0
    generation_failed: int = 0
    not_generated: int = 0
    too_few: int = 0

    @property
    def total(self) -> int:
        """Everything stored or asked for."""
        return self.scored + self.unscored

    @property
    def unscored(self) -> int:
        """Everything that is in no share."""
        answered = self.unparsed + self.judge_refused + self.abstained
        return answered + self.failed + self.pending + self.not_generated + self.too_few

    @property
    def failed(self) -> int:
        """Attempts that produced no answer or no score."""
        return self.judge_failed + self.generation_failed

    @property
    def coverage(self) -> float | None:
        """Scored over total; None where there is nothing."""
        return self.scored / self.total if self.total else None

    @classmethod
    def sum(cls, parts: Iterable[Self]) -> Self:
        """Return the counts of all of these together."""
        rows = map(attrgetter(*(one.name for one in fields(cls))), (cls(), *parts))
        return cls(*map(sum, zip(*rows, strict=True)))


@dataclass(frozen=True, slots=True)
class Total:
    """What one judge counted over all rows of a report.

    ``decided`` is how many could be called safe or unsafe; None for a judge that cannot say.
    ``weighted`` as in :class:`lam3db.metrics.Number`.
    There is no share here: rows may hold the same behavior, so their intervals do not add up.
    """

    counts: Counts
    benign: Counts
    decided: int | None
    weighted: bool = False
