"""The moderation judge: scores by name, what does not apply absent, what is odd a failure."""

from __future__ import annotations

import base64
import copy
import io
import logging
from typing import TYPE_CHECKING, Any

import pytest
from faulty_server import Asked, FaultyServer, Play
from PIL import Image
from small_detoxify import no_image, quiet
from stub_apis import BY_IMAGE, moderate, moderation

from lam3db.config import JudgeConfig, load_judge_config
from lam3db.endpoints import retry
from lam3db.endpoints.images import LONGEST
from lam3db.errors import ConfigError, MediaError
from lam3db.judges.openai_moderation import CATEGORIES, MAKER
from lam3db.records import Failed, Finding, Sees, Subject, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

RED, BLUE, WIDE = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "BASE_S", 0.001)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")


def open_image(sha256: str) -> Image.Image:
    if sha256 == WIDE:
        return Image.new("RGB", (5000, 100), "white")
    if sha256 not in (RED, BLUE):
        raise MediaError("image is not in the media root")
    return Image.new("RGB", (8, 6), "red" if sha256 == RED else "blue")


def config(server: FaultyServer | None = None, **settings: Any) -> JudgeConfig:
    url = server.url if server else "https://api.openai.com/v1"
    block = {"url": url, "key_env": "OPENAI_API_KEY", "attempts": 3}
    return JudgeConfig(
        name="mod", kind="openai-moderation", settings={"endpoint": block} | settings
    )


def judged(
    script: Callable[[Asked], Play], *subjects: Subject, **settings: Any
) -> tuple[list[Finding | Failed], list[Asked]]:
    with FaultyServer(script) as server:
        one = config(server, **settings)
        judge = MAKER.load(one, MAKER.describe(one, quiet), open_image)
        found = {id(s): outcome for batch in judge.judge(subjects) for s, outcome in batch}
        judge.close()
        assert len(found) == len(subjects)
        return [found[id(subject)] for subject in subjects], server.asked


def only(outcomes: list[Finding | Failed]) -> Finding:
    (outcome,) = outcomes
    assert isinstance(outcome, Finding)
    return outcome


def test_a_text_has_all_thirteen_scores_by_name() -> None:
    found, asked = judged(moderate, Subject("hello"))
    finding = only(found)
    scores = moderation("hello")["results"][0]["category_scores"]
    assert dict(finding.attributes) == scores
    assert finding.value == max(scores.values())
    assert asked[0].target == "/v1/moderations"
    assert asked[0].body == {"model": "omni-moderation-2024-09-26", "input": "hello"}


def test_flagged_decides_the_verdict() -> None:
    texts = [Subject(f"text {number}") for number in range(30)]
    found, _ = judged(moderate, *texts)
    verdicts = set()
    for subject, finding in zip(texts, found, strict=True):
        flagged = moderation(subject.response)["results"][0]["flagged"]
        assert isinstance(finding, Finding)
        assert finding.verdict is (Verdict.UNSAFE if flagged else Verdict.SAFE)
        assert bool(finding.explanation) is flagged
        verdicts.add(finding.verdict)
    assert len(verdicts) == 2


def test_an_image_is_sent_as_it_is_seen_and_told_where_it_counted() -> None:
    found, asked = judged(moderate, Subject("hello", images=(RED,)), sees=("response", "image"))
    finding = only(found)
    assert {name for name in finding.attributes if name.endswith(":image")} == {
        f"{name}:image" for name in BY_IMAGE
    }
    text, image = asked[0].body["input"]
    assert text == {"type": "text", "text": "hello"}
    head, _, data = image["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert (picture.size, picture.getpixel((0, 0))) == ((8, 6), (255, 0, 0))


def test_several_images_are_asked_one_by_one_and_the_highest_counts() -> None:
    subject = Subject("hello", images=(RED, BLUE, RED))
    found, asked = judged(moderate, subject, sees=("response", "image"))
    finding = only(found)
    assert len(asked) == 2, "the same image twice is one question"
    replies = [moderate(one).body["results"][0] for one in asked]
    for name in CATEGORIES:
        assert finding.attributes[name] == max(one["category_scores"][name] for one in replies)
    unsafe = any(one["flagged"] for one in replies)
    assert finding.verdict is (Verdict.UNSAFE if unsafe else Verdict.SAFE)


def test_a_huge_image_is_made_smaller() -> None:
    _, asked = judged(moderate, Subject("hello", images=(WIDE,)), sees=("response", "image"))
    url = asked[0].body["input"][1]["image_url"]["url"]
    picture = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
    assert picture.size == (LONGEST, round(100 * LONGEST / 5000))


def test_an_image_that_is_gone_fails_its_subject_alone() -> None:
    subjects = [Subject("a", images=(RED, "0" * 64)), Subject("b", images=(BLUE,))]
    found, _ = judged(moderate, *subjects, sees=("response", "image"))
    assert isinstance(found[0], Failed)
    assert "media root" in found[0].message
    assert isinstance(found[1], Finding)


def test_an_image_is_not_opened_by_a_judge_that_does_not_see_it() -> None:
    with FaultyServer(moderate) as server:
        one = config(server)
        judge = MAKER.load(one, MAKER.describe(one, quiet), no_image)
        outcomes = [pair for batch in judge.judge([Subject("x", images=(RED,))]) for pair in batch]
        judge.close()
    assert isinstance(outcomes[0][1], Finding)


def changed(change: Callable[[dict[str, Any]], None]) -> Callable[[Asked], Play]:
    def script(asked: Asked) -> Play:
        body = copy.deepcopy(moderate(asked).body)
        change(body)
        return Play(body=body)

    return script


def result(body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = body["results"][0]
    return found


WRONG: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a score is text": lambda b: result(b)["category_scores"].update(hate="0.1"),
    "a score is true": lambda b: result(b)["category_scores"].update(hate=True),
    "a score is above 1": lambda b: result(b)["category_scores"].update(hate=1.5),
    "flagged is missing": lambda b: result(b).pop("flagged"),
    "a category is flagged and the whole is not": lambda b: (
        result(b).update(flagged=False),
        result(b)["categories"].update(violence=True),
    ),
    "flagged is text": lambda b: result(b).update(flagged="false"),
    "applied types are text": lambda b: result(b)["category_applied_input_types"].update(hate="x"),
    "no result": lambda b: b.update(results=[]),
    "two results": lambda b: b["results"].append(b["results"][0]),
    "nothing applies": lambda b: result(b).update(
        category_applied_input_types={name: [] for name in CATEGORIES}
    ),
    "a flood of categories": lambda b: result(b)["category_scores"].update(
        {f"c{n}": 0.5 for n in range(1000)}
    ),
    "an endless name": lambda b: result(b)["category_scores"].update({"c" * 100_000: 0.5}),
}


@pytest.mark.parametrize("name", WRONG)
def test_another_schema_is_a_failure_and_never_a_score(name: str) -> None:
    found, asked = judged(changed(WRONG[name]), Subject("hello"))
    (failed,) = found
    assert isinstance(failed, Failed)
    assert (failed.error_class, failed.retryable) == ("WrongSchemaError", True)
    assert len(failed.message) < 1200
    assert len(asked) == 3, "it was tried again"


@pytest.mark.parametrize(
    "change",
    [
        lambda scores: scores.pop("illicit"),
        lambda scores: scores.update(illicit=None),
    ],
)
def test_a_score_that_is_not_there_takes_no_verdict_with_it(change: Callable[[Any], Any]) -> None:
    def drop(body: dict[str, Any]) -> None:
        change(result(body)["category_scores"])
        result(body)["categories"]["illicit"] = None
        result(body)["flagged"] = True

    finding = only(judged(changed(drop), Subject("hello"))[0])
    assert finding.verdict is Verdict.UNSAFE
    assert finding.value is None, "the highest of the others might be too low"
    assert "illicit" not in finding.attributes
    assert len(finding.attributes) == 12
    assert "without illicit" in str(finding.explanation)


def test_a_server_that_tells_no_types_judges_text() -> None:
    def drop(body: dict[str, Any]) -> None:
        del result(body)["category_applied_input_types"]

    finding = only(judged(changed(drop), Subject("hello"))[0])
    assert finding.value is not None
    assert len(finding.attributes) == 13


def test_a_category_that_does_not_apply_is_absent() -> None:
    def drop(body: dict[str, Any]) -> None:
        result(body)["category_applied_input_types"]["hate"] = []
        result(body)["category_scores"]["hate"] = 0.0

    finding = only(judged(changed(drop), Subject("hello"))[0])
    assert "hate" not in finding.attributes
    assert len(finding.attributes) == 12


def test_an_unknown_category_is_kept_and_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)

    def add(body: dict[str, Any]) -> None:
        result(body)["category_scores"]["rudeness"] = 1.0
        result(body)["categories"]["rudeness"] = True

    found, _ = judged(changed(add), Subject("hello"), Subject("other"))
    for finding in found:
        assert isinstance(finding, Finding)
        assert finding.attributes["rudeness"] == 1.0
        assert finding.value is not None
        assert finding.value < 1.0, "the value is over the thirteen"
        assert "unknown here: rudeness" in str(finding.explanation)
    assert caplog.text.count("rudeness") == 1


def test_other_weights_are_a_failure() -> None:
    script = changed(lambda body: body.update(model="omni-moderation-2027-01-01"))
    (failed,) = judged(script, Subject("hello"))[0]
    assert isinstance(failed, Failed)
    assert failed.error_class == "OtherModelError"
    assert "omni-moderation-2027-01-01" in failed.message


def test_an_alias_is_refused_with_the_reason() -> None:
    with pytest.raises(ConfigError, match=r"no snapshot.*omni-moderation-2024-09-26"):
        MAKER.describe(config(model="omni-moderation-latest"), quiet)


def test_url_key_and_proxy_are_outside_of_the_identity() -> None:
    plain = MAKER.describe(config(), quiet).digest
    block = {"url": "http://127.0.0.1:1/v1", "key_env": "X", "proxy": "none", "concurrency": 2}
    assert MAKER.describe(config(endpoint=block), quiet).digest == plain
    assert MAKER.describe(config(sees=("response", "image")), quiet).digest != plain


def test_the_shipped_files() -> None:
    text, image = (load_judge_config(f"openai-moderation{end}") for end in ("", "-image"))
    assert MAKER.describe(text, quiet).sees == (Sees.RESPONSE,)
    assert MAKER.describe(image, quiet).sees == (Sees.RESPONSE, Sees.IMAGE)
