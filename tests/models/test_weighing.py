"""Odds are the model's own probabilities, whatever else is in the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import small_causal
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from lam3db.errors import ConfigError
from lam3db.models.weighing import first_tokens
from lam3db.records import Failed, Message, Odds, TextPart

if TYPE_CHECKING:
    from pathlib import Path

WORDS = ["safe", "unsafe", "Yes"]
ASK = ["Describe the fox.", "Is it safe? " * 20, "S1", "", "<|end|> </s> <s>[INST]", "é🙂不"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_causal.build_random(tmp_path_factory.mktemp("causal") / "random")


def weighed(model: Any, requests: list[Any], words: list[str] = WORDS) -> dict[int, Odds | Failed]:
    found = [pair for batch in model.weigh(requests, words) for pair in batch]
    assert sorted(request.tag for request, _ in found) == sorted(one.tag for one in requests)
    return {request.tag: outcome for request, outcome in found}


def test_odds_are_those_of_a_direct_forward(bench: Any, folder: Path) -> None:
    model = bench.load(folder)
    requests = [bench.request(n, ask) for n, ask in enumerate(ASK)]
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokens = first_tokens(model._decoder, WORDS)
    for request in requests:
        prompt = torch.tensor([model._preparer.prepare(request.messages).ids])
        with torch.inference_mode():
            chances = theirs(prompt).logits[0, -1].float().softmax(dim=-1)
        expected = {word: float(chances[list(ids)].sum()) for word, ids in tokens.items()}
        (odds,) = weighed(model, [request]).values()
        assert isinstance(odds, Odds)
        assert dict(odds.probabilities) == pytest.approx(expected, abs=1e-6)
        assert 0 < odds.mass < 1


@pytest.mark.parametrize("family", ["causal", "llava", "idefics2", "generic"])
def test_odds_do_not_depend_on_the_batch(bench: Any, folder: Path, family: str) -> None:
    source = {"causal": folder, "generic": "llava"}.get(family, family)
    model = bench.load(source, family=family)
    plain = [bench.request(n, f"{ask} {n}") for n, ask in enumerate(ASK * 2)]
    requests = plain if family == "causal" else bench.mixed(9)
    words = ["quick", "fox", "the"]
    together = weighed(model, requests, words)
    model.batch_size = 1
    alone = weighed(model, requests[::-1], words)
    for tag, odds in together.items():
        other = alone[tag]
        assert isinstance(odds, Odds)
        assert isinstance(other, Odds)
        assert dict(odds.probabilities) == pytest.approx(dict(other.probabilities), abs=1e-5)
    assert len({odds.mass for odds in together.values()}) > len(together) // 2


def test_a_picture_moves_the_odds(bench: Any, draw: Any) -> None:
    model = bench.load("llava")
    one, other = (bench.request(n, draw(n), "look") for n in (1, 2))
    found = weighed(model, [one, other], ["fox"])
    assert found[1].mass != found[2].mass


def test_a_begun_answer_is_continued_unless_it_is_what_is_judged(bench: Any, folder: Path) -> None:
    turns = tuple(
        Message(role, (TextPart(text),)) for role, text in (("user", "fox"), ("assistant", "It is"))
    )
    request = bench.conversation(0, *turns)
    masses = {
        how: weighed(bench.load(folder, last_turn=how), [request])[0].mass
        for how in ("auto", "continue", "answer")
    }
    assert masses["auto"] == masses["continue"] != masses["answer"]


def test_every_spelling_of_a_beginning_counts() -> None:
    tokenizer = small_causal.build_tokenizer()
    found = first_tokens(tokenizer, ["unsafe", "No", "fox"])
    names = {word: {tokenizer.decode([one]) for one in tokens} for word, tokens in found.items()}
    assert names["unsafe"] == {"unsafe"}
    assert {" No", "No"} >= names["No"] or {" No", "N"} >= names["No"]
    assert any(name.startswith(" ") for name in names["fox"])


def test_words_that_begin_alike_are_refused(bench: Any, folder: Path) -> None:
    model = bench.load(folder)
    requests = [bench.request(0, "fox")]
    with pytest.raises(ConfigError, match="'S1' and 'S2' begin with the same token"):
        weighed(model, requests, ["S1", "S2"])


def test_a_vocabulary_that_marks_the_space_before_a_word() -> None:
    pieces = ["▁yes", "yes", "▁no", "no", "▁", "\n", "y", "n", "e", "s", "o"]
    unigram = Tokenizer(models.Unigram([("<unk>", 0.0), *[(p, -1.0) for p in pieces]], 0))
    unigram.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    unigram.decoder = decoders.Metaspace(prepend_scheme="always")
    names = {"unk_token": "<unk>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=unigram, **names)
    found = first_tokens(tokenizer, ["yes", "no"])
    assert {tokenizer.convert_ids_to_tokens(one) for one in found["yes"]} == {"▁yes", "yes"}
    assert {tokenizer.convert_ids_to_tokens(one) for one in found["no"]} == {"▁no", "no"}


def test_logits_that_are_no_numbers_are_no_odds(bench: Any, folder: Path) -> None:
    model = bench.load(folder)
    with torch.no_grad():
        model._loaded.model.lm_head.weight[7] = torch.nan
    (found,) = weighed(model, [bench.request(0, "fox")]).values()
    assert isinstance(found, Failed)
    assert found.error_class == "FloatingPointError"


def test_an_impossible_request_fails_alone(bench: Any, folder: Path, draw: Any) -> None:
    model = bench.load(folder)
    requests = [
        bench.request(0, draw(1), "fox"),
        bench.request(1, "fox"),
        bench.request(2, "\ud800"),
    ]
    found = weighed(model, requests)
    assert isinstance(found[1], Odds)
    assert isinstance(found[0], Failed)
    assert isinstance(found[2], Failed)
