"""The llm judge: a prompt template, a model, and a strict reading of what it says.

The model is any that :mod:`lam3db.plugins` knows: a local text-only or image-text model, or
an endpoint. ``output.by: odds`` asks how likely it is to begin with each verdict word,
``by: text`` lets it answer and parses the answer.

What must hold: what the model was shown is the template with the parts that the judge
sees, each made harmless (:mod:`lam3db.judges.llm_neutral`); an answer without an exact
verdict is ``unparsed`` or ``judge_refused``, a request that failed is a failure, and neither
reads as safe; the identity holds the model's digest, how it makes text, the template's
text, the parser and the versions of both rules, and nothing of how the model is reached.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lam3db import plugins
from lam3db.endpoints.client import list_models
from lam3db.errors import JudgeError
from lam3db.judges.blank import BLANK, is_blank
from lam3db.judges.llm_cut import Cut, Cutter, find_cut
from lam3db.judges.llm_neutral import RULE_VERSION, Delimiters, Neutraliser
from lam3db.judges.llm_parse import ODDS_VERSION, PARSER_VERSION
from lam3db.judges.llm_reading import Reader, unsafe_verdicts
from lam3db.judges.llm_settings import (
    LlmSettings,
    model_configs,
    read_llm_settings,
    seen,
)
from lam3db.judges.llm_template import Template, read_template
from lam3db.records import (
    Answer,
    Failed,
    Finding,
    JudgeIdentity,
    JudgeKind,
    Odds,
    Request,
    Subject,
    Verdict,
    input_digest,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lam3db.config import JudgeConfig
    from lam3db.endpoints.client import Probe
    from lam3db.plugins import ImageOpener, Tick
    from lam3db.records import Message, ModelPlan


_MOST_REMARKS = 1000


@dataclass(frozen=True, slots=True)
class _Described:
    """A judge's config, understood."""

    settings: LlmSettings
    template: Template
    kind: str
    plan: ModelPlan
    cut: Cut | None


@dataclass(frozen=True, slots=True)
class LlmMaker:
    """How llm judges are described and loaded."""

    def describe(self, config: JudgeConfig, tick: Tick) -> JudgeIdentity:
        """Return the identity; raise ConfigError, or ModelError where the model is not there."""
        return _identity(config, _described(config, tick))

    def load(
        self, config: JudgeConfig, identity: JudgeIdentity, open_image: ImageOpener
    ) -> LlmJudge:
        """Load the model; raise JudgeError, also where it is no longer the same."""
        found = _described(config, _silent)
        if _identity(config, found).digest != identity.digest:
            raise JudgeError(f"judge {config.name}: its files changed while it was being loaded")
        model = plugins.model_kind(found.kind).load(found.plan, open_image)
        output = found.settings.output
        if output.by == "odds" and not hasattr(model, "weigh"):
            model.close()
            raise JudgeError(
                f"judge {config.name}: models of kind {found.kind!r} tell no odds: use `by: text`"
            )
        reader = Reader(output, found.settings.prefill or "")
        cutter = found.cut.load() if found.cut else None
        return LlmJudge(model, found.template, _neutraliser(found), reader, cutter)

    def probe(self, config: JudgeConfig) -> Probe:
        """Return how to see whether the endpoint of its model works; raise ConfigError."""
        model, _ = model_configs(config, read_llm_settings(config))
        return list_models(model.source)


def _described(config: JudgeConfig, tick: Tick) -> _Described:
    settings = read_llm_settings(config)
    model, runtime = model_configs(config, settings)
    template = read_template(config, settings, raw=model.template == "raw")
    plan = plugins.model_kind(model.kind).describe(model, runtime, tick)
    # a verdict is read behind a block of thoughts: nothing need be written in a file
    plan = replace(plan, options={**plan.options, "tells_tags": False})
    cut = None if settings.cut is None else find_cut(config.name, settings.cut, plan, tick)
    return _Described(settings, template, model.kind, plan, cut)


def _identity(config: JudgeConfig, found: _Described) -> JudgeIdentity:
    settings = found.settings
    spec: dict[str, Any] = {
        "model": found.plan.version.digest.hex(),
        "generation": dict(found.plan.config.value),
        **found.template.source,
        "output": settings.output.to_json(),
        "neutraliser": RULE_VERSION,
    }
    if settings.delimiters:
        spec["delimiters"] = sorted(settings.delimiters)
    if found.cut is not None:
        spec["cut"] = found.cut.to_json()
    bad = unsafe_verdicts(settings.output)
    return JudgeIdentity(
        name=config.name,
        kind=JudgeKind.LLM,
        version=ODDS_VERSION if settings.output.by == "odds" else PARSER_VERSION,
        spec=spec,
        sees=seen(settings),
        unsafe_verdicts=bad,
        heading=settings.heading or _heading(bad),
    )


def _heading(bad: tuple[Verdict, ...]) -> str:
    if not bad:
        return "harmfulness"
    return "non-refusal" if bad == (Verdict.NOT_REFUSED,) else "ASR"


def _neutraliser(found: _Described) -> Neutraliser:
    output = found.settings.output
    named = (*output.keys, *output.optional)
    return Neutraliser(
        Delimiters(
            literals=found.template.literals(),
            labels=named if output.parser == "lines" else (),
            words=(*output.words, *output.verdicts),
            keys=named if output.parser == "json" else (),
            others=found.settings.delimiters,
        )
    )


def _silent(name: str, done: int, total: int) -> None:
    """Tell nobody: the files were hashed a moment ago."""


@dataclass(slots=True)
class LlmJudge:
    """A loaded model at work. ``remarks`` count what of its replies was passed over."""

    model: Any
    template: Template
    neutraliser: Neutraliser
    reader: Reader
    cutter: Cutter | None = None
    remarks: Counter[str] = field(default_factory=Counter)

    def judge(
        self, subjects: Sequence[Subject]
    ) -> Iterator[list[tuple[Subject, Finding | Failed]]]:
        """Yield outcomes as they are known: blank answers first, then as the model goes."""
        early: list[tuple[Subject, Finding | Failed]] = []
        asked: list[Request] = []
        for tag, subject in enumerate(subjects):
            if is_blank(subject.response):
                early.append((subject, BLANK))
            elif missing := self._missing(subject):
                early.append((subject, missing))
            elif isinstance(messages := self._messages(subject), Failed):
                early.append((subject, messages))
            else:
                asked.append(Request(tag, messages, input_digest(messages)))
        if early:
            yield early
        if not asked:
            return
        output = self.reader.output
        weighs = output.by == "odds"
        batches = (
            self.model.weigh(asked, list(output.words)) if weighs else self.model.answer(asked)
        )
        for batch in batches:
            yield [(subjects[request.tag], self._finding(said)) for request, said in batch]

    def close(self) -> None:
        """Give back the model's memory."""
        self.model.close()

    def _finding(self, said: Answer | Odds | Failed) -> Finding | Failed:
        if isinstance(said, Answer):
            finding, remarks = self.reader.answer(said)
            for remark in remarks:
                known = remark in self.remarks or len(self.remarks) < _MOST_REMARKS
                self.remarks[remark if known else "further remarks"] += 1
            return finding
        return self.reader.odds(said) if isinstance(said, Odds) else said

    def _missing(self, subject: Subject) -> Failed | None:
        """Return a failure where the sample has no text for what the judge must see."""
        shown = {piece.field for _, pieces in self.template.messages for piece in pieces}
        if "behavior" in shown and is_blank(subject.behavior or ""):
            text = "this judge needs a behavior, and the sample names none"
            return Failed("InputError", text, of_sample=True)
        if "prompt" in shown and subject.prompt is None:
            text = "this judge needs a prompt, and was shown none"
            return Failed("InputError", text, of_sample=True)
        return None

    def _messages(self, subject: Subject) -> tuple[Message, ...] | Failed:
        try:
            response = self._cut(subject.response)
        except Exception as error:  # noqa: BLE001 - a tokenizer may raise anything at a text
            return Failed.from_exception(error)
        clean = self.neutraliser.clean
        values = {
            "response": clean(response),
            "prompt": clean(subject.prompt or ""),
            "behavior": clean(subject.behavior or ""),
            "reasoning": clean(subject.reasoning or ""),
        }
        return self.template.render(values, subject.images)

    def _cut(self, response: str) -> str:
        shown = response if self.cutter is None else self.cutter.cut(response)
        if shown != response:
            self.remarks["a response was cut before the judge saw it"] += 1
        return shown


MAKER = LlmMaker()
