"""The null model: answers at once, from the input's digest alone.

For measuring what the tracker itself costs and for tests that kill processes; its identity
is ``declared``, so that none of its rows can be taken for a real model's. ``source`` holds
its settings as a query: ``null?delay_ms=5&fail=7&raise_at=100`` sleeps per batch, fails each
request whose digest is divisible by 7, and raises after 100 requests.

What must hold: the answer depends on input digest and replicate only.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from lam3db.errors import ConfigError
from lam3db.records import (
    Answer,
    Failed,
    FinishReason,
    GenerationConfig,
    IdentityKind,
    ModelPlan,
    ModelVersion,
    Request,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lam3db.config import ModelConfig, RuntimeConfig
    from lam3db.plugins import ImageOpener, Tick

_SETTINGS = ("delay_ms", "fail", "raise_at")
_DIGITS = re.compile("[0-9]{1,9}")
_BATCH = 256


@dataclass(frozen=True, slots=True)
class NullKind:
    """How null models are described and loaded."""

    def describe(self, config: ModelConfig, runtime: RuntimeConfig, tick: Tick) -> ModelPlan:
        """Return the plan; raise ConfigError for a setting there is not."""
        del tick
        settings = _settings(config.source)
        version = ModelVersion(
            name=config.name,
            family="null",
            source=config.source,
            identity_kind=IdentityKind.DECLARED,
            declared=f"null/1 {config.name}",
        )
        value = {"runner": "null/1", "decoding": {"seed": runtime.seed}}
        size = _BATCH if runtime.batch_size == "auto" else runtime.batch_size
        options = {**settings, "batch_size": size}
        return ModelPlan(version, GenerationConfig(value), runtime.model_dump(), options)

    def load(self, plan: ModelPlan, open_image: ImageOpener) -> NullModel:
        """Return the model."""
        del open_image
        return NullModel(**plan.options)


@dataclass(slots=True)
class NullModel:
    """Answers with the first digits of the input's digest."""

    batch_size: int
    delay_ms: int = 0
    fail: int = 0
    raise_at: int = 0
    asked: int = 0

    def answer(
        self, requests: Sequence[Request]
    ) -> Iterator[list[tuple[Request, Answer | Failed]]]:
        """Yield batches in the order asked."""
        for start in range(0, len(requests), self.batch_size):
            batch = requests[start : start + self.batch_size]
            time.sleep(self.delay_ms / 1000)
            self.asked += len(batch)
            if self.raise_at and self.asked >= self.raise_at:
                raise RuntimeError(f"the null model was told to raise at {self.raise_at}")
            yield [(request, self._outcome(request)) for request in batch]

    def close(self) -> None:
        """Hold nothing."""

    def _outcome(self, request: Request) -> Answer | Failed:
        number = int.from_bytes(request.input_digest[:8], "big")
        if self.fail and number % self.fail == 0:
            return Failed("NullError", "told to fail", retryable=True)
        text = f"null answer {request.input_digest.hex()[:16]} {request.replicate}"
        return Answer(text, text, FinishReason.STOP, 1, 4, 0.0, self.batch_size)


def _settings(source: str) -> dict[str, int]:
    pairs = dict(parse_qsl(source.partition("?")[2], keep_blank_values=True))
    for name, value in pairs.items():
        if name not in _SETTINGS or not _DIGITS.fullmatch(value):
            known = ", ".join(_SETTINGS)
            raise ConfigError(f"null model: {name}={value!r}: give whole numbers for {known}")
    return {name: int(value) for name, value in pairs.items()}


KIND = NullKind()
