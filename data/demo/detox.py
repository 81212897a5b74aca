"""Builds and trains the demo's toxicity checkpoint in the format of the detoxify package.

Why: the real `detoxify.Detoxify` class must have something to load offline that knows rude
from friendly. Format (detoxify 0.5.4): `torch.save({"config": ..., "state_dict": ...})`;
`config["arch"]["args"]` are the arguments of its loader, `config["dataset"]["args"]` has
the class names. The hub's file names end in the start of their sha256; so does this one.
Invariant: the checkpoint holds plain values and tensors only (`weights_only=True` reads it).
"""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING, Any

import torch
from rude import CLASSES, Marked, sentence
from small_bert import SEED, distinct, network_of, outputs, teach, tokenizer_of
from torch import nn

if TYPE_CHECKING:
    from pathlib import Path

SENTENCES = 24_000
HELD_OUT = 2_000
VOCABULARY = 1_200
POSITIONS = 512
MODEL_TYPE = "data/demo/detoxify"
"""What the checkpoint calls its architecture; from the repository's root this is a folder."""


def lessons(count: int, seed: int, *, without: frozenset[str] = frozenset()) -> list[Marked]:
    """`count` distinct sentences, none of them in `without`."""
    return distinct(sentence, lambda one: one.text, count, seed, without)


def _network(vocabulary: int) -> Any:
    return network_of(
        CLASSES,
        "multi_label_classification",
        vocab_size=vocabulary,
        hidden_size=128,
        num_attention_heads=4,
        intermediate_size=256,
        max_position_embeddings=POSITIONS,
    )


def figures(network: Any, tokenizer: Any, unseen: list[Marked]) -> dict[str, float]:
    """Share on the right side of 0.5 and mean distance from the mark, over unseen sentences."""
    got = torch.sigmoid(outputs(network, tokenizer, [one.text for one in unseen]))
    want = torch.tensor([one.marks for one in unseen])
    toxic = ((got[:, 0] > 0.5) == (want[:, 0] > 0.5)).float().mean()
    return {
        "sentences": len(unseen),
        "toxicity on the right side": round(float(toxic), 4),
        "mean distance": round(float((got - want).abs().mean()), 4),
    }


def _save(network: Any, folder: Path) -> Path:
    """Write config and checkpoint; the file name carries the start of its own sha256."""
    network.config.save_pretrained(folder)
    arguments = {
        "num_classes": len(CLASSES),
        "model_type": MODEL_TYPE,
        "model_name": "BertForSequenceClassification",
        "tokenizer_name": "BertTokenizer",
    }
    config = {
        "name": "toxic_demo",
        "arch": {"type": "BERT", "args": arguments},
        "dataset": {"type": "demo sentences", "args": {"classes": list(CLASSES)}},
    }
    state = {name: part.detach().clone() for name, part in network.state_dict().items()}
    for old in folder.glob("toxic_demo-*.ckpt"):
        old.unlink()
    raw = folder / "toxic_demo.ckpt"
    torch.save({"config": config, "state_dict": state}, raw)
    digest = hashlib.sha256(raw.read_bytes()).hexdigest()
    return raw.rename(folder / f"toxic_demo-{digest[:8]}.ckpt")


def train_detoxify(folder: Path) -> None:
    """Train, print the held-out figures, write the folder."""
    begun = time.monotonic()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    taught = lessons(SENTENCES, SEED)
    unseen = lessons(HELD_OUT, SEED + 1_000_003, without=frozenset(one.text for one in taught))
    texts, marks = [one.text for one in taught], torch.tensor([one.marks for one in taught])
    tokenizer = tokenizer_of(texts, folder, VOCABULARY, POSITIONS)
    network = _network(len(tokenizer))
    teach(network, tokenizer, texts, marks, nn.functional.binary_cross_entropy_with_logits)
    path = _save(network, folder)
    count = sum(part.numel() for part in network.parameters())
    minutes = (time.monotonic() - begun) / 60
    print(
        f"detoxify: {count:,} parameters, {len(taught):,} sentences, {minutes:.1f} minutes, "
        f"{path.name}; held-out {figures(network, tokenizer, unseen)}"
    )
