"""Builds and trains the demo's refusal classifier: does an answer decline?

Why: a judge of any Hugging Face sequence classifier must have one to load offline that says
something true about the answers of the demo models.
Invariant: the folder is what `save_pretrained` writes, safetensors and no code; labels are
named in its config, one of them is chosen (softmax).
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import torch
from declines import LABELS, Told, told
from small_bert import SEED, distinct, network_of, outputs, teach, tokenizer_of
from torch import nn

if TYPE_CHECKING:
    from pathlib import Path

SENTENCES = 16_000
HELD_OUT = 2_000
VOCABULARY = 1_000
POSITIONS = 256


def lessons(count: int, seed: int, without: frozenset[str] = frozenset()) -> list[Told]:
    """`count` distinct sentences, none of them in `without`."""
    return distinct(told, lambda one: one.text, count, seed, without)


def figures(network: Any, tokenizer: Any, unseen: list[Told]) -> dict[str, float]:
    """Share of right labels over unseen sentences, in all and for each label."""
    chosen = outputs(network, tokenizer, [one.text for one in unseen]).argmax(dim=-1)
    right = (chosen == torch.tensor([int(one.declines) for one in unseen])).float()
    found = {"sentences": float(len(unseen)), "right": float(right.mean())}
    for place, label in enumerate(LABELS):
        rows = [row for row, one in enumerate(unseen) if one.declines == bool(place)]
        found[label] = float(right[rows].mean())
    return {name: round(value, 4) for name, value in found.items()}


def train_classifier(folder: Path) -> None:
    """Train, print the held-out figures, write the folder."""
    begun = time.monotonic()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    taught = lessons(SENTENCES, SEED)
    texts = [one.text for one in taught]
    unseen = lessons(HELD_OUT, SEED + 1_000_003, frozenset(texts))
    tokenizer = tokenizer_of(texts, folder, VOCABULARY, POSITIONS)
    network = network_of(
        LABELS,
        "single_label_classification",
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=POSITIONS,
    )
    targets = torch.tensor([int(one.declines) for one in taught])
    teach(network, tokenizer, texts, targets, nn.functional.cross_entropy)
    network.eval().save_pretrained(folder)
    for path in folder.iterdir():
        path.chmod(0o644)
    count = sum(part.numel() for part in network.parameters())
    minutes = (time.monotonic() - begun) / 60
    print(
        f"classifier: {count:,} parameters, {len(taught):,} sentences, {minutes:.1f} minutes; "
        f"held-out {figures(network, tokenizer, unseen)}"
    )
