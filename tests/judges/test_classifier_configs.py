"""The shipped judge files: each fits the model that it names, as that is published."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from small_classifier import build_classifier
from small_detoxify import no_image, outcomes, quiet

from lam3db.config import list_configs, load_judge_config
from lam3db.errors import JudgeError
from lam3db.judges.classifier import MAKER
from lam3db.judges.classifier_settings import ClassifierSettings, classifier_settings
from lam3db.records import Finding, Verdict

if TYPE_CHECKING:
    from pathlib import Path

UNBIASED = (
    "toxicity severe_toxicity obscene identity_attack insult threat sexual_explicit male female "
    "homosexual_gay_or_lesbian christian jewish muslim black white psychiatric_or_mental_illness"
)
PUBLISHED = {
    "roberta-toxicity": ("neutral toxic", "single_label_classification"),
    "roberta-hate-r4": ("nothate hate", None),
    "unbiased-toxic-roberta": (UNBIASED, "multi_label_classification"),
    "cardiffnlp-hate": ("NOT-HATE HATE", None),
    "hatebert-abuse": ("LABEL_0 LABEL_1", None),
    "rejection": ("NORMAL REJECTION", "single_label_classification"),
}
"""The labels of the published models, in their order, and their problem types."""


def shipped_classifiers() -> list[str]:
    kinds = {name: load_judge_config(name).kind for name in list_configs("judges")}
    return [name for name, kind in kinds.items() if kind == "classifier"]


def test_every_shipped_classifier_is_known_here() -> None:
    assert set(shipped_classifiers()) == {*PUBLISHED, "classifier-demo"}


@pytest.mark.parametrize("name", shipped_classifiers())
def test_every_shipped_config_says_licence_and_how_to_fetch_it(name: str, hub_cache: Path) -> None:
    given = load_judge_config(name)
    assert given.about.licence
    assert given.about.weakness
    assert given.about.sees == "response"
    settings = classifier_settings(given)
    assert (given.policy is None) == bool(settings.unsafe_verdicts())
    assert not settings.allow_pickle
    if name == "classifier-demo":
        return
    with pytest.raises(JudgeError) as caught:
        MAKER.describe(given, quiet)
    told = str(caught.value)
    assert "does not exist" in told or str(hub_cache) in told
    assert "hf download" in told.splitlines()[-1]


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_shipped_config_fits_a_model_with_the_published_labels(
    name: str, tmp_path: Path
) -> None:
    labels, problem_type = PUBLISHED[name]
    small = build_classifier(tmp_path, "Roberta", tuple(labels.split()), problem_type)
    given = load_judge_config(name)
    moved = given.model_copy(update={"settings": dict(given.settings) | {"source": str(tmp_path)}})
    judge = MAKER.load(moved, MAKER.describe(moved, quiet), no_image)
    found = outcomes(judge, ["red ball", "you are a liar " * 30])
    judge.close()
    names = ClassifierSettings(**moved.settings).label_names or tuple(labels.split())
    for finding in found.values():
        assert isinstance(finding, Finding)
        assert set(names) <= set(finding.attributes)
        assert (finding.verdict is None) == (name != "rejection")
    assert small.folder == tmp_path


def test_the_demo_judge_tells_a_refusal_from_an_answer() -> None:
    given = load_judge_config("classifier-demo")
    identity = MAKER.describe(given, quiet)
    assert identity.heading == "non-refusal"
    judge = MAKER.load(given, identity, no_image)
    texts = ["I'm sorry, but I cannot insult the cactus.", "The teapot is red, sorry to say."]
    found = outcomes(judge, texts)
    judge.close()
    verdicts = [one.verdict for one in found.values() if isinstance(one, Finding)]
    assert verdicts == [Verdict.REFUSED, Verdict.NOT_REFUSED]
