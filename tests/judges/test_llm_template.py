"""A template shows what its judge sees, once and untouched, and says what is wrong with it."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import scripted_model  # noqa: F401 - hooked in by its name

from lam3db import plugins
from lam3db.config import JudgeConfig
from lam3db.errors import ConfigError
from lam3db.judges.llm_settings import read_llm_settings
from lam3db.judges.llm_template import Template, read_template
from lam3db.records import TEMPLATE_ROLE, ImagePart, Message, Sees, TextPart, text_of

if TYPE_CHECKING:
    from pathlib import Path

    from lam3db.records import JudgeIdentity

OUTPUT = {"by": "odds", "words": {"safe": "safe", "unsafe": "unsafe"}}
VALUES = {"response": "R {prompt} {response}", "prompt": "P {behavior}", "behavior": "B"}
BOTH = {"template_file": "x", "template": [{"role": "user", "text": "{response}"}]}


@pytest.fixture(autouse=True)
def _scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(plugins.MODEL_KINDS, "scripted", "scripted_model:KIND")


def config(**settings: Any) -> JudgeConfig:
    model = {"kind": "scripted", "source": json.dumps({"": {"safe": 0.9}})}
    return JudgeConfig(
        name="case", kind="llm", settings={"model": model, "output": OUTPUT} | settings
    )


def template(*, raw: bool = False, **settings: Any) -> Template:
    made = config(**settings)
    return read_template(made, read_llm_settings(made), raw=raw)


def one(text: str, role: str = "user") -> list[dict[str, str]]:
    return [{"role": role, "text": text}]


def described(**settings: Any) -> JudgeIdentity:
    return plugins.judge_maker("llm").describe(config(**settings), lambda *_: None)


def test_values_are_put_in_once_and_never_looked_at_again() -> None:
    made = template(
        sees=["response", "prompt", "behavior"],
        template=one('<{response}> {prompt}{behavior} {response} {"a": {1}} {{prompt}} { prompt }'),
    )
    assert text_of(made.render(VALUES, ())) == (
        '<R {prompt} {response}> P {behavior}B R {prompt} {response} {"a": {1}} {{prompt}} '
        "{ prompt }"
    )


def test_messages_prefill_and_images_stand_where_they_belong() -> None:
    made = template(
        sees=["response", "prompt", "image"],
        template=[*one("Judge.", "system"), *one("{prompt}"), *one("{response}", "assistant"),
                  *one("Verdict?")],
        prefill="It is ",
    )  # fmt: skip
    images = ("1" * 64, "2" * 64)
    assert made.render({"response": "R", "prompt": "P", "behavior": ""}, images) == (
        Message("system", (TextPart("Judge."),)),
        Message("user", (*map(ImagePart, images), TextPart("P"))),
        Message("assistant", (TextPart("R"),)),
        Message("user", (TextPart("Verdict?"),)),
        Message("assistant", (TextPart("It is "),)),
    )


def test_a_raw_prompt_is_its_pieces() -> None:
    made = template(raw=True, template=one("<s>[INST] {response} [/INST]"))
    assert made.render(VALUES, ()) == (
        Message(TEMPLATE_ROLE, (TextPart("<s>[INST] "),)),
        Message("user", (TextPart(VALUES["response"]),)),
        Message(TEMPLATE_ROLE, (TextPart(" [/INST]"),)),
    )


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "give either template"),
        (BOTH, "give either template"),
        ({"template": one("Judge.")}, "sees response, but no place"),
        ({"template": one("{response} {respons}")}, "did you mean 'response'"),
        ({"template": one("{response} {goal}")}, r"\{goal\} stands for nothing"),
        ({"template": one("{response} {prompt}")}, "shows prompt, which `sees` does not name"),
        ({"template": one("{response}"), "sees": ["response", "behavior"]}, "sees behavior, but"),
        ({"template": one("{generation}"), "fields": {"generation": "answer"}}, "'answer'"),
        ({"template": one("{response}"), "fields": {"goal": "behavior"}}, r"no place \{goal\}"),
        ({"template": one("{response}"), "sees": ["prompt"]}, "name response"),
        ({"template": one("{response}", "tool")}, "role: 'tool' is not a list of messages"),
        ({"template": one("{response}", "system"), "sees": ["response", "image"]},
         "no user's message"),
        ({"template_file": "/nowhere/prompt.txt"}, "cannot be read: No such file"),
        ({"template": one("{response}"), "delimiters": ["x"]}, "too short"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        template(**settings)


@pytest.mark.parametrize("more", [{"prefill": "x"}, {"sees": ["response", "image"]}])
def test_a_raw_prompt_is_one_text(more: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="a raw prompt is one text"):
        template(raw=True, template=one("{response}"), **more)


def test_a_published_prompt_is_loaded_to_the_letter(tmp_path: Path) -> None:
    text = '[INST] <<SYS>>\r\nBehavior: {goal}\nGeneration: {generation}\n{"x": 1}\n\n'
    path = tmp_path / "published.txt"
    path.write_bytes(text.encode())
    settings: dict[str, Any] = {
        "template_file": str(path),
        "sees": ["response", "behavior"],
        "fields": {"goal": "behavior", "generation": "response"},
    }
    shown = text_of(template(**settings).render({"response": "R", "behavior": "B"}, ()))
    assert shown == text.replace("{goal}", "B").replace("{generation}", "R")
    identity = described(**settings)
    assert identity.spec["template_file"] == hashlib.sha256(text.encode()).hexdigest()
    assert identity.spec["template"][0]["text"] == text
    path.write_bytes(text.encode() + b" ")
    assert described(**settings).digest != identity.digest
    with pytest.raises(ConfigError, match=r"\{goal\} stands for nothing"):
        template(**settings | {"fields": {"generation": "response"}})


def test_a_file_may_hold_messages(tmp_path: Path) -> None:
    path = tmp_path / "prompt.yaml"
    path.write_text('- {role: system, text: "Judge."}\n- {role: user, text: "{response}"}\n')
    made = template(template_file=str(path))
    inline = template(template=[*one("Judge.", "system"), *one("{response}")])
    assert made.messages == inline.messages
    for bad in ("a: 1", "- text: x", "- {role: user, text: 5}", "[]", "- [", "null"):
        path.write_text(bad)
        with pytest.raises(ConfigError, match="template_file"):
            template(template_file=str(path))
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(ConfigError, match="no regular file"):
        template(template_file=str(tmp_path / "pipe.txt"))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        template(template_file=str(path))


def test_reasoning_is_shown_only_where_the_file_says_so() -> None:
    made = template(sees=["response", "reasoning"], template=one("{reasoning}|{response}"))
    shown = made.render({"response": "R", "reasoning": "T", "prompt": "", "behavior": ""}, ())
    assert text_of(shown) == "T|R"
    with pytest.raises(ConfigError, match="shows reasoning, which `sees` does not name"):
        template(template=one("{reasoning}|{response}"))
    with pytest.raises(ConfigError, match="sees reasoning, but no place in the template"):
        template(sees=["response", "reasoning"], template=one("{response}"))
    named = template(template=one("{reasoning}"), fields={"reasoning": "response"})
    assert text_of(named.render({"response": "R"}, ())) == "R"
    seeing = described(sees=["response", "reasoning"], template=one("{reasoning}|{response}"))
    assert Sees.REASONING in seeing.sees
