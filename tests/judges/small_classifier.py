"""Small sequence classifiers, saved to disk as the hub's are; beside small_detoxify.py."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import torch
from small_detoxify import ARCHITECTURES as BASES
from small_detoxify import LIMIT, SIZES, WORDS, no_image, quiet

from lam3db.config import JudgeConfig
from lam3db.errors import JudgeError
from lam3db.judges.classifier import MAKER, ClassifierJudge

if TYPE_CHECKING:
    from pathlib import Path

SINGLE = ("neutral", "rude", "odd")
MULTI = ("toxicity", "insult", "threat", "male")


def _distilbert() -> tuple[Any, Any]:
    from transformers import DistilBertConfig

    tokenizer, _ = BASES["Bert"][0]()
    config = DistilBertConfig(
        max_position_embeddings=LIMIT, dim=32, n_layers=2, n_heads=2, hidden_dim=64
    )
    return tokenizer, config


def _llama() -> tuple[Any, Any]:
    """A classifier on top of a language model: it looks for its text's end by the padding."""
    from transformers import LlamaConfig

    tokenizer, _ = BASES["Bert"][0]()
    config = LlamaConfig(max_position_embeddings=LIMIT, **SIZES)
    return tokenizer, config


ARCHITECTURES = {
    "Bert": BASES["Bert"][0],
    "Roberta": BASES["Roberta"][0],
    "DistilBert": _distilbert,
    "Llama": _llama,
}


@dataclass(frozen=True)
class Small:
    """A classifier's folder."""

    folder: Path

    def config(self, **settings: Any) -> JudgeConfig:
        """A judge of it; the value is the first label's unless another is named."""
        document = json.loads((self.folder / "config.json").read_text())
        labels = document.get("id2label", {"0": "LABEL_0"})
        given = {"source": str(self.folder), "value": labels["0"], "device": "cpu"}
        return JudgeConfig(name="small", kind="classifier", settings=given | settings)

    def describe(self, **settings: Any) -> Any:
        """Its identity."""
        return MAKER.describe(self.config(**settings), quiet)

    def judge(self, **settings: Any) -> ClassifierJudge:
        """The judge at work."""
        config = self.config(**settings)
        return MAKER.load(config, MAKER.describe(config, quiet), no_image)

    def change(self, **values: Any) -> None:
        """Set keys of its config.json; None takes one away."""
        path = self.folder / "config.json"
        document = json.loads(path.read_text()) | values
        document = {name: value for name, value in document.items() if value is not None}
        path.write_text(json.dumps(document))


def build_classifier(
    folder: Path,
    architecture: str = "Bert",
    labels: tuple[str, ...] = SINGLE,
    problem_type: str | None = "single_label_classification",
) -> Small:
    """Build a random model of this architecture, lively enough that texts differ in score."""
    import transformers

    torch.manual_seed(11)
    tokenizer, config = ARCHITECTURES[architecture]()
    config.vocab_size, config.initializer_range = len(tokenizer), 0.5
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: number for number, label in enumerate(labels)}
    config.problem_type = problem_type
    model = getattr(transformers, f"{architecture}ForSequenceClassification")(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Small(folder)


def config_of(source: Any, **settings: Any) -> JudgeConfig:
    """A judge of whatever lies there."""
    given = {"source": str(source), "value": "rude", "device": "cpu"}
    return JudgeConfig(name="c", kind="classifier", settings=given | settings)


def refused(error: type[Exception], source: Any, **settings: Any) -> str:
    """What is said when it is described."""
    with pytest.raises(error) as caught:
        MAKER.describe(config_of(source, **settings), quiet)
    return str(caught.value)


def refused_on_loading(source: Any, **settings: Any) -> str:
    """What is said when it is loaded; describing it says nothing."""
    given = config_of(source, **settings)
    identity = MAKER.describe(given, quiet)
    with pytest.raises(JudgeError) as caught:
        MAKER.load(given, identity, no_image)
    return str(caught.value)


__all__ = [
    "ARCHITECTURES", "LIMIT", "MULTI", "SINGLE", "WORDS", "Small", "build_classifier", "config_of",
    "refused", "refused_on_loading",
]  # fmt: skip
