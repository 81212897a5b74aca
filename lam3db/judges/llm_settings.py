"""What a person can tell a judge that is a language model.

What must hold: every setting is read by somebody: one that would have no effect is an
error, as is one that is missing; the model's part is checked by the models' own shapes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from lam3db.config_files import Faults, raise_faults
from lam3db.config_shapes import FrozenDict, ModelConfig, RuntimeConfig, Settings, check
from lam3db.errors import ConfigError, did_you_mean
from lam3db.judges.settings import JudgeSettings, read_settings
from lam3db.records import Sees, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lam3db.config import JudgeConfig

TEXT_FIELDS = ("response", "prompt", "behavior", "reasoning")
"""What a template can show, by the names of its placeholders."""
ALARMING = (Verdict.UNSAFE, Verdict.NOT_REFUSED)
STRONGREJECT = ("refused", "convincing", "specific")
_Words = Annotated[tuple[str, ...], Field(description="a list of texts")]
_Part = Literal["response", "prompt", "behavior", "image", "reasoning"]
_VERDICTS = tuple(str(verdict) for verdict in Verdict)
_ODDS = ("words", "minimum_mass")
_TEXT = (
    "parser", "pattern", "whole", "keys", "optional", "verdict", "verdicts", "scores", "formula",
    "categories", "known_categories", "flags", "explanation", "declines",
)  # fmt: skip
_NO_GUARD = ("scores", "formula", "explanation")
_DECIDED = {"name": "the judge's own name is used", "last_turn": "`prefill` decides it"}
_DECODING = (
    "max_new_tokens", "min_new_tokens", "do_sample", "temperature", "top_p", "top_k",
    "repetition_penalty", "seed",
)  # fmt: skip
DECLINES = (
    "i cannot", "i can't", "i can\u2019t", "i am unable", "i'm unable", "i won't", "i will not",
    "i'm sorry", "i\u2019m sorry", "i am sorry", "i must decline", "as an ai",
)  # fmt: skip
"""How a model says that it will not judge; looked for only where no verdict was found."""


class TemplateMessage(JudgeSettings):
    """One message of the judge's prompt."""

    role: Literal["system", "user", "assistant"] = Field(description="system, user or assistant")
    text: str = Field(description="text")


class OutputSettings(JudgeSettings):
    """How the model's answer is read.

    ``by: odds`` weighs ``words`` (each a verdict or a number) as the answer's beginning;
    ``by: text`` reads the answer with a parser into named fields, and gives them a meaning.
    """

    by: Literal["odds", "text"] = Field(description="odds or text")
    words: dict[str, str | int | float] = Field(
        default_factory=FrozenDict, description="words, each with a verdict or a number"
    )
    minimum_mass: float = Field(default=0.5, gt=0, le=1, description="a number above 0, at most 1")
    parser: Literal["guard", "regex", "json", "lines"] | None = Field(
        default=None, description="guard, regex, json or lines"
    )
    pattern: str | None = Field(default=None, min_length=1, description="a regular expression")
    whole: bool = Field(default=True, description="true or false")
    keys: _Words = ()
    optional: _Words = ()
    verdict: str | None = Field(default=None, min_length=1, description="a field's name")
    verdicts: dict[str, str] = Field(
        default_factory=FrozenDict, description="words, each with a verdict"
    )
    scores: dict[str, tuple[int, int]] = Field(
        default_factory=FrozenDict, description="fields, each with its range: [1, 5]"
    )
    formula: Literal["mean", "strongreject"] | None = Field(
        default=None, description="mean or strongreject"
    )
    categories: str | None = Field(default=None, min_length=1, description="a field's name")
    known_categories: _Words = ()
    flags: _Words = ()
    explanation: str | None = Field(default=None, min_length=1, description="a field's name")
    declines: _Words | None = None

    def fields(self) -> tuple[str, ...]:
        """Return the names of the fields that the parser can find."""
        if self.parser == "regex":
            return tuple(re.compile(self.pattern or "").groupindex)
        if self.parser == "guard":
            return tuple(name for name in (self.verdict, self.categories) if name is not None)
        return (*self.keys, *self.optional)

    def needed(self) -> tuple[str, ...]:
        """Return the fields that a verdict or a value is made of; any other one is a detail."""
        scores = STRONGREJECT if self.formula == "strongreject" else tuple(self.scores)
        verdict = () if self.verdict is None else (self.verdict,)
        return (*verdict, *(scores if self.formula is not None else ()))

    def alarming(self) -> tuple[str, ...]:
        """Return what means a successful attack: harm where it is known, else no refusal."""
        named = self.verdicts.values() if self.by == "text" else self.words.values()
        return tuple(str(verdict) for verdict in ALARMING if str(verdict) in named)[:1]

    def to_json(self) -> dict[str, Any]:
        """Return the canonical form: what was given, and the defaults that matter."""
        value = self.model_dump(mode="json", exclude_defaults=True)
        if self.by == "odds":
            return value | {"minimum_mass": self.minimum_mass}
        declines = DECLINES if self.declines is None else self.declines
        return value | {"declines": sorted({one.casefold() for one in declines})}


class CutSettings(JudgeSettings):
    """How many tokens of a response the judge is shown, and whose tokenizer counts them."""

    response: int = Field(ge=8, description="a whole number from 8")
    tokenizer: str | None = Field(default=None, min_length=1, description="a folder or a hub name")


class LlmSettings(JudgeSettings):
    """What an llm judge can be told."""

    model: Settings = Field(description="a mapping, as in a model config")
    sees: tuple[_Part, ...] = Field(
        default=("response",), description="a list of response, prompt, behavior, image, reasoning"
    )
    template: tuple[TemplateMessage, ...] = Field(
        default=(), description="a list of messages, each with role and text"
    )
    template_file: str | None = Field(default=None, min_length=1, description="a path")
    fields: dict[str, str] = Field(
        default_factory=FrozenDict, description="placeholders, each with what it stands for"
    )
    prefill: str | None = Field(default=None, min_length=1, description="text")
    delimiters: _Words = ()
    cut: CutSettings | None = Field(default=None, description="a mapping: {response: 512}")
    output: OutputSettings = Field(description="a mapping")
    heading: str | None = Field(default=None, min_length=1, description="text")


def read_llm_settings(config: JudgeConfig) -> LlmSettings:
    """Return the settings, each of them with an effect; raise ConfigError with what has none."""
    settings = read_settings(config, LlmSettings)
    where = f"judge {config.name}"
    if "response" not in settings.sees or len(set(settings.sees)) < len(settings.sees):
        raise ConfigError(f"{where}: sees: name response, and each part once")
    short = [one for one in settings.delimiters if len(one.strip()) < 2]  # noqa: PLR2004 - a, b
    if short:
        raise ConfigError(f"{where}: delimiters: {short[0]!r} is too short to be told from text")
    problem = _odds_fault(settings) if settings.output.by == "odds" else _text_fault(settings)
    if problem:
        raise ConfigError(f"{where}: output: {problem}")
    return settings


def _idle(settings: LlmSettings, names: tuple[str, ...], beside: str) -> str:
    """Tell of the first of these output settings that was given for nothing."""
    given = (name for name in names if name in settings.output.model_fields_set)
    return next((f"{name} has no effect with `{beside}`" for name in given), "")


def _odds_fault(settings: LlmSettings) -> str:
    output = settings.output
    if told := _idle(settings, _TEXT, "by: odds"):
        return told
    if idle := next((name for name in _DECODING if name in settings.model), ""):
        return f"model: {idle} has no effect with `by: odds`: one token is weighed"
    if len(output.words) < 2:  # noqa: PLR2004 - odds of one word against nothing say nothing
        return "by: odds needs words: {safe: safe, unsafe: unsafe}, or words with numbers"
    kinds = {isinstance(meaning, str) for meaning in output.words.values()}
    if len(kinds) > 1:
        return "words: either all stand for verdicts or all for numbers"
    if any(not word.strip() for word in output.words):
        return "words: a blank word begins no answer"
    return _verdict_fault("words", output.words) if True in kinds else ""


def _verdict_fault(name: str, words: Mapping[str, Any]) -> str:
    wrong = [meaning for meaning in words.values() if meaning not in _VERDICTS]
    return f"{name}: no verdict {wrong[0]!r}{did_you_mean(wrong[0], _VERDICTS)}" if wrong else ""


def _text_fault(settings: LlmSettings) -> str:
    output = settings.output
    return (
        _idle(settings, _ODDS, "by: text")
        or _parser_fault(settings)
        or _verdict_fault("verdicts", output.verdicts)
        or _pairs_fault(output)
        or _formula_fault(output)
        or _field_fault(output)
    )


def _parser_fault(settings: LlmSettings) -> str:
    output = settings.output
    if output.parser is None:
        return "by: text needs a parser: guard, regex, json or lines"
    if output.parser == "regex":
        told = _idle(settings, ("keys", "optional"), "parser: regex")
        return told or _pattern_fault(output.pattern or "")
    if told := _idle(settings, ("pattern", "whole"), f"parser: {output.parser}"):
        return told
    if output.parser == "guard":
        lacking = "" if output.verdict else "parser: guard needs verdict, the name of its field"
        return _idle(settings, ("keys", "optional", *_NO_GUARD), "parser: guard") or lacking
    named = (*output.keys, *output.optional)
    if not output.keys or len(set(named)) < len(named):
        return f"parser: {output.parser} needs keys, each given once"
    return ""


def _pattern_fault(pattern: str) -> str:
    try:
        named = re.compile(pattern).groupindex
    except re.error as error:
        return f"pattern: {pattern!r} is no regular expression: {error}"
    return "" if named else "pattern: no named group (?P<verdict>...) to read"


def _pairs_fault(output: OutputSettings) -> str:
    """Tell of two settings of which one says nothing without the other."""
    if (output.verdict is None) != (not output.verdicts):
        return "verdict names the field and verdicts what its words mean: give both or none"
    if output.verdict is None and output.formula is None:
        return "nothing would come of it: give verdict and verdicts, or scores and a formula"
    if (output.categories is None) != (not output.known_categories):
        return "categories names the field and known_categories what it may hold: both or none"
    wrong = [
        f"{name}: [{low}, {high}]" for name, (low, high) in output.scores.items() if low >= high
    ]
    return f"scores: {wrong[0]} is no range" if wrong else ""


def _formula_fault(output: OutputSettings) -> str:
    if output.formula is None:
        return ""
    if not output.scores:
        return f"formula: {output.formula} needs scores"
    if output.formula == "mean":
        return ""
    lacking = [name for name in STRONGREJECT if name not in output.scores]
    if lacking:
        return f"formula: strongreject needs scores for {', '.join(STRONGREJECT)}"
    ranges = [output.scores[name] for name in STRONGREJECT]
    if ranges != [(0, 1), (1, 5), (1, 5)]:
        return "formula: strongreject is defined for refused [0, 1], convincing and specific [1, 5]"
    return ""


def _field_fault(output: OutputSettings) -> str:
    known = output.fields()
    used = [*output.scores, *output.flags]
    used += [one for one in (output.verdict, output.categories, output.explanation) if one]
    for name in used:
        if name not in known:
            return f"the parser finds no field {name!r}{did_you_mean(name, known)}"
    idle = [name for name in known if name not in used]
    return f"nobody reads the field {idle[0]!r}: list it in flags or leave it out" if idle else ""


def model_configs(config: JudgeConfig, settings: LlmSettings) -> tuple[ModelConfig, RuntimeConfig]:
    """Return the judge's model and how it makes text; greedy unless asked otherwise.

    Raises:
        ConfigError: unknown keys and wrong values, all of them.

    """
    faults = Faults(f"judge {config.name}, settings.model")
    shapes = (ModelConfig, RuntimeConfig)
    known = [name for shape in shapes for name in shape.model_fields if name not in _DECIDED]
    for name in settings.model:
        if name in _DECIDED:
            faults.add((name,), f"{name} is not to be given: {_DECIDED[name]}")
        elif name not in known:
            faults.add((name,), f"unknown key {name!r}{did_you_mean(name, known)}")
    parts = [
        {name: value for name, value in settings.model.items() if name in shape.model_fields}
        for shape in shapes
    ]
    last_turn = "continue" if settings.prefill else "answer"
    model = check(ModelConfig, parts[0] | {"name": config.name, "last_turn": last_turn}, faults.add)
    decoding = {"max_new_tokens": 1} if settings.output.by == "odds" else {}
    runtime = check(RuntimeConfig, {"do_sample": False, **parts[1], **decoding}, faults.add)
    raise_faults(faults)
    if model is None or runtime is None:  # pragma: no cover - check() has told why
        raise AssertionError(config.name)
    return model, runtime


def seen(settings: LlmSettings) -> tuple[Sees, ...]:
    """Return what the judge sees, in one order."""
    return tuple(part for part in Sees if str(part) in settings.sees)
