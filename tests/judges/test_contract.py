"""What holds for every judge of the name table, whatever it is.

A new kind of judge needs a case here: which settings change its findings and which do not.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
import stub_apis
from faulty_server import FaultyServer
from opinions import DIGESTS, shown
from small_detoxify import no_image, outcomes, quiet, sentences

from lam3db.config import JudgeConfig, Policy
from lam3db.errors import ConfigError
from lam3db.plugins import JUDGE_KINDS, judge_maker
from lam3db.records import Failed, Finding, Sees

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from small_classifier import Small
    from small_detoxify import Checkpoint

TEXTS = [
    *sentences(12, 30),
    "I cannot do that.",
    "Sure, here is a cactus.",
    "My apologies, nothing of the kind.",
    "such as an apple",
    "I'm sorry, but as an AI I do not insult a cactus.",
    "I\u2019m sorry, no.",
    "kind " * 300,
    "",
    "\n \t",
    "\x00",
    "red\x00ball",
    "a lone \ud83d half",
    "\ufffd",
    "不，我不能。🙂",  # noqa: RUF001 - that is how it is written
    "a\u0301" * 100,
    "x" * 20_000,
]


@dataclass(frozen=True)
class Case:
    """A kind of judge: settings that work, and others that do or do not change a finding."""

    settings: Mapping[str, Any]
    telling: tuple[Mapping[str, Any], ...]
    idle: tuple[Mapping[str, Any], ...]
    address: tuple[str, int] | None = None
    """Of its endpoint: the only one it may connect to."""
    sees: tuple[Sees, ...] = (Sees.RESPONSE,)

    def config(self, kind: str, **changed: Any) -> JudgeConfig:
        return JudgeConfig(name="case", kind=kind, settings=dict(self.settings) | changed)


def _llm(folder: Path) -> Case:
    model = {"source": str(folder), "precision": "fp32", "device_map": "cpu"}
    odds = {"by": "odds", "words": {"safe": "safe", "unsafe": "unsafe"}, "minimum_mass": 1e-9}
    asks = [{"role": "user", "text": "Is it safe? <answer>{response}</answer>"}]
    return Case(
        {"model": model, "template": asks, "output": odds},
        (
            {"template": [asks[0] | {"text": "Safe? {response}"}]},
            {"prefill": "It is"},
            {"delimiters": ["kind"]},
            {"model": model | {"precision": "bf16"}},
            {"model": model | {"template_arguments": {"guideline": "be kind"}}},
            {"model": model | {"template": "raw"}},
            {"output": odds | {"minimum_mass": 0.99}},
            {"output": odds | {"words": {"safe": "unsafe", "unsafe": "safe"}}},
            {"output": odds | {"words": {"safe": 0, "unsafe": 1.5}}},
            {
                "output": {
                    "by": "text",
                    "parser": "regex",
                    "pattern": "(?P<it>safe|unsafe)",
                    "verdict": "it",
                    "verdicts": {"safe": "safe", "unsafe": "unsafe"},
                }
            },
        ),
        (
            {"model": model | {"batch_size": 3}},
            {"model": model | {"device_map": "auto"}},
            {"heading": "harm"},
        ),
    )


@pytest.fixture(scope="session")
def api() -> Iterator[FaultyServer]:
    """A server that plays the judging APIs, all being well."""
    with FaultyServer(stub_apis.play) as server:
        yield server


@pytest.fixture
def case(
    request: pytest.FixtureRequest,
    bert: Checkpoint,
    classifier: Small,
    api: FaultyServer,
    random_causal: Path,
) -> Case:
    asks = {"url": api.url, "requests_per_minute": 1e6}
    address = ("127.0.0.1", api.port)
    detoxify = {"checkpoint": str(bert.path), "config_path": str(bert.folder), "device": "cpu"}
    cases = {
        "null": Case({}, ({"fail": 2}, {"unparsed": 3}), ({"delay_ms": 1},)),
        "refusal": Case(
            {"preset": "gcg"},
            (
                {"preset": "autodan"},
                {"preset": None, "phrases": ["cactus"]},
                {"preset": None, "must_match": ["cactus"]},
                {"case_sensitive": False},
                {"first_chars": 3},
                {"fold": "typographic"},
            ),
            ({"case_sensitive": True}, {"first_chars": None}),
        ),
        "classifier": Case(
            dict(classifier.config().settings),
            (
                {"value": "rude"},
                {"value": ["neutral", "rude"], "combine": "sum"},
                {"activation": "sigmoid"},
                {"verdict": {"neutral": "unsafe", "rude": "safe", "odd": "safe"}},
                {"verdict_rule": {"labels": "rude", "threshold": 0.5}},
                {"over_windows": "mean"},
                {"over_windows": "min"},
                {"window": 20, "overlap": 5},
                {"precision": "bf16"},
                {"quantization": "int8"},
                {"sees": ["prompt", "response"]},
            ),
            (
                {"activation": "softmax"},
                {"combine": "sum"},
                {"label_names": ["neutral", "rude", "odd"]},
                {"heading": "rudeness"},
                {"sees": ["response"]},
                {"allow_pickle": True},
                {"token_budget": 7},
                {"device": "auto"},
            ),
        ),
        "detoxify": Case(
            detoxify,
            ({"bf16": True}, {"window": 20, "overlap": 5}, {"overlap": 3}),
            ({"token_budget": 7}, {"variant": "original-small"}, {"device": "auto"}),
        ),
        "llm": _llm(random_causal),
        "openai-moderation": Case(
            {"endpoint": asks},
            ({"model": "omni-moderation-2027-01-01"},),
            ({"endpoint": asks | {"concurrency": 1, "proxy": "none"}}, {"sees": ("response",)}),
            address,
        ),
        "perspective": Case(
            {"endpoint": asks},
            ({"attributes": ("INSULT", "TOXICITY")}, {"languages": ("fr",)}),
            ({"endpoint": asks | {"concurrency": 1, "attempts": 2}}, {"do_not_store": False}),
            address,
        ),
    }
    cases["ensemble"] = ensemble()
    assert set(cases) == set(JUDGE_KINDS), "every kind of judge needs a case"
    found: Case = cases[request.param]
    return found


def ensemble() -> Case:
    """Three members, of which the last gives values only."""
    one, two, three = DIGESTS
    verdicts = {one: ("unsafe",), two: ("unsafe", "not_refused")}
    settings = {
        "rule": "majority",
        "members": (one, two, three),
        "unsafe_verdicts": verdicts,
        "thresholds": {three: {"threshold": 0.5}},
    }
    weights = {one: 1.0, two: 1.0, three: 4.0}
    return Case(
        settings,
        (
            {"rule": "any"},
            {"rule": "all"},
            {"rule": "weighted", "weights": weights},
            {"rule": "mean", "thresholds": {}},
            {"members": (one, two), "thresholds": {}},
            {"unsafe_verdicts": verdicts | {one: ("safe",)}},
            {"thresholds": {three: {"threshold": 0.7}}},
            {"minimum_votes": 3},
            {"minimum_confidence": 0.9},
        ),
        (
            {"members": (three, two, one)},
            {"minimum_votes": 2},
            {"minimum_confidence": 0.0},
            {"unsafe_verdicts": dict(reversed(verdicts.items()))},
        ),
        sees=(Sees.FINDINGS,),
    )


def described(kind: str, config: JudgeConfig) -> Any:
    return judge_maker(kind).describe(config, quiet)


def findings(kind: str, config: JudgeConfig, texts: list[str]) -> dict[str, Finding | Failed]:
    judge = judge_maker(kind).load(config, described(kind, config), no_image)
    try:
        return outcomes(judge, texts, shown)
    finally:
        judge.close()


def alike(one: Finding | Failed, other: Finding | Failed) -> bool:
    """Tell whether two outcomes are the same but for the last digits of their numbers."""
    if isinstance(one, Failed) or isinstance(other, Failed):
        return one == other
    return (one.status, one.verdict, one.explanation, one.value is None) == (
        other.status,
        other.verdict,
        other.explanation,
        other.value is None,
    ) and dict(one.attributes) | {"": one.value or 0} == pytest.approx(
        dict(other.attributes) | {"": other.value or 0}, abs=1e-4
    )


def same(one: dict[str, Finding | Failed], other: dict[str, Finding | Failed]) -> bool:
    return one.keys() == other.keys() and all(alike(one[text], other[text]) for text in one)


every_kind = pytest.mark.parametrize(
    ("case", "kind"), [(kind, kind) for kind in JUDGE_KINDS], indirect=["case"], ids=JUDGE_KINDS
)


@every_kind
def test_a_setting_that_can_change_a_finding_is_in_the_identity(case: Case, kind: str) -> None:
    plain = case.config(kind)
    identity, found = described(kind, plain), findings(kind, plain, TEXTS)
    for change in case.telling:
        changed = case.config(kind, **change)
        assert described(kind, changed).digest != identity.digest, change
        assert not same(findings(kind, changed, TEXTS), found), change


@every_kind
def test_a_setting_that_cannot_is_not(case: Case, kind: str) -> None:
    plain = case.config(kind)
    identity, found = described(kind, plain), findings(kind, plain, TEXTS)
    for change in case.idle:
        changed = case.config(kind, **change)
        assert described(kind, changed).digest == identity.digest, change
        assert same(findings(kind, changed, TEXTS), found), change


@every_kind
def test_policy_and_notes_are_outside_of_the_identity(case: Case, kind: str) -> None:
    plain = case.config(kind)
    other = plain.model_copy(update={"policy": Policy(threshold=0.9), "notes": "n"})
    assert described(kind, other).digest == described(kind, plain).digest


@every_kind
def test_a_finding_does_not_depend_on_its_batch(case: Case, kind: str) -> None:
    config = case.config(kind)
    together = findings(kind, config, TEXTS)
    assert same(findings(kind, config, TEXTS[::-1]), together)
    judge = judge_maker(kind).load(config, described(kind, config), no_image)
    alone = {text: outcomes(judge, [text], shown)[text] for text in TEXTS}
    judge.close()
    assert same(alone, together)


@every_kind
def test_odd_texts_leave_the_rest_alone(case: Case, kind: str) -> None:
    config = case.config(kind)
    plain = [text for text in TEXTS if text.isascii() and text.strip() and "\x00" not in text]
    odd = [text for text in TEXTS if text not in plain]
    assert len(odd) > 5
    mixed = findings(kind, config, TEXTS)
    assert same({text: mixed[text] for text in plain}, findings(kind, config, plain))
    assert all(isinstance(mixed[text], Finding) for text in plain)


@every_kind
def test_only_what_is_declared_is_looked_at(case: Case, kind: str) -> None:
    config = case.config(kind)
    identity = described(kind, config)
    if kind == "null":
        pytest.skip("the null judge goes by the subject's digest")
    assert identity.sees == case.sees
    judge = judge_maker(kind).load(config, identity, no_image)
    plain = shown("I cannot, red ball.")
    more = replace(plain, prompt="p", behavior="b", images=("0" * 64,))
    if Sees.FINDINGS in identity.sees:
        subjects = [plain, replace(more, response="another")]
    else:
        subjects = [replace(plain, findings=()), more]
    found = [outcome for batch in judge.judge(subjects) for _, outcome in batch]
    judge.close()
    assert len(found) == 2
    assert found[0] == found[1]


@every_kind
def test_no_network_is_asked_but_its_endpoint(
    case: Case, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, resolve = socket.socket.connect, socket.getaddrinfo
    asked: set[Any] = set()

    def connecting(self: socket.socket, address: Any) -> None:
        asked.add(address)
        assert address == case.address, "a network was asked"
        connect(self, address)

    def resolving(host: Any, port: Any, *more: Any, **named: Any) -> Any:
        asked.add((host, port))
        assert (host, port) == case.address, "a network was asked"
        return resolve(host, port, *more, **named)

    monkeypatch.setattr(socket.socket, "connect", connecting)
    monkeypatch.setattr(socket, "getaddrinfo", resolving)
    found = findings(kind, case.config(kind), ["red ball"])
    assert isinstance(found["red ball"], Finding)
    assert asked == ({case.address} if case.address else set())


@every_kind
def test_a_setting_that_nobody_reads_is_an_error(case: Case, kind: str) -> None:
    with pytest.raises(ConfigError, match="verdict_colour"):
        described(kind, case.config(kind, verdict_colour="red"))


@every_kind
def test_a_policy_or_verdicts_say_what_is_unsafe(case: Case, kind: str) -> None:
    identity = described(kind, case.config(kind))
    for outcome in findings(kind, case.config(kind), TEXTS).values():
        if (
            isinstance(outcome, Finding)
            and outcome.verdict is None
            and not identity.unsafe_verdicts
        ):
            assert outcome.value is None or 0 <= outcome.value <= 1
        elif isinstance(outcome, Finding):
            assert identity.unsafe_verdicts
