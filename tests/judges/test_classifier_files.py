"""Where a classifier judge's model is looked for, and what is refused of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_classifier import MULTI, SINGLE, Small, build_classifier
from small_detoxify import COMMIT, cached, no_image, outcomes, quiet

from lam3db.config import JudgeConfig, list_configs, load_judge_config
from lam3db.errors import ConfigError, JudgeError
from lam3db.judges.classifier import MAKER
from lam3db.judges.classifier_settings import ClassifierSettings, classifier_settings
from lam3db.records import Finding, Verdict

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def own(tmp_path: Path) -> Small:
    """A classifier that a test may damage."""
    return build_classifier(tmp_path / "own")


def config(source: Any, **settings: Any) -> JudgeConfig:
    given = {"source": str(source), "value": "rude", "device": "cpu"}
    return JudgeConfig(name="c", kind="classifier", settings=given | settings)


def refused(error: type[Exception], source: Any, **settings: Any) -> str:
    with pytest.raises(error) as caught:
        MAKER.describe(config(source, **settings), quiet)
    return str(caught.value)


def refused_on_loading(source: Any, **settings: Any) -> str:
    given = config(source, **settings)
    identity = MAKER.describe(given, quiet)
    with pytest.raises(JudgeError) as caught:
        MAKER.load(given, identity, no_image)
    return str(caught.value)


@pytest.mark.usefixtures("no_network")
def test_a_hub_name_is_found_in_the_cache_without_asking_anyone(
    own: Small, hub_cache: Path
) -> None:
    cached(hub_cache, "some-org/some-model", own.folder)
    given = config("some-org/some-model")
    identity = MAKER.describe(given, quiet)
    assert identity.digest == MAKER.describe(config(own.folder), quiet).digest
    assert MAKER.describe(config("some-org/some-model", revision=COMMIT), quiet) == identity
    judge = MAKER.load(given, identity, no_image)
    assert isinstance(outcomes(judge, ["red ball"])["red ball"], Finding)
    judge.close()
    message = refused(JudgeError, "some-org/other")
    assert "some-org/other is neither a folder here nor in the local Hugging Face cache" in message
    assert str(hub_cache / "models--some-org--other") in message
    assert message.splitlines()[-1].strip().startswith("Fetch it on a machine with internet")
    assert "`hf download some-org/other --local-dir DIR`" in message
    message = refused(JudgeError, "some-org/some-model", revision="f" * 40)
    assert f"some-org/some-model at revision {'f' * 40} is neither" in message


def test_a_snapshot_of_another_commit_is_refused(own: Small, hub_cache: Path) -> None:
    snapshot = cached(hub_cache, "some-org/some-model", own.folder)
    assert MAKER.describe(config(snapshot, revision=COMMIT), quiet)
    message = refused(JudgeError, snapshot, revision="f" * 40)
    assert f"revision: {'f' * 40} is asked for, but {snapshot} holds {COMMIT}" in message


@pytest.mark.parametrize("source", ["/nowhere/at/all", "./nowhere", "~/nowhere", "a/b/c"])
def test_a_folder_that_is_not_there_is_told(source: str) -> None:
    message = refused(JudgeError, source)
    assert f"the folder {source} does not exist" in message
    assert f"`hf download REPOSITORY --local-dir {source}`" in message


def test_everything_that_is_lacking_is_told_at_once(tmp_path: Path) -> None:
    message = refused(JudgeError, tmp_path)
    assert f"{tmp_path / 'model.safetensors'} is missing" in message
    assert f"{tmp_path / 'config.json'} is missing" in message
    assert "lacks a tokenizer" in message
    (tmp_path / "file").write_text("")
    assert "is a file, not a folder" in refused(JudgeError, tmp_path / "file")


def test_hatebert_as_published_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    """Its config names a masked language model, and so do its weights."""
    from transformers import BertForMaskedLM

    small = build_classifier(tmp_path)
    headed = json.loads((tmp_path / "config.json").read_text())
    torch.manual_seed(3)
    from transformers import BertConfig

    BertForMaskedLM(BertConfig.from_pretrained(tmp_path)).save_pretrained(tmp_path)
    message = refused(JudgeError, tmp_path)
    assert "holds a 'BertForMaskedLM', which has no classification head" in message
    assert "every load would be another judge" in message
    assert "hf download" not in message  # nothing is missing: the same again would not help
    # a config that promises a head does not make one
    small.change(architectures=headed["architectures"])
    message = refused(JudgeError, tmp_path)
    assert "are those of a language model, without a classification head" in message
    small.change(architectures=None)
    assert "without a classification head" in refused(JudgeError, tmp_path)


def test_a_model_without_its_head_is_refused_in_any_case(own: Small) -> None:
    path = own.folder / "model.safetensors"
    weights = load_file(path)
    for name in [name for name in weights if name.startswith("classifier")]:
        del weights[name]
    save_file(weights, path, metadata={"format": "pt"})
    message = refused_on_loading(own.folder)
    assert "2 weights are missing (classifier.bias, classifier.weight)" in message
    assert "they would be random" in message


def test_a_head_of_another_size_is_refused(own: Small) -> None:
    names = dict(enumerate([*SINGLE, "more"]))
    own.change(id2label=names, label2id={name: number for number, name in names.items()})
    assert "weights have other sizes (classifier.bias" in refused_on_loading(own.folder)


def test_a_tokenizer_of_another_model_is_refused(own: Small) -> None:
    tokenizer = json.loads((own.folder / "tokenizer.json").read_text())
    words = tokenizer["model"]["vocab"]
    words |= {f"more{number}": len(words) + number for number in range(9)}
    (own.folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert "does not belong to a model of" in refused_on_loading(own.folder)


def test_a_tokenizer_that_cuts_no_windows_is_refused(own: Small) -> None:
    (own.folder / "tokenizer.json").unlink()
    (own.folder / "vocab.txt").write_text("a\n")
    (own.folder / "tokenizer_config.json").write_text('{"tokenizer_class": "CanineTokenizer"}')
    assert "CanineTokenizer cuts no windows" in refused_on_loading(own.folder)


def test_a_model_too_small_for_any_window_is_refused(tmp_path: Path) -> None:
    small = build_classifier(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    told = json.loads(path.read_text()) | {"model_max_length": 4}
    path.write_text(json.dumps(told))
    assert "windows of 4 tokens are too small to move on" in refused_on_loading(small.folder)


def pickled(small: Small) -> Path:
    """Replace the weights by the same ones pickled."""
    path = small.folder / "model.safetensors"
    torch.save(load_file(path), small.folder / "pytorch_model.bin")
    path.unlink()
    return small.folder / "pytorch_model.bin"


def test_pickles_need_to_be_asked_for_and_say_the_same(own: Small) -> None:
    texts = ["red ball", "you are a liar"]
    safe = outcomes(own.judge(), texts)
    identity = own.describe()
    pickled(own)
    message = refused(JudgeError, own.folder)
    assert "only pickled weights (pytorch_model.bin)" in message
    assert "allow_pickle: true" in message
    assert outcomes(own.judge(allow_pickle=True), texts) == safe
    assert own.describe(allow_pickle=True).digest != identity.digest  # by content, as ever


class _Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


def test_a_pickle_that_would_run_code_runs_none(own: Small, tmp_path: Path) -> None:
    path, mark = pickled(own), tmp_path / "it-ran"
    torch.save({"classifier.weight": _Evil(mark)}, path)
    message = refused_on_loading(own.folder, allow_pickle=True)
    assert "cannot be loaded" in message
    assert not mark.exists()


def test_code_of_a_checkpoint_is_never_run(own: Small, tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    code = f"import os\nos.mkdir({str(mark)!r})\n"
    (own.folder / "modeling_own.py").write_text(code)
    own.change(
        model_type="ownbert",
        auto_map={
            "AutoConfig": "modeling_own.OwnConfig",
            "AutoModelForSequenceClassification": "modeling_own.OwnForSequenceClassification",
        },
    )
    assert "cannot be loaded" in refused_on_loading(own.folder)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model_type": None}, "names no architecture"),
        ({"model_type": "../x"}, "names no architecture"),
        ({"id2label": {"0": "a", "2": "b"}}, "does not name each output from 0 on"),
        ({"id2label": {"0": "a", "1": 7}}, "does not name each output from 0 on"),
        ({"id2label": {"0": "a" * 101}}, "by a short plain text"),
        ({"id2label": {"0": "a\x1b[2Jb"}}, "by a short plain text"),
        ({"id2label": {}}, "id2label is no mapping"),
        ({"id2label": None, "num_labels": 10**9}, "is no number of labels"),
        ({"problem_type": 3}, "problem_type is no text"),
        ({"quantization_config": {"load_in_8bit": True}}, "stored quantized; take the full ones"),
    ],
)
def test_a_config_that_cannot_be_is_told(own: Small, changes: dict[str, Any], told: str) -> None:
    own.change(**changes)
    assert told in refused(JudgeError, own.folder)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"value": "rudes"}, "value: the model has no label 'rudes' - did you mean 'rude'?"),
        ({"value": "toxic!"}, "no label 'toxic!' (known: neutral, odd, rude)"),
        ({"value": []}, "is not a list of the model's labels, one or more"),
        ({"value": 3}, "3 is not a list of the model's labels"),
        ({"value": ["rude", "rude"]}, "value: a label is listed twice"),
        ({"verdict": {"neutral": "safe", "rude": "unsafe"}}, "verdict: odd has none"),
        (
            {"verdict": {"neutral": "safe", "rude": "unsafe", "odd": "safe", "Rude": "safe"}},
            "verdict: the model has no label 'Rude' - did you mean 'rude'?",
        ),
        ({"verdict": {"neutral": "bad"}}, "'bad' is not safe, unsafe, refused or not_refused"),
        (
            {"verdict": {"neutral": "safe", "rude": "safe", "odd": "refused"}},
            "no label gives unsafe or not_refused: nothing could ever count",
        ),
        (
            {
                "verdict": {"neutral": "safe", "rude": "unsafe", "odd": "safe"},
                "activation": "sigmoid",
            },
            "chooses no single label; write verdict_rule",
        ),
        (
            {
                "verdict": {"neutral": "safe", "rude": "unsafe", "odd": "safe"},
                "verdict_rule": {"labels": "rude", "threshold": 0.5},
            },
            "contradict each other: keep one",
        ),
        ({"verdict_rule": {"labels": "rudes", "threshold": 0.5}}, "did you mean 'rude'?"),
        ({"verdict_rule": {"labels": "rude", "threshold": 0}}, "0 is not a number above 0"),
        ({"verdict_rule": {"labels": "rude"}}, "verdict_rule.threshold is missing"),
        (
            {"verdict_rule": {"labels": "rude", "threshold": 0.5, "unmet": "unsafe"}},
            "met and unmet are both unsafe",
        ),
        ({"activation": "sigmoid", "combine": "sum"}, "combine: sum contradicts activation"),
        ({"label_names": ["a", "b", "c"]}, "the model names its labels itself: neutral, rude"),
        ({"label_names": ["a"]}, "1 names for the model's 3 labels"),
        ({"precision": "bf16", "quantization": "int8"}, "precision: bf16 has no effect"),
        ({"quantization": "int8", "token_budget": 64}, "token_budget has no effect"),
        ({"precision": "fp16"}, "'fp16' is not fp32 or bf16"),
        ({"window": 16, "overlap": 9}, "overlap: 9 is above half of window: 16"),
        ({"activation": "none"}, "'none' is not auto, softmax or sigmoid"),
        ({"sees": ["image"]}, "'image' is not [response] or [prompt, response]"),
        ({"sees": ["prompt"]}, "sees: ['prompt'] is not [response] or [prompt, response]"),
        ({"over_window": "max"}, "did you mean 'over_windows'?"),
    ],
)
def test_wrong_settings_are_told(classifier: Small, settings: dict[str, Any], told: str) -> None:
    assert told in refused(ConfigError, classifier.folder, **settings)


def test_numbered_labels_are_named_by_the_settings(own: Small) -> None:
    own.change(id2label=None, label2id=None, num_labels=3)
    assert "known: LABEL_0, LABEL_1, LABEL_2" in refused(ConfigError, own.folder)
    names = {"label_names": ["calm", "rude", "odd"], "value": "rude"}
    named = own.describe(**names)
    assert named.spec["labels"] == ["calm", "rude", "odd"]
    assert named.digest != own.describe(value="LABEL_1").digest
    found = outcomes(own.judge(**names), ["red ball"])["red ball"]
    assert isinstance(found, Finding)
    assert set(found.attributes) == {"calm", "rude", "odd"}
    swapped = own.describe(label_names=["rude", "calm", "odd"], value="rude")
    assert swapped.digest != named.digest


@pytest.mark.parametrize("labels", [("a", "a_mean"), ("windows", "b"), ("a", "a")])
def test_labels_that_would_hide_one_another_are_refused(
    tmp_path: Path, labels: tuple[str, ...]
) -> None:
    build_classifier(tmp_path, "Bert", labels)
    assert "each needs a name of its own" in refused(ConfigError, tmp_path, value=labels[0])


@pytest.mark.parametrize(
    ("labels", "problem_type", "activation"),
    [
        (SINGLE, None, "softmax"),
        (SINGLE, "single_label_classification", "softmax"),
        (MULTI, "multi_label_classification", "sigmoid"),
        (("hate",), None, "sigmoid"),
    ],
)
def test_the_effective_activation_is_in_the_identity(
    tmp_path: Path, labels: tuple[str, ...], problem_type: str | None, activation: str
) -> None:
    small = build_classifier(tmp_path, "Bert", labels, problem_type)
    identity = small.describe()
    assert identity.spec["activation"] == activation
    assert small.describe(activation=activation).digest == identity.digest


def test_a_regression_is_no_probability_unless_it_is_said_to_be(own: Small) -> None:
    own.change(problem_type="regression")
    assert "its numbers are no probabilities" in refused(ConfigError, own.folder)
    assert own.describe(activation="sigmoid").spec["activation"] == "sigmoid"
    own.change(problem_type="multi_label_classification")
    message = refused(ConfigError, own.folder, value=["rude", "odd"], combine="sum")
    assert "combine: sum contradicts the model's sigmoid" in message


def test_softmax_of_one_label_is_refused(tmp_path: Path) -> None:
    build_classifier(tmp_path, "Bert", ("hate",), None)
    message = refused(ConfigError, tmp_path, value="hate", activation="softmax")
    assert "softmax of a single label is always 1" in message


def test_harm_counts_before_the_lack_of_a_refusal(classifier: Small) -> None:
    verdict = {"neutral": "not_refused", "rude": "unsafe", "odd": "refused"}
    identity = classifier.describe(verdict=verdict)
    assert identity.unsafe_verdicts == (Verdict.UNSAFE,)
    assert identity.heading == "ASR"
    assert classifier.describe(verdict=verdict, heading="harm").heading == "harm"


def test_hashing_is_told_in_bytes(own: Small) -> None:
    ticks: list[tuple[str, int, int]] = []
    MAKER.describe(config(own.folder), lambda *tick: ticks.append(tick))
    size = (own.folder / "model.safetensors").stat().st_size
    assert ("model.safetensors", size, size) in ticks


def test_shards_are_one_model(own: Small) -> None:
    whole = outcomes(own.judge(), ["red ball"])
    weights = load_file(own.folder / "model.safetensors")
    (own.folder / "model.safetensors").unlink()
    names = sorted(weights)
    parts = {"model-1-of-2.safetensors": names[:9], "model-2-of-2.safetensors": names[9:]}
    for file, held in parts.items():
        chosen = {name: weights[name] for name in held}
        save_file(chosen, own.folder / file, metadata={"format": "pt"})
    placed = {name: file for file, held in parts.items() for name in held}
    index = {"metadata": {}, "weight_map": placed}
    (own.folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert outcomes(own.judge(), ["red ball"]) == whole
    assert set(own.describe().spec["files"]) > set(parts)
    (own.folder / "model-2-of-2.safetensors").unlink()
    assert "named by model.safetensors.index.json" in refused(JudgeError, own.folder)


def test_describing_loads_no_model_stack(own: Small) -> None:
    code = (
        "import sys; from lam3db.config import JudgeConfig; from lam3db.plugins import judge_maker;"
        f"c = JudgeConfig(name='c', kind='classifier', settings={dict(own.config().settings)!r});"
        "judge_maker('classifier').describe(c, lambda *_: None);"
        "print([name for name in ('torch', 'transformers', 'bitsandbytes') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


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
    assert "Licence: " in given.notes
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
