"""Batched generation against one sample at a time, and against plain fixed batches.

Run by hand: ``python tests/benchmarks/bench_generate.py [SAMPLES [THREADS]]``. A LLaVA of some
30 M random parameters, fp32, on the CPU, through the runner as it ships. Aims: at least 3x one
at a time for answers of equal length; for answers of varying length faster than
``model.generate`` on fixed batches of the same size (rows that have ended are not decoded on).

Measured 2026-11-23, 2 cores, no GPU, one thread, other work beside it: equal lengths 26
against 135 tokens/s, 5.1x; varying lengths 91 against 257 tokens/s, 2.8x. (On a fuller
machine: 4.8x and 1.9x; with two threads and no free core both sides crawl, at 3.2x.)
"""

from __future__ import annotations

import hashlib
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    CLIPVisionConfig,
    GenerationConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedTokenizerFast,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.utils import logging

from lam3db.config import ModelConfig, RuntimeConfig
from lam3db.models.collate import collate
from lam3db.models.sampling import Row
from lam3db.plugins import model_kind
from lam3db.records import Answer, Behavior, ImagePart, Message, Request, Sample, TextPart

SAMPLES, NEW_TOKENS, BATCH = 32, 128, 16
ALONE = 4
THREADS = 1
IMAGE, PATCH, WIDTH, LAYERS, WORDS = 56, 14, 512, 7, 1024
TEMPLATE = (
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}"
    "{% for part in message['content'] %}"
    "{{ '<image>\n' if part['type'] == 'image' else part['text'] + ' ' }}{% endfor %}"
    "{% endfor %}ASSISTANT:"
)


def _tokenizer() -> PreTrainedTokenizerFast:
    special = ["<unk>", "<s>", "</s>", "<pad>", "<image>"]
    known = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    known += [f"word{number}" for number in range(WORDS - len(known))]
    bpe = Tokenizer(models.BPE({word: at for at, word in enumerate(known)}, []))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    start = [("<s>", special.index("<s>"))]
    bpe.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=start)
    names = dict(zip(("unk_token", "bos_token", "eos_token", "pad_token"), special, strict=False))
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, **names, extra_special_tokens={"image_token": "<image>"}
    )


def build(folder: Path) -> int:
    """Write the model; return its number of parameters."""
    torch.manual_seed(0)
    tokenizer = _tokenizer()
    square = {"height": IMAGE, "width": IMAGE}
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size={"shortest_edge": IMAGE}, crop_size=square),
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
    vision = CLIPVisionConfig(
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=IMAGE,
        patch_size=PATCH,
        projection_dim=256,
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH - 512,
        num_hidden_layers=LAYERS,
        num_attention_heads=8,
        num_key_value_heads=8,
        max_position_embeddings=2048,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=(IMAGE // PATCH) ** 2,
        tie_word_embeddings=False,
    )
    model = LlavaForConditionalGeneration(config)
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return sum(part.numel() for part in model.parameters())


class Lengths:
    """Makes each answer end after its own number of tokens; both sides are under it."""

    def __init__(self, chooser: Any, wanted: dict[int, int], stop: int) -> None:
        self._chooser, self._wanted, self._stop = chooser, wanted, stop

    def choose(self, logits: torch.Tensor, rows: list[Row]) -> list[int]:
        """Choose greedily, but the stop token at the end and only there."""
        logits[:, self._stop] = -torch.inf
        tokens = self._chooser.choose(logits, rows)
        for place, row in enumerate(rows):
            if len(row.said) + 1 >= self._wanted[length_key(row.prompt)]:
                tokens[place] = self._stop
        return tokens


class TheirLengths(LogitsProcessor):
    """The same for ``generate``."""

    def __init__(self, rows: list[Row], lengths: Lengths) -> None:
        self._rows, self._lengths = rows, lengths

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Leave the chosen token only."""
        del input_ids
        tokens = self._lengths.choose(scores.clone(), self._rows)
        for row, token in zip(self._rows, tokens, strict=True):
            row.said.append(token)
        only = torch.full_like(scores, -torch.inf)
        only[torch.arange(len(tokens)), torch.tensor(tokens)] = 0
        return only


def length_key(prompt: list[int]) -> int:
    """Return a key of a prompt."""
    return hash(tuple(prompt))


def _requests(album: dict[str, Image.Image], count: int) -> list[Request]:
    requests = []
    for number in range(count):
        image = Image.new("RGB", (64, 64), (number * 7 % 256, 90, 200))
        digest = hashlib.sha256(image.tobytes()).hexdigest()
        album[digest] = image
        words = TextPart(f"describe picture {number:03d} of the set")
        messages = (Message("user", (ImagePart(digest), words)),)
        requests.append(Request(number, messages, Sample(messages, Behavior("bench")).input_digest))
    return requests


def ours(model: Any, requests: list[Request], size: int) -> tuple[float, int]:
    """Return seconds and tokens of the runner."""
    model.batch_size = size
    started = time.monotonic()
    found = [outcome for batch in model.answer(requests) for _, outcome in batch]
    seconds = time.monotonic() - started
    tokens = sum(one.completion_tokens for one in found if isinstance(one, Answer))
    return seconds, tokens


def fixed(model: Any, requests: list[Request], lengths: Lengths) -> tuple[float, int]:
    """Return seconds and tokens of plain fixed batches through ``generate``."""
    loaded = model._loaded
    own = GenerationConfig(
        max_new_tokens=NEW_TOKENS,
        do_sample=False,
        eos_token_id=sorted(loaded.stops),
        pad_token_id=3,
    )
    started, tokens = time.monotonic(), 0
    for start in range(0, len(requests), BATCH):
        part = requests[start : start + BATCH]
        prepared = [model._preparer.prepare(one.messages) for one in part]
        rows = [Row(list(one.ids)) for one in prepared]
        with torch.inference_mode():
            loaded.model.generate(
                **collate(prepared, "stack", loaded.pad_id),
                generation_config=own,
                logits_processor=LogitsProcessorList([TheirLengths(rows, lengths)]),
            )
        stop = min(loaded.stops)
        tokens += sum(row.said.index(stop) + 1 for row in rows)
    return time.monotonic() - started, tokens


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES
    torch.set_num_threads(int(sys.argv[2]) if len(sys.argv) > 2 else THREADS)
    logging.disable_progress_bar()
    album: dict[str, Image.Image] = {}
    requests = _requests(album, count)
    with tempfile.TemporaryDirectory() as folder:
        size = build(Path(folder))
        runtime = RuntimeConfig(precision="fp32", do_sample=False, max_new_tokens=NEW_TOKENS)
        config = ModelConfig(name="bench", source=folder, system_prompt="")
        plan = model_kind("transformers").describe(config, runtime, lambda *_: None)
        model: Any = model_kind("transformers").load(plan, album.__getitem__)
    print(f"LLaVA, {size / 1e6:.1f} M parameters, {torch.get_num_threads()} threads, fp32, CPU")
    keys = [length_key(list(model._preparer.prepare(one.messages).ids)) for one in requests]
    plain, stop = model._chooser, min(model._loaded.stops)
    model._chooser = Lengths(plain, dict.fromkeys(keys, NEW_TOKENS), stop)
    ours(model, requests[:2], 2)  # warm
    alone, tokens = ours(model, requests[:ALONE], 1)
    together, more = ours(model, requests, BATCH)
    print(f"equal lengths ({NEW_TOKENS} tokens): one at a time {tokens / alone:.0f} tokens/s,")
    ratio = (more / together) / (tokens / alone)
    print(f"  batches of {BATCH} {more / together:.0f} tokens/s: {ratio:.2f}x (aim 3)")
    dice = random.Random(0)
    wanted = {key: min(NEW_TOKENS, 4 + int(dice.expovariate(1 / 40))) for key in keys}
    model._chooser = Lengths(plain, wanted, stop)
    theirs, said = fixed(model, requests, model._chooser)
    mine, same = ours(model, requests, BATCH)
    if said != same or said != sum(wanted.values()):
        raise SystemExit(f"not the same work: {said} and {same} tokens")
    print(f"varying lengths (mean {said / count:.0f} tokens, the longest {max(wanted.values())}):")
    print(
        f"  fixed batches {said / theirs:.0f} tokens/s, ours {same / mine:.0f} tokens/s:", end=" "
    )
    print(f"{theirs / mine:.2f}x (aim: above 1)")


if __name__ == "__main__":
    main()
