"""A model kind that answers by a script: what stands behind an endpoint, without the endpoint.

``source`` is JSON: what is said where a keyword stands in the last message, the first that
fits; ``""`` fits everywhere; a reply of null is a failure. The script is not in the
identity, as the weights behind an endpoint are not. Hook it in with
``monkeypatch.setitem(plugins.MODEL_KINDS, "scripted", "scripted_model:KIND")``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lam3db.records import (
    Answer,
    Failed,
    FinishReason,
    GenerationConfig,
    IdentityKind,
    ModelPlan,
    ModelVersion,
    Odds,
    Request,
    text_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SEEN: list[Request] = []
"""Every request asked since a test cleared it."""


@dataclass(frozen=True)
class ScriptedKind:
    """Describes and loads scripts."""

    def describe(self, config: Any, runtime: Any, tick: object) -> ModelPlan:
        del tick
        version = ModelVersion(
            config.name, "scripted", "script", identity_kind=IdentityKind.ENDPOINT, declared="s/1"
        )
        value = {"decoding": {"do_sample": runtime.do_sample, "seed": runtime.seed}}
        options = {"script": json.loads(config.source)}
        return ModelPlan(version, GenerationConfig(value), {}, options)

    def load(self, plan: ModelPlan, open_image: object) -> ScriptedModel:
        del open_image
        return ScriptedModel(plan.options["script"])


@dataclass
class ScriptedModel:
    """Says what is written."""

    script: dict[str, Any]
    closed: bool = field(default=False)

    def answer(
        self, requests: Sequence[Request]
    ) -> Iterator[list[tuple[Request, Answer | Failed]]]:
        for request in requests:
            said = self._said(request)
            if said is None:
                yield [(request, Failed("TimeoutError", "no answer came", retryable=True))]
            else:
                yield [(request, Answer(said, said.strip(), FinishReason.STOP, 1, 1, 0.0))]

    def weigh(
        self, requests: Sequence[Request], words: Sequence[str]
    ) -> Iterator[list[tuple[Request, Odds | Failed]]]:
        for request in requests:
            chances = self._said(request)
            yield [(request, Odds({word: chances.get(word, 0.0) for word in words}))]

    def close(self) -> None:
        self.closed = True

    def _said(self, request: Request) -> Any:
        SEEN.append(request)
        text = text_of(request.messages[-1:])
        return next(reply for keyword, reply in self.script.items() if keyword in text)


KIND = ScriptedKind()
