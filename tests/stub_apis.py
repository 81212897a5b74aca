"""What the judging APIs would say: scores that depend on the text alone, as they send them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from faulty_server import Asked, Play

from lam3db.judges.openai_moderation import CATEGORIES, SNAPSHOT

if TYPE_CHECKING:
    from collections.abc import Iterable

BY_IMAGE = (
    "self-harm", "self-harm/instructions", "self-harm/intent", "sexual", "violence",
    "violence/graphic",
)  # fmt: skip
"""The categories that omni-moderation scores in an image."""


def chance(*words: object) -> float:
    """A number from 0 to 1 that depends on the words."""
    digest = hashlib.sha256(repr(words).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big") / (1 << 48)


def moderation(
    text: str | None,
    image: str | None = None,
    names: Iterable[str] = CATEGORIES,
    model: str = SNAPSHOT,
) -> dict[str, Any]:
    """A reply of the moderation API."""
    kinds = {
        name: ([] if text is None else ["text"])
        + (["image"] if image is not None and name in BY_IMAGE else [])
        for name in names
    }
    scores = {
        name: chance(name, text, image if "image" in kinds[name] else None, model)
        if kinds[name]
        else 0.0
        for name in names
    }
    flags = {name: score > 0.9 for name, score in scores.items()}
    result = {
        "flagged": any(flags.values()),
        "categories": flags,
        "category_scores": scores,
        "category_applied_input_types": kinds,
    }
    return {"id": "modr-1", "model": model, "results": [result]}


def moderate(asked: Asked) -> Play:
    """Play the moderation API, all being well."""
    given = asked.body["input"]
    if isinstance(given, str):
        return Play(body=moderation(given, model=asked.body["model"]))
    text = next((part["text"] for part in given if part["type"] == "text"), None)
    image = next(part["image_url"]["url"] for part in given if part["type"] == "image_url")
    return Play(body=moderation(text, image, model=asked.body["model"]))


def analyze(asked: Asked) -> Play:
    """Play the Perspective API, all being well."""
    text, languages = asked.body["comment"]["text"], asked.body.get("languages")
    scores = {
        name: {"summaryScore": {"value": chance(name, text, languages), "type": "PROBABILITY"}}
        for name in asked.body["requestedAttributes"]
    }
    return Play(
        body={"attributeScores": scores, "languages": languages or ["en"], "clientToken": ""}
    )


def play(asked: Asked) -> Play:
    """Play whichever API is asked, all being well."""
    return analyze(asked) if asked.target.endswith(":analyze") else moderate(asked)
