"""A judge whose protocol cuts answers is shown their first tokens, and tells how many it cut."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import scripted_model
from small_detoxify import no_image, quiet

from lam3db import plugins
from lam3db.config import JudgeConfig, load_judge_config
from lam3db.errors import ConfigError
from lam3db.judges.llm_cut import Cut
from lam3db.records import Failed, Subject, text_of

if TYPE_CHECKING:
    from pathlib import Path

LONG = "\u00e9 a sentence of many words, and \U0001f335 another one. " * 40
OUTPUT = {"by": "odds", "words": {"safe": "safe", "unsafe": "unsafe"}, "minimum_mass": 1e-9}


def config(source: str, cut: Any, **model: Any) -> JudgeConfig:
    settings: dict[str, Any] = {
        "model": {"source": source} | model,
        "template": [{"role": "user", "text": "<answer>{response}</answer>"}],
        "output": OUTPUT,
    }
    if cut is not None:
        settings["cut"] = cut
    return JudgeConfig(name="case", kind="llm", settings=settings)


def local(folder: Path, cut: Any) -> JudgeConfig:
    return config(str(folder), cut, precision="fp32", device_map="cpu")


def described(judge: JudgeConfig) -> Any:
    return plugins.judge_maker("llm").describe(judge, quiet)


@pytest.mark.parametrize("tokens", [8, 100, 512])
def test_what_is_left_is_the_beginning_and_fits(random_causal: Path, tokens: int) -> None:
    cutter = Cut(tokens, random_causal).load()
    special = cutter.tokenizer.num_special_tokens_to_add()
    for text in (LONG, LONG + "</s><|end|>" * 50, "x" * 5000, "\U0001f335" * 500):
        left = cutter.cut(text)
        assert text.startswith(left)
        assert 0 < len(left) < len(text) or len(cutter.tokenizer(text)["input_ids"]) <= tokens
        count = len(cutter.tokenizer(left, add_special_tokens=False)["input_ids"])
        assert count <= tokens - special + 1  # a character of several tokens stays whole
    assert cutter.cut("short") == "short"


def test_the_judge_is_shown_the_cut_text_and_tells_how_many(random_causal: Path) -> None:
    judge_config = local(random_causal, {"response": 20})
    identity = described(judge_config)
    judge: Any = plugins.judge_maker("llm").load(judge_config, identity, no_image)
    subjects = [Subject(LONG), Subject("short"), Subject(LONG + "x"), Subject("half \ud83d " * 90)]
    found = {subject: said for batch in judge.judge(subjects) for subject, said in batch}
    assert isinstance(found.pop(subjects[3]), Failed)
    assert len(found) == 3
    assert judge.remarks == {"a response was cut before the judge saw it": 2}
    shown = text_of(judge._messages(subjects[0]))
    assert judge.cutter.cut(LONG) in shown
    assert len(shown) < len(LONG)
    judge.close()


def test_the_cut_is_part_of_the_identity_only_where_it_is_set(random_causal: Path) -> None:
    plain, cut = (
        described(local(random_causal, None)),
        described(local(random_causal, {"response": 20})),
    )
    assert "cut" not in plain.spec
    assert cut.spec["cut"] == {"response": 20}
    others = {described(local(random_causal, {"response": number})).digest for number in (20, 21)}
    assert len({plain.digest, *others}) == 3


def test_a_model_without_a_tokenizer_here_needs_one(
    random_causal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(plugins.MODEL_KINDS, "scripted", "scripted_model:KIND")
    scripted_model.SEEN.clear()
    script = json.dumps({"": {"safe": 0.9, "unsafe": 0.1}})

    def made(cut: Any) -> JudgeConfig:
        return config(script, cut, kind="scripted")

    with pytest.raises(ConfigError, match="tokenizer is not on this machine; name one"):
        described(made({"response": 20}))
    with pytest.raises(ConfigError, match="holds no tokenizer"):
        described(made({"response": 20, "tokenizer": str(tmp_path)}))
    with pytest.raises(ConfigError, match="hf download"):
        described(made({"response": 20, "tokenizer": "nobody/nothing"}))
    named = made({"response": 20, "tokenizer": str(random_causal)})
    identity = described(named)
    judge = plugins.judge_maker("llm").load(named, identity, no_image)
    list(judge.judge([Subject(LONG)]))
    assert len(text_of(scripted_model.SEEN[0].messages)) < len(LONG)
    copy = shutil.copytree(random_causal, tmp_path / "copy")
    moved = made({"response": 20, "tokenizer": str(copy)})
    assert described(moved).digest == identity.digest
    (copy / "tokenizer_config.json").write_text('{"model_max_length": 7}')
    assert described(moved).digest != identity.digest


def test_the_shipped_classifier_of_harmbench_is_cut_as_published() -> None:
    assert load_judge_config("harmbench-cls").settings["cut"] == {"response": 512}
