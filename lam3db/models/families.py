"""What is known of model families, as data: prompts, markers, quirks, clean-up.

One row per family that has been tried; every other image-text model runs as ``generic`` and
every text-only one as ``causal``. What must hold: a fact that can change a text is in
:class:`~lam3db.records.GenerationConfig` (by its value or by the version of its clean-up),
and nothing here tests a dataset's name. No torch: this is read before anything is loaded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

CAREFUL = (
    "You are a careful visual assistant. Describe only what can be seen in the image; "
    "if something is not visible or you are not sure, say so."
)
"""The prompt against hallucination that LLaVA gets unless the model config has its own."""


@dataclass(frozen=True, slots=True)
class Family:
    """Facts of one family.

    ``stops`` are tokens that end an answer besides those the checkpoint names. ``speakers``
    are the words with which a run-on answer goes on speaking for the user: the clean-up
    cuts there, and drops ``echo`` at the start. ``plain_decoder``: the text part takes
    explicit position ids and keeps its state in the key-value cache alone, so that our own
    loop may drop rows that have ended. ``pixels`` says how images of several requests are
    put together: ``stack`` (one row per image) or ``pad`` (a row per request, padded to the
    largest, with a mask). ``images``: it has eyes; without, a tokenizer is all it needs.
    ``adds_start``: its published chat template begins without the beginning-of-text token, which
    the tokenizer adds.
    """

    name: str
    clean_up: str
    system_prompt: str = ""
    stops: tuple[str, ...] = ()
    speakers: tuple[str, ...] = ()
    echo: str = ""
    splits_images: bool = False
    plain_decoder: bool = False
    pixels: str = "stack"
    images: bool = True
    adds_start: bool = False


FAMILIES = {
    family.name: family
    for family in (
        Family(
            name="llava",
            clean_up="llava/1",
            system_prompt=CAREFUL,
            speakers=("USER:",),
            echo="ASSISTANT:",
            plain_decoder=True,
            adds_start=True,
        ),
        Family(
            name="idefics2",
            clean_up="idefics2/1",
            stops=("<end_of_utterance>",),
            speakers=("User:",),
            echo="Assistant:",
            splits_images=True,
            plain_decoder=True,
            pixels="pad",
            adds_start=True,
        ),
        Family(name="generic", clean_up="strip/1"),
        Family(name="causal", clean_up="strip/1", images=False),
    )
}
_PLAIN_TOWERS = ("clip_vision_model", "siglip_vision_model")
PLAIN_TEXTS = ("llama", "mistral", "qwen2")
"""Decoders with explicit position ids and nothing but a key-value cache, by ``model_type``."""


def family_named(name: str, config: Mapping[str, Any]) -> Family:
    """Return the family of this name; ``auto`` asks the checkpoint's ``config.json``.

    Raises:
        ConfigError: nobody knows the name.

    """
    if name == "auto":
        return FAMILIES[_recognized(config)]
    if name not in FAMILIES:
        raise ConfigError(f"family: nothing is called {name!r}{did_you_mean(name, list(FAMILIES))}")
    return FAMILIES[name]


def _recognized(config: Mapping[str, Any]) -> str:
    """Return a family only for the parts it was tried with: Pixtral, too, calls itself llava."""
    kind = config.get("model_type")
    if kind == "idefics2":
        return "idefics2"
    tower = (config.get("vision_config") or {}).get("model_type")
    text = (config.get("text_config") or {}).get("model_type", "llama")
    if kind == "llava" and tower in _PLAIN_TOWERS and text in PLAIN_TEXTS:
        return "llava"
    if "vision_config" not in config and _is_causal(config):
        return "causal"
    return "generic"


def _is_causal(config: Mapping[str, Any]) -> bool:
    named = config.get("architectures") or ()
    return any(str(name).endswith("ForCausalLM") for name in named)


def clean(family: Family, text: str) -> str:
    """Return an answer fit to be judged, under the version ``family.clean_up`` names.

    ``text`` is decoded without special tokens. White space at both ends goes, so does a
    repetition of the assistant's own name, and whatever follows where the model begins to
    speak for the user at the start of a line. The raw text is stored beside it.
    """
    text = text.strip()
    if family.echo:
        text = text.removeprefix(family.echo).lstrip()
    for speaker in family.speakers:
        text = re.split(rf"(?:\A|\n)[ \t]*{re.escape(speaker)}", text, maxsplit=1)[0]
    return text.strip()
