"""Families are recognized by what they were tried with; clean-up keeps the answer."""

from __future__ import annotations

from typing import Any

import pytest

from lam3db.errors import ConfigError
from lam3db.models.families import FAMILIES, clean, family_named

CLIP = {"model_type": "clip_vision_model"}


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (
            {"model_type": "llava", "vision_config": CLIP, "text_config": {"model_type": "llama"}},
            "llava",
        ),
        ({"model_type": "llava", "vision_config": CLIP}, "llava"),
        ({"model_type": "llava", "vision_config": {"model_type": "pixtral"}}, "generic"),
        ({"model_type": "idefics2"}, "idefics2"),
        ({"model_type": "qwen2_5_vl"}, "generic"),
        ({}, "generic"),
    ],
)
def test_auto_recognizes(config: dict[str, Any], name: str) -> None:
    assert family_named("auto", config).name == name


def test_an_unknown_family_is_told() -> None:
    with pytest.raises(ConfigError, match="did you mean 'llava'"):
        family_named("lava", {})


@pytest.mark.parametrize(
    ("family", "said", "text"),
    [
        ("llava", "  A cup.\n", "A cup."),
        ("llava", "ASSISTANT: A cup.", "A cup."),
        ("llava", "A cup.\nUSER: And now?\nASSISTANT: A dog.", "A cup."),
        ("llava", "The USER: field holds a name.", "The USER: field holds a name."),
        ("llava", "USER: hello", ""),
        ("llava", "User: stays", "User: stays"),
        ("idefics2", "Assistant: A cup.\n User: more", "A cup."),
        ("generic", " USER: stays \n", "USER: stays"),
        ("llava", "", ""),
    ],
)
def test_clean(family: str, said: str, text: str) -> None:
    assert clean(FAMILIES[family], said) == text
