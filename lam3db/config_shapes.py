"""The frozen shapes of the config files, and how a wrong value is told to a person.

What must hold: a shape forbids keys it does not know, takes no value of another type, and
is immutable and hashable down to the last nested setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from lam3db.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from lam3db.config_files import Place

Shape = TypeVar("Shape", bound=BaseModel)


class FrozenDict(dict[str, Any]):
    """A dict that never changes after it is made, and so has a hash."""

    def __hash__(self) -> int:  # type: ignore[override]  # equal dicts have equal items
        """Agree with equality."""
        return hash(frozenset(self.items()))

    def __deepcopy__(self, _memo: object) -> FrozenDict:
        """Return itself: there is nothing a copy could keep apart."""
        return self

    __copy__ = copy = __deepcopy__  # type: ignore[assignment]

    def __reduce__(self) -> tuple[type[FrozenDict], tuple[dict[str, Any]]]:
        """Be made anew from a plain dict."""
        return type(self), (dict(self),)

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a config never changes: make a new one with dict(settings, key=value)")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse


def freeze(value: Any) -> Any:
    """Return nested mappings and lists as FrozenDict and tuple."""
    if isinstance(value, Mapping):
        return FrozenDict({key: freeze(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(map(freeze, value))
    return value


def _day(value: Any) -> Any:
    """Return text as the day it writes; our YAML reader leaves days as text."""
    try:
        return date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return value


Day = Annotated[date, BeforeValidator(_day)]
Precision = Literal["fp32", "fp16", "bf16"]
LimitName = Literal["auto", "max_tokens", "max_completion_tokens", "max_output_tokens"]
Settings = Annotated[dict[str, Any], AfterValidator(freeze)]
_WHOLE = "a whole number from 1"
_ABOVE_ZERO = "a number above 0"
_PRECISION = "fp32, fp16 or bf16"
_SWITCH = "true or false"
_TEXT = "text"


class _Frozen(BaseModel):
    """A shape. A field's description ends the sentence "... is not"."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, protected_namespaces=(), allow_inf_nan=False
    )


class Quantization(_Frozen):
    """How weights are packed. ``compute_dtype`` is what the arithmetic is done in."""

    enabled: bool = Field(default=False, description=_SWITCH)
    bits: Literal[4, 8] = Field(default=4, description="4 or 8")
    quant_type: Literal["nf4", "fp4"] = Field(default="nf4", description="nf4 or fp4")
    compute_dtype: Precision = Field(default="bf16", description=_PRECISION)
    double_quant: bool = Field(default=False, description=_SWITCH)


class RuntimeConfig(_Frozen):
    """How text is made: the lab's table. None means "not asked for".

    ``temperature``, ``top_p`` and ``seed`` of None are left out of what an endpoint is sent.
    """

    precision: Precision = Field(default="bf16", description=_PRECISION)
    device_map: str = Field(default="auto", min_length=1, description="auto, cpu, cuda or cuda:0")
    max_new_tokens: int = Field(default=256, ge=1, description=_WHOLE)
    min_new_tokens: int | None = Field(default=None, ge=1, description=_WHOLE)
    do_sample: bool = Field(default=True, description=_SWITCH)
    temperature: float | None = Field(default=1.0, ge=0, description="a number from 0, or null")
    top_p: float | None = Field(
        default=1.0, gt=0, le=1, description="a number above 0, 1 at most, or null"
    )
    top_k: int | None = Field(default=None, ge=1, description=_WHOLE)
    repetition_penalty: float = Field(default=1.0, gt=0, description="a number above 0")
    seed: int | None = Field(
        default=42, ge=0, lt=2**53, description="a whole number from 0, below 2**53, or null"
    )
    batch_size: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        default="auto", description=f"{_WHOLE}, or auto"
    )
    quantization: Quantization = Field(default=Quantization(), description="a mapping")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.min_new_tokens is not None and self.min_new_tokens > self.max_new_tokens:
            raise _disagreement(
                "min_new_tokens",
                f"min_new_tokens: {self.min_new_tokens} is above "
                f"max_new_tokens: {self.max_new_tokens}",
            )
        if self.do_sample and self.temperature == 0:
            raise _disagreement(
                "temperature",
                "temperature: 0 contradicts do_sample: true; for greedy decoding write "
                "do_sample: false",
            )
        return self


class ImageOptions(_Frozen):
    """How an image reaches the model; changes results, so part of the config's digest.

    ``fit``: ``processor`` leaves it to the checkpoint's own processor (LLaVA's crops the
    centre), ``pad`` pads to a square first as the original LLaVA code does. ``splitting``
    is IDEFICS2's ``do_image_splitting``; None leaves the checkpoint's own setting.
    """

    fit: Literal["processor", "pad"] = Field(default="processor", description="processor or pad")
    splitting: bool | None = Field(default=None, description=_SWITCH)


class EndpointOptions(_Frozen):
    """How an HTTP endpoint is reached. None of it but ``limit_name`` is identity.

    ``key_env`` names the environment variable (or line of ``.env``) that holds the key.
    ``proxy``: ``env`` follows HTTPS_PROXY and its kin, ``none`` goes direct, else the proxy's
    URL (``socks5h://127.0.0.1:1080``). Prices are US dollars per million tokens.
    ``limit_name``: what the service calls the limit of an answer's tokens; ``auto`` is
    ``max_completion_tokens`` at api.openai.com and ``max_tokens`` elsewhere.
    """

    url: str = Field(pattern=r"^https?://", description="a URL that starts with http(s)://")
    key_env: str | None = Field(default=None, min_length=1, description="a variable's name")
    proxy: str = Field(default="env", min_length=1, description="env, none or a proxy's URL")
    concurrency: int = Field(default=8, ge=1, le=256, description="a whole number, 1 to 256")
    requests_per_minute: float | None = Field(default=None, gt=0, description=_ABOVE_ZERO)
    tokens_per_minute: float | None = Field(default=None, gt=0, description=_ABOVE_ZERO)
    timeout_s: float = Field(default=60.0, gt=0, description=_ABOVE_ZERO)
    attempts: int = Field(default=6, ge=1, description=_WHOLE)
    max_requests: int | None = Field(default=None, ge=1, description=_WHOLE)
    max_cost: float | None = Field(default=None, gt=0, description=_ABOVE_ZERO)
    input_price: float | None = Field(default=None, ge=0, description="a number from 0")
    output_price: float | None = Field(default=None, ge=0, description="a number from 0")
    limit_name: LimitName = Field(
        default="auto", description="auto, max_tokens, max_completion_tokens or max_output_tokens"
    )


class ReasoningTags(_Frozen):
    """Between which tags a model thinks before it answers.

    ``opened``: the prompt begins the block, so the output need not; None asks the chat template,
    which a model behind an endpoint does not show.
    """

    start: str = Field(min_length=1, description=_TEXT)
    end: str = Field(min_length=1, description=_TEXT)
    opened: bool | None = Field(default=None, description=_SWITCH)


class ModelConfig(_Frozen):
    """Which model. ``source`` is a folder, a hub name, or a model's name at an endpoint.

    ``template``: ``chat`` renders the checkpoint's own chat template, with
    ``template_arguments`` as its variables; ``raw`` sends the messages' texts as they are,
    one after the other. ``last_turn`` says what becomes of a conversation that ends with the
    assistant: ``answer`` it (a guard answers what it judges), ``continue`` it, or ``auto``: a
    local model answers it where texts are asked for and continues it where words are weighed,
    a model behind an endpoint always continues it.

    ``reasoning`` says whether the model thinks before it answers: ``think`` (between ``<think>``
    and ``</think>``), other tags, ``none``, or ``auto``: as its chat template says, and a model
    behind an endpoint does not. ``serves`` is the family of the model that an endpoint serves.
    """

    name: str = Field(min_length=1, description=_TEXT)
    kind: str = Field(default="transformers", description=_TEXT)
    family: str = Field(default="auto", description=_TEXT)
    source: str = Field(min_length=1, description="a folder or a hub name")
    revision: str | None = Field(default=None, min_length=1, description=_TEXT)
    system_prompt: str | None = Field(default=None, description=_TEXT)
    image: ImageOptions = Field(default=ImageOptions(), description="a mapping")
    markers: Literal["text", "control"] = Field(default="text", description="text or control")
    template: Literal["chat", "raw"] = Field(default="chat", description="chat or raw")
    template_arguments: Settings = Field(default_factory=FrozenDict, description="a mapping")
    last_turn: Literal["auto", "answer", "continue"] = Field(
        default="auto", description="auto, answer or continue"
    )
    reasoning: Literal["auto", "none", "think"] | ReasoningTags = Field(
        default="auto", description="auto, none, think or a mapping with start and end"
    )
    serves: str | None = Field(default=None, min_length=1, description="a family's name")
    local_files_only: bool = Field(default=True, description=_SWITCH)
    allow_pickle: bool = Field(default=False, description=_SWITCH)
    endpoint: EndpointOptions | None = Field(default=None, description="a mapping")
    notes: str = Field(default="", description=_TEXT)


class Policy(_Frozen):
    """A threshold on the judge's value, applied when reading."""

    threshold: float = Field(description="a number")
    operator: Literal[">", ">="] = Field(default=">=", description="'>' or '>='")


class About(_Frozen):
    """What to know of a judge before choosing it, in plain words; nothing is computed from it."""

    sees: str = Field(default="", description=_TEXT)
    gives: str = Field(default="", description=_TEXT)
    costs: str = Field(default="", description=_TEXT)
    licence: str = Field(default="", description=_TEXT)
    weakness: str = Field(default="", description=_TEXT)


class JudgeConfig(_Frozen):
    """Which judge. ``settings`` belong to its kind and are checked by it.

    ``ends_on`` is the last day on which its service answers; from the next day (UTC) on it
    only links findings already stored.
    """

    name: str = Field(min_length=1, description=_TEXT)
    kind: str = Field(min_length=1, description=_TEXT)
    settings: Settings = Field(default_factory=FrozenDict, description="a mapping")
    policy: Policy | None = Field(default=None, description="a mapping")
    ends_on: Day | None = Field(default=None, description="a day, written 2026-12-31")
    about: About = Field(default=About(), description="a mapping")
    notes: str = Field(default="", description=_TEXT)


class RunConfig(_Frozen):
    """A whole job: generate, judge, report. Names or paths of the files above."""

    models: tuple[str, ...] = Field(min_length=1, description="a list of model configs")
    dataset: str = Field(min_length=1, description="a dataset's name or a path")
    runtime: str = Field(default="runtime", min_length=1, description="a runtime config")
    settings: Settings = Field(default_factory=FrozenDict, description="a mapping")
    judges: tuple[str, ...] = Field(default=(), description="a list of judge configs")
    replicates: int = Field(default=1, ge=1, description=_WHOLE)
    limit: int | None = Field(default=None, ge=1, description=_WHOLE)
    report_by: tuple[str, ...] = Field(default=("model", "attack"), description="a list of words")


def check(
    shape: type[Shape],
    values: Mapping[str, Any],
    tell: Callable[[Place, str], None],
    *,
    whole: bool = True,
) -> Shape | None:
    """Return ``values`` as ``shape``, or None after telling each fault with its place.

    With ``whole`` false, rules between several settings are left out: some may be still to
    come from elsewhere.
    """
    try:
        return shape.model_validate(dict(values))
    except ValidationError as error:
        told: set[Place] = set()
        for item in error.errors(include_url=False):
            place, value = _reach(values, item["loc"])
            if item["type"] == "disagree":
                place = (str(item["ctx"]["setting"]),)
                if whole:
                    tell(place, item["msg"])
            elif place not in told:
                told.add(place)
                tell(place, _sentence(shape, place, value, item["type"]))
        return None


def _disagreement(setting: str, text: str) -> PydanticCustomError:
    return PydanticCustomError("disagree", "{text}", {"setting": setting, "text": text})


def _reach(values: Any, location: tuple[int | str, ...]) -> tuple[Place, Any]:
    """Return how far a location leads into the values, and what is there.

    The last step may be absent (a missing key); what comes after a value that holds no
    others is pydantic's own name for a branch of a union.
    """
    place: list[str | int] = []
    for step in location:
        if not isinstance(values, Mapping | list | tuple):
            break
        place.append(step)
        values = values.get(str(step)) if isinstance(values, Mapping) else values[int(step)]
    return tuple(place), values


def _sentence(shape: type[BaseModel], place: Place, value: Any, kind: str) -> str:
    dotted = ".".join(map(str, place))
    fields, description = _fields(shape, place)
    if kind == "extra_forbidden":
        return f"unknown key {str(place[-1])!r}{did_you_mean(str(place[-1]), fields)}"
    if kind == "missing":
        return f"{dotted} is missing: {description}"
    if value is None:
        return f"{dotted}: nothing is written there; it must be {description}"
    hint = ""
    if description == _TEXT:
        hint = "; put it in quotes"
    elif isinstance(value, str) and "number" in description:
        hint = "; write it without quotes" if _is_number(value) else ""
    return f"{dotted}: {value!r} is not {description}{hint}"


def _fields(shape: type[BaseModel], place: Place) -> tuple[list[str], str]:
    """Return the names beside the last step of ``place`` and what its field must be."""
    description = "a name"
    names = list(shape.model_fields)
    for step in place:
        found = shape.model_fields.get(str(step))
        if found is None:
            break
        description = found.description or "something else"
        below = _shape_of(found.annotation)
        if below is not None:
            shape = below
            names = list(shape.model_fields) if step != place[-1] else names
    return names, description


def _shape_of(annotation: Any) -> type[BaseModel] | None:
    options = (annotation, *getattr(annotation, "__args__", ()))
    for option in options:
        if isinstance(option, type) and issubclass(option, BaseModel):
            return option
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
