"""The classifier judge: any sequence classifier of Hugging Face transformers, offline.

``value`` is the probability of the labels that the settings name, ``verdict`` what they make
of the label chosen. Attributes hold each label's probability; a text longer than the model's
limit is read in overlapping windows and has each label's highest, its mean (``<label>_mean``)
and the number of ``windows``.

What must hold: probabilities are those of transformers' ``text-classification`` pipeline for
texts within the limit (to 1e-4); the identity rests on the content of the files and on
everything that reads them, not on where they lie; and what :mod:`lam3db.judges.scoring` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lam3db.errors import JudgeError
from lam3db.judges.classifier_files import ClassifierFiles, find_classifier
from lam3db.judges.classifier_rule import ClassifierRule, classifier_rule
from lam3db.judges.classifier_settings import ClassifierSettings, classifier_settings
from lam3db.judges.loaded import chosen_device
from lam3db.judges.scoring import Scores, WindowJudge
from lam3db.judges.window_settings import batch_budget, make_windower, window_identity
from lam3db.records import Finding, JudgeIdentity, JudgeKind, Sees

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lam3db.config import JudgeConfig
    from lam3db.plugins import ImageOpener, Tick

PARSER_VERSION = 1
"""Of windows, rule and abstention: raise it when the same weights would judge otherwise."""


@dataclass(frozen=True, slots=True)
class ClassifierMaker:
    """How classifier judges are described and loaded."""

    def describe(self, config: JudgeConfig, tick: Tick) -> JudgeIdentity:
        """Return the identity: files, labels, rule, windows; raise JudgeError or ConfigError."""
        settings = classifier_settings(config)
        files = find_classifier(config, settings, tick)
        return _identity(config, settings, files, classifier_rule(config, settings, files))

    def load(
        self, config: JudgeConfig, identity: JudgeIdentity, open_image: ImageOpener
    ) -> ClassifierJudge:
        """Load the weights; raise JudgeError, also where the files are no longer the same."""
        del open_image
        from lam3db.judges.classifier_load import load_classifier

        settings = classifier_settings(config)
        files = find_classifier(config, settings, _silent)
        rule = classifier_rule(config, settings, files)
        if _identity(config, settings, files, rule).digest != identity.digest:
            raise JudgeError(f"judge {config.name}: its files changed while it was being loaded")
        int8 = settings.quantization == "int8"
        loaded = load_classifier(
            files,
            rule.labels,
            chosen_device(settings.device),
            int8=int8,
            allow_pickle=settings.allow_pickle,
        )
        # int8 picks its outlying columns over the whole batch: what is said of a text would
        # depend on its batch mates, so there are none
        budget = 1 if int8 else batch_budget(settings, loaded)
        return ClassifierJudge(
            loaded,
            make_windower(config, settings, loaded),
            budget,
            bf16=settings.precision == "bf16",
            pairs=Sees.PROMPT in settings.parts_seen(),
            rule=rule,
        )


def _identity(
    config: JudgeConfig, settings: ClassifierSettings, files: ClassifierFiles, rule: ClassifierRule
) -> JudgeIdentity:
    spec: dict[str, Any] = {
        "classifier": "transformers",
        "parser": PARSER_VERSION,
        "files": dict(files.digests),
        **rule.to_json(),
        **window_identity(settings),
    }
    if settings.precision != "fp32":
        spec["precision"] = settings.precision
    if settings.quantization != "none":
        spec["quantization"] = settings.quantization
    return JudgeIdentity(
        name=config.name,
        kind=JudgeKind.CLASSIFIER,
        version=files.version,
        spec=spec,
        sees=settings.parts_seen(),
        unsafe_verdicts=settings.unsafe_verdicts(),
        heading=settings.shown_heading(),
    )


def _silent(name: str, done: int, total: int) -> None:
    """Tell nobody: the files were hashed a moment ago."""


@dataclass(slots=True, kw_only=True)
class ClassifierJudge(WindowJudge):
    """A loaded model at work."""

    rule: ClassifierRule

    def activate(self, logits: Any) -> Any:
        """Return probabilities: of each output for itself, or of one against the others."""
        import torch

        if self.rule.activation == "sigmoid":
            return torch.sigmoid(logits)
        return torch.softmax(logits, dim=-1)

    def finding(self, rows: Sequence[Scores]) -> Finding:
        """Return what the rule makes of the windows' probabilities."""
        return self.rule.finding(rows, self.windower.size)


MAKER = ClassifierMaker()
