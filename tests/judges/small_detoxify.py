"""Small Detoxify checkpoints of every architecture, saved to disk as the published ones are."""

from __future__ import annotations

import hashlib
import random
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from lam3db.config import JudgeConfig
from lam3db.judges.detoxify import MAKER, DetoxifyJudge
from lam3db.records import Failed, Finding, Subject

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WORDS = "you are a kind rude cactus and the red ball is no liar at all today".split()  # noqa: SIM905 - a sentence
ORIGINAL = ["toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate"]
UNBIASED = [
    "toxicity",
    "severe_toxicity",
    "obscene",
    "identity_attack",
    "insult",
    "threat",
    "sexual_explicit",
]
SIZES: dict[str, int] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}
COMMIT = "0123456789abcdef0123456789abcdef01234567"
LIMIT = 48
"""The longest text in tokens, special ones included, of every small checkpoint."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint and the folder of its config and tokenizer."""

    path: Path
    folder: Path
    base: str

    def config(self, **settings: Any) -> JudgeConfig:
        """A judge of it."""
        given = {"checkpoint": str(self.path), "config_path": str(self.folder), "device": "cpu"}
        return JudgeConfig(name="small", kind="detoxify", settings=given | settings)

    def judge(self, **settings: Any) -> DetoxifyJudge:
        """The judge at work."""
        config = self.config(**settings)
        return MAKER.load(config, MAKER.describe(config, quiet), no_image)


def quiet(name: str, done: int, total: int) -> None:
    """Tell nobody of hashing."""


def no_image(sha256: str) -> Any:
    """Open no image: a judge of text asks for none."""
    raise AssertionError(sha256)


def outcomes(
    judge: Any, texts: list[str], shown: Callable[[str], Subject] = Subject
) -> dict[str, Finding | Failed]:
    """What a judge says of each text; every subject must be answered exactly once."""
    subjects = [shown(text) for text in texts]
    answered = [pair for batch in judge.judge(subjects) for pair in batch]
    assert sorted(id(subject) for subject, _ in answered) == sorted(map(id, subjects))
    return {subject.response: outcome for subject, outcome in answered}


def cached(hub_cache: Path, name: str, files: Path) -> Path:
    """Lay files out as the hub's client does; return the snapshot."""
    repository = hub_cache / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    return shutil.copytree(files, repository / "snapshots" / COMMIT)


def save_checkpoint(
    folder: Path, arguments: dict[str, Any], classes: list[str], state: dict[str, Any]
) -> Path:
    """Save in the package's format, under a name that ends in the start of its SHA-256."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = folder / "raw.ckpt"
    config = {"arch": {"args": arguments}, "dataset": {"args": {"classes": classes}}}
    torch.save({"config": config, "state_dict": state}, raw)
    start = hashlib.sha256(raw.read_bytes()).hexdigest()[:8]
    return raw.rename(folder / f"toxic_small-{start}.ckpt")


def _bert() -> tuple[Any, Any]:
    from transformers import BertConfig, BertTokenizer

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "!", ".", *WORDS]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = BertTokenizer(vocab=vocabulary, model_max_length=LIMIT)
    return tokenizer, BertConfig(max_position_embeddings=LIMIT, **SIZES)


def _roberta() -> tuple[Any, Any]:
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import RobertaConfig, RobertaTokenizer

    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *sorted(ByteLevel.alphabet())]
    vocabulary = {piece: number for number, piece in enumerate([*pieces, "ar", "al"])}
    merges = [("a", "r"), ("a", "l")]
    # as published: the tokenizer's own limit is the positions less two
    tokenizer = RobertaTokenizer(vocab=vocabulary, merges=merges, model_max_length=LIMIT)
    return tokenizer, RobertaConfig(max_position_embeddings=LIMIT + 2, type_vocab_size=1, **SIZES)


def _unigram(special: list[str]) -> list[tuple[str, float]]:
    letters = sorted(set("".join(WORDS)))
    return [
        *((piece, 0.0) for piece in special),
        *(("▁" + word, -2.0 - 0.01 * number) for number, word in enumerate(dict.fromkeys(WORDS))),
        *((piece, -8.0 - 0.01 * number) for number, piece in enumerate(["▁", *letters, "!", "."])),
    ]


def _xlm_roberta() -> tuple[Any, Any]:
    from transformers import XLMRobertaConfig, XLMRobertaTokenizer

    vocabulary = _unigram(["<s>", "<pad>", "</s>", "<unk>"])
    # no limit of its own, which is a trap: the package would crash above the model's positions
    tokenizer = XLMRobertaTokenizer(vocab=vocabulary)
    config = XLMRobertaConfig(max_position_embeddings=LIMIT + 2, type_vocab_size=1, **SIZES)
    return tokenizer, config


def _albert() -> tuple[Any, Any]:
    from transformers import AlbertConfig, AlbertTokenizer

    vocabulary = _unigram(["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer = AlbertTokenizer(vocab=vocabulary, model_max_length=LIMIT)
    return tokenizer, AlbertConfig(
        max_position_embeddings=LIMIT, embedding_size=16, pad_token_id=0, **SIZES
    )


ARCHITECTURES = {
    "Bert": (_bert, "bert-base-uncased", ORIGINAL, 6),
    "Roberta": (_roberta, "roberta-base", UNBIASED, 16),  # as published: more outputs than names
    "XLMRoberta": (_xlm_roberta, "xlm-roberta-base", UNBIASED, 16),
    "Albert": (_albert, "albert-base-v2", ORIGINAL, 6),
}


def build(architecture: str, folder: Path) -> Checkpoint:
    """Build a random model of this architecture, lively enough that texts differ in score."""
    import transformers

    make, base, classes, outputs = ARCHITECTURES[architecture]
    torch.manual_seed(7)
    tokenizer, config = make()
    config.vocab_size, config.initializer_range = len(tokenizer), 0.3
    base_folder = folder / "base"
    # as the base models on the hub: two labels in the config, whatever the checkpoint has
    config.save_pretrained(base_folder)
    tokenizer.save_pretrained(base_folder)
    config.num_labels = outputs
    name = f"{architecture}ForSequenceClassification"
    model = getattr(transformers, name)(config)
    arguments = {
        "num_classes": outputs,
        "model_type": base,
        "model_name": name,
        "tokenizer_name": f"{architecture}Tokenizer",
    }
    path = save_checkpoint(folder, arguments, classes, model.state_dict())
    return Checkpoint(path, base_folder, base)


def sentences(count: int, longest: int, seed: int = 1) -> list[str]:
    """Distinct texts of 1 to ``longest`` words."""
    rng = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        found[" ".join(rng.choices(WORDS, k=rng.randint(1, longest)))] = None
    return list(found)
