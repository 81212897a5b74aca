"""Small random LLaVA-1.5 and IDEFICS2 checkpoints of the real classes, on disk.

Sizes are multiples of 128, so that 4-bit quantization works on a CPU. Many tokens end an
answer, so that answers differ in length. Adapted from the project's tried snippets.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import torch
from PIL import Image, ImageDraw
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    CLIPVisionConfig,
    GenerationConfig,
    Idefics2Config,
    Idefics2ForConditionalGeneration,
    Idefics2Processor,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    MistralConfig,
    PreTrainedTokenizerFast,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.idefics2.configuration_idefics2 import (
    Idefics2PerceiverConfig,
    Idefics2VisionConfig,
)
from transformers.models.idefics2.image_processing_pil_idefics2 import Idefics2ImageProcessorPil
from transformers.utils import logging

from lam3db.config import ModelConfig, RuntimeConfig
from lam3db.plugins import model_kind
from lam3db.records import Answer, Behavior, Failed, ImagePart, Message, Request, Sample, TextPart

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

torch.set_num_threads(1)
logging.set_verbosity_error()
logging.disable_progress_bar()

SIZE, PATCH, WIDTH, VOCABULARY, CONTEXT = 56, 14, 128, 512, 1024
FAMILIES = ("llava", "idefics2")
_CORPUS = [
    "USER: ASSISTANT: User: Assistant: How do I describe this image safely? I cannot help.",
    "the quick brown fox jumps over the lazy dog 0123456789 !?.,:;'\"() <image> </s> [INST]",
] * 4
_TEMPLATES = {
    "llava": (
        "{% for message in messages %}"
        "{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}"
        "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
        "{{ '<image>\n' }}{% endfor %}"
        "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
        "{{ content['text'] + ' '}}{% endfor %}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
    ),
    "idefics2": (
        "{% for message in messages %}{{message['role'].capitalize()}}"
        "{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}"
        "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}"
        "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}"
        "<end_of_utterance>\n{% endfor %}"
        "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
    ),
}


def _tokenizer(special: dict[str, str]) -> PreTrainedTokenizerFast:
    names = {f"{name}_token": f"<{name}>" for name in ("unk", "pad")}
    names |= {"bos_token": "<s>", "eos_token": "</s>"}
    bpe = Tokenizer(models.BPE(unk_token=names["unk_token"]))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<unk>", "<s>", "</s>", "<pad>", *special.values()],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_CORPUS, trainer)
    start = ("<s>", bpe.token_to_id("<s>"))
    bpe.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[start]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        padding_side="left",
        model_max_length=CONTEXT,
        extra_special_tokens=special,
        **names,
    )


def _text(tokenizer: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": CONTEXT,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "initializer_range": 0.1,
    }


def build_llava(folder: Path) -> None:
    """Write a LLaVA-1.5 of 0.5 M random parameters."""
    torch.manual_seed(0)
    tokenizer = _tokenizer({"image_token": "<image>"})
    square = {"height": SIZE, "width": SIZE}
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": SIZE}, crop_size=square),
        tokenizer=tokenizer, patch_size=PATCH, vision_feature_select_strategy="default",
        num_additional_image_tokens=1, chat_template=_TEMPLATES["llava"],
    )  # fmt: skip
    vision = CLIPVisionConfig(
        hidden_size=WIDTH, intermediate_size=WIDTH, num_hidden_layers=3, num_attention_heads=4,
        image_size=SIZE, patch_size=PATCH, projection_dim=WIDTH,
    )  # fmt: skip
    config = LlavaConfig(
        vision_config=vision,
        text_config=LlamaConfig(num_key_value_heads=4, **_text(tokenizer)),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"), vision_feature_layer=-2,
        vision_feature_select_strategy="default", image_seq_length=(SIZE // PATCH) ** 2,
        tie_word_embeddings=False,
    )  # fmt: skip
    _save(LlavaForConditionalGeneration(config), processor, folder)


def build_idefics2(folder: Path) -> None:
    """Write an IDEFICS2 of 0.6 M random parameters."""
    torch.manual_seed(0)
    special = {
        "image_boundary_token": "<fake_token_around_image>",
        "image_token": "<image>",
        "end_of_utterance_token": "<end_of_utterance>",
    }
    tokenizer = _tokenizer(special)
    processor = Idefics2Processor(
        image_processor=Idefics2ImageProcessorPil(
            size={"shortest_edge": SIZE // 2, "longest_edge": SIZE}, do_image_splitting=False
        ),
        tokenizer=tokenizer, image_seq_len=4, chat_template=_TEMPLATES["idefics2"],
    )  # fmt: skip
    config = Idefics2Config(
        vision_config=Idefics2VisionConfig(
            hidden_size=WIDTH, intermediate_size=WIDTH, num_hidden_layers=2,
            num_attention_heads=4, image_size=SIZE, patch_size=PATCH,
        ),
        perceiver_config=Idefics2PerceiverConfig(
            hidden_size=WIDTH, resampler_n_latents=4, resampler_depth=1, resampler_n_heads=4,
            resampler_head_dim=32, num_key_value_heads=2,
        ),
        text_config=MistralConfig(num_key_value_heads=2, sliding_window=None, **_text(tokenizer)),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"), tie_word_embeddings=False,
    )  # fmt: skip
    _save(Idefics2ForConditionalGeneration(config), processor, folder)


def _save(model: Any, processor: Any, folder: Path) -> None:
    tokenizer = processor.tokenizer
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=[tokenizer.eos_token_id, *range(100, VOCABULARY, 6)],
    )
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("tiny")
    build_llava(base / "llava")
    build_idefics2(base / "idefics2")
    return {family: base / family for family in FAMILIES}


@pytest.fixture
def copied(folders: dict[str, Path], tmp_path: Path) -> Any:
    """Copy a family's folder, to be spoiled."""

    def copy(family: str) -> Path:
        return shutil.copytree(folders[family], tmp_path / family)

    return copy


@pytest.fixture(autouse=True)
def _clean_place(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Give every test its own cache folder and no network, and check torch's defaults after."""

    def refuse(*_: object) -> None:
        raise AssertionError("a test reached for the network")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr(socket.socket, "connect", refuse)
    yield
    assert torch.get_default_dtype() == torch.float32
    assert torch.empty(0).device.type == "cpu"


def picture(number: int) -> Image.Image:
    """Draw one of many different pictures, of different shapes."""
    size = (40 + 17 * (number % 4), 40 + 23 * (number % 3))
    image = Image.new("RGB", size, ((number * 47) % 256, (number * 91) % 256, 120))
    ImageDraw.Draw(image).ellipse((4, 4, 24 + number % 16, 30), fill=(255, number % 256, 0))
    return image


@dataclass
class Album:
    """Pictures by digest, as a media root gives them."""

    images: dict[str, Image.Image] = field(default_factory=dict)

    def add(self, image: Image.Image) -> ImagePart:
        digest = hashlib.sha256(image.tobytes() + repr(image.size).encode()).hexdigest()
        self.images[digest] = image
        return ImagePart(digest)

    def open(self, sha256: str) -> Image.Image:
        return self.images[sha256]


@dataclass
class Bench:
    """Everything a test needs to ask a small model something."""

    folders: dict[str, Path]
    album: Album = field(default_factory=Album)

    def plan(self, source: str | Path, runtime: RuntimeConfig | None = None, **model: Any) -> Any:
        folder = self.folders.get(str(source), source)
        config = ModelConfig(name="tiny", source=str(folder), **model)
        runtime = runtime or RuntimeConfig(precision="fp32", do_sample=False, max_new_tokens=12)
        return model_kind("transformers").describe(config, runtime, lambda *_: None)

    def load(self, source: str | Path, runtime: RuntimeConfig | None = None, **model: Any) -> Any:
        plan = self.plan(source, runtime, **model)
        return model_kind("transformers").load(plan, self.album.open)

    def request(self, tag: int, *parts: str | Image.Image, replicate: int = 0) -> Request:
        made = [TextPart(part) if isinstance(part, str) else self.album.add(part) for part in parts]
        return self.conversation(tag, Message("user", tuple(made)), replicate=replicate)

    def conversation(self, tag: int, *messages: Message, replicate: int = 0) -> Request:
        digest = Sample(messages, Behavior("test")).input_digest
        return Request(tag, messages, digest, replicate)

    def mixed(self, count: int, replicates: int = 1) -> list[Request]:
        """Return requests of different lengths, with and without an image."""
        return [
            self.request(
                number * replicates + replicate,
                *([picture(number)] if number % 4 else []),
                "Describe the quick brown fox. " * (1 + number % 3) + str(number),
                replicate=replicate,
            )
            for number in range(count)
            for replicate in range(replicates)
        ]


@pytest.fixture
def bench(folders: dict[str, Path]) -> Bench:
    return Bench(folders)


def outcomes(model: Any, requests: list[Request]) -> dict[int, Answer | Failed]:
    """Return what became of each request by its tag; each exactly once."""
    found = [pair for batch in model.answer(requests) for pair in batch]
    assert sorted(request.tag for request, _ in found) == sorted(one.tag for one in requests)
    return {request.tag: outcome for request, outcome in found}


@pytest.fixture
def asked() -> Any:
    return outcomes


@pytest.fixture
def draw() -> Any:
    return picture
