"""What of a model's set-up is known to fail before its weights are loaded.

What must hold: what is refused here would fail every request that it is about; it is found from the
checkpoint's files and the configs alone, and told with what to do.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from lam3db.errors import ConfigError, InputError
from lam3db.models.chat_template import read_template
from lam3db.models.image_tokens import image_tokens, refuse_contradiction
from lam3db.models.rendering import Renderer, texts_of
from lam3db.records import ImagePart, Message, TextPart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lam3db.config import ModelConfig, RuntimeConfig
    from lam3db.models.chat_template import ChatTemplate
    from lam3db.models.families import Family
    from lam3db.models.weights import Checkpoint

_POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len")
_NO_LIMIT = 10**9
_NO_IMAGE = "0" * 64
_QUESTION = (TextPart("What can be seen?"),)


def check_set_up(
    model: ModelConfig, runtime: RuntimeConfig, family: Family, checkpoint: Checkpoint
) -> None:
    """Refuse what cannot work.

    Raises:
        ModelError: the checkpoint's files contradict one another.
        ConfigError: the settings leave no room for a prompt, or the chat template takes no
            system prompt and there is one.

    """
    _refuse_system_prompt(model, family, checkpoint)
    if family.images:
        refuse_contradiction(model.name, checkpoint)
    context = positions(checkpoint)
    if context is not None and runtime.max_new_tokens >= context:
        raise ConfigError(
            f"{model.name}: max_new_tokens {runtime.max_new_tokens} leaves no room for a prompt in "
            f"a context of {context} tokens: ask for less, --set max_new_tokens={context // 2}"
        )


def _refuse_system_prompt(model: ModelConfig, family: Family, checkpoint: Checkpoint) -> None:
    """Raise ConfigError where the template takes a question, but not with the system prompt."""
    system = family.system_prompt if model.system_prompt is None else model.system_prompt
    template = None
    if system and model.template != "raw":
        arguments = model.model_dump(mode="json")["template_arguments"]
        template = read_template(checkpoint, arguments, images=family.images)
    if template is None:
        return
    question = Message("user", ((ImagePart(_NO_IMAGE),) if family.images else ()) + _QUESTION)
    refusal = _refusal(template, family, (Message("system", (TextPart(system),)), question))
    if refusal is None or _refusal(template, family, (question,)) is not None:
        return
    whose = (
        f"the system prompt that lam3db gives every model of the family {family.name}"
        if model.system_prompt is None
        else "the system_prompt of the model's config"
    )
    raise ConfigError(
        f'{model.name}: {whose} is refused: {refusal}. Leave it out: write system_prompt: "" in '
        "the model's config"
    )


def _refusal(
    template: ChatTemplate, family: Family, messages: tuple[Message, ...]
) -> InputError | None:
    """Return why a template does not render messages; None where it does."""
    tokenizer = SimpleNamespace(special_tokens_map=template.tokens)
    files = SimpleNamespace(chat_template=template.source, tokenizer=tokenizer)
    renderer = Renderer(files, raw=False, arguments=template.arguments, images=family.images)
    try:
        renderer.render(messages, texts_of(messages), continued=False)
    except InputError as error:
        return error
    return None


def positions(checkpoint: Checkpoint) -> int | None:
    """Return the most tokens that a prompt and its answer have together, if the model tells."""
    config = checkpoint.read_json("config.json")
    text = config.get("text_config")
    for values in (text if isinstance(text, dict) else {}, config):
        for name in _POSITIONS:
            if (found := _limit(values, name)) is not None:
                return found
    return None


def _limit(values: Mapping[str, Any], name: str) -> int | None:
    value = values.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _NO_LIMIT:
        return value
    return None


def stops_told(family: Family, checkpoint: Checkpoint, effective: Mapping[str, Any]) -> str:
    """Return the tokens that end an answer, as far as the files tell them."""
    own = checkpoint.read_json("tokenizer_config.json").get("eos_token")
    eos = own.get("content") if isinstance(own, dict) else own
    named = [eos, *family.stops, *effective.get("stops", ())]
    stops = [one for one in dict.fromkeys(named) if isinstance(one, str)]
    return f"an answer ends at {', '.join(stops)}" if stops else ""


def room_told(runtime: RuntimeConfig, family: Family, checkpoint: Checkpoint) -> tuple[str, bool]:
    """Return a sentence on the context and what it must hold, and whether an image fits in.

    The sentence is empty where the files do not tell the context.
    """
    context = positions(checkpoint)
    if context is None:  # a tokenizer's own limit is advice: it cuts nothing here
        context = _limit(checkpoint.read_json("tokenizer_config.json"), "model_max_length")
    if context is None:
        return "", True
    counts = image_tokens(checkpoint) if family.images else None
    taken = runtime.max_new_tokens + (counts.total if counts else 0)
    image = f", an image takes {counts.total}" if counts else ""
    left = context - taken
    words = f"context of {context} tokens{image}, an answer up to {runtime.max_new_tokens}"
    if left <= 0:
        return f"{words}: nothing is left for the prompt", False
    return f"{words}: {left} are left for the prompt", True
