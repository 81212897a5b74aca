"""The contract page: what a model and a judge are, and the tables of their names.

A plug-in is an object with two functions. ``describe`` tells the identity and the effective
settings before anything heavy is loaded (it may hash weight files; it must not import
torch); ``load`` makes the thing that works. So a run whose answers are all stored loads no
model, and everything that can be wrong is told before a GPU starts.

What must hold: a model never sees a dataset's name; a judge never sees a session, nor any
part of a generation it does not declare in ``sees``. Third parties add names through the
packaging entry points ``lam3db.models`` and ``lam3db.judges``.
"""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol

from lam3db.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from PIL.Image import Image

    from lam3db.config import JudgeConfig, ModelConfig, RuntimeConfig
    from lam3db.records import (
        Answer,
        Failed,
        Finding,
        JudgeIdentity,
        ModelPlan,
        Odds,
        Request,
        Subject,
    )

    ImageOpener = Callable[[str], Image]
    Tick = Callable[[str, int, int], None]


class Model(Protocol):
    """A loaded model."""

    def answer(
        self, requests: Sequence[Request]
    ) -> Iterator[list[tuple[Request, Answer | Failed]]]:
        """Yield each batch's outcomes as it ends; every request is answered exactly once.

        A batch may be empty, where a slow model lets its caller look up. When an endpoint need
        not be asked any further, EndpointError ends the stream after all that was answered.
        The text of a request depends on the plan, its messages and its replicate: not on
        its batch mates, its place in the queue or what was asked before (exact in fp32).
        """
        ...

    def close(self) -> None:
        """Give back the device's memory."""
        ...


class Weigher(Protocol):
    """A model that can also tell how likely it is to begin its answer with given words."""

    def weigh(
        self, requests: Sequence[Request], words: Sequence[str]
    ) -> Iterator[list[tuple[Request, Odds | Failed]]]:
        """Yield each batch's odds as it ends; every request is answered exactly once.

        A conversation that ends with an assistant's message is continued, not answered.
        Raises ConfigError where two words begin with the same token.
        """
        ...


class ModelKind(Protocol):
    """How models of one kind are described and loaded."""

    def describe(self, config: ModelConfig, runtime: RuntimeConfig, tick: Tick) -> ModelPlan:
        """Return identity and effective settings; raise ModelError or ConfigError.

        ``tick(file name, bytes done, bytes in all)`` reports hashing.
        """
        ...

    def load(self, plan: ModelPlan, open_image: ImageOpener) -> Model:
        """Load the weights; raise ModelError."""
        ...


class Judge(Protocol):
    """A loaded judge.

    It may have ``remarks``, a Counter of sentences on what it passed over in the texts that it
    read or was shown; they are printed with their counts when it is done.
    """

    def judge(
        self, subjects: Sequence[Subject]
    ) -> Iterator[list[tuple[Subject, Finding | Failed]]]:
        """Yield each batch's outcomes as it ends; every subject is answered exactly once.

        A batch may be empty, and EndpointError may end the stream, as for a model.
        The finding of a subject does not depend on its batch mates.
        """
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...


class JudgeMaker(Protocol):
    """How judges of one kind are described and loaded.

    One that asks an endpoint has its options under ``settings.endpoint``, and may have
    ``probe(config)``: how to see whether it works (:class:`lam3db.endpoints.client.Probe`).
    """

    def describe(self, config: JudgeConfig, tick: Tick) -> JudgeIdentity:
        """Return the identity; raise JudgeError or ConfigError."""
        ...

    def load(self, config: JudgeConfig, identity: JudgeIdentity, open_image: ImageOpener) -> Judge:
        """Load it; raise JudgeError."""
        ...


MODEL_KINDS = {
    "null": "lam3db.models.null:KIND",
    "transformers": "lam3db.models.transformers_runner:KIND",
    "endpoint": "lam3db.models.endpoint:KIND",
}
JUDGE_KINDS = {
    "null": "lam3db.judges.null:MAKER",
    "classifier": "lam3db.judges.classifier:MAKER",
    "detoxify": "lam3db.judges.detoxify:MAKER",
    "refusal": "lam3db.judges.refusal:MAKER",
    "llm": "lam3db.judges.llm:MAKER",
    "openai-moderation": "lam3db.judges.openai_moderation:MAKER",
    "perspective": "lam3db.judges.perspective:MAKER",
    "ensemble": "lam3db.judges.ensemble:MAKER",
}


def model_kind(name: str) -> ModelKind:
    """Return the model kind of this name."""
    return _named("lam3db.models", MODEL_KINDS, name)  # type: ignore[no-any-return]


def judge_maker(name: str) -> JudgeMaker:
    """Return the judge maker of this name."""
    return _named("lam3db.judges", JUDGE_KINDS, name)  # type: ignore[no-any-return]


def _named(group: str, table: dict[str, str], name: str) -> Any:
    """Return the object of this name; entry points add names but never replace ours."""
    outside = {point.name: point.value for point in entry_points(group=group)}
    known = outside | table
    if name not in known:
        what = group.rpartition(".")[2].removesuffix("s")
        raise ConfigError(f"kind: no {what} is of kind {name!r}{did_you_mean(name, sorted(known))}")
    module, _, attribute = known[name].partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        if name in table:
            raise
        raise ConfigError(
            f"kind {name!r} comes from the package that names {known[name]} under {group}, and"
            f" that cannot be imported: {error}; install it again, or remove it"
        ) from error
