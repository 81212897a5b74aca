"""A setting of an llm judge has an effect or is an error."""

from __future__ import annotations

from typing import Any

import pytest

from lam3db.config import JudgeConfig
from lam3db.errors import ConfigError
from lam3db.judges.llm_settings import model_configs, read_llm_settings

ODDS: dict[str, Any] = {"by": "odds", "words": {"safe": "safe", "unsafe": "unsafe"}}
TEXT: dict[str, Any] = {
    "by": "text", "parser": "lines", "keys": ["Safety"], "verdict": "Safety",
    "verdicts": {"Safe": "safe", "Unsafe": "unsafe"},
}  # fmt: skip
RUBRIC: dict[str, Any] = {
    "by": "text", "parser": "json", "keys": ["refused", "convincing", "specific"],
    "formula": "strongreject",
    "scores": {"refused": [0, 1], "convincing": [1, 5], "specific": [1, 5]},
}  # fmt: skip


def config(output: dict[str, Any], **settings: Any) -> JudgeConfig:
    return JudgeConfig(
        name="case",
        kind="llm",
        settings={
            "model": {"source": "somewhere"},
            "template": [{"role": "user", "text": "{response}"}],
            "output": output,
        }
        | settings,
    )


@pytest.mark.parametrize("output", [ODDS, TEXT, RUBRIC])
def test_these_are_whole(output: dict[str, Any]) -> None:
    assert read_llm_settings(config(output)).output.by == output["by"]


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ({"by": "odds"}, "needs words"),
        ({"by": "odds", "words": {"safe": "safe"}}, "needs words"),
        ({"by": "odds", "words": {"safe": "safe", "no": 1}}, "all stand for verdicts or all"),
        ({"by": "odds", "words": {"safe": "safe", "no": "unsave"}}, "did you mean 'unsafe'"),
        ({"by": "odds", "words": {"safe": "safe", " ": "unsafe"}}, "blank word"),
        (ODDS | {"parser": "json"}, "parser has no effect with `by: odds`"),
        (ODDS | {"minimum_mass": 0}, "number above 0"),
        (TEXT | {"words": ODDS["words"]}, "words has no effect with `by: text`"),
        (TEXT | {"pattern": "x"}, "pattern has no effect with `parser: lines`"),
        ({"by": "text"}, "needs a parser"),
        (TEXT | {"keys": []}, "needs keys"),
        (TEXT | {"keys": ["Safety", "Safety"]}, "each given once"),
        (TEXT | {"keys": ["Safety", "Mood"]}, "nobody reads the field 'Mood'"),
        (TEXT | {"verdict": "Safe"}, "did you mean 'Safety'"),
        (TEXT | {"verdict": None}, "give both or none"),
        (TEXT | {"verdict": None, "verdicts": {}}, "nothing would come of it"),
        (TEXT | {"categories": "Safety"}, "both or none"),
        (TEXT | {"verdicts": {"Safe": "good"}}, "no verdict 'good'"),
        (RUBRIC | {"scores": {}}, "needs scores"),
        (RUBRIC | {"scores": {"refused": [0, 1]}}, "needs scores for refused, convincing"),
        (RUBRIC | {"scores": RUBRIC["scores"] | {"specific": [1, 10]}}, "is defined for"),
        (RUBRIC | {"scores": RUBRIC["scores"] | {"specific": [5, 1]}}, r"\[5, 1\] is no range"),
        ({"by": "text", "parser": "regex", "pattern": "(", "verdict": "v",
          "verdicts": {"a": "safe"}}, "no regular expression"),
        ({"by": "text", "parser": "regex", "pattern": "safe", "verdict": "v",
          "verdicts": {"a": "safe"}}, "no named group"),
        ({"by": "text", "parser": "regex", "verdict": "v", "verdicts": {"a": "safe"}},
         "no named group"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_output_is_told(output: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        read_llm_settings(config(output))


def test_a_judge_decodes_greedily_unless_told() -> None:
    asked = config(TEXT)
    model, runtime = model_configs(asked, read_llm_settings(asked))
    assert (runtime.do_sample, model.last_turn, model.name) == (False, "answer", "case")
    asked = config(TEXT, model={"source": "x", "do_sample": True, "temperature": 0.5}, prefill="S")
    model, runtime = model_configs(asked, read_llm_settings(asked))
    assert (runtime.do_sample, runtime.temperature, model.last_turn) == (True, 0.5, "continue")
    asked = config(TEXT, model={"source": "x", "temperature": None, "top_p": None})
    _, runtime = model_configs(asked, read_llm_settings(asked))
    assert (runtime.temperature, runtime.top_p) == (None, None)


def test_every_fault_of_the_model_is_told_at_once() -> None:
    asked = config(
        TEXT,
        model={"sauce": "x", "precision": "fp8", "name": "n", "last_turn": "answer", "source": 3},
    )
    with pytest.raises(ConfigError) as told:
        model_configs(asked, read_llm_settings(asked))
    for part in ("did you mean 'source'", "fp32, fp16 or bf16", "the judge's own name",
                 "`prefill` decides it", "3 is not"):  # fmt: skip
        assert part in str(told.value)


@pytest.mark.parametrize("name", ["max_new_tokens", "temperature", "seed"])
def test_decoding_has_no_effect_on_odds(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} has no effect with `by: odds`"):
        read_llm_settings(config(ODDS, model={"source": "x", name: 1}))
