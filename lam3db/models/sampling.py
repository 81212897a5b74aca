"""How the next token is chosen: greedily, or with noise that belongs to the request alone.

Sampling is exact by the Gumbel-max trick (Gumbel 1954; Maddison et al. 2014): the largest of
``log p + g`` with independent standard Gumbel ``g`` is distributed as ``p``. The noise comes
from Philox4x64-10, a counter-based generator (Salmon et al. 2011), keyed by (seed, input
digest, replicate) with the step in the counter's upper half: token ``v`` of step ``t`` gets
the ``v``-th number, whatever else is in the batch. Raw bits are turned to numbers here,
because numpy keeps only those the same in every release.

What must hold: a choice depends on the row's own scores and key; ``SAMPLER`` in
:mod:`lam3db.models.effective` is raised when the same key gives other noise.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import (
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

_STEP_SHIFT = 128


@dataclass(frozen=True, slots=True)
class Noise:
    """The Gumbel noise of one request."""

    key: int

    @classmethod
    def of(cls, seed: int, input_digest: bytes, replicate: int) -> Noise:
        """Return the noise of this (seed, input, replicate)."""
        text = f"lam3db:noise:1\n{seed}\n{input_digest.hex()}\n{replicate}"
        return cls(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))

    def gumbel(self, step: int, tokens: npt.NDArray[np.intp], size: int) -> npt.NDArray[np.float64]:
        """Return standard Gumbel numbers for ``tokens`` out of a vocabulary of ``size``."""
        bits = np.random.Philox(key=self.key, counter=step << _STEP_SHIFT).random_raw(size)
        uniform = ((bits[tokens] >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
        return np.asarray(-np.log(-np.log(uniform)))


@dataclass(slots=True)
class Row:
    """One request while it is decoded: its prompt, what it has said, its noise."""

    prompt: list[int]
    noise: Noise | None = None
    said: list[int] = field(default_factory=list)


class Chooser:
    """Chooses the next token of each row from its logits."""

    def __init__(self, decoding: Mapping[str, Any], stops: Sequence[int]) -> None:
        self.samples = bool(decoding["do_sample"])
        self._stops = list(stops)
        self._at_least = decoding.get("min_new_tokens", 0)
        penalty = decoding.get("repetition_penalty")
        self._penalty = None if penalty is None else RepetitionPenaltyLogitsProcessor(penalty)
        self._warpers = self._chosen_warpers(decoding) if self.samples else []

    @staticmethod
    def _chosen_warpers(decoding: Mapping[str, Any]) -> list[Any]:
        """Return transformers' warpers in the order of its ``generate``."""
        warpers: list[Any] = []
        if decoding["temperature"] != 1:
            warpers.append(TemperatureLogitsWarper(float(decoding["temperature"])))
        if "top_k" in decoding:
            warpers.append(TopKLogitsWarper(decoding["top_k"]))
        if decoding["top_p"] < 1:
            warpers.append(TopPLogitsWarper(decoding["top_p"]))
        return warpers

    def choose(self, logits: torch.Tensor, rows: Sequence[Row]) -> list[int]:
        """Return one token id per row.

        Args:
            logits: float32, (rows, vocabulary); may be changed.
            rows: in the same order, each as far as it has come.

        """
        scores = self._allowed(logits, rows)
        if not self.samples:
            return [int(token) for token in scores.argmax(dim=-1).tolist()]
        for warper in self._warpers:
            scores = warper(None, scores)
        table = scores.cpu().numpy()
        return [_draw(table[place], row) for place, row in enumerate(rows)]

    def _allowed(self, scores: torch.Tensor, rows: Sequence[Row]) -> torch.Tensor:
        for place, row in enumerate(rows):
            if self._penalty is not None:  # per row: padding must not count as said
                seen = torch.tensor([row.prompt + row.said], device=scores.device)
                scores[place] = self._penalty(seen, scores[place : place + 1])[0]
            if len(row.said) < self._at_least and self._stops:
                scores[place, self._stops] = -torch.inf
        return scores


def _draw(scores: npt.NDArray[np.float32], row: Row) -> int:
    """Sample one token from a row's warped scores."""
    if row.noise is None:
        raise ValueError("a row without noise cannot be sampled")
    tokens = np.flatnonzero(scores > -np.inf)
    noise = row.noise.gumbel(len(row.said), tokens, len(scores))
    return int(tokens[np.argmax(scores[tokens].astype(np.float64) + noise)])
