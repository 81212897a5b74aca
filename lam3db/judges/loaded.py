"""A sequence classifier in memory, and what every way of loading one has to settle.

What must hold: the longest text is what the model has positions for, whatever the tokenizer
says; a tokenizer that is not the model's is refused; no setting of a library stays changed.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.errors import JudgeError, MissingDependencyError
from lam3db.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEEDS_LOCAL = "local judges need the package's local extra: pip install 'lam3db[local]'"
_NO_LIMIT = 10**6


@dataclass(frozen=True, slots=True)
class LoadedClassifier:
    """A model ready to score. ``names`` are its outputs in order; ``limit`` counts tokens.

    ``packed`` weights (int8) cannot be moved to another device.
    """

    model: Any
    tokenizer: Any
    names: tuple[str, ...]
    limit: int
    packed: bool = False

    @property
    def padding(self) -> int:
        """Return the token that fills up a batch: the model's, which may look for it."""
        own = getattr(self.model.config, "pad_token_id", None)
        return int(self.tokenizer.pad_token_id if own is None else own)


def chosen_device(setting: str) -> str:
    """Return torch's name of a device; ``auto`` is the first GPU, else the CPU."""
    if setting != "auto":
        return setting
    try:
        import torch
    except ImportError:
        raise MissingDependencyError(NEEDS_LOCAL) from None
    return "cuda" if torch.cuda.is_available() else "cpu"


def device_error(device: str, error: Exception) -> JudgeError:
    """Return the error of a device that is not there or has no room, on one line."""
    return JudgeError(f"device {device}: {redact(str(error).partition(chr(10))[0])}")


def longest_window(model: Any, tokenizer: Any, folder: Path) -> int:
    """Return the most tokens a window can have, special ones included.

    Raises:
        JudgeError: nothing tells it, or the tokenizer does not belong to the model.

    """
    config = model.config
    positions = getattr(config, "max_position_embeddings", None) or _NO_LIMIT
    told = tokenizer.model_max_length
    known = told if isinstance(told, int | float) else _NO_LIMIT
    limit = int(min(positions - _skipped_positions(model), known))
    if limit >= _NO_LIMIT:
        raise JudgeError(f"{folder}: neither config nor tokenizer tells the longest text")
    words = getattr(config, "vocab_size", _NO_LIMIT)
    if len(tokenizer) > words or tokenizer.pad_token_id is None:
        raise JudgeError(
            f"{folder}: the tokenizer ({len(tokenizer)} tokens, padding "
            f"{tokenizer.pad_token!r}) does not belong to a model of {words} tokens"
        )
    return limit


def _skipped_positions(model: Any) -> int:
    """Return how many positions a text can never have.

    RoBERTa and its kin begin behind the padding token's number: 514 positions, 512 tokens.
    """
    for name, part in model.named_modules():
        padding = getattr(part, "padding_idx", None)
        if name.endswith("position_embeddings") and padding is not None:
            return int(padding) + 1
    return 0


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from printing its own bars and reports while it loads."""
    from transformers.utils import logging

    bars, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
