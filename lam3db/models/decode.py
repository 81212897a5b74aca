"""From a prepared batch to token ids, row by row.

Two ways. Families whose text part is a plain decoder go through our own loop over the
model's forward: rows that have ended leave the batch, so that short answers beside a long
one are not decoded on. Every other model goes through its own ``generate``, with our choice
of tokens put in as a logits processor.

What must hold: both ways give what ``generate`` gives under greedy decoding (exactly in
fp32), and a row's tokens do not depend on its batch mates. Logits that are no numbers end
the row with an error: an answer made of them would look like one.
"""

from __future__ import annotations

import inspect
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lam3db.models.sampling import Chooser, Row

_DROP_SHARE = 8
"""Rows are dropped once an eighth of those in the batch has ended: dropping copies the cache."""

NOT_NUMBERS = (
    "the model's logits are not numbers (NaN or infinite): its arithmetic overflowed; "
    "try precision bf16 or fp32"
)


@dataclass(frozen=True, slots=True)
class Limits:
    """When an answer ends. ``stops`` are token ids."""

    max_new_tokens: int
    stops: frozenset[int]

    def reached(self, row: Row) -> bool:
        """Tell whether a row is complete."""
        return len(row.said) >= self.max_new_tokens or (
            bool(row.said) and row.said[-1] in self.stops
        )


@dataclass(frozen=True, slots=True)
class Said:
    """What came of one row: its tokens (the stop included) and its seconds from the start."""

    tokens: tuple[int, ...]
    stopped: bool
    seconds: float
    fault: str = ""


def decode(
    model: Any, inputs: Mapping[str, torch.Tensor], rows: Sequence[Row], chooser: Chooser,
    limits: Limits,
) -> list[Said]:  # fmt: skip
    """Answer a batch with our own loop.

    Args:
        model: a loaded image-text model whose text part is a plain decoder.
        inputs: left-padded ``input_ids`` and ``attention_mask`` (rows, length) and whatever
            the images became, on the model's device.
        rows: in the same order; what they say is appended to them.
        chooser: chooses each next token.
        limits: when to stop.

    """
    loop = _Loop(model, inputs, rows, limits)
    while loop.live:
        loop.step(chooser)
    return loop.said()


class _Loop:
    """The state of one batch: which rows are in the tensors, and which of those still run."""

    def __init__(
        self, model: Any, inputs: Mapping[str, torch.Tensor], rows: Sequence[Row], limits: Limits
    ) -> None:
        self._started = time.monotonic()
        self._model, self._rows, self._limits = model, rows, limits
        self._inputs: dict[str, Any] = dict(inputs)
        mask = self._inputs.pop("attention_mask")
        self._length = mask.shape[1]
        self._mask = torch.nn.functional.pad(mask, (0, limits.max_new_tokens), value=1)
        positions = mask.long().cumsum(-1) - 1
        self._positions = positions.masked_fill(mask == 0, 0)
        self._cache: Any = None
        self._cache_name = _cache_name(model)
        self._inside = list(range(len(rows)))
        self._ended: dict[int, Said] = {}

    @property
    def live(self) -> bool:
        """Tell whether a row still has something to say."""
        return len(self._ended) < len(self._rows)

    def said(self) -> list[Said]:
        """Return what came of each row, in the order given."""
        return [self._ended[place] for place in range(len(self._rows))]

    def step(self, chooser: Chooser) -> None:
        """Advance every row by one token."""
        logits = self._forward()
        for at in broken_rows(logits):
            self._end(self._inside[at], NOT_NUMBERS)
            logits[at] = 0
        tokens = chooser.choose(logits, [self._rows[place] for place in self._inside])
        for place, token in zip(self._inside, tokens, strict=True):
            if place not in self._ended:
                self._rows[place].said.append(token)
                if self._limits.reached(self._rows[place]):
                    self._end(place)
        if self.live:
            self._prepare(tokens)

    def _forward(self) -> torch.Tensor:
        """Return float32 logits (rows inside, vocabulary) of the next token."""
        seen = self._mask[:, : self._length]
        out = self._model(
            **self._inputs, attention_mask=seen, position_ids=self._positions, use_cache=True,
            **{self._cache_name: self._cache}, logits_to_keep=1, return_dict=True,
        )  # fmt: skip
        self._cache = out[self._cache_name]
        return out.logits[:, -1].to(dtype=torch.float32, copy=True)

    def _end(self, place: int, fault: str = "") -> None:
        if place not in self._ended:
            row = self._rows[place]
            stopped = bool(row.said) and row.said[-1] in self._limits.stops
            seconds = time.monotonic() - self._started
            self._ended[place] = Said(tuple(row.said), stopped, seconds, fault)

    def _prepare(self, tokens: list[int]) -> None:
        """Set up the next forward, without the rows that have ended if they are enough."""
        device = self._mask.device
        keep = [at for at, place in enumerate(self._inside) if place not in self._ended]
        gone = len(self._inside) - len(keep)
        positions = self._positions[:, -1:] + 1
        if gone and gone * _DROP_SHARE >= len(self._inside):
            index = torch.tensor(keep)  # on the CPU: the cache may lie on several devices
            self._cache.batch_select_indices(index)
            self._mask, positions = self._mask[index], positions[index]
            self._inside = [self._inside[at] for at in keep]
            tokens = [tokens[at] for at in keep]
        self._inputs = {"input_ids": torch.tensor(tokens, device=device)[:, None]}
        self._positions = positions
        self._length += 1


def _cache_name(model: Any) -> str:
    """Return what this version of the library calls the key-value cache."""
    takes = inspect.signature(type(model).forward).parameters  # hooks replace the instance's
    return "cache" if "cache" in takes else "past_key_values"


def broken_rows(logits: torch.Tensor) -> list[int]:
    """Return the rows whose logits hold NaN or plus infinity."""
    return [int(at) for at in (logits.isnan() | logits.isposinf()).any(dim=-1).nonzero()]


def decode_generic(
    model: Any, inputs: Mapping[str, torch.Tensor], rows: Sequence[Row], chooser: Chooser,
    limits: Limits,
) -> list[Said]:  # fmt: skip
    """Answer a batch with the model's own ``generate``; arguments as for :func:`decode`.

    Raises:
        FloatingPointError: logits that are no numbers.

    """
    started = time.monotonic()
    stops = sorted(limits.stops)
    own = GenerationConfig(
        max_new_tokens=limits.max_new_tokens, do_sample=False, eos_token_id=stops or None,
        pad_token_id=stops[0] if stops else 0,
    )  # fmt: skip
    choice = LogitsProcessorList([_OurChoice(chooser, rows, limits)])
    model.generate(**inputs, generation_config=own, logits_processor=choice)
    seconds = time.monotonic() - started
    return [
        Said(tuple(row.said), bool(row.said) and row.said[-1] in limits.stops, seconds)
        for row in rows
    ]


class _OurChoice(LogitsProcessor):  # type: ignore[misc]  # the library is untyped here
    """Leaves only the token that our chooser takes, so that ``generate`` takes it too."""

    def __init__(self, chooser: Chooser, rows: Sequence[Row], limits: Limits) -> None:
        self._chooser, self._rows, self._limits = chooser, rows, limits

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        del input_ids
        if broken_rows(scores):
            raise FloatingPointError(NOT_NUMBERS)
        tokens = self._chooser.choose(scores.to(dtype=torch.float32, copy=True), self._rows)
        for row, token in zip(self._rows, tokens, strict=True):
            if not self._limits.reached(row):
                row.said.append(token)
        only = torch.full_like(scores, -torch.inf)
        only[torch.arange(len(tokens)), torch.tensor(tokens, device=scores.device)] = 0.0
        return only
