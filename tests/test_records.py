"""A digest depends on what its docstring names and on nothing else."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lam3db.records import (
    LONGEST_ATTRIBUTE,
    Attack,
    Behavior,
    Dataset,
    Failed,
    FileEntry,
    Finding,
    GenerationConfig,
    IdentityKind,
    ImagePart,
    JudgeIdentity,
    JudgeKind,
    Message,
    ModelVersion,
    Sample,
    ScoreStatus,
    Sees,
    Subject,
    TextPart,
    Verdict,
    images_of,
    selection_digest,
    text_of,
)

PICTURE = "ab" * 32
BEHAVIOR = Behavior("insult a cactus", "plants", is_benign=False)
SAMPLE = Sample(
    messages=(Message("user", (ImagePart(PICTURE), TextPart("Insult it."))),),
    behavior=BEHAVIOR,
    attack=Attack("wrapper", {"prefix": "Please"}),
    target="You spiky thing",
    metadata={"row": 3},
)
VERSION = ModelVersion(
    "demo", "llava", "data/demo", "r1", (FileEntry("model.safetensors", "cd" * 32, 10),)
)
CONFIG = GenerationConfig({"dtype": "bf16", "decoding": {"temperature": 0.2, "seed": 42}})
JUDGE = JudgeIdentity(
    "refusal-gcg",
    JudgeKind.RULE,
    "1",
    {"phrases": ["I cannot"]},
    (Sees.RESPONSE, Sees.PROMPT),
    (Verdict.NOT_REFUSED,),
    "non-refusal",
)
SUBJECT = Subject("Sure", "Insult it.", "insult a cactus", (PICTURE,))

# Never change a line of these: stored rows are found by them.
GOLDEN = {
    "behavior": (
        BEHAVIOR.digest,
        "9db42800c5d0784a1b979ca0c42e98a1c88d34e3a44bd938bf968d3810a4171b",
    ),
    "plain behavior": (
        Behavior("x").digest,
        "e4248120d6fe38a2e9b15750d42eb68589a8969c4abd3d8e383b01f4163f1cf5",
    ),
    "input": (
        SAMPLE.input_digest,
        "94f4c4dbd67a08f745167e3d765e88cadfe8c37dc6454c57eca44f688a31d290",
    ),
    "sample": (SAMPLE.digest, "5834082e67e08e655c11885486f455c749f0399f115957ea9f8dd7de30dd5fd6"),
    "plain sample": (
        Sample(SAMPLE.messages, BEHAVIOR).digest,
        "380a05d7434fa382354ca3d6efaf13ca4167202b9d93e93428232088c780b3df",
    ),
    "selection": (
        Dataset("d", (("k", SAMPLE),)).selection_digest,
        "abdfa6b7f566d21f1f4ca875c206cef2fa2c4ddbcc201b58958602f030320fc1",
    ),
    "model version": (
        VERSION.digest,
        "8a37d50dbfc9a5e5938eb7d1d246f390e2f443529e7447e3d4b222dfafdfdc81",
    ),
    "config": (CONFIG.digest, "4d62d92e02199b48ec2bd83567099c229971e5729acc53e9cc82ef912c60ba90"),
    "judge": (JUDGE.digest, "a8a868ea590d367c2261498750c535bf0bd769ad2583c16d0607fe7429aa4cba"),
    "subject": (SUBJECT.digest, "2cc80705943c1a4e918679b5ecafdc92339e74407c34be42434f76809fb8e6cc"),
    "plain subject": (
        Subject("Sure").digest,
        "c888717f021a0d75438e66fc539e4d7b3925afacffe6ad5cea42083184cd9a86",
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_digests_are_the_ones_of_the_first_release(name: str) -> None:
    found, expected = GOLDEN[name]
    assert found.hex() == expected


CHANGES: list[tuple[Any, dict[str, Any]]] = [
    (BEHAVIOR, {"text": "praise a cactus"}),
    (BEHAVIOR, {"category": "animals"}),
    (BEHAVIOR, {"is_benign": True}),
    (SAMPLE, {"messages": (Message("user", (TextPart("Insult it."), ImagePart(PICTURE))),)}),
    (SAMPLE, {"messages": (Message("system", SAMPLE.messages[0].parts),)}),
    (SAMPLE, {"behavior": Behavior("other")}),
    (SAMPLE, {"attack": Attack("wrapper", {"prefix": "Do"})}),
    (SAMPLE, {"attack": Attack("none")}),
    (SAMPLE, {"target": None}),
    (SAMPLE, {"target": ""}),
    (SAMPLE, {"metadata": {"row": 4}}),
    (VERSION, {"identity_kind": IdentityKind.DECLARED}),
    (VERSION, {"manifest": (FileEntry("model.safetensors", "ce" * 32, 10),)}),
    (VERSION, {"manifest": (FileEntry("other.safetensors", "cd" * 32, 10),)}),
    (VERSION, {"declared": "something"}),
    (CONFIG, {"value": {"dtype": "bf16", "decoding": {"temperature": 0.3, "seed": 42}}}),
    (JUDGE, {"kind": JudgeKind.LLM}),
    (JUDGE, {"version": "2"}),
    (JUDGE, {"spec": {"phrases": ["I can't"]}}),
    (JUDGE, {"sees": (Sees.RESPONSE,)}),
    (JUDGE, {"unsafe_verdicts": (Verdict.UNSAFE,)}),
    (SUBJECT, {"response": "sure"}),
    (SUBJECT, {"prompt": None}),
    (SUBJECT, {"prompt": ""}),
    (SUBJECT, {"behavior": None}),
    (SUBJECT, {"images": ()}),
]


@pytest.mark.parametrize(("value", "change"), CHANGES)
def test_each_part_of_an_identity_changes_the_digest(value: Any, change: dict[str, Any]) -> None:
    assert replace(value, **change).digest != value.digest


SAME: list[tuple[Any, dict[str, Any]]] = [
    (VERSION, {"name": "other", "family": "x", "source": "/y", "revision": None}),
    (VERSION, {"manifest": (FileEntry("model.safetensors", "cd" * 32, 11),)}),
    (CONFIG, {"value": {"decoding": {"seed": 42, "temperature": 0.2}, "dtype": "bf16"}}),
    (JUDGE, {"name": "other", "heading": "ASR"}),
    (JUDGE, {"sees": (Sees.PROMPT, Sees.RESPONSE)}),
]


@pytest.mark.parametrize(("value", "change"), SAME)
def test_what_is_outside_an_identity_leaves_the_digest(value: Any, change: dict[str, Any]) -> None:
    assert replace(value, **change).digest == value.digest


def test_labels_leave_the_input_digest() -> None:
    other = Sample(SAMPLE.messages, Behavior("x"), Attack(), None, {"a": 1})
    assert other.input_digest == SAMPLE.input_digest
    assert other.digest != SAMPLE.digest


def test_a_set_of_samples_has_no_order() -> None:
    one, two = ("a", b"\1" * 32), ("b", b"\2" * 32)
    assert selection_digest([one, two]) == selection_digest([two, one])
    assert selection_digest([one]) != selection_digest([one, two])
    assert selection_digest([("a", two[1]), ("b", one[1])]) != selection_digest([one, two])


def test_values_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        SAMPLE.target = "x"  # type: ignore[misc]


texts = st.text(st.characters(), max_size=20)
parts = st.lists(st.builds(TextPart, texts) | st.just(ImagePart(PICTURE)), max_size=4).map(tuple)


@given(st.builds(Message, st.sampled_from(["user", "system", "assistant"]), parts))
def test_a_message_reads_back(message: Message) -> None:
    assert Message.from_json(message.to_json()) == message


def test_texts_and_images_of_a_conversation_are_in_order() -> None:
    talk = (
        Message("system", (TextPart("one"),)),
        Message("user", (ImagePart(PICTURE), TextPart("two"), ImagePart(PICTURE))),
    )
    assert text_of(talk) == "one\ntwo"
    assert images_of(talk) == (PICTURE, PICTURE)


@pytest.mark.parametrize("status", [one for one in ScoreStatus if one is not ScoreStatus.OK])
@pytest.mark.parametrize("said", [{"value": 0.0}, {"verdict": Verdict.SAFE}])
def test_a_finding_that_is_not_ok_carries_no_result(
    status: ScoreStatus, said: dict[str, Any]
) -> None:
    assert Finding(status).value is None
    with pytest.raises(ValueError, match="status"):
        Finding(status, **said)


def test_a_finding_that_is_ok_says_something() -> None:
    with pytest.raises(ValueError, match="status"):
        Finding(ScoreStatus.OK)
    assert Finding(value=0.0).value == 0.0
    assert Finding(verdict=Verdict.SAFE).verdict is Verdict.SAFE


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CUDA error at 0x7f01ab in step 12", "CUDA error at 0x9ff in step 7"),
        ("no file /home/a/b.png", "no file /srv/c.png"),
        (f"image {'ab' * 32} is broken", f"image {'cd' * 32} is broken"),
        ("took 3.5 s", "took 12 s"),
        ("image f694fd8cbbfa is not in", "image 210fc6212908 is not in"),
        ("image 96307856885 is not in", "image fd53e21e is not in"),
    ],
)
def test_failures_of_one_cause_have_one_fingerprint(one: str, other: str) -> None:
    assert Failed("E", one).fingerprint == Failed("E", other).fingerprint


def test_failures_of_different_causes_differ() -> None:
    found = {
        Failed("E", "a").fingerprint,
        Failed("F", "a").fingerprint,
        Failed("E", "b").fingerprint,
    }
    assert len(found) == 3


def test_a_failure_holds_no_secret_and_is_not_endless() -> None:
    error = ValueError("no access with token=hf_abcdefghijklmnop " + "x" * 10_000)
    failed = Failed.from_exception(error, retryable=True)
    assert failed.error_class == "ValueError"
    assert failed.retryable
    assert "abcdefghijklmnop" not in failed.message
    assert len(failed.message) == 4000


def test_an_error_without_a_message_still_says_what_it_is() -> None:
    assert "TimeoutError" in Failed.from_exception(TimeoutError()).message


def test_an_attribute_has_a_name_that_a_key_can_hold() -> None:
    assert Finding(value=0.5, attributes={"n" * LONGEST_ATTRIBUTE: 1.0}).attributes
    with pytest.raises(ValueError, match="a name of 201 characters; 200 are the most"):
        Finding(value=0.5, attributes={"n" * (LONGEST_ATTRIBUTE + 1): 1.0})


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_finding_holds_numbers_only(number: float) -> None:
    with pytest.raises(ValueError, match="no number"):
        Finding(value=number)
    with pytest.raises(ValueError, match="insult"):
        Finding(value=0.5, attributes={"insult": number})
