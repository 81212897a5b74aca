"""What a classifier judge can be told, and which of it contradicts itself.

What must hold: labels are named, never numbered; a setting that could have no effect, or two
that contradict each other, are an error before any file is looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from lam3db.errors import ConfigError
from lam3db.judges.settings import JudgeSettings
from lam3db.judges.window_settings import WindowSettings, read_window_settings
from lam3db.records import Sees, Verdict

if TYPE_CHECKING:
    from lam3db.config import JudgeConfig

VerdictName = Literal["safe", "unsafe", "refused", "not_refused"]
_VERDICTS = "safe, unsafe, refused or not_refused"
_LABELS = "a list of the model's labels, one or more"


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Labels = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    BeforeValidator(_listed),
    Field(min_length=1),
]


class VerdictRule(JudgeSettings):
    """A verdict by threshold: ``met`` where any of the labels reaches it, else ``unmet``."""

    labels: Labels = Field(description=_LABELS)
    threshold: float = Field(gt=0, le=1, description="a number above 0, 1 at most")
    met: VerdictName = Field(default="unsafe", description=_VERDICTS)
    unmet: VerdictName = Field(default="safe", description=_VERDICTS)


class ClassifierSettings(WindowSettings):
    """``value`` names the labels whose probability is the finding's value.

    Where several are named, ``combine`` takes their highest or their sum. ``verdict`` gives
    the verdict for each label a single-label model can choose, ``verdict_rule`` one by
    threshold; the value then is of labels that count towards the judge's share, so that the
    mean of the values and the share of the verdicts say the same thing. ``label_names`` are for
    a model that only numbers its labels, in its order; ``sees: [prompt, response]`` is for one
    trained on such pairs.
    """

    source: str = Field(min_length=1, description="a folder or a hub name")
    revision: str | None = Field(default=None, min_length=1, description="text")
    sees: tuple[Literal["response", "prompt"], ...] = Field(
        default=("response",), description="[response] or [prompt, response]"
    )
    label_names: Labels | None = Field(default=None, description=_LABELS)
    activation: Literal["auto", "softmax", "sigmoid"] = Field(
        default="auto", description="auto, softmax or sigmoid"
    )
    value: Labels = Field(description=_LABELS)
    combine: Literal["max", "sum"] = Field(default="max", description="max or sum")
    verdict: dict[str, VerdictName] | None = Field(default=None, description=_VERDICTS)
    verdict_rule: VerdictRule | None = Field(default=None, description="a mapping")
    heading: str | None = Field(default=None, min_length=1, description="text")
    over_windows: Literal["max", "mean", "min"] = Field(
        default="max", description="max, mean or min"
    )
    precision: Literal["fp32", "bf16"] = Field(default="fp32", description="fp32 or bf16")
    quantization: Literal["none", "int8"] = Field(default="none", description="none or int8")
    allow_pickle: bool = Field(default=False, description="true or false")

    def parts_seen(self) -> tuple[Sees, ...]:
        """Return what the judge is shown."""
        return (Sees.PROMPT, Sees.RESPONSE) if "prompt" in self.sees else (Sees.RESPONSE,)

    def verdicts(self) -> set[Verdict]:
        """Return every verdict the judge can give."""
        rule = self.verdict_rule
        names = {rule.met, rule.unmet} if rule is not None else (self.verdict or {}).values()
        return {Verdict(name) for name in names}

    def unsafe_verdicts(self) -> tuple[Verdict, ...]:
        """Return what counts as a successful attack: harm where it is known, else no refusal."""
        given = self.verdicts()
        counts = (one for one in (Verdict.UNSAFE, Verdict.NOT_REFUSED) if one in given)
        return tuple(counts)[:1]

    def away(self) -> list[str]:
        """Return the labels of ``value`` that speak against what the judge's share counts."""
        counts = set(map(str, self.unsafe_verdicts()))
        rule = self.verdict_rule
        if rule is not None:
            met = rule.labels if rule.met not in counts else ()
            return [label for label in self.value if label in met]
        verdict = self.verdict or {}
        return [label for label in self.value if label in verdict and verdict[label] not in counts]

    def shown_heading(self) -> str:
        """Return what the judge's share is called in a report."""
        if self.heading is not None:
            return self.heading
        unsafe = self.unsafe_verdicts()
        if unsafe == (Verdict.NOT_REFUSED,):
            return "non-refusal"
        return "ASR" if unsafe else "+".join(self.value)


def classifier_settings(config: JudgeConfig) -> ClassifierSettings:
    """Return the settings of a judge's config.

    Raises:
        ConfigError: unknown or wrong settings, or what contradicts itself; all of it at once.

    """
    settings = read_window_settings(config, ClassifierSettings)
    faults = _contradictions(settings)
    if faults:
        raise ConfigError("\n  ".join([f"judge {config.name}, settings:", *faults]))
    return settings


def _contradictions(settings: ClassifierSettings) -> list[str]:
    faults = _verdict_contradictions(settings)
    if sorted(settings.sees) not in (["response"], ["prompt", "response"]):
        faults.append(f"sees: {list(settings.sees)} is not [response] or [prompt, response]")
    if settings.combine == "sum" and settings.activation == "sigmoid":
        faults.append("combine: sum contradicts activation: sigmoid, whose sums pass 1; use max")
    if settings.precision == "bf16" and settings.quantization == "int8":
        faults.append("precision: bf16 has no effect with quantization: int8; leave one out")
    if settings.token_budget is not None and settings.quantization == "int8":
        faults.append("token_budget has no effect with quantization: int8, which reads one by one")
    for name in ("value", "label_names"):
        labels = getattr(settings, name) or ()
        if len(set(labels)) < len(labels):
            faults.append(f"{name}: a label is listed twice: {', '.join(labels)}")
    return faults


def _verdict_contradictions(settings: ClassifierSettings) -> list[str]:
    faults = []
    if settings.verdict is not None and settings.verdict_rule is not None:
        faults.append("verdict and verdict_rule contradict each other: keep one")
    if settings.verdicts() and not settings.unsafe_verdicts():
        faults.append("no label gives unsafe or not_refused: nothing could ever count")
    elif away := settings.away():
        faults.append(
            f"value: {', '.join(away)} speaks against {settings.unsafe_verdicts()[0]}, which is "
            "what the judge's share counts: name the other labels (and over_windows: min where "
            "the window that speaks most against it decides)"
        )
    return faults + _rule_contradictions(settings)


def _rule_contradictions(settings: ClassifierSettings) -> list[str]:
    rule, counts = settings.verdict_rule, set(map(str, settings.unsafe_verdicts()))
    if rule is None:
        return []
    if rule.met == rule.unmet:
        return [f"verdict_rule: met and unmet are both {rule.met}"]
    # the rule looks at each label's highest over the windows: the value must look there too
    if settings.over_windows == "min" or (
        settings.over_windows == "max" and rule.met not in counts
    ):
        fault = f"met: {rule.met} with over_windows: {settings.over_windows}"
        cure = "value and verdict on different windows; use over_windows: mean"
        return [f"verdict_rule: {fault} would rest {cure}"]
    return []
