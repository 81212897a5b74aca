"""A loaded model at work: sort, prepare ahead, batch, halve, retry; decode or weigh.

What must hold: every request of a window is answered exactly once; a batch's failure is not
its members' failure; closing the generator leaves no thread behind.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from lam3db.errors import ConfigError, ModelError
from lam3db.models.collate import collate, groups
from lam3db.models.decode import Limits, Said, decode, decode_generic
from lam3db.models.families import clean
from lam3db.models.prompt import Prepared, Preparer
from lam3db.models.reasoning import Tags, remark, tokens_behind, unended
from lam3db.models.sampling import Chooser, Noise, Row
from lam3db.models.weighing import first_tokens, weigh_batch
from lam3db.records import Answer, Failed, FinishReason, Odds, images_of, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lam3db.models.loading import Loaded
    from lam3db.plugins import ImageOpener
    from lam3db.records import ModelPlan, Request

    Outcome = tuple[Request, Answer | Failed]

Result = TypeVar("Result")
_log = logging.getLogger("lam3db.models")
FIRST_BATCH = 16
"""What ``auto`` starts from."""
_IMAGE_LENGTH = 2000
"""How many characters an image weighs when requests are sorted by length."""


_SMALL = 10_000_000
"""Weights below which threads of one model stall each other more than they help."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """A request with what it feeds the model."""

    request: Request
    prepared: Prepared


class TransformersModel:
    """Implements :class:`lam3db.plugins.Model` and :class:`lam3db.plugins.Weigher`."""

    def __init__(self, loaded: Loaded, plan: ModelPlan, open_image: ImageOpener) -> None:
        config = plan.config.value
        self._loaded: Loaded | None = loaded
        self._decoding = config["decoding"]
        self._last_turn = config.get("last_turn", "auto")
        self._tags = Tags.from_json(config.get("reasoning"))
        self._tells_tags = plan.options.get("tells_tags", True)
        self._name = plan.version.name
        self._preparer = Preparer(loaded.processor, config, open_image, loaded.context)
        # a second tokenizer: the first one works in the other thread
        self._decoder = copy.deepcopy(loaded.processor.tokenizer)
        self._chooser = Chooser(self._decoding, sorted(loaded.stops))
        self._limits = Limits(int(self._decoding["max_new_tokens"]), loaded.stops)
        size = plan.options["batch_size"]
        self.batch_size: int = FIRST_BATCH if size == "auto" else size
        self.device = str(loaded.device)
        weights = sum(one.numel() for one in loaded.model.parameters())
        self._small = self.device == "cpu" and weights < _SMALL

    def close(self) -> None:
        """Give back the device's memory."""
        self._loaded = None
        _free_memory()

    def answer(self, requests: Sequence[Request]) -> Iterator[list[Outcome]]:
        """Yield each batch's outcomes as it ends, longest requests first."""
        yield from self._work(requests, self._answered, continues=self._last_turn == "continue")

    def weigh(
        self, requests: Sequence[Request], words: Sequence[str]
    ) -> Iterator[list[tuple[Request, Odds | Failed]]]:
        """Yield each batch's odds as it ends, longest requests first.

        Raises:
            ConfigError: two words begin with the same token, or the prompt begins a thought.

        """
        if self._tags is not None and self._tags.opened:
            raise ConfigError(
                f"the chat template begins with {self._tags.start.strip()}, so the first token is "
                "a thought's: judge by text (output: {by: text}), or close it by template_arguments"
            )
        weigh = partial(self._weighed, first_tokens(self._decoder, words))
        yield from self._work(requests, weigh, continues=self._last_turn != "answer")

    def _work(
        self,
        requests: Sequence[Request],
        ask: Callable[[list[_Ready]], list[tuple[Request, Result | Failed]]],
        *,
        continues: bool,
    ) -> Iterator[list[tuple[Request, Result | Failed]]]:
        """Prepare requests in the background and put them to the model batch by batch."""
        prepare = partial(self._prepare, continues=continues)
        waiting = sorted(requests, key=_length, reverse=True)
        with ThreadPoolExecutor(1, thread_name_prefix="lam3db-prepare") as background:
            try:
                taken = waiting[: self.batch_size]
                coming = background.submit(prepare, taken)
                while taken:
                    ready, outcomes = coming.result()
                    waiting = waiting[len(taken) :]
                    taken = waiting[: self.batch_size]
                    coming = background.submit(prepare, taken)
                    if outcomes:
                        yield [*outcomes]
                    yield from self._batches(ready, ask)
            finally:
                background.shutdown(wait=True, cancel_futures=True)

    def _prepare(
        self, requests: Sequence[Request], *, continues: bool
    ) -> tuple[list[_Ready], list[tuple[Request, Failed]]]:
        """Prepare requests one by one; those that cannot be are failures."""
        ready: list[_Ready] = []
        failed: list[tuple[Request, Failed]] = []
        for request in requests:
            try:
                prepared = self._preparer.prepare(request.messages, continues=continues)
                ready.append(_Ready(request, prepared))
            except Exception as error:  # noqa: BLE001 - whatever a foreign image or template does
                failed.append((request, Failed.from_exception(error)))
        return ready, failed

    def _batches(
        self,
        ready: list[_Ready],
        ask: Callable[[list[_Ready]], list[tuple[Request, Result | Failed]]],
    ) -> Iterator[list[tuple[Request, Result | Failed]]]:
        """Put what is ready to the model, in batches that fit."""
        pixels = self._model.family.pixels if self._model.family.plain_decoder else "alike"
        for places in groups([one.prepared for one in ready], pixels):
            left = [ready[place] for place in places]
            while left:
                part = left[: self.batch_size]
                outcomes = self._attempt(part, ask)
                if outcomes is None:
                    self.batch_size = len(part) // 2
                    continue
                left = left[len(part) :]
                yield outcomes

    def _attempt(
        self,
        part: list[_Ready],
        ask: Callable[[list[_Ready]], list[tuple[Request, Result | Failed]]],
    ) -> list[tuple[Request, Result | Failed]] | None:
        """Ask one batch; None if it should be halved for want of memory."""
        problem: Failed | None = None
        try:
            return ask(part)
        except Exception as error:  # noqa: BLE001 - told apart below, once its tensors are let go
            problem = _judged(error)
        _free_memory()
        if problem.retryable and len(part) > 1:
            return None
        if len(part) == 1:
            return [(part[0].request, problem)]
        alone: list[tuple[Request, Result | Failed]] = []
        for one in part:
            alone += self._attempt([one], ask) or []
        return alone

    def _answered(self, part: list[_Ready]) -> list[Outcome]:
        """Let one batch be answered."""
        model = self._model
        rows = [Row(list(one.prepared.ids), self._noise(one.request)) for one in part]
        way = decode if model.family.plain_decoder else decode_generic
        with torch.inference_mode(), _threads(1 if self._small else None):
            said = way(model.model, self._inputs(part), rows, self._chooser, self._limits)
        return [
            (one.request, self._outcome(one, what, len(part)))
            for one, what in zip(part, said, strict=True)
        ]

    def _weighed(
        self, tokens: Mapping[str, frozenset[int]], part: list[_Ready]
    ) -> list[tuple[Request, Odds | Failed]]:
        """Weigh the beginnings of one batch's answers."""
        model = self._model
        with torch.inference_mode(), _threads(1 if self._small else None):
            odds = weigh_batch(model.model, self._inputs(part), tokens, model.pad_id)
        return [(one.request, what) for one, what in zip(part, odds, strict=True)]

    def _inputs(self, part: list[_Ready]) -> dict[str, torch.Tensor]:
        """Return one batch as the model takes it, on its device."""
        model = self._model
        inputs = collate([one.prepared for one in part], model.family.pixels, model.pad_id)
        return {name: self._placed(value) for name, value in inputs.items()}

    def _placed(self, value: torch.Tensor) -> torch.Tensor:
        """Move a tensor to the device; pixels take the model's dtype."""
        if value.is_floating_point():
            return value.to(self._model.device, self._model.dtype)
        return value.to(self._model.device)

    def _noise(self, request: Request) -> Noise | None:
        if not self._decoding["do_sample"]:
            return None
        return Noise.of(self._decoding["seed"], request.input_digest, request.replicate)

    def _outcome(self, one: _Ready, said: Said, batch_size: int) -> Answer | Failed:
        if said.fault:
            return Failed("FloatingPointError", said.fault)
        spoken = said.tokens[:-1] if said.stopped else said.tokens
        reason = FinishReason.STOP if said.stopped else FinishReason.LENGTH
        raw = self._decoded(spoken, skip_special_tokens=False)
        text, thoughts = self._decoded(spoken, skip_special_tokens=True), None
        tags = self._tags_of(one.request)
        if tags is not None and tags.begin(raw):
            parted = self._parted(tags, spoken, raw)
            if parted is None or (reason is FinishReason.LENGTH and not parted[1].strip()):
                return unended(reason)
            thoughts, text = parted
        elif self._tells_tags and (sentence := remark(raw, tags)):
            self._tells_tags = False
            _log.warning("%s: %s", self._name, sentence)
        return Answer(
            raw_text=raw,
            text=clean(self._model.family, text),
            finish_reason=reason,
            prompt_tokens=len(one.prepared.ids),
            completion_tokens=len(said.tokens),
            latency_ms=said.seconds * 1000,
            batch_size=batch_size,
            reasoning=thoughts or None,
        )

    def _tags_of(self, request: Request) -> Tags | None:
        """Return between which tags the output may think: one that goes on may be beyond that."""
        goes_on = self._last_turn == "continue" and request.messages[-1].role == "assistant"
        if self._tags is None or not goes_on:
            return self._tags
        return self._tags.going_on(text_of(request.messages[-1:]))

    def _parted(self, tags: Tags, spoken: Sequence[int], raw: str) -> tuple[str, str] | None:
        """Return the reasoning, and what comes behind it without control tokens."""
        parts = tags.split(raw)
        if parts is None:
            return None
        decode = partial(self._decoded, skip_special_tokens=False)
        count = tokens_behind(spoken, tags.end, decode)
        overhang = decode(spoken[:count]).partition(tags.end)[2]
        return parts[0], overhang + self._decoded(spoken[count:], skip_special_tokens=True)

    def _decoded(self, tokens: Sequence[int], *, skip_special_tokens: bool) -> str:
        return str(
            self._decoder.decode(
                list(tokens),
                skip_special_tokens=skip_special_tokens,
                clean_up_tokenization_spaces=False,
            )
        )

    @property
    def _model(self) -> Loaded:
        if self._loaded is None:
            raise ModelError("this model was closed: load it again")
        return self._loaded


def _length(request: Request) -> int:
    """Estimate a prompt's length, to put like beside like; any estimate gives right answers."""
    return len(text_of(request.messages)) + _IMAGE_LENGTH * len(images_of(request.messages))


def _judged(error: Exception) -> Failed:
    """Describe what a batch raised; want of memory is retryable.

    Raises:
        ModelError: the device itself is broken, and every further answer would fail.

    """
    text = str(error)
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in text:
        return replace(Failed.from_exception(error, retryable=True), of_sample=True)
    broken: Any = getattr(torch, "AcceleratorError", ())
    if isinstance(error, broken) or "CUDA error" in text:
        raise ModelError(f"the device failed ({text.splitlines()[0]}): run again") from error
    return Failed.from_exception(error)


@contextlib.contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Let torch compute with so many threads, then with as many as before."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
