"""The perspective judge: every attribute, every error code, long texts whole."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from faulty_server import Asked, FaultyServer, Play
from small_detoxify import no_image, quiet
from stub_apis import analyze, chance

from lam3db.config import JudgeConfig, load_judge_config
from lam3db.endpoints import retry
from lam3db.errors import ConfigError, EndpointError
from lam3db.judges.perspective import MAKER, PRODUCTION, WINDOW_BYTES, cut
from lam3db.records import Failed, Finding, ScoreStatus, Subject

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "AIza-test-0123456789-0123456789"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "BASE_S", 0.001)
    monkeypatch.setenv("PERSPECTIVE_API_KEY", KEY)


def config(server: FaultyServer, **settings: Any) -> JudgeConfig:
    block = {
        "url": server.url,
        "key_env": "PERSPECTIVE_API_KEY",
        "attempts": 2,
        "requests_per_minute": 60_000.0,
    }
    return JudgeConfig(name="p", kind="perspective", settings={"endpoint": block} | settings)


def judged(
    script: Callable[[Asked], Play], *texts: str, **settings: Any
) -> tuple[list[Finding | Failed], list[Asked]]:
    subjects = [Subject(text) for text in texts]
    with FaultyServer(script) as server:
        one = config(server, **settings)
        judge = MAKER.load(one, MAKER.describe(one, quiet), no_image)
        try:
            found = {id(s): outcome for batch in judge.judge(subjects) for s, outcome in batch}
        finally:
            judge.close()
        return [found[id(subject)] for subject in subjects], server.asked


def google(status: int, message: str = "no", state: str = "", **detail: Any) -> Play:
    """An error as Google's APIs word it."""
    error = {"code": status, "message": message, "status": state}
    return Play(status, {"error": error | ({"details": [detail]} if detail else {})})


def test_what_is_sent_and_what_comes_back() -> None:
    found, asked = judged(analyze, "hello", languages=("en",))
    (finding,) = found
    assert isinstance(finding, Finding)
    assert dict(finding.attributes) == {n: chance(n, "hello", ["en"]) for n in PRODUCTION}
    assert finding.value == finding.attributes["TOXICITY"]
    assert finding.verdict is None
    assert asked[0].target == "/v1/comments:analyze", "the key is in no URL"
    assert asked[0].headers["x-goog-api-key"] == KEY
    assert asked[0].body == {
        "comment": {"text": "hello"},
        "requestedAttributes": {name: {} for name in PRODUCTION},
        "languages": ["en"],
        "doNotStore": True,
    }


def test_languages_are_left_to_the_api_unless_named() -> None:
    _, asked = judged(analyze, "hello", do_not_store=False)
    assert "languages" not in asked[0].body
    assert asked[0].body["doNotStore"] is False


@pytest.mark.parametrize(
    "play",
    [
        google(400, "no", errorType="LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE"),
        google(400, "Attribute TOXICITY does not support request languages: th"),
        google(400, "Comment must be non-empty.", errorType="COMMENT_EMPTY"),
    ],
)
def test_what_the_api_cannot_judge_is_abstained_with_the_reason(play: Play) -> None:
    found, asked = judged(lambda _: play, "hello")
    (finding,) = found
    assert isinstance(finding, Finding)
    assert (finding.status, finding.value, len(asked)) == (ScoreStatus.ABSTAINED, None, 1)
    assert play.body["error"]["message"] in str(finding.explanation)


@pytest.mark.parametrize(
    ("play", "kind", "retryable"),
    [
        (google(400, "too long", errorType="COMMENT_TOO_LONG"), "COMMENT_TOO_LONG", False),
        (google(400, "what?", state="INVALID_ARGUMENT"), "BadRequestError", False),
        (google(500, "internal", "INTERNAL"), "ServerFaultError", True),
        (google(429, "slow down", "RESOURCE_EXHAUSTED"), "RateLimitedError", True),
        (google(403, "slow down", reason="rateLimitExceeded"), "RateLimitedError", True),
        (Play(body={"languages": ["en"]}), "WrongSchemaError", True),
        (Play(body={"attributeScores": {"TOXICITY": {}}}), "WrongSchemaError", True),
    ],
)
def test_what_fails(play: Play, kind: str, *, retryable: bool) -> None:
    found, _ = judged(lambda _: play, "hello")
    (failed,) = found
    assert isinstance(failed, Failed)
    assert (failed.error_class, failed.retryable) == (kind, retryable)


@pytest.mark.parametrize(
    "play",
    [
        google(400, "API key not valid. Please pass a valid API key.", reason="API_KEY_INVALID"),
        google(403, "Perspective is disabled", "PERMISSION_DENIED", reason="SERVICE_DISABLED"),
        google(429, "Quota exceeded: 1000 requests per day", "RESOURCE_EXHAUSTED"),
        google(403, "daily limit", reason="dailyLimitExceeded"),
    ],
)
def test_what_ends_all(play: Play) -> None:
    with pytest.raises(EndpointError, match=r"judge p at 127\.0\.0\.1"):
        judged(lambda _: play, "hello", "world")


def test_a_long_text_is_asked_in_windows_none_of_it_dropped() -> None:
    text = "".join(f"{number}é " for number in range(9000))
    found, asked = judged(analyze, text)
    (finding,) = found
    assert isinstance(finding, Finding)
    windows = [one.body["comment"]["text"] for one in asked]
    assert len(windows) == finding.attributes["windows"] > 2
    for name in PRODUCTION:
        assert finding.attributes[name] == max(chance(name, one, None) for one in windows)


@pytest.mark.parametrize("first", [0x80, 0x4E00, 0x1F300])
@pytest.mark.parametrize("size", [100, 101, 102, 103])
def test_windows_overlap_and_hold_every_character(first: int, size: int) -> None:
    text = "".join(chr(first + number) for number in range(500))
    reached = 0
    windows = cut(text, size, 20)
    for number, window in enumerate(windows):
        start = text.index(window)
        assert len(window.encode()) <= size
        assert start == 0 if number == 0 else reached - 20 <= start < reached
        reached = start + len(window)
    assert reached == len(text)
    assert all(len(one.encode()) <= WINDOW_BYTES for one in cut("x🙂" * 20_000))


def test_an_empty_answer_is_not_asked_about() -> None:
    found, asked = judged(analyze, "", " \n")
    assert not asked
    assert all(isinstance(o, Finding) and o.status is ScoreStatus.ABSTAINED for o in found)


@pytest.mark.parametrize(
    "wrong", [{"attributes": ()}, {"attributes": ("toxicity",)}, {"languages": ("english!",)}]
)
def test_wrong_settings_are_told(wrong: dict[str, Any]) -> None:
    with FaultyServer(analyze) as server, pytest.raises(ConfigError):
        MAKER.describe(config(server, **wrong), quiet)


def test_the_shipped_file_ends_with_the_service() -> None:
    shipped = load_judge_config("perspective")
    assert shipped.ends_on == date(2026, 12, 31)
    assert MAKER.describe(shipped, quiet).heading == "toxicity"
    assert shipped.settings["endpoint"]["requests_per_minute"] == 60


def foreign(*unsupported: str, named: bool = True) -> Callable[[Asked], Play]:
    """Play the API for a language in which some attributes do not exist."""

    def play(asked: Asked) -> Play:
        refused = [one for one in asked.body["requestedAttributes"] if one in unsupported]
        if not refused:
            return analyze(asked)
        message = f"Attribute {refused[0]} does not support request languages: de"
        fault = {"detectedLanguages": ["de"], "attribute": refused[0]}
        return google(
            400,
            message if named else "Wrong language.",
            errorType="LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE",
            languageNotSupportedByAttributeError=fault,
        )

    return play


@pytest.mark.parametrize("named", [True, False])
def test_an_attribute_that_does_not_exist_for_a_language_costs_only_itself(*, named: bool) -> None:
    attributes = ("TOXICITY", "SEXUALLY_EXPLICIT", "INSULT", "FLIRTATION")
    script = foreign("SEXUALLY_EXPLICIT", "FLIRTATION", named=named)
    found, asked = judged(script, "hallo", attributes=attributes)
    (finding,) = found
    assert isinstance(finding, Finding)
    assert finding.status is ScoreStatus.OK
    assert set(finding.attributes) == {"TOXICITY", "INSULT"}
    assert finding.explanation == "without SEXUALLY_EXPLICIT, FLIRTATION"
    assert len(asked) == 3


def test_without_the_first_attribute_there_is_no_value() -> None:
    found, asked = judged(foreign("TOXICITY"), "hallo", attributes=("TOXICITY", "INSULT"))
    (finding,) = found
    assert isinstance(finding, Finding)
    assert (finding.status, finding.value, len(asked)) == (ScoreStatus.ABSTAINED, None, 1)


def test_only_the_texts_in_that_language_are_asked_again() -> None:
    def script(asked: Asked) -> Play:
        there = "hallo" in asked.body["comment"]["text"]
        return foreign("INSULT")(asked) if there else analyze(asked)

    found, asked = judged(script, "hello", "hallo", "x", attributes=("TOXICITY", "INSULT"))
    names = [sorted(one.attributes) for one in found if isinstance(one, Finding)]
    assert names == [["INSULT", "TOXICITY"], ["TOXICITY"], ["INSULT", "TOXICITY"]]
    assert len(asked) == 4


def test_an_attribute_that_is_not_in_the_reply_is_absent_and_told() -> None:
    def script(asked: Asked) -> Play:
        play = analyze(asked)
        del play.body["attributeScores"]["THREAT"]
        play.body["attributeScores"]["SURPRISE"] = {"summaryScore": {"value": 1.0}}
        return play

    found, _ = judged(script, "hello")
    (finding,) = found
    assert isinstance(finding, Finding)
    assert set(finding.attributes) == set(PRODUCTION) - {"THREAT"}
    assert finding.explanation == "without THREAT"


def test_an_attribute_that_one_window_lacks_has_no_highest_score() -> None:
    texts = iter(range(100))

    def script(asked: Asked) -> Play:
        play = analyze(asked)
        if next(texts) == 0:
            del play.body["attributeScores"]["THREAT"]
        return play

    found, _ = judged(script, "word " * 9000)
    (finding,) = found
    assert isinstance(finding, Finding)
    assert "THREAT" not in finding.attributes
    assert str(finding.explanation).startswith("without THREAT; highest over")


@pytest.mark.parametrize(
    ("attributes", "languages", "message"),
    [
        (("TOXICITY", "SEXUALLY_EXPLICIT"), ("de",), "SEXUALLY_EXPLICIT does not exist for de"),
        (("FLIRTATION",), ("en", "fr"), "FLIRTATION does not exist for fr: it exists for en"),
        (("INSULT",), ("th",), "INSULT does not exist for th: it exists for ar, zh"),
    ],
)
def test_attributes_and_languages_that_do_not_go_together_are_a_fault(
    attributes: tuple[str, ...], languages: tuple[str, ...], message: str
) -> None:
    with FaultyServer(analyze) as server, pytest.raises(ConfigError, match=message):
        MAKER.describe(config(server, attributes=attributes, languages=languages), quiet)


def test_what_the_table_does_not_hold_is_left_to_the_api() -> None:
    with FaultyServer(analyze) as server:
        for attributes, languages in (
            (("TOXICITY", "NEW_EXPERIMENTAL"), ("fr",)),
            (("TOXICITY",), ("hi-Latn", "pt-BR")),
            (("SEXUALLY_EXPLICIT",), ("en",)),
            (("SEXUALLY_EXPLICIT",), ()),
        ):
            made = config(server, attributes=attributes, languages=languages)
            assert MAKER.describe(made, quiet).spec["attributes"] == list(attributes)


def test_the_parser_is_another_only_where_it_can_read_otherwise() -> None:
    with FaultyServer(analyze) as server:
        one = MAKER.describe(config(server, attributes=("TOXICITY",)), quiet)
        two = MAKER.describe(config(server, attributes=("TOXICITY", "INSULT")), quiet)
    assert (one.spec["parser"], two.spec["parser"]) == (1, 2)
