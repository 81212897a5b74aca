"""The first failures of a run: they end one that was set up wrongly, long before its last sample.

While nothing has succeeded, failures are counted by cause (their fingerprint), less those whose
cause lies in one sample. As many as the limit of one cause end the run, with one message. The
first success shows that the set-up works: from then on nothing is counted. So does what an earlier
run has stored under the very same model and settings, or judge.

What must hold: a failure of one sample never counts; what is left stays pending; until something
has succeeded nobody knows whether a failure is the sample's or the set-up's, so it is stored as
one that the next invocation tries again (three times, as any other).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from lam3db.endpoints.refusals import cure
from lam3db.judges.blank import BLANK
from lam3db.records import Failed

if TYPE_CHECKING:
    from collections.abc import Sequence

_NOT_NUMBERS = ("FloatingPointError", "NotANumberError")
_ONLY_THOUGHTS = "ReasoningOnlyError"
Subject = TypeVar("Subject")
Result = TypeVar("Result")


@dataclass(slots=True)
class FirstFailures:
    """Counts the failures of one run. A ``limit`` of 0 counts none; ``doctor`` is what to type.

    ``works``: something has succeeded. ``message`` is set when the run is to end.
    """

    limit: int
    doctor: str
    works: bool = False
    message: str | None = None
    _counts: Counter[str] = field(default_factory=Counter)

    def see(
        self, batch: Sequence[tuple[Subject, Result | Failed]]
    ) -> list[tuple[Subject, Result | Failed]]:
        """Count a batch; return it as it is to be stored."""
        # a blank answer is abstained from without asking anybody
        answered = any(not isinstance(one, Failed) and one != BLANK for _, one in batch)
        self.works = self.works or answered
        if self.works or not self.limit:
            return list(batch)
        return [(subject, self._counted(outcome)) for subject, outcome in batch]

    def _counted(self, outcome: Result | Failed) -> Result | Failed:
        if not isinstance(outcome, Failed) or outcome.of_sample:
            return outcome
        self._counts[outcome.fingerprint] += 1
        if self._counts[outcome.fingerprint] == self.limit:
            self.message = self.message or self._ending(outcome)
        return replace(outcome, retryable=True)

    def _remedy(self, failed: Failed) -> str:
        if failed.error_class in _NOT_NUMBERS:
            return (
                "--set precision=fp32 where fp16 overflows (quantization off); else the weights "
                "are broken, so fetch them again and compare their digests"
            )
        if failed.error_class == _ONLY_THOUGHTS:
            return "--set max_new_tokens=N with more room (for an llm judge: under settings.model)"
        return cure(failed.message) or f"`{self.doctor}` looks at the set-up"

    def _ending(self, failed: Failed) -> str:
        alike = "the first failure" if self.limit == 1 else f"{self.limit} failures alike"
        remedy = self._remedy(failed)
        return (
            f"{alike} and no success yet: {failed.error_class}: {failed.message}\n"
            f"  cure: {remedy}; what is left stays pending (--max-same-failures 0 goes on)"
        )
