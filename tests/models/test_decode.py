"""Our own loop says what ``generate`` says, and drops rows that have ended."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from lam3db.models.collate import collate, groups
from lam3db.models.decode import Limits, decode
from lam3db.models.messages import with_system_prompt
from lam3db.models.sampling import Chooser, Row

GREEDY = {"do_sample": False, "max_new_tokens": 24}


def _batch(bench: Any, family: str, count: Any) -> Any:
    model = bench.load(family)
    prepared = [model._preparer.prepare(one.messages) for one in bench.mixed(count)]
    loaded = model._loaded
    return loaded, prepared, collate(prepared, loaded.family.pixels, loaded.pad_id)


@pytest.mark.parametrize("family", ["llava", "idefics2"])
def test_greedy_equals_generate(bench: Any, family: str) -> None:
    loaded, prepared, inputs = _batch(bench, family, 9)
    own = GenerationConfig(
        max_new_tokens=24, do_sample=False, eos_token_id=sorted(loaded.stops), pad_token_id=3
    )
    with torch.inference_mode():
        theirs = loaded.model.generate(**inputs, generation_config=own)
        rows = [Row(list(one.ids)) for one in prepared]
        chooser = Chooser(GREEDY, sorted(loaded.stops))
        said = decode(loaded.model, inputs, rows, chooser, Limits(24, loaded.stops))
    length = inputs["input_ids"].shape[1]
    assert len({len(one.tokens) for one in said}) > 2
    for one, row in zip(said, theirs[:, length:].tolist(), strict=True):
        assert list(one.tokens) == row[: len(one.tokens)]
        assert set(row[len(one.tokens) :]) <= {3}
        assert one.stopped == (one.tokens[-1] in loaded.stops)
        assert one.stopped or len(one.tokens) == 24


def test_ended_rows_leave_the_batch(bench: Any) -> None:
    loaded, prepared, inputs = _batch(bench, "llava", 9)
    sizes = []
    loaded.model.register_forward_pre_hook(
        lambda _, __, given: sizes.append(len(given["input_ids"])), with_kwargs=True
    )
    rows = [Row(list(one.ids)) for one in prepared]
    with torch.inference_mode():
        said = decode(loaded.model, inputs, rows, Chooser(GREEDY, []), Limits(24, loaded.stops))
    needed = [sum(len(one.tokens) > step for one in said) for step in range(len(sizes))]
    assert sizes[0] == 9
    assert all(size - need <= 1 for size, need in zip(sizes, needed, strict=True))
    shortest = min(said, key=lambda one: len(one.tokens))
    assert shortest.seconds < max(one.seconds for one in said)


@pytest.mark.parametrize("family", ["llava", "idefics2"])
def test_a_batch_is_what_the_processor_makes_of_it(bench: Any, family: str) -> None:
    loaded, _, inputs = _batch(bench, family, 6)
    model = bench.load(family)
    texts, images = [], []
    for request in bench.mixed(6):
        messages = with_system_prompt(request.messages, model._preparer._system)
        parts = [
            part.text for message in messages for part in message.parts if hasattr(part, "text")
        ]
        texts.append(model._preparer._rendered(messages, parts))
        images.append(model._preparer._images(messages))
    flat = [image for row in images for image in row]
    theirs = loaded.processor(
        text=texts, images=flat if family == "llava" else images, return_tensors="pt", padding=True
    )
    assert set(theirs) == set(inputs)
    for name, value in theirs.items():
        assert torch.equal(value, inputs[name]), name


def test_unknown_families_batch_like_with_like(bench: Any) -> None:
    _, prepared, _ = _batch(bench, "idefics2", 8)
    assert groups(prepared, "pad") == [list(range(8))]
    alike = groups(prepared, "alike")
    assert sorted(place for part in alike for place in part) == list(range(8))
    for part in alike:
        kinds = [prepared[place].tensors for place in part]
        shapes = {tuple((name, value.shape) for name, value in one.items()) for one in kinds}
        assert len(shapes) == 1
