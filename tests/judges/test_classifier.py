"""The classifier judge at work, held against transformers' own pipeline."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch
from small_classifier import ARCHITECTURES, LIMIT, MULTI, SINGLE, WORDS, Small, build_classifier
from small_detoxify import outcomes, quiet, sentences

from lam3db.config import JudgeConfig
from lam3db.errors import JudgeError
from lam3db.judges.classifier import MAKER
from lam3db.records import Failed, Finding, ScoreStatus, Sees, Subject, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lam3db.judges.classifier import ClassifierJudge

CLOSE = 1e-4
KINDS = {
    "single": (SINGLE, "single_label_classification"),
    "multi": (MULTI, "multi_label_classification"),
    "unsaid": (SINGLE, None),
    "one": (("hate",), None),
}
LONG = " ".join(WORDS * 7)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    return build_classifier(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def multi(tmp_path_factory: pytest.TempPathFactory) -> Small:
    return build_classifier(tmp_path_factory.mktemp("multi"), "Roberta", *KINDS["multi"])


def found_by(judge: ClassifierJudge, texts: list[str]) -> dict[str, Finding]:
    found = {}
    for text, outcome in outcomes(judge, texts).items():
        assert isinstance(outcome, Finding), outcome
        found[text] = outcome
    judge.close()
    return found


def pipeline_says(small: Small, texts: list[Any]) -> list[dict[str, float]]:
    """What transformers' own pipeline says of each text alone."""
    from transformers import pipeline

    ask = pipeline("text-classification", model=str(small.folder), top_k=None, device="cpu")
    said = [ask(text, truncation=True, max_length=LIMIT) for text in texts]
    flat = [one[0] if isinstance(one[0], list) else one for one in said]
    return [{row["label"]: row["score"] for row in rows} for rows in flat]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_probabilities_are_the_pipelines(tmp_path: Path, architecture: str, kind: str) -> None:
    small = build_classifier(tmp_path, architecture, *KINDS[kind])
    texts = sentences(16, 7)
    expected = pipeline_says(small, texts)
    found = found_by(small.judge(token_budget=60), texts)
    for text, scores in zip(texts, expected, strict=True):
        assert dict(found[text].attributes) == pytest.approx(scores, abs=CLOSE)
        assert found[text].value == found[text].attributes[KINDS[kind][0][0]]
        assert found[text].verdict is None
    values = [one.value for one in found.values() if one.value is not None]
    assert max(values) > min(values) + 0.05


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_longest_text_is_the_models(tmp_path: Path, architecture: str) -> None:
    judge = build_classifier(tmp_path, architecture).judge()
    assert judge.loaded.limit == LIMIT
    just, above = ("al" * (LIMIT - 2), "al" * (LIMIT - 1))
    if architecture != "Roberta":
        just, above = "red " * (LIMIT - 2), "red " * (LIMIT - 1)
    found = found_by(judge, [just, above])
    assert "windows" not in found[just].attributes
    assert found[above].attributes["windows"] == 2


def windows_of(small: Small, overlap: int) -> list[dict[str, float]]:
    """Scores of a long text's windows, cut by hand."""
    words, size = LONG.split(), LIMIT - 2
    starts = range(0, len(words) - overlap, size - overlap)
    pieces = [" ".join(words[start : start + size]) for start in starts]
    assert len(pieces) > 2
    return pipeline_says(small, pieces)


@pytest.mark.parametrize("over", ["max", "mean", "min"])
@pytest.mark.parametrize("combine", ["max", "sum"])
def test_windows_are_the_hand_computation(small: Small, over: str, combine: str) -> None:
    scores = windows_of(small, 10)
    settings = {"overlap": 10, "over_windows": over, "combine": combine, "value": ["odd", "rude"]}
    verdict = {"neutral": "safe", "rude": "unsafe", "odd": "unsafe"}
    finding = found_by(small.judge(**settings, verdict=verdict), [LONG])[LONG]
    attributes = dict(finding.attributes)
    assert attributes.pop("windows") == len(scores)
    for label in SINGLE:
        column = [one[label] for one in scores]
        assert attributes.pop(label) == pytest.approx(max(column), abs=CLOSE)
        assert attributes.pop(f"{label}_mean") == pytest.approx(
            sum(column) / len(column), abs=CLOSE
        )
    assert attributes == {}
    chosen = max if combine == "max" else math.fsum
    values = [chosen([one["rude"], one["odd"]]) for one in scores]
    value = {"max": max(values), "min": min(values), "mean": sum(values) / len(values)}[over]
    assert finding.value == pytest.approx(value, abs=CLOSE)
    if over != "mean":
        telling = scores[values.index(value)]
    else:
        telling = {label: math.fsum(one[label] for one in scores) for label in SINGLE}
    assert finding.verdict == verdict[max(telling, key=lambda label: telling[label])]
    how = {"max": "highest", "min": "lowest", "mean": "mean"}[over]
    assert finding.explanation == f"{how} over {len(scores)} windows of {LIMIT} tokens"


def test_the_end_of_a_very_long_text_counts(small: Small) -> None:
    one, other = "kind " * 3000, "kind " * 3000 + "rude liar " * 20
    found = found_by(small.judge(), [one, other])
    calm, rude = (dict(found[text].attributes) for text in (one, other))
    assert any(abs(rude[label] - calm[label]) > 0.02 for label in SINGLE)


def test_the_verdict_is_the_chosen_labels(small: Small) -> None:
    verdict = {"neutral": "not_refused", "rude": "refused", "odd": "refused"}
    texts = sentences(30, 8)
    judge = small.judge(value="neutral", verdict=verdict)
    found = found_by(judge, texts)
    for finding in found.values():
        chosen = max(SINGLE, key=lambda label: finding.attributes[label])
        assert finding.verdict == verdict[chosen]
        assert finding.value == finding.attributes["neutral"]
    assert {one.verdict for one in found.values()} == {Verdict.REFUSED, Verdict.NOT_REFUSED}
    identity = small.describe(value="neutral", verdict=verdict)
    assert identity.unsafe_verdicts == (Verdict.NOT_REFUSED,)
    assert identity.heading == "non-refusal"


def test_a_threshold_gives_the_verdict_of_a_multi_label_model(multi: Small) -> None:
    texts = sentences(30, 6)
    plain = found_by(multi.judge(), texts)
    highest = {t: max(f.attributes["insult"], f.attributes["threat"]) for t, f in plain.items()}
    middle = sorted(highest.values())[15]
    rule = {"labels": ["insult", "threat"], "threshold": middle}
    found = found_by(multi.judge(verdict_rule=rule), texts)
    for text in texts:
        if abs(highest[text] - middle) > CLOSE:
            expected = Verdict.UNSAFE if highest[text] > middle else Verdict.SAFE
            assert found[text].verdict is expected
    assert {one.verdict for one in found.values()} == {Verdict.UNSAFE, Verdict.SAFE}


def test_order_and_batches_change_nothing(multi: Small) -> None:
    texts = [*sentences(20, 60), LONG]
    judge = multi.judge(token_budget=150)
    together = outcomes(judge, texts)
    for other in (outcomes(judge, texts[::-1]), {t: outcomes(judge, [t])[t] for t in texts}):
        for text in texts:
            one, two = together[text], other[text]
            assert isinstance(one, Finding)
            assert isinstance(two, Finding)
            assert dict(one.attributes) == pytest.approx(dict(two.attributes), abs=CLOSE)
    judge.close()


def test_an_empty_response_is_no_evidence(small: Small) -> None:
    found = found_by(small.judge(), ["", " \n", "\x00", "red"])
    assert [found[text].status for text in ("", " \n", "\x00")] == [ScoreStatus.ABSTAINED] * 3
    assert found["red"].status is ScoreStatus.OK


def test_a_text_the_tokenizer_refuses_fails_alone(small: Small) -> None:
    found = outcomes(small.judge(), ["red ball", "a \ud800 b"])
    assert isinstance(found["a \ud800 b"], Failed)
    assert isinstance(found["red ball"], Finding)


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_what_is_no_number_is_a_failure(tmp_path: Path, kind: str) -> None:
    from safetensors.torch import load_file, save_file

    small = build_classifier(tmp_path, "Bert", *KINDS[kind])
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    weights["classifier.weight"] *= 3e38
    save_file(weights, path, metadata={"format": "pt"})
    found = outcomes(small.judge(), ["red ball", "kind"])
    assert {one.error_class for one in found.values() if isinstance(one, Failed)} == {
        "NotANumberError"
    }
    assert len([one for one in found.values() if isinstance(one, Failed)]) == 2


def differing(one: dict[str, Finding], other: dict[str, Finding]) -> list[float]:
    return [abs(float(one[text].value or 0) - float(other[text].value or 0)) for text in one]


def test_bf16_is_another_judge_that_says_nearly_the_same(small: Small) -> None:
    texts = sentences(20, 10)
    exact, rounded = found_by(small.judge(), texts), found_by(small.judge(precision="bf16"), texts)
    assert 0 < max(differing(exact, rounded)) < 0.1
    assert small.describe().digest != small.describe(precision="bf16").digest


def test_int8_is_another_judge_and_knows_no_batch_mates(small: Small) -> None:
    texts = sentences(20, 10)
    judge = small.judge(quantization="int8")
    together = outcomes(judge, texts)
    assert together == {text: outcomes(judge, [text])[text] for text in texts}
    exact = found_by(small.judge(), texts)
    packed = {text: one for text, one in together.items() if isinstance(one, Finding)}
    assert 0 < max(differing(exact, packed)) < 0.5
    assert small.describe().digest != small.describe(quantization="int8").digest
    judge.close()
    judge.close()


@pytest.mark.parametrize("architecture", ["Bert", "Roberta"])
def test_a_judge_of_pairs_reads_the_prompt_beside_the_response(
    tmp_path: Path, architecture: str
) -> None:
    small = build_classifier(tmp_path, architecture)
    judge = small.judge(sees=["prompt", "response"])
    assert small.describe(sees=["prompt", "response"]).sees == (Sees.PROMPT, Sees.RESPONSE)
    pairs = [("is red kind", "the cactus is rude"), ("a", "red"), ("red", "a")]
    subjects = [Subject(response, prompt=prompt) for prompt, response in pairs]
    expected = pipeline_says(small, [{"text": one, "text_pair": two} for one, two in pairs])
    found = dict(pair for batch in judge.judge(subjects) for pair in batch)
    for subject, scores in zip(subjects, expected, strict=True):
        outcome = found[subject]
        assert isinstance(outcome, Finding)
        assert dict(outcome.attributes) == pytest.approx(scores, abs=CLOSE)
    judge.close()


def test_a_long_response_is_cut_and_its_prompt_is_not(small: Small) -> None:
    judge = small.judge(sees=["prompt", "response"], overlap=5)
    long = Subject(LONG, prompt="is red kind")
    found = dict(pair for batch in judge.judge([long]) for pair in batch)
    finding = found[long]
    assert isinstance(finding, Finding)
    # three words of prompt and three special tokens leave 42 of 48, 37 of them new
    assert finding.attributes["windows"] == math.ceil((len(LONG.split()) - 5) / 37)
    judge.close()


def test_a_prompt_that_leaves_no_room_fails_alone(small: Small) -> None:
    judge = small.judge(sees=["prompt", "response"], overlap=5)
    fits, none = Subject("red ball", prompt="is red kind"), Subject("red ball")
    wordy = [Subject(LONG, prompt="red " * length) for length in range(38, LIMIT + 3)]
    found = dict(pair for batch in judge.judge([fits, none, *wordy]) for pair in batch)
    assert isinstance(found[fits], Finding)
    assert isinstance(found[none], Failed)
    assert isinstance(found[wordy[0]], Finding)  # 38 + 3 + 5 of 48: two new tokens a window
    assert isinstance(found[wordy[1]], Finding)
    for subject in wordy[2:]:
        failed = found[subject]
        assert isinstance(failed, Failed)
        assert "there is room for 39 of 48" in failed.message
        assert not failed.retryable
    judge.close()


def test_a_judge_is_the_same_wherever_its_files_lie(small: Small, tmp_path: Path) -> None:
    import shutil

    moved = Small(shutil.copytree(small.folder, tmp_path / "elsewhere"))
    assert moved.describe().digest == small.describe().digest
    (moved.folder / "README.md").write_text("Words.")
    (moved.folder / "training_args.bin").write_bytes(b"nothing that is loaded")
    assert moved.describe().digest == small.describe().digest
    assert moved.describe().version.startswith("bert@")
    assert len(moved.describe().version) == len("bert@1a2b3c4d")
    moved.change(problem_type=None)
    assert moved.describe().digest != small.describe().digest


def test_files_that_changed_since_are_refused(tmp_path: Path) -> None:
    small = build_classifier(tmp_path)
    identity = small.describe()
    small.change(hidden_dropout_prob=0.2)
    with pytest.raises(JudgeError, match="changed while it was being loaded"):
        MAKER.load(small.config(), identity, lambda _: None)  # type: ignore[arg-type]


@pytest.mark.usefixtures("no_network", "nothing_changed")
def test_nothing_is_fetched_and_nothing_stays_changed(
    small: Small, capfd: pytest.CaptureFixture[str]
) -> None:
    found_by(small.judge(), ["red ball"])
    found_by(small.judge(quantization="int8"), ["red ball"])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("quantization", ["none", "int8"])
def test_a_device_that_is_not_there_is_told(small: Small, quantization: str) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(JudgeError):
        small.judge(device="cuda", quantization=quantization)


def test_a_window_above_the_models_limit_is_refused(small: Small) -> None:
    with pytest.raises(JudgeError, match=f"window: 512 is above the {LIMIT} tokens"):
        small.judge(window=512)


def test_running_out_of_memory_halves_the_budget(small: Small) -> None:
    judge = small.judge()

    def scarce(_: Any, __: Any, given: dict[str, Any]) -> None:
        if given["input_ids"].numel() > 100:
            raise torch.OutOfMemoryError("out of memory")

    hook: Callable[..., Any] = judge.loaded.model.register_forward_pre_hook
    hook(scarce, with_kwargs=True)
    found_by(judge, sentences(30, 20))
    assert judge.budget <= 100


def test_a_judge_needs_no_more_than_its_name_and_files(small: Small) -> None:
    settings = {"source": str(small.folder), "value": "rude"}
    config = JudgeConfig(name="n", kind="classifier", settings=settings)
    identity = MAKER.describe(config, quiet)
    assert identity.heading == "rude"
    assert identity.unsafe_verdicts == ()
    assert identity.sees == (Sees.RESPONSE,)
