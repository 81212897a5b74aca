"""Messages as chat interfaces write them: every part is read, refused by name, or told."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from lam3db.datasets.content_parts import ContentError, ImageName, read_content, read_message
from lam3db.datasets.files.remarks import Remarks
from lam3db.datasets.load import Loaded, load_dataset
from lam3db.errors import InputError
from lam3db.records import ImagePart, TextPart

if TYPE_CHECKING:
    from pathlib import Path


def image_url(url: str, **more: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def load(folder: Path, *messages: dict[str, Any]) -> Loaded:
    path = folder / "bench.jsonl"
    path.write_text(json.dumps({"id": "1", "messages": messages}), encoding="utf-8")
    return load_dataset(path)


def refused(folder: Path, *messages: dict[str, Any]) -> str:
    with pytest.raises(InputError) as caught:
        load(folder, *messages)
    return str(caught.value)


@pytest.mark.parametrize(
    ("part", "piece"),
    [
        ("words", TextPart("words")),
        (text("words"), TextPart("words")),
        ({"type": "input_text", "text": "words"}, TextPart("words")),
        ({"type": "output_text", "text": "words", "annotations": []}, TextPart("words")),
        (image_url("a.png"), ImageName("a.png")),
        ({"type": "image_url", "image_url": "a.png"}, ImageName("a.png")),
        ({"type": "input_image", "image_url": "data:,", "file_id": None}, ImageName("data:,")),
        ({"type": "image", "image": "a.png"}, ImageName("a.png")),
        ({"type": "image", "url": "a.png"}, ImageName("a.png")),
        ({"type": "image", "path": "a.png"}, ImageName("a.png")),
        (
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": "AA"},
            },
            ImageName("data:image/png;base64,AA"),
        ),
    ],
)
def test_each_kind_of_part(part: Any, piece: Any) -> None:
    remarks = Remarks()
    assert read_content([part], remarks) == (piece,)
    assert remarks.lines() == []


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"type": "input_audio", "input_audio": {"data": ""}}, "type 'input_audio' is none of"),
        ({"type": "file", "file": {"file_id": "x"}}, "type 'file' is none of"),
        ({"text": "x"}, "type None is none of"),
        ({"type": ["text"], "text": "x"}, "is none of text,"),
        ({"type": "text", "text": 5}, "text is expected as a text, not 5"),
        ({"type": "image_url"}, "image_url is expected"),
        ({"type": "image_url", "image_url": {"uri": "a.png"}}, "image_url is expected"),
        ({"type": "input_image", "file_id": "file-1"}, "file_id names an image"),
        ({"type": "image", "source": {"type": "url", "url": "x"}}, "source is expected in base64"),
        ({"type": "image"}, "one of image, url or path"),
        (7, "not 7"),
        (None, "not None"),
    ],
)
def test_a_part_that_cannot_be_read_is_refused_by_place_and_name(part: Any, says: str) -> None:
    with pytest.raises(ContentError, match=r"content\[2\]: ") as caught:
        read_content(["x", part], Remarks())
    assert says in str(caught.value)


def test_what_carries_no_content_is_told_as_not_read() -> None:
    remarks = Remarks()
    message = {
        "role": "developer",
        "name": "ops",
        "tool_calls": None,
        "content": [image_url("a.png", detail="low"), text("x") | {"cache_control": {"a": 1}}],
    }
    assert read_message(message, remarks) == ("system", (ImageName("a.png"), TextPart("x")))
    unread, role = remarks.lines()
    assert unread == (
        "not read: messages[].name (1), messages[].content[].image_url.detail (1),"
        " messages[].content[].cache_control (1)"
    )
    assert role == "messages by the role 'developer' are read as 'system' (1)"


def test_parts_keep_their_order_and_images_are_files_or_written_out(tmp_path: Path) -> None:
    for name, color in (("a.png", "red"), ("b.png", "blue")):
        Image.new("RGB", (8, 6), color).save(tmp_path / name)
    written = base64.b64encode((tmp_path / "b.png").read_bytes()).decode("ascii")
    content = [text("first"), image_url("a.png"), image_url(f"data:image/png;base64,{written}"), ""]
    loaded = load(tmp_path, {"role": "system", "content": "Be brief."}, user(content))
    ((_, sample),) = loaded.dataset.samples
    system, posed = sample.messages
    first, second = loaded.dataset.media
    assert system.parts == (TextPart("Be brief."),)
    assert posed.parts == (TextPart("first"), ImagePart(first.sha256), ImagePart(second.sha256))
    assert loaded.files[second.sha256] == (tmp_path / "b.png").read_bytes()


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([user("")], "neither text nor image"),
        ([user([])], "neither text nor image"),
        ([user(None)], "content[1]: a text or a part"),
        ([user("x") | {"image": "a.png"}], "no text or image beside it"),
        ([user("x"), {"role": "tool", "content": "x"}], "messages[2]: role 'tool' is none of"),
        (
            [user("x"), {"role": "assistant", "content": "x", "tool_calls": [{"id": 1}]}],
            "messages[2]: tool_calls is not read here",
        ),
        ([user([image_url("https://example.org/a.png")])], "a URL: images are read from files"),
        ([user([image_url("none.png")])], "'none.png': no such file"),
        ([user([image_url("data:image/png;base64,AAAA")])], "no image that we know"),
    ],
)
def test_a_fault_of_a_message_is_named(
    tmp_path: Path, messages: list[dict[str, Any]], says: str
) -> None:
    assert says in refused(tmp_path, *messages)


def test_a_cell_of_a_table_holds_messages_as_json(tmp_path: Path) -> None:
    cell = json.dumps([user([text("a")])]).replace('"', '""')
    path = tmp_path / "bench.csv"
    path.write_text(f'id,messages\n1,"{cell}"\n', encoding="utf-8")
    ((_, sample),) = load_dataset(path).dataset.samples
    assert sample.messages[0].parts == (TextPart("a"),)
