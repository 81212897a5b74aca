"""What the two small text models share: words, a network, plain training, outputs.

Why: a toxicity checkpoint and a refusal classifier are the same little BERT with another head
and another loss.
Invariant: everything depends on the texts, the targets and the seed; nothing is fetched.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from tokenizers import BertWordPieceTokenizer
from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

SEED = 42
EPOCHS = 4
BATCH = 64
RATE = 1e-3
_Made = TypeVar("_Made")


def distinct(
    make: Callable[[Random], _Made],
    text_of: Callable[[_Made], str],
    count: int,
    seed: int,
    without: frozenset[str] = frozenset(),
) -> list[_Made]:
    """`count` sentences of different text, none of them in `without`."""
    rng = Random(seed)
    found: dict[str, _Made] = {}
    for _ in range(20 * count):
        made = make(rng)
        if text_of(made) not in without:
            found.setdefault(text_of(made), made)
        if len(found) == count:
            break
    return list(found.values())


def tokenizer_of(texts: list[str], folder: Path, vocabulary: int, positions: int) -> Any:
    """A lower-case WordPiece tokenizer, saved with its length limit."""
    pieces = BertWordPieceTokenizer(lowercase=True)
    pieces.train_from_iterator(texts, vocab_size=vocabulary, min_frequency=2, show_progress=False)
    tokenizer = BertTokenizer(
        vocab=pieces.get_vocab(), do_lower_case=True, model_max_length=positions
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def network_of(labels: Sequence[str], problem_type: str, **sizes: int) -> Any:
    """An untrained network with one output per label."""
    config = BertConfig(
        num_hidden_layers=2, num_labels=len(labels), problem_type=problem_type, **sizes
    )
    config.id2label = dict(enumerate(labels))
    config.label2id = {name: index for index, name in enumerate(labels)}
    return BertForSequenceClassification(config)


def teach(
    network: Any,
    tokenizer: Any,
    texts: list[str],
    targets: Tensor,
    loss_of: Callable[[Tensor, Tensor], Tensor],
) -> None:
    """Plain training on random batches."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.01)
    steps = EPOCHS * (len(texts) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=RATE, total_steps=steps)
    order = torch.Generator().manual_seed(SEED)
    network.train()
    for _ in range(steps):
        rows = torch.randint(len(texts), (BATCH,), generator=order)
        inputs = tokenizer(
            [texts[row] for row in rows.tolist()],
            return_tensors="pt",
            padding=True,
            truncation=True,
        )
        loss = loss_of(network(**inputs).logits, targets[rows])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()


@torch.inference_mode()
def outputs(network: Any, tokenizer: Any, texts: list[str]) -> Tensor:
    """The sums before any activation, one row per text."""
    network.eval()
    parts = []
    for start in range(0, len(texts), 200):
        inputs = tokenizer(
            texts[start : start + 200], return_tensors="pt", padding=True, truncation=True
        )
        parts.append(network(**inputs).logits)
    return torch.cat(parts)
