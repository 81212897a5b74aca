"""Prompts and pixels: everything of the sample reaches the model, nothing else."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from PIL import Image

from lam3db.errors import InputError
from lam3db.models.families import CAREFUL
from lam3db.records import Message, TextPart


def _text(model: Any, request: Any) -> Any:
    ids = model._preparer.prepare(request.messages).ids
    return model._loaded.processor.tokenizer.decode(ids)


def _pixels(model: Any, request: Any) -> Any:
    return model._preparer.prepare(request.messages).tensors["pixel_values"]


def test_prompts_are_those_of_the_chat_templates(bench: Any, draw: Any) -> None:
    request = bench.request(0, draw(1), "What is this?")
    image = "<image>" * 16
    expected = f"<s>{CAREFUL} USER: {image}\nWhat is this? ASSISTANT:"
    assert _text(bench.load("llava"), request) == expected
    fake = "<fake_token_around_image>"
    expected = f"<s>User:{fake}{'<image>' * 4}{fake} What is this?<end_of_utterance>\nAssistant:"
    assert _text(bench.load("idefics2"), request) == expected


def test_a_samples_own_system_message_takes_the_place_of_ours(bench: Any) -> None:
    system = Message("system", (TextPart("Be brief."),))
    user = Message("user", (TextPart("Hello"),))
    model = bench.load("llava")
    assert (
        _text(model, bench.conversation(0, system, user)) == "<s>Be brief. USER: Hello ASSISTANT:"
    )
    model = bench.load("llava", system_prompt="Ours.")
    assert _text(model, bench.conversation(0, user)) == "<s>Ours. USER: Hello ASSISTANT:"
    model = bench.load("llava", system_prompt="")
    assert _text(model, bench.conversation(0, user)) == "<s>USER: Hello ASSISTANT:"


def test_turns_come_in_order(bench: Any) -> None:
    turns = [Message(role, (TextPart(role),)) for role in ("user", "assistant", "user")]
    text = _text(bench.load("idefics2"), bench.conversation(0, *turns))
    end = "<end_of_utterance>\n"
    assert text == f"<s>User: user{end}Assistant: assistant{end}User: user{end}Assistant:"


@pytest.mark.parametrize("side", ["wide", "tall"])
def test_padding_keeps_the_sides_that_cropping_loses(bench: Any, side: str) -> None:
    wide = Image.new("RGB", (168, 56), "white")
    wide.paste("red", (0, 0, 20, 56))
    blank = Image.new("RGB", (168, 56), "white")
    if side == "tall":
        wide, blank = (image.transpose(Image.Transpose.ROTATE_90) for image in (wide, blank))
    requests = [bench.request(n, image, "look") for n, image in enumerate((wide, blank))]
    cropped = bench.load("llava")
    assert torch.equal(*(_pixels(cropped, request) for request in requests))
    padded = bench.load("llava", image={"fit": "pad"})
    first, second = (_pixels(padded, request) for request in requests)
    assert not torch.equal(first, second)
    assert first.shape == second.shape == (1, 3, 56, 56)
    corner = second[0, :, 0, 0]
    assert corner.abs().max() < 0.05  # the processor's mean colour is zero once normalized


def test_padding_a_square_changes_nothing(bench: Any) -> None:
    square = bench.request(0, Image.new("RGB", (70, 70), "green"), "look")
    models = bench.load("llava"), bench.load("llava", image={"fit": "pad"})
    assert torch.equal(*(_pixels(model, square) for model in models))


def test_splitting_gives_five_pictures(bench: Any, draw: Any, asked: Any) -> None:
    request = bench.request(0, draw(1), "look")
    shapes, tokens = [], []
    for splitting in (False, True):
        model = bench.load("idefics2", image={"splitting": splitting})
        prepared = model._preparer.prepare(request.messages)
        shapes.append(prepared.tensors["pixel_values"].shape[1])
        image_id = model._loaded.processor.image_token_id
        tokens.append(prepared.ids.count(image_id))
        assert type(asked(model, [request, *bench.mixed(3)])[0]).__name__ == "Answer"
    assert shapes == [1, 5]
    assert tokens == [4, 20]


@pytest.mark.parametrize("family", ["llava", "idefics2"])
def test_each_picture_reaches_its_own_row(bench: Any, draw: Any, family: str) -> None:
    model = bench.load(family)
    pixels = [_pixels(model, bench.request(n, draw(n), "look")) for n in range(3)]
    both = _pixels(model, bench.request(9, draw(0), draw(0), "look"))
    assert not torch.equal(pixels[0], pixels[1]) or pixels[0].shape != pixels[1].shape
    own = both.reshape(-1, *both.shape[-3:])
    assert len(own) == 2
    assert torch.equal(own[0], own[1])
    assert torch.equal(own[0], pixels[0].reshape(-1, *both.shape[-3:])[0])


def test_the_longest_prompt_that_fits_is_sent_whole(bench: Any, asked: Any) -> None:
    model = bench.load("idefics2")
    room = 1024 - 12
    request = next(
        request
        for request in (bench.request(0, "!?" * count) for count in range(900, 1100))
        if model._preparer._context is not None and len(_unchecked(model, request)) == room
    )
    assert asked(model, [request])[0].prompt_tokens == room
    longer = bench.request(0, request.messages[0].parts[0].text + "!?")
    with pytest.raises(InputError, match="it is not cut"):
        model._preparer.prepare(longer.messages)


def _unchecked(model: Any, request: Any) -> Any:
    out = model._preparer._processed(request.messages, [])
    return out["input_ids"][0].tolist()


def test_a_template_that_leaves_text_out_is_told(bench: Any, copied: Any) -> None:
    folder = copied("llava")
    (folder / "chat_template.jinja").write_text("USER: ASSISTANT:")
    model = bench.load(folder, system_prompt="")
    with pytest.raises(InputError, match="does not show the text 'Hello'"):
        model._preparer.prepare(bench.request(0, "Hello").messages)
    (folder / "chat_template.jinja").write_text("{{ raise_exception('no system role') }}")
    model = bench.load(folder)
    with pytest.raises(InputError, match=r"refuses these messages \(system, user\): no system"):
        model._preparer.prepare(bench.request(0, "Hello").messages)


@pytest.mark.parametrize(
    "template",
    ["{% for n in range(10 ** 9) %}x{% endfor %}", "{{ ''.__class__.__mro__ }}", "{{ 1 // 0 }}"],
)
def test_a_template_that_would_not_end_or_looks_around_is_told(
    bench: Any, copied: Any, template: str
) -> None:
    folder = copied("llava")
    (folder / "chat_template.jinja").write_text(template)
    model = bench.load(folder)
    with pytest.raises(InputError, match="chat template refuses"):
        model._preparer.prepare(bench.request(0, "Hello").messages)


def test_a_template_that_leaves_an_image_out_is_told(bench: Any, copied: Any, draw: Any) -> None:
    folder = copied("llava")
    template = "{% for m in messages %}{{ m['content'][-1]['text'] }}{% endfor %}"
    (folder / "chat_template.jinja").write_text(template)
    model = bench.load(folder)
    with pytest.raises(InputError, match="0 <image> markers in the prompt for 1 images"):
        model._preparer.prepare(bench.request(0, draw(1), "Hello").messages)
