"""How a classifier's outputs are read: labels, activation, value, verdict, windows.

The activation is the one transformers' own pipeline would take (sigmoid for
``problem_type: multi_label_classification`` or a single output, else softmax), unless the
settings say another.

The value of a window is the probability of the named labels (their highest, or their sum);
that of a text is the highest, the mean or the lowest over its windows. By highest or lowest, the
label that gives the verdict is the choice of the window with that value; by mean, the one with
the highest mean. A threshold looks at each label's mean under ``mean``, else at its highest.

What must hold: the rule says everything that makes scores into a finding, and ``to_json`` says
everything of the rule; a value and a verdict of one finding rest on the same numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.errors import ConfigError, did_you_mean
from lam3db.judges.scoring import Scores, highest, mean
from lam3db.records import LONGEST_ATTRIBUTE, Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lam3db.config import JudgeConfig
    from lam3db.judges.classifier_files import ClassifierFiles
    from lam3db.judges.classifier_settings import ClassifierSettings, VerdictRule

_MULTI = "multi_label_classification"
_REGRESSION = "regression"
_HOW = {"max": "highest", "min": "lowest", "mean": "mean"}


@dataclass(frozen=True, slots=True)
class ClassifierRule:
    """``value`` are places among the labels; ``verdicts`` has one per label, or none."""

    labels: tuple[str, ...]
    activation: str
    value: tuple[int, ...]
    combine: str
    over_windows: str
    verdicts: tuple[Verdict, ...] = ()
    threshold: VerdictRule | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the canonical form; what was not asked for is left out."""
        spec: dict[str, Any] = {
            "labels": list(self.labels),
            "activation": self.activation,
            "value": [self.labels[place] for place in self.value],
            "over_windows": self.over_windows,
        }
        if len(self.value) > 1:
            spec["combine"] = self.combine
        if self.verdicts:
            spec["verdict"] = dict(zip(self.labels, map(str, self.verdicts), strict=True))
        if self.threshold is not None:
            spec["verdict_rule"] = self.threshold.model_dump() | {
                "labels": sorted(self.threshold.labels)
            }
        return spec

    def finding(self, rows: Sequence[Scores], size: int) -> Finding:
        """Return what is said of a text with these scores, one row per window of ``size``."""
        best, middle = highest(rows), mean(rows)
        attributes = dict(zip(self.labels, best, strict=True))
        explanation = None
        if len(rows) > 1:
            names = (f"{label}_mean" for label in self.labels)
            attributes |= dict(zip(names, middle, strict=True))
            attributes["windows"] = float(len(rows))
            explanation = f"{_HOW[self.over_windows]} over {len(rows)} windows of {size} tokens"
        value = self._over([self._value(row) for row in rows])
        verdict = self._verdict(rows, best, middle)
        return Finding(value=value, verdict=verdict, explanation=explanation, attributes=attributes)

    def _over(self, values: list[float]) -> float:
        if self.over_windows == "mean":
            return math.fsum(values) / len(values)
        return min(values) if self.over_windows == "min" else max(values)

    def _value(self, row: Scores) -> float:
        chosen = [row[place] for place in self.value]
        # probabilities of one softmax may add up to a last digit above 1
        return max(chosen) if self.combine == "max" else min(1.0, sum(chosen))

    def _verdict(self, rows: Sequence[Scores], best: Scores, middle: Scores) -> Verdict | None:
        by_mean = self.over_windows == "mean"
        if self.threshold is not None:
            scores = dict(zip(self.labels, middle if by_mean else best, strict=True))
            met = any(scores[label] >= self.threshold.threshold for label in self.threshold.labels)
            return Verdict(self.threshold.met if met else self.threshold.unmet)
        if not self.verdicts:
            return None
        pick = min if self.over_windows == "min" else max
        # the scores decide among windows of one value, so that their order does not
        telling = middle if by_mean else pick(rows, key=lambda row: (self._value(row), row))
        return self.verdicts[telling.index(max(telling))]


def classifier_rule(
    config: JudgeConfig, settings: ClassifierSettings, files: ClassifierFiles
) -> ClassifierRule:
    """Return the rule that settings and model describe together.

    Raises:
        ConfigError: a label the model does not have, or a setting that does not fit it; all
            of it at once.

    """
    faults: list[str] = []
    labels = _labels(settings, files, faults)
    activation = _activation(settings, files, faults)
    _check_labels(settings, labels, activation, faults)
    if faults:
        raise ConfigError("\n  ".join([f"judge {config.name}, settings:", *faults]))
    verdict = settings.verdict
    return ClassifierRule(
        labels,
        activation,
        tuple(sorted(map(labels.index, settings.value))),
        settings.combine,
        settings.over_windows,
        () if verdict is None else tuple(Verdict(verdict[label]) for label in labels),
        settings.verdict_rule,
    )


def _labels(
    settings: ClassifierSettings, files: ClassifierFiles, faults: list[str]
) -> tuple[str, ...]:
    """Return the outputs' names: the model's, or the settings' where it only numbers them."""
    own, given = files.labels, settings.label_names
    labels = own if given is None else given
    numbered = all(label == f"LABEL_{place}" for place, label in enumerate(own))
    if given is not None and len(given) != len(own):
        faults.append(f"label_names: {len(given)} names for the model's {len(own)} labels")
    elif given is not None and given != own and not numbered:
        faults.append(f"label_names: the model names its labels itself: {', '.join(own)}")
    reserved = {f"{label}_mean" for label in labels} | {"windows"}
    taken = sorted(reserved & set(labels))
    if taken or len(set(labels)) < len(labels):
        faults.append(f"labels {', '.join(labels)}: each needs a name of its own {taken or ''}")
    if any(len(f"{label}_mean") > LONGEST_ATTRIBUTE for label in labels):
        faults.append(f"labels: a name has more than {LONGEST_ATTRIBUTE - 5} characters")
    return labels


def _activation(settings: ClassifierSettings, files: ClassifierFiles, faults: list[str]) -> str:
    """Return what makes probabilities of the outputs, by the rule of transformers' pipeline."""
    count = len(files.labels)
    if settings.activation != "auto":
        if settings.activation == "softmax" and count == 1:
            faults.append("activation: softmax of a single label is always 1; use sigmoid")
        return settings.activation
    if files.problem_type == _REGRESSION:
        faults.append(
            "activation: the model is trained for regression, its numbers are no probabilities; "
            "write softmax or sigmoid if they are to be read as such"
        )
    sigmoid = files.problem_type == _MULTI or count == 1
    if sigmoid and settings.combine == "sum":
        faults.append("combine: sum contradicts the model's sigmoid, whose sums pass 1; use max")
    return "sigmoid" if sigmoid else "softmax"


def _check_labels(
    settings: ClassifierSettings, labels: tuple[str, ...], activation: str, faults: list[str]
) -> None:
    rule = settings.verdict_rule
    named = {
        "value": settings.value,
        "verdict": tuple(settings.verdict or ()),
        "verdict_rule.labels": rule.labels if rule is not None else (),
    }
    for where, names in named.items():
        for name in names:
            if name not in labels:
                near = did_you_mean(name, list(labels))
                faults.append(f"{where}: the model has no label {name!r}{near}")
    if settings.verdict is None:
        return
    lacking = [label for label in labels if label not in settings.verdict]
    if lacking:
        faults.append(f"verdict: {', '.join(lacking)} has none; the model can choose it too")
    if activation == "sigmoid":
        faults.append(
            "verdict: a model with a sigmoid chooses no single label; write verdict_rule with a "
            "threshold, or leave it to the policy"
        )
