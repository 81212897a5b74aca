"""A model behind an OpenAI-compatible endpoint: ``POST {url}/chat/completions``.

For OpenAI, vLLM, llama.cpp's server, ``transformers serve`` and their like. ``source`` is the
model's name there, ``revision`` whatever tells its version where the name does not; the two
are its identity, declared and not checked: the weights are elsewhere. Which URL, key and
proxy lead there is no part of it.

An image is sent as a data URL (see :mod:`lam3db.endpoints.images`). Replicate ``r`` of a
sampled answer is asked with ``seed + r``. Token counts are those the endpoint reports, 0
where it reports none. ``temperature``, ``top_p`` and ``seed`` of null are left out, and so are the
others where ``temperature`` is null under ``do_sample: false``: then the service draws as it likes,
which is what is recorded. A conversation that ends with an assistant's message is continued unless
``last_turn: answer`` says otherwise: the request says ``add_generation_prompt: false,
continue_final_message: true``, which vLLM takes; ``transformers serve`` and OpenAI refuse it, and
that is a failure. ``template_arguments`` go as ``chat_template_kwargs``, which vLLM takes.
``serves`` names the family of the model behind it: then it is asked as our own runner asks that
family, with its system prompt, its stops (``stop``), its clean-up, and ``add_special_tokens: true``
where its chat template begins without the beginning of text, which vLLM would leave out.

What must hold: what is hashed is what is sent; a setting that the API does not take is told;
an answer cut off by a filter, or none at all, is a failure and never an empty text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.config_shapes import EndpointOptions
from lam3db.endpoints.client import Client, Probe, list_models
from lam3db.endpoints.images import ENCODER
from lam3db.endpoints.options import check_endpoint
from lam3db.errors import ConfigError
from lam3db.media import DECODER
from lam3db.models.chat import ChatModel, Conversation
from lam3db.models.families import FAMILIES, family_named
from lam3db.models.reasoning import Tags, tags_of_file
from lam3db.records import GenerationConfig, IdentityKind, ModelPlan, ModelVersion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lam3db.config import ModelConfig, RuntimeConfig
    from lam3db.plugins import ImageOpener, Tick

RUNNER = "openai-chat/1"
"""Raised when what is sent, or how a reply is read, changes what models say."""
FAMILY = "endpoint"
_OPENAI = re.compile(r"https://api\.openai\.com(?:[:/]|$)")
_SAMPLING = ("temperature", "top_p", "seed")
_DATED = re.compile(r".*-\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class EndpointKind:
    """How these models are described and loaded."""

    def describe(self, config: ModelConfig, runtime: RuntimeConfig, tick: Tick) -> ModelPlan:
        """Return identity and effective settings; asks nobody.

        Raises:
            ConfigError: no endpoint block, or one that is wrong.

        """
        del tick
        options = config.endpoint
        if options is None:
            raise ConfigError(
                f"model {config.name}: family: {FAMILY} needs a block `endpoint: {{url: ...}}`"
            )
        check_endpoint(options, f"model {config.name}")
        snapshot = f"@{config.revision}" if config.revision else ""
        version = ModelVersion(
            name=config.name,
            family=FAMILY,
            source=config.source,
            revision=config.revision,
            identity_kind=IdentityKind.ENDPOINT,
            declared=f"{config.source}{snapshot}",
        )
        requested = {
            "runtime": runtime.model_dump(mode="json"),
            "model": config.model_dump(mode="json"),
        }
        return ModelPlan(
            version,
            GenerationConfig(_effective(config, runtime)),
            requested,
            {
                "endpoint": options.model_dump(mode="json"),
                "tells_tags": config.reasoning != "none",
            },
            tuple(_notes(config, runtime, options)),
        )

    def load(self, plan: ModelPlan, open_image: ImageOpener) -> ChatModel:
        """Look up key and proxy; raise ConfigError where there is none."""
        options = EndpointOptions.model_validate(plan.options["endpoint"])
        client = Client(options, f"model {plan.version.name}")
        limit = plan.config.value.get("limit_name") or _usual_limit(options.url)
        value = plan.config.value
        decoding = value["decoding"]
        conversation = Conversation(
            model=plan.version.source,
            system=value.get("system_prompt", ""),
            parameters=_parameters(decoding, limit) | _template(value) | _of_family(value),
            limit=limit,
            continues=value.get("last_turn") != "answer",
            family=FAMILIES[value.get("serves", "generic")],
            tags=Tags.from_json(value.get("reasoning")),
            tells_tags=plan.options.get("tells_tags", True),
            seed=decoding.get("seed"),
            open_image=open_image,
        )
        return ChatModel(client, conversation)

    def probe(self, config: ModelConfig) -> Probe:
        """Return how to see whether its endpoint works."""
        return list_models(config.source)


def _effective(config: ModelConfig, runtime: RuntimeConfig) -> dict[str, Any]:
    family = family_named(config.serves or "generic", {})
    value: dict[str, Any] = {
        "runner": RUNNER,
        "family": FAMILY,
        "clean_up": family.clean_up,
        "image": {"decoder": DECODER, "encoder": ENCODER},
        "decoding": _decoding(runtime),
        **_limit_name(config),
    }
    if config.template == "raw":
        raise ConfigError(
            f"model {config.name}: template: raw: chat completions always go through the model's "
            "chat template; run it here, or leave template out"
        )
    if config.template_arguments:
        value["template_arguments"] = config.model_dump(mode="json")["template_arguments"]
    if config.last_turn != "auto":
        value["last_turn"] = config.last_turn
    if family.name not in _LIKE_ANY:
        value["serves"] = family.name
    if tags := tags_of_file(config.reasoning):
        value["reasoning"] = tags.to_json()
    system = family.system_prompt if config.system_prompt is None else config.system_prompt
    return value | ({"system_prompt": system} if system else {})


_LIKE_ANY = ("generic", "causal")
"""Families that are asked as any other model is."""


def _of_family(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes a server ask the model as our own runner would."""
    family = FAMILIES[value.get("serves", "generic")]
    sent: dict[str, Any] = {"add_special_tokens": True} if family.adds_start else {}
    return sent | ({"stop": list(family.stops)} if family.stops else {})


def _decoding(runtime: RuntimeConfig) -> dict[str, Any]:
    """Return how tokens are chosen; None for what is left to the service."""
    sampling = {name: getattr(runtime, name) for name in _SAMPLING}
    if not runtime.do_sample:
        sampling = dict.fromkeys(_SAMPLING) if runtime.temperature is None else {}
    drawn = bool(sampling)
    return {"do_sample": drawn, "max_new_tokens": runtime.max_new_tokens, **sampling}


def _usual_limit(url: str) -> str:
    return "max_completion_tokens" if _OPENAI.match(url) else "max_tokens"


def _limit_name(config: ModelConfig) -> dict[str, Any]:
    """Return the limit's name where it is not the one that was always sent."""
    options = config.endpoint
    if options is None or options.limit_name in {"auto", _usual_limit(options.url)}:
        return {}
    return {"limit_name": options.limit_name}


def _template(value: Mapping[str, Any]) -> dict[str, Any]:
    arguments = value.get("template_arguments")
    return {"chat_template_kwargs": arguments} if arguments else {}


def _parameters(decoding: dict[str, Any], limit: str) -> dict[str, Any]:
    """Return the decoding settings as the API spells them; greedy is temperature 0."""
    sent: dict[str, Any] = {limit: decoding["max_new_tokens"]}
    if decoding["do_sample"]:
        chosen = {name: decoding[name] for name in ("temperature", "top_p")}
        return sent | {name: value for name, value in chosen.items() if value is not None}
    return sent | {"temperature": 0}


def _notes(config: ModelConfig, runtime: RuntimeConfig, options: EndpointOptions) -> list[str]:
    """Return a sentence for each setting that has no effect."""
    idle_here = "precision, quantization, device_map and batch_size have no effect"
    at_once = f"{options.concurrency} requests are in flight at once (endpoint.concurrency)"
    notes = [f"{idle_here}: the server decides; {at_once}"]
    idle = {
        "top_k": runtime.top_k,
        "min_new_tokens": runtime.min_new_tokens,
        "repetition_penalty": None
        if runtime.repetition_penalty == 1
        else runtime.repetition_penalty,
        "image.fit": None if config.image.fit == "processor" else config.image.fit,
        "image.splitting": config.image.splitting,
        "markers": None if config.markers == "text" else config.markers,
    }
    notes += [
        f"{name}: {value} has no effect: chat completions have no such setting"
        for name, value in idle.items()
        if value is not None
    ]
    notes += _left_out(runtime)
    if not runtime.do_sample and runtime.temperature is not None:
        notes.append(f"decoding is greedy (temperature 0): seed {runtime.seed} is not sent")
    named = next((name for name in FAMILIES if name in config.source.lower()), None)
    if config.serves is None and named is not None and named not in _LIKE_ANY:
        notes.append(
            f"{config.source} is asked as any model: `serves: {named}` asks it as the family is "
            "asked here (system prompt, clean-up, special tokens)"
        )
    if _OPENAI.match(options.url) and not config.revision and not _DATED.fullmatch(config.source):
        notes.append(
            f"{config.source} names no snapshot: what answers under this name can change, and its "
            "answers would be stored as one model's; write the dated name"
        )
    return notes


def _left_out(runtime: RuntimeConfig) -> list[str]:
    """Return a sentence on what the service is left to choose."""
    names = [name for name in _SAMPLING if getattr(runtime, name) is None]
    if not runtime.do_sample and runtime.temperature is None:
        drawn = "temperature: null leaves it to the service, which may draw"
        return [f"{drawn}: do_sample: false cannot be asked for, nor are top_p and seed sent"]
    if not runtime.do_sample or not names:
        return []
    return [f"{', '.join(names)}: null is not sent: the service's own default decides"]


KIND = EndpointKind()
