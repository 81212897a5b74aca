"""What a checkpoint's chat template adds to the settings that take effect.

What must hold: only what changes an answer is added, so that a model to which the template adds
nothing keeps its identity; what the model's file says goes before what the template says; what is
added is told.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lam3db.config_shapes import ReasoningTags
from lam3db.models.chat_template import (
    ChatTemplate,
    control_tokens,
    named_tokens,
    read_template,
    thinking,
    turn_end,
)
from lam3db.models.reasoning import Tags, tags_of_file

if TYPE_CHECKING:
    from lam3db.config import ModelConfig
    from lam3db.models.families import Family
    from lam3db.models.weights import Checkpoint


def template_settings(
    model: ModelConfig, family: Family, checkpoint: Checkpoint, notes: list[str]
) -> dict[str, Any]:
    """Return the stop that the template adds, and the tags between which the model thinks.

    Raises:
        ModelError: the template does not end within its limits.

    """
    template = None
    if model.template == "chat":
        arguments = model.model_dump(mode="json")["template_arguments"]
        template = read_template(checkpoint, arguments, images=family.images)
    value: dict[str, Any] = {}
    if template is not None and (stop := _stop(template, family, checkpoint)):
        value["stops"] = [stop]
        notes.append(
            f"the chat template ends a turn with {stop}, which no eos id of the checkpoint names: "
            "it ends an answer, too"
        )
    tags = _tags(model, template, family, notes)
    return value | ({"reasoning": tags.to_json()} if tags else {})


def _stop(template: ChatTemplate, family: Family, checkpoint: Checkpoint) -> str | None:
    """Return the token that ends a turn, where nothing else makes it a stop."""
    end = turn_end(checkpoint, template, images=family.images)
    known = end is None or end in family.stops or _is_eos(checkpoint, end)
    return None if known else end


def _is_eos(checkpoint: Checkpoint, token: str) -> bool:
    """Tell whether a token ends an answer already, by the checkpoint's own files."""
    if token == named_tokens(checkpoint).get("eos_token"):
        return True
    ids: list[Any] = []
    for file in ("config.json", "generation_config.json"):
        own = checkpoint.read_json(file)
        for values in (own, own.get("text_config") or {}):
            eos = values.get("eos_token_id")
            ids += eos if isinstance(eos, list) else [eos]
    known = control_tokens(checkpoint).get(token)
    return known is not None and known in ids


def _tags(
    model: ModelConfig, template: ChatTemplate | None, family: Family, notes: list[str]
) -> Tags | None:
    """Return between which tags the model thinks, by its file and its template."""
    given = tags_of_file(model.reasoning)
    if template is None or model.reasoning == "none":
        return given
    tags = thinking(template, given, images=family.images)
    if tags is not None and given is None:
        notes.append(
            f"the chat template says that the model thinks between {tags.start.strip()} and "
            f"{tags.end}: that is kept beside the answer; `reasoning: none` leaves it there"
        )
    if tags is None or not isinstance(model.reasoning, ReasoningTags):
        return tags
    opened = model.reasoning.opened
    return tags if opened is None else replace(tags, opened=opened)
