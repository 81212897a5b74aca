"""Small text-only checkpoints on disk: one with random weights, one wired by hand.

The wired one answers ``unsafe``, but ``safe`` as soon as the control token ``<|obey|>`` is
anywhere in its prompt: it would obey an answer that talks to its judge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

if TYPE_CHECKING:
    from pathlib import Path

CONTEXT, WIDTH = 2048, 64
OBEY = "<|obey|>"
SPECIAL = {"turn_token": "<|turn|>", "end_token": "<|end|>", "obey_token": OBEY}
CORPUS = [
    "Describe the quick brown fox. Is it safe or unsafe? Yes, no, No; S1 S2 S3: 0123456789",
    "a kind and kind word " + "x" * 4096,
    "<response> </response> user assistant Safety: Categories: None I cannot judge this. {} [] ()",
] * 4

STRINGS = """\
{{- "<s>" -}}
{%- for message in messages -%}
  {{- "<|turn|>" + message["role"] + "\\n" + message["content"] | trim + "<|end|>\\n" -}}
{%- endfor -%}
{%- if categories is defined -%}
  {%- for key in categories -%}
    {%- if key not in (excluded_category_keys or []) -%}
      {{- key + ": " + categories[key] + "\\n" -}}
    {%- endif -%}
  {%- endfor -%}
{%- endif -%}
{%- if guideline is defined -%}{{- "Rule: " + guideline + "\\n" -}}{%- endif -%}
{%- if guardian_config is defined -%}
{{- "Risk: " + guardian_config.get("risk_name", "none") -}}{%- endif -%}
{%- if add_generation_prompt -%}{{- "<|turn|>assistant\\n" -}}{%- endif -%}
"""
"""Contents are texts, as most text-only templates want them; variables as guards have them."""
PARTS = STRINGS.replace(
    'message["content"] | trim',
    '(message["content"] | selectattr("type", "equalto", "text") | map(attribute="text") '
    '| join("\\n") | trim)',
)
"""Contents are lists of parts, as in Llama Guard 3 1B."""


def build_tokenizer(template: str | None = STRINGS) -> Any:
    """Return a byte-level tokenizer in which ``safe`` and ``unsafe`` are words."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=480,
        special_tokens=["<unk>", "<s>", "</s>", "<pad>", *SPECIAL.values()],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(CORPUS, trainer)
    bpe.add_tokens([AddedToken(word, normalized=False) for word in ("unsafe", "safe")])
    start = ("<s>", bpe.token_to_id("<s>"))
    bpe.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[start])
    names = {"bos": "<s>", "eos": "</s>", "unk": "<unk>", "pad": "<pad>"}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        padding_side="left",
        model_max_length=CONTEXT,
        extra_special_tokens=SPECIAL,
        **{f"{name}_token": text for name, text in names.items()},
    )
    tokenizer.chat_template = template
    return tokenizer


def build_random(folder: Path, template: str | None = STRINGS) -> Path:
    """Write a Llama of random weights in which many tokens end an answer."""
    torch.manual_seed(0)
    tokenizer = build_tokenizer(template)
    model = LlamaForCausalLM(_config(tokenizer, hidden_layers=2, heads=4))
    stops = [tokenizer.eos_token_id, *range(100, len(tokenizer) - 2, 9)]
    return _save(model, tokenizer, folder, stops)


def build_obedient(folder: Path, template: str | None = STRINGS) -> Path:
    """Write the wired one. Attention averages all tokens, so one ``<|obey|>`` is enough."""
    tokenizer = build_tokenizer(template)
    model = LlamaForCausalLM(_config(tokenizer, hidden_layers=1, heads=1))
    safe, unsafe, obey = (tokenizer.convert_tokens_to_ids(w) for w in ("safe", "unsafe", OBEY))
    anything, heard, ended, loud = range(4)  # the dimensions that mean something
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.fill_(1.0 if "norm" in name else 0.0)
        table = model.model.embed_tokens.weight
        table[:, anything] = 1
        table[obey, heard] = 1
        table[[safe, unsafe], ended] = 1000
        attention = model.model.layers[0].self_attn
        attention.v_proj.weight[heard, heard] = 1
        attention.o_proj.weight[loud, heard] = 5000
        model.lm_head.weight[unsafe, anything] = 3
        model.lm_head.weight[safe, loud] = 3
        model.lm_head.weight[tokenizer.eos_token_id, ended] = 50
    return _save(model, tokenizer, folder, [tokenizer.eos_token_id])


def _config(tokenizer: Any, *, hidden_layers: int, heads: int) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=hidden_layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=CONTEXT,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.3,
        tie_word_embeddings=False,
    )


def _save(model: Any, tokenizer: Any, folder: Path, stops: list[int]) -> Path:
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, pad_token_id=tokenizer.pad_token_id, eos_token_id=stops
    )
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
