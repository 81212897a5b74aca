"""How likely a model is to begin its answer with given words.

A word's probability is that of its first token, in each of the spellings a model may begin
with: as it is, after a space and on a line of its own (in many vocabularies these are
different tokens). The probabilities come from a softmax in float32 over the whole
vocabulary; nothing is scaled to add up to 1.

What must hold: two words never share a token (their probabilities could not be told
apart); the odds of a row do not depend on its batch mates; logits that are no numbers are a
failure, never odds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from lam3db.errors import ConfigError
from lam3db.models.decode import NOT_NUMBERS, broken_rows
from lam3db.records import Failed, Odds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_BEFORE = ("", " ", "\n")


def first_tokens(tokenizer: Any, words: Sequence[str]) -> dict[str, frozenset[int]]:
    """Return the tokens with which an answer that begins with each word may begin.

    Raises:
        ConfigError: a word without a token, or two words that begin with the same one.

    """
    found: dict[str, frozenset[int]] = {}
    owners: dict[int, str] = {}
    for word in words:
        tokens = {token for before in _BEFORE for token in _first(tokenizer, before, word)}
        if not tokens:
            raise ConfigError(f"the word {word!r} has no token in this model's vocabulary")
        for token in sorted(tokens):
            other = owners.setdefault(token, word)
            if other != word:
                raise ConfigError(
                    f"the words {other!r} and {word!r} begin with the same token "
                    f"({tokenizer.convert_ids_to_tokens(token)!r}): their odds cannot be told "
                    "apart; take words that differ at the start, or a judge `by: text`"
                )
        found[word] = frozenset(tokens)
    return found


def _first(tokenizer: Any, before: str, word: str) -> list[int]:
    """Return the first token of ``word`` after ``before``; none if they share a token's text."""
    ids = tokenizer(before + word, add_special_tokens=False)["input_ids"]
    for token in ids:
        text = tokenizer.decode([token], clean_up_tokenization_spaces=False)
        if text.strip():
            # a piece of a character decodes to the replacement sign
            whole = word.startswith(text.strip()) or "\ufffd" in text
            return [token] if whole else []
    return []


def weigh_batch(
    model: Any, inputs: Mapping[str, torch.Tensor], tokens: Mapping[str, frozenset[int]], pad: int
) -> list[Odds | Failed]:
    """Return the odds of each row of a batch.

    Args:
        model: a loaded model, asked through its own ``generate`` for one token.
        inputs: left-padded ``input_ids`` and ``attention_mask`` (rows, length) and whatever
            the images became, on the model's device.
        tokens: by word, as :func:`first_tokens` gives them.
        pad: the id that ``generate`` pads with.

    """
    kept = _Keep()
    own = GenerationConfig(max_new_tokens=1, do_sample=False, eos_token_id=None, pad_token_id=pad)
    model.generate(**inputs, generation_config=own, logits_processor=LogitsProcessorList([kept]))
    logits = kept.logits
    faulty = set(broken_rows(logits))
    chances = torch.softmax(logits, dim=-1).cpu()
    return [
        Failed("FloatingPointError", NOT_NUMBERS) if row in faulty else _odds(chances[row], tokens)
        for row in range(len(chances))
    ]


def _odds(chances: torch.Tensor, tokens: Mapping[str, frozenset[int]]) -> Odds:
    return Odds({word: float(chances[sorted(ids)].sum()) for word, ids in tokens.items()})


class _Keep(LogitsProcessor):  # type: ignore[misc]  # the library is untyped here
    """Keeps the logits of the first token, float32 (rows, vocabulary)."""

    def __init__(self) -> None:
        self.logits = torch.empty(0)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        del input_ids
        self.logits = scores.to(dtype=torch.float32, copy=True)
        return scores
