"""Builds the two untrained models of the demo with the real classes and processors.

Why: lam3db is shown and tested on the very classes it meets in the field
(`LlavaForConditionalGeneration`, `Idefics2ForConditionalGeneration`), only smaller.
Invariant: the folder layout, chat templates and special tokens are those of the published
LLaVA-1.5-hf and IDEFICS2; every linear layer fits 4-bit quantization (inputs a multiple of
64, outputs of 32).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
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

if TYPE_CHECKING:
    from collections.abc import Iterable

IMAGE, PATCH = 64, 8
WIDTH, INNER, LAYERS, HEADS = 128, 256, 4, 4
VISION_LAYERS = 3
LATENTS = 16
VOCABULARY = 704
POSITIONS = 2048

LLAVA_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}"
    "{# Render all images first #}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>\n' }}{% endfor %}"
    "{# Render all text next #}"
    "{% if message['role'] != 'assistant' %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ content['text'] + ' '}}{% endfor %}"
    "{% else %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{% generation %}{{ content['text'] + ' '}}{% endgeneration %}{% endfor %}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
IDEFICS2_TEMPLATE = (
    "{% for message in messages %}{{message['role'].capitalize()}}"
    "{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}"
    "{% for line in message['content'] %}"
    "{% if line['type'] == 'text' %}{{line['text']}}"
    "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}"
    "{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)

SYSTEM_PROMPT = (
    "You are a careful visual assistant. Describe only what can be seen in the image; "
    "if something is not visible or you are not sure, say so."
)
"""What lam3db puts before every LLaVA conversation against hallucination."""


@dataclass(frozen=True)
class Built:
    """A model with its processor and the text that ends an answer."""

    name: str
    model: Any
    processor: Any
    end: str


def _tokenizer(texts: Iterable[str], special: list[str], named: dict[str, str]) -> Any:
    """A byte-level BPE that knows the words of the world and can spell everything else."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<unk>", "<s>", "</s>", "<pad>", *special],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    start = ("<s>", bpe.token_to_id("<s>"))
    bpe.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[start]
    )
    names = {"bos": "<s>", "eos": "</s>", "unk": "<unk>", "pad": "<pad>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        padding_side="left",
        model_max_length=POSITIONS,
        extra_special_tokens=named,
        **{f"{name}_token": text for name, text in names.items()},
    )


def _text_sizes(tokenizer: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "max_position_embeddings": POSITIONS,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "initializer_range": 0.05,
    }


def _places(side: int, width: int) -> torch.Tensor:
    """Sines and cosines of row and column, (side * side, width): a start for the eyes."""
    quarter = width // 4
    speeds = 100.0 ** -(torch.arange(quarter) / quarter)
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    angles = [place.flatten()[:, None] * speeds for place in (rows, columns)]
    return torch.cat([part for angle in angles for part in (angle.sin(), angle.cos())], dim=1)


def _wake(vision: torch.nn.Module, connector: torch.nn.Module) -> None:
    """A livelier start than the stock one, which is meant for large towers and long training."""
    for part in (*vision.modules(), *connector.modules()):
        if isinstance(part, torch.nn.Linear):
            torch.nn.init.xavier_uniform_(part.weight)
        elif isinstance(part, torch.nn.Conv2d):
            torch.nn.init.normal_(part.weight, std=(3 * PATCH * PATCH) ** -0.5)
    side = IMAGE // PATCH
    table = vision.get_submodule("embeddings.position_embedding").get_parameter("weight")
    with torch.no_grad():
        table[-side * side :] = 0.5 * _places(side, WIDTH)


def build_llava(texts: Iterable[str]) -> Built:
    """A small LLaVA-1.5: CLIP tower, two-layer projector, Llama."""
    tokenizer = _tokenizer(texts, ["<image>"], {"image_token": "<image>"})
    square = {"height": IMAGE, "width": IMAGE}
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": IMAGE}, crop_size=square),
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=LLAVA_TEMPLATE,
    )
    vision = CLIPVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=VISION_LAYERS + 1,
        num_attention_heads=HEADS,
        image_size=IMAGE,
        patch_size=PATCH,
        projection_dim=WIDTH,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=LlamaConfig(num_key_value_heads=HEADS, **_text_sizes(tokenizer)),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        image_seq_length=(IMAGE // PATCH) ** 2,
        tie_word_embeddings=False,
    )
    model = LlavaForConditionalGeneration(config)
    _wake(model.model.vision_tower, model.model.multi_modal_projector)
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return Built("llava", model, processor, "</s>")


def _idefics2_config(tokenizer: Any) -> Idefics2Config:
    vision = Idefics2VisionConfig(
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=VISION_LAYERS,
        num_attention_heads=HEADS,
        image_size=IMAGE,
        patch_size=PATCH,
    )
    perceiver = Idefics2PerceiverConfig(
        hidden_size=WIDTH,
        resampler_n_latents=LATENTS,
        resampler_depth=1,
        resampler_n_heads=HEADS,
        resampler_head_dim=WIDTH // HEADS,
        num_key_value_heads=HEADS // 2,
    )
    text = MistralConfig(
        num_key_value_heads=HEADS // 2, sliding_window=None, **_text_sizes(tokenizer)
    )
    return Idefics2Config(
        vision_config=vision,
        perceiver_config=perceiver,
        text_config=text,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        tie_word_embeddings=False,
    )


def build_idefics2(texts: Iterable[str]) -> Built:
    """A small IDEFICS2: SigLIP-like tower, perceiver, Mistral."""
    special = ["<fake_token_around_image>", "<image>", "<end_of_utterance>"]
    names = ("image_boundary_token", "image_token", "end_of_utterance_token")
    tokenizer = _tokenizer(texts, special, dict(zip(names, special, strict=True)))
    processor = Idefics2Processor(
        image_processor=Idefics2ImageProcessorPil(
            size={"shortest_edge": IMAGE // 2, "longest_edge": IMAGE}, do_image_splitting=False
        ),
        tokenizer=tokenizer,
        image_seq_len=LATENTS,
        chat_template=IDEFICS2_TEMPLATE,
    )
    model = Idefics2ForConditionalGeneration(_idefics2_config(tokenizer))
    _wake(model.model.vision_model, model.model.connector)
    end = tokenizer.convert_tokens_to_ids("<end_of_utterance>")
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=[tokenizer.eos_token_id, end],
        pad_token_id=tokenizer.pad_token_id,
    )
    return Built("idefics2", model, processor, "<end_of_utterance>")


BUILDERS = {"llava": build_llava, "idefics2": build_idefics2}
"""Model builders by the name of their folder."""
