"""Answers do not depend on batch mates, and one request's trouble is its own."""

from __future__ import annotations

import random
import threading
from dataclasses import replace
from typing import Any

import pytest
import torch

from lam3db.config import RuntimeConfig
from lam3db.errors import MediaError, ModelError
from lam3db.models.answering import _threads
from lam3db.records import Answer, Failed, Message, TextPart

FAMILIES = ("llava", "idefics2")
GREEDY = RuntimeConfig(precision="fp32", do_sample=False, max_new_tokens=12)
SAMPLED = RuntimeConfig(precision="fp32", temperature=0.7, max_new_tokens=12)


def _texts(found: Any) -> Any:
    assert all(isinstance(outcome, Answer) for outcome in found.values()), found
    return {tag: outcome.raw_text for tag, outcome in found.items()}


@pytest.mark.parametrize("family", [*FAMILIES, "generic"])
@pytest.mark.parametrize("runtime", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_a_text_does_not_depend_on_its_batch(
    bench: Any, asked: Any, family: str, runtime: RuntimeConfig
) -> None:
    source = "llava" if family == "generic" else family
    model = bench.load(source, runtime, family=family)
    requests = bench.mixed(8, replicates=2)
    seen = []
    for size in (1, 4, 16):
        model.batch_size = size
        random.Random(size).shuffle(requests)
        found = asked(model, requests)
        seen.append(_texts(found))
        if family != "generic":
            assert max(answer.batch_size for answer in found.values()) == size
        assert len({answer.completion_tokens for answer in found.values()}) > 2
    assert seen[0] == seen[1] == seen[2]
    replicates = [seen[0][2 * number] == seen[0][2 * number + 1] for number in range(8)]
    assert all(replicates) if runtime is GREEDY else not all(replicates)


def test_the_order_of_windows_changes_nothing(bench: Any, asked: Any) -> None:
    model = bench.load("llava", SAMPLED)
    requests = bench.mixed(6)
    whole = _texts(asked(model, requests))
    parts = _texts(asked(model, requests[3:])) | _texts(asked(model, requests[:3]))
    assert parts == whole


@pytest.mark.parametrize("family", FAMILIES)
def test_generic_and_own_loop_agree(bench: Any, asked: Any, family: str) -> None:
    requests = bench.mixed(8)
    for runtime in (GREEDY, SAMPLED):
        own = _texts(asked(bench.load(family, runtime, system_prompt=""), requests))
        assert own == _texts(asked(bench.load(family, runtime, family="generic"), requests))


@pytest.mark.parametrize("family", FAMILIES)
def test_seed_temperature_and_replicate_take_effect(bench: Any, asked: Any, family: str) -> None:
    requests = bench.mixed(6)
    base = _texts(asked(bench.load(family, SAMPLED), requests))
    for change in ({"seed": 43}, {"temperature": 1.5}, {"top_p": 0.2}, {"top_k": 2}):
        other = SAMPLED.model_copy(update=change)
        assert _texts(asked(bench.load(family, other), requests)) != base, change
    again = [replace(request, replicate=5) for request in requests]
    assert _texts(asked(bench.load(family, SAMPLED), again)) != base
    assert _texts(asked(bench.load(family, SAMPLED), requests)) == base


def test_minimum_length_and_penalty_take_effect(bench: Any, asked: Any) -> None:
    requests = bench.mixed(6)
    greedy = asked(bench.load("llava", GREEDY), requests)
    assert min(answer.completion_tokens for answer in greedy.values()) < 12
    longer = GREEDY.model_copy(update={"min_new_tokens": 12})
    found = asked(bench.load("llava", longer), requests)
    assert {answer.completion_tokens for answer in found.values()} == {12}
    model = bench.load("llava", GREEDY.model_copy(update={"repetition_penalty": 1.8}))
    penalized = _texts(asked(model, requests))
    assert penalized != _texts(greedy)
    model.batch_size = 1
    assert _texts(asked(model, requests)) == penalized


@pytest.mark.parametrize("family", FAMILIES)
def test_a_broken_image_fails_alone(bench: Any, asked: Any, family: str, draw: Any) -> None:
    def open_image(sha256: Any) -> Any:
        if sha256 == broken.sha256:
            raise MediaError("a damaged PNG: cut short")
        return bench.album.images[sha256]

    requests = bench.mixed(6)
    broken = bench.album.add(draw(99))
    bad = bench.request(50, draw(99), "look")
    album_open, bench.album.open = bench.album.open, open_image
    model = bench.load(family)
    bench.album.open = album_open
    found = asked(model, [*requests, bad])
    assert found.pop(50) == Failed("MediaError", "a damaged PNG: cut short")
    assert _texts(found) == _texts(asked(model, requests))


def test_a_prompt_that_breaks_the_model_fails_alone(bench: Any, asked: Any) -> None:
    model = bench.load("llava")
    requests = bench.mixed(8)
    before = _texts(asked(model, requests))
    culprit = max(requests, key=lambda request: len(request.messages[0].parts[-1].text))
    marked = tuple(model._preparer.prepare(culprit.messages).ids)
    real = model._loaded.model.forward

    def forward(**inputs: Any) -> Any:
        rows = inputs["input_ids"].tolist()
        if any(tuple(row[-len(marked) :]) == marked for row in rows):
            raise ValueError("this prompt breaks the model")
        return real(**inputs)

    model._loaded.model.forward = forward
    found = asked(model, requests)
    failed = found.pop(culprit.tag)
    assert (failed.error_class, failed.message) == ("ValueError", "this prompt breaks the model")
    assert _texts(found) == {tag: text for tag, text in before.items() if tag != culprit.tag}


def test_out_of_memory_halves_and_goes_on(bench: Any, asked: Any) -> None:
    model = bench.load("idefics2")
    requests = bench.mixed(16)
    before = _texts(asked(model, requests))
    model.batch_size = 16
    sizes = []
    real = model._loaded.model.forward

    def forward(**inputs: Any) -> Any:
        sizes.append(len(inputs["input_ids"]))
        if sizes[-1] > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return real(**inputs)

    model._loaded.model.forward = forward
    assert _texts(asked(model, requests)) == before
    assert [size for size in sizes if size > 3] == [16, 8, 4]
    assert model.batch_size == 2


def test_out_of_memory_alone_is_a_failure_to_try_again(bench: Any, asked: Any) -> None:
    model = bench.load("llava")

    def forward(**_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    model._loaded.model.forward = forward
    found = asked(model, bench.mixed(3))
    assert set(found.values()) == {Failed("OutOfMemoryError", "CUDA out of memory", retryable=True)}


def test_a_broken_device_ends_the_run(bench: Any) -> None:
    model = bench.load("llava")

    def forward(**_: Any) -> Any:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    model._loaded.model.forward = forward
    with pytest.raises(ModelError, match="the device failed"):
        list(model.answer(bench.mixed(3)))


@pytest.mark.parametrize("family", ["llava", "generic"])
def test_logits_that_are_no_numbers_fail(bench: Any, asked: Any, family: str) -> None:
    model = bench.load("llava", SAMPLED, family=family)
    requests = bench.mixed(4)
    before = _texts(asked(model, requests))

    def spoil(_: Any, __: Any, inputs: Any, out: Any) -> Any:
        if inputs["input_ids"].shape[1] > 1 and len(inputs["input_ids"]) == 4:
            out.logits[2] = torch.nan

    model._loaded.model.register_forward_hook(spoil, with_kwargs=True)
    found = asked(model, requests)
    failed = [tag for tag, outcome in found.items() if isinstance(outcome, Failed)]
    if family == "generic":  # the whole batch raised, and each is fine alone
        assert _texts(found) == before
        return
    (tag,) = failed
    assert "not numbers" in found.pop(tag).message
    assert _texts(found) == {other: text for other, text in before.items() if other != tag}


def test_closing_early_stops_the_thread(bench: Any) -> None:
    model = bench.load("llava")
    model.batch_size = 2
    answers = model.answer(bench.mixed(8))
    next(answers)
    answers.close()
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith("lam3db-prepare")]
    model.close()
    with pytest.raises(ModelError, match="closed"):
        next(model.answer(bench.mixed(1)))


def test_nothing_asked_nothing_said(bench: Any) -> None:
    assert list(bench.load("llava").answer([])) == []


@pytest.mark.parametrize("family", FAMILIES)
def test_conversations_and_odd_prompts(bench: Any, asked: Any, family: str, draw: Any) -> None:
    image = bench.album.add(draw(1))
    turns = (
        Message("system", (TextPart("Be brief."),)),
        Message("user", (image, TextPart("What is this?"))),
        Message("assistant", (TextPart("A fox."),)),
        Message("user", (TextPart("Sure?"),)),
    )
    found = asked(
        bench.load(family),
        [
            bench.conversation(0, *turns),
            bench.request(1, ""),
            bench.conversation(2, Message("user", ())),
            bench.request(3, "before\0after"),
            bench.request(4, "half \ud83d character"),
            bench.request(5, "word " * 2000),
            bench.request(6, draw(2), draw(3), "compare"),
            bench.conversation(7),
        ],
    )
    assert [tag for tag, outcome in found.items() if isinstance(outcome, Answer)] != []
    answered = sorted(tag for tag, outcome in found.items() if isinstance(outcome, Answer))
    assert answered == [0, 1, 2, 3, 6]
    assert "lone surrogate U+D83D at position 5" in found[4].message
    assert "context of 1024: it is not cut" in found[5].message
    assert "without messages" in found[7].message


@pytest.mark.parametrize("family", FAMILIES)
def test_bf16_works_on_a_cpu(bench: Any, asked: Any, family: str) -> None:
    model = bench.load(family, RuntimeConfig(do_sample=False, max_new_tokens=4))
    assert model._loaded.model.dtype == torch.bfloat16
    _texts(asked(model, bench.mixed(3)))


def test_frequencies_are_those_of_the_model(bench: Any, asked: Any) -> None:
    runtime = RuntimeConfig(precision="fp32", temperature=0.4, max_new_tokens=1)
    model = bench.load("llava", runtime)
    model.batch_size = 128
    prompt = "the lazy dog"
    requests = [bench.request(number, prompt, replicate=number) for number in range(1500)]
    said = list(_texts(asked(model, requests)).values())
    ids = torch.tensor([model._preparer.prepare(requests[0].messages).ids])
    with torch.inference_mode():
        logits = model._loaded.model(input_ids=ids).logits[0, -1]
    expected = torch.softmax(logits / 0.4, dim=-1)
    likely = expected.topk(6)
    checked = 0
    for share, token in zip(likely.values.tolist(), likely.indices.tolist(), strict=True):
        word = "" if token in model._loaded.stops else model._decoder.decode([token])
        if word and "\ufffd" not in word:
            checked += 1
            spread = (share * (1 - share) / len(said)) ** 0.5
            assert abs(said.count(word) / len(said) - share) < 4 * spread
    assert checked >= 2


def test_torch_has_its_threads_back_after_a_batch() -> None:
    before = torch.get_num_threads()
    with _threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
