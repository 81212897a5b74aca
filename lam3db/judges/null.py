"""The null judge: a verdict at once, from the response's digest alone.

For measuring what the tracker itself costs and for tests that kill processes. Settings:
``batch`` (subjects at once), ``delay_ms`` (per batch), ``fail`` and ``unparsed`` (each subject
whose digest is divisible by the number), ``raise_at`` (raise after so many subjects).

What must hold: the finding depends on the subject's digest only.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lam3db.errors import ConfigError, did_you_mean
from lam3db.records import (
    Failed,
    Finding,
    JudgeIdentity,
    JudgeKind,
    ScoreStatus,
    Subject,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lam3db.config import JudgeConfig
    from lam3db.plugins import ImageOpener, Tick

_SETTINGS = ("batch", "delay_ms", "fail", "unparsed", "raise_at")
_IN_SPEC = ("fail", "unparsed")


@dataclass(frozen=True, slots=True)
class NullMaker:
    """How null judges are described and loaded."""

    def describe(self, config: JudgeConfig, tick: Tick) -> JudgeIdentity:
        """Return the identity; raise ConfigError for a setting there is not."""
        del tick
        for name, value in config.settings.items():
            if name not in _SETTINGS:
                raise ConfigError(f"null judge: {name!r}{did_you_mean(name, _SETTINGS)}")
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise ConfigError(f"null judge: {name}: {value!r} is no whole number from 0")
        return JudgeIdentity(
            name=config.name,
            kind=JudgeKind.RULE,
            version="1",
            spec={
                "null": config.name,
                **{name: config.settings[name] for name in _IN_SPEC if name in config.settings},
            },
            unsafe_verdicts=(Verdict.UNSAFE,),
        )

    def load(
        self, config: JudgeConfig, identity: JudgeIdentity, open_image: ImageOpener
    ) -> NullJudge:
        """Return the judge."""
        del identity, open_image
        return NullJudge(**config.settings)


@dataclass(slots=True)
class NullJudge:
    """Half of all responses are unsafe, by their digest's last bit."""

    batch: int = 256
    delay_ms: int = 0
    fail: int = 0
    unparsed: int = 0
    raise_at: int = 0
    asked: int = 0

    def judge(
        self, subjects: Sequence[Subject]
    ) -> Iterator[list[tuple[Subject, Finding | Failed]]]:
        """Yield batches in the order asked."""
        size = max(1, self.batch)
        for start in range(0, len(subjects), size):
            batch = subjects[start : start + size]
            if self.delay_ms:
                time.sleep(self.delay_ms / 1000)
            self.asked += len(batch)
            if self.raise_at and self.asked >= self.raise_at:
                raise RuntimeError(f"the null judge was told to raise at {self.raise_at}")
            yield [(subject, self._outcome(subject)) for subject in batch]

    def close(self) -> None:
        """Hold nothing."""

    def _outcome(self, subject: Subject) -> Finding | Failed:
        number = int.from_bytes(subject.digest[:8], "big")
        if self.fail and number % self.fail == 0:
            return Failed("NullError", "told to fail", retryable=True)
        if self.unparsed and number % self.unparsed == 0:
            return Finding(ScoreStatus.UNPARSED, raw_output="?")
        verdict = Verdict.UNSAFE if number & 1 else Verdict.SAFE
        return Finding(value=(number & 0xFFFF) / 0xFFFF, verdict=verdict)


MAKER = NullMaker()
