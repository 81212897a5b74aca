"""The Detoxify judge at work, held against the package itself on every architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from small_detoxify import LIMIT, WORDS, Checkpoint, build, outcomes, save_checkpoint, sentences

from lam3db.errors import ConfigError, JudgeError
from lam3db.judges.detoxify import MAKER
from lam3db.records import Failed, Finding, ScoreStatus, Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from lam3db.judges.detoxify import DetoxifyJudge

CLOSE = 1e-4


def package_scores(
    checkpoint: Checkpoint, folder: Path, texts: list[str]
) -> list[dict[str, float]]:
    """What ``detoxify.Detoxify.predict`` says of each text alone."""
    from detoxify import Detoxify
    from transformers.utils import logging

    loaded = torch.load(checkpoint.path, weights_only=True)
    loaded["config"]["arch"]["args"]["model_type"] = str(checkpoint.folder)
    path = folder / "for-the-package.ckpt"
    torch.save(loaded, path)
    logging.disable_progress_bar()
    package = Detoxify(checkpoint=str(path))
    return [package.predict(text) for text in texts]


def findings(judge: DetoxifyJudge, texts: list[str]) -> dict[str, Finding]:
    found = {}
    for text, outcome in outcomes(judge, texts).items():
        assert isinstance(outcome, Finding), outcome
        found[text] = outcome
    return found


@pytest.fixture(scope="module")
def small(bert: Checkpoint) -> Iterator[DetoxifyJudge]:
    judge = bert.judge()
    yield judge
    judge.close()


@pytest.fixture
def hooked(small: DetoxifyJudge) -> Iterator[Callable[[Callable[..., Any]], None]]:
    """Lets a test look at, or break, every forward pass of the real model."""
    handles = []

    def hook(before: Callable[..., Any]) -> None:
        def call(_: Any, __: Any, given: dict[str, Any]) -> None:
            before(given["input_ids"])

        handles.append(small.loaded.model.register_forward_pre_hook(call, with_kwargs=True))

    budget = small.budget
    yield hook
    small.budget = budget
    for handle in handles:
        handle.remove()


def test_scores_are_the_packages_on_every_architecture(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    texts = sentences(24, 9)
    expected = package_scores(checkpoint, tmp_path, texts)
    found = findings(checkpoint.judge(token_budget=60), texts)
    for text, scores in zip(texts, expected, strict=True):
        assert dict(found[text].attributes) == pytest.approx(scores, abs=CLOSE)
        assert found[text].value == found[text].attributes["toxicity"]
        assert found[text].verdict is None
    assert max(one["toxicity"] for one in expected) > min(one["toxicity"] for one in expected) + 0.1


def test_the_limit_is_the_models_even_where_the_tokenizer_tells_none(
    checkpoint: Checkpoint,
) -> None:
    judge = checkpoint.judge()
    assert judge.loaded.limit == LIMIT
    judge.close()


def test_a_long_text_has_the_highest_score_of_its_windows(bert: Checkpoint, tmp_path: Path) -> None:
    words = WORDS * 6
    size, overlap = LIMIT - 2, 10
    starts = range(0, len(words) - overlap, size - overlap)
    pieces = [" ".join(words[start : start + size]) for start in starts]
    scores = package_scores(bert, tmp_path, pieces)
    assert len(pieces) == 3
    found = findings(bert.judge(overlap=overlap), [" ".join(words)])[" ".join(words)]
    assert found.attributes["windows"] == 3
    assert found.explanation == f"highest over 3 windows of {LIMIT} tokens"
    for name in scores[0]:
        highest = max(one[name] for one in scores)
        assert found.attributes[name] == pytest.approx(highest, abs=CLOSE)
    assert found.value != pytest.approx(scores[0]["toxicity"], abs=CLOSE)  # what the package says


def test_the_end_of_a_very_long_text_counts(small: DetoxifyJudge) -> None:
    one, other = "kind " * 3000, "kind " * 3000 + "rude liar " * 20
    found = findings(small, [one, other])
    calm, rude = dict(found[one].attributes), dict(found[other].attributes)
    assert rude.pop("windows") > calm.pop("windows")
    assert any(rude[name] > calm[name] + 0.05 for name in calm)


def test_a_text_that_just_fits_is_one_window(small: DetoxifyJudge) -> None:
    just, above = " ".join(["red"] * (LIMIT - 2)), " ".join(["red"] * (LIMIT - 1))
    found = findings(small, [just, above])
    assert "windows" not in found[just].attributes
    assert found[above].attributes["windows"] == 2


def test_identical_texts_are_judged_once(
    small: DetoxifyJudge, hooked: Callable[[Callable[..., Any]], None]
) -> None:
    rows: list[int] = []
    hooked(lambda tokens: rows.append(len(tokens)))
    subjects = [Subject(text, prompt=str(n)) for n in range(5) for text in ("a ball", "the cactus")]
    answered = [pair for batch in small.judge(subjects) for pair in batch]
    assert sum(rows) == 2
    assert len(answered) == 10
    assert {subject.digest for subject, _ in answered} == {subject.digest for subject in subjects}


def test_batches_keep_within_the_budget_and_pad_little(
    small: DetoxifyJudge, hooked: Callable[[Callable[..., Any]], None]
) -> None:
    shapes: list[tuple[int, int]] = []
    hooked(lambda tokens: shapes.append(tuple(tokens.shape)))
    small.budget = 64
    texts = sentences(40, 40)
    findings(small, texts)
    assert all(rows * longest <= 64 for rows, longest in shapes)
    assert [longest for _, longest in shapes] == sorted((n for _, n in shapes), reverse=True)
    assert len(shapes) < len(texts)


@pytest.mark.parametrize("text", ["", " \n", "\x00", "\ud800"])
def test_an_empty_response_is_no_evidence(small: DetoxifyJudge, text: str) -> None:
    finding = findings(small, [text, "red ball"])[text]
    assert finding.status is ScoreStatus.ABSTAINED
    assert finding.explanation == "empty response"


def test_a_text_the_tokenizer_drops_is_no_evidence(small: DetoxifyJudge) -> None:
    finding = findings(small, ["\ufffd", "red ball"])["\ufffd"]
    assert finding.status is ScoreStatus.ABSTAINED
    assert "tokenizer" in str(finding.explanation)


def test_a_text_the_tokenizer_refuses_fails_alone(small: DetoxifyJudge) -> None:
    found = outcomes(small, ["red ball", "a \ud800 b", "rude"])
    failed = found.pop("a \ud800 b")
    assert isinstance(failed, Failed)
    assert "surrogates not allowed" in failed.message
    assert not failed.retryable
    assert all(isinstance(outcome, Finding) for outcome in found.values())


def test_a_failing_batch_is_asked_one_by_one(
    small: DetoxifyJudge, hooked: Callable[[Callable[..., Any]], None]
) -> None:
    liar = small.loaded.tokenizer.convert_tokens_to_ids("liar")

    def broken(tokens: torch.Tensor) -> None:
        if (tokens == liar).any():
            raise ValueError("no liars")

    hooked(broken)
    texts = ["red ball", "a liar", "the cactus", "kind"]
    found = outcomes(small, texts)
    failed = found.pop("a liar")
    assert isinstance(failed, Failed)
    assert (failed.error_class, failed.message) == ("ValueError", "no liars")
    assert all(isinstance(outcome, Finding) for outcome in found.values())


def test_one_failing_window_fails_its_text_only(
    small: DetoxifyJudge, hooked: Callable[[Callable[..., Any]], None]
) -> None:
    liar = small.loaded.tokenizer.convert_tokens_to_ids("liar")

    def broken(tokens: torch.Tensor) -> None:
        if (tokens == liar).any():
            raise ValueError("no liars")

    hooked(broken)
    long = "red " * 200 + "liar"
    found = outcomes(small, [long, "kind"])
    assert isinstance(found[long], Failed)
    assert isinstance(found["kind"], Finding)


def test_running_out_of_memory_halves_the_budget(
    small: DetoxifyJudge, hooked: Callable[[Callable[..., Any]], None]
) -> None:
    passed: list[int] = []

    def scarce(tokens: torch.Tensor) -> None:
        if tokens.numel() > 100:
            raise torch.OutOfMemoryError("out of memory")
        passed.append(tokens.numel())

    texts = sentences(30, 20)
    calm = findings(small, texts)
    hooked(scarce)
    found = findings(small, texts)
    assert small.budget <= 100
    assert max(passed) > 25
    for text in texts:
        assert found[text].value == pytest.approx(calm[text].value, abs=CLOSE)


def test_a_single_text_too_large_for_the_memory_is_a_failure_to_try_again(
    small: DetoxifyJudge, hooked: Callable[[Callable[..., Any]], None]
) -> None:
    def scarce(tokens: torch.Tensor) -> None:
        if tokens.shape[1] > 10:
            raise torch.OutOfMemoryError("out of memory")

    hooked(scarce)
    found = outcomes(small, ["red", " ".join(["red"] * 20)])
    failed = found[" ".join(["red"] * 20)]
    assert isinstance(failed, Failed)
    assert failed.retryable
    assert isinstance(found["red"], Finding)


def test_what_is_no_number_is_a_failure(bert: Checkpoint, tmp_path: Path) -> None:
    loaded = torch.load(bert.path, weights_only=True)
    # sums of these are infinite, which a sigmoid would turn into 0 and 1
    loaded["state_dict"]["classifier.weight"] *= 3e38
    config = loaded["config"]
    path = save_checkpoint(
        tmp_path, config["arch"]["args"], config["dataset"]["args"]["classes"], loaded["state_dict"]
    )
    judge = Checkpoint(path, bert.folder, bert.base).judge()
    found = outcomes(judge, ["red ball", "kind"])
    assert {type(outcome) for outcome in found.values()} == {Failed}
    assert {one.error_class for one in found.values() if isinstance(one, Failed)} == {
        "NotANumberError"
    }


def test_bf16_is_another_judge_that_says_nearly_the_same(
    bert: Checkpoint, small: DetoxifyJudge
) -> None:
    texts = sentences(10, 10)
    exact, rounded = findings(small, texts), findings(bert.judge(bf16=True), texts)
    apart = [abs(float(exact[one].value or 0) - float(rounded[one].value or 0)) for one in texts]
    assert 0 < max(apart) < 0.05


@pytest.mark.usefixtures("no_network", "nothing_changed")
def test_nothing_is_fetched_and_nothing_stays_changed(bert: Checkpoint) -> None:
    findings(bert.judge(), ["red ball"])


def test_loading_prints_nothing(bert: Checkpoint, capfd: pytest.CaptureFixture[str]) -> None:
    bert.judge()
    assert capfd.readouterr() == ("", "")


def test_files_that_changed_since_are_refused(tmp_path: Path) -> None:
    checkpoint = build("Bert", tmp_path)
    identity = MAKER.describe(checkpoint.config(), lambda *_: None)
    config = checkpoint.folder / "config.json"
    config.write_text(config.read_text() + "\n")
    with pytest.raises(JudgeError, match="changed while it was being loaded"):
        MAKER.load(checkpoint.config(), identity, lambda _: None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"variants": "original"}, "did you mean 'variant'?"),
        ({"variant": "orginal"}, "'orginal' is not original or unbiased or multilingual"),
        ({"device": "gpu"}, "'gpu' is not auto, cpu, cuda or cuda:0"),
        ({"window": 4}, "4 is not a whole number from 8"),
        ({"window": 16, "overlap": 9}, "overlap: 9 is above half of window: 16"),
        ({"bf16": "yes"}, "'yes' is not true or false"),
        ({"token_budget": 0}, "0 is not a whole number from 1"),
    ],
)
def test_wrong_settings_are_told(bert: Checkpoint, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        MAKER.describe(bert.config(**settings), lambda *_: None)
    assert told in str(error.value)


def test_a_window_above_the_models_limit_is_refused(bert: Checkpoint) -> None:
    with pytest.raises(JudgeError, match=f"window: 512 is above the {LIMIT} tokens"):
        bert.judge(window=512)


def test_a_device_that_is_not_there_is_told(bert: Checkpoint) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(JudgeError, match="device cuda"):
        bert.judge(device="cuda")


def all_of(batches: Sequence[Any]) -> list[Any]:
    return [pair for batch in batches for pair in batch]


def test_no_subject_no_batch(small: DetoxifyJudge) -> None:
    assert all_of(list(small.judge([]))) == []
