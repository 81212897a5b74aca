"""What is wrong with a file is told, all at once, by line and field."""

from __future__ import annotations

import csv
import json
import os
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from lam3db.datasets.faults import Faults
from lam3db.datasets.lines import MAX_LINE
from lam3db.datasets.load import Options, load_dataset
from lam3db.datasets.table import read_table
from lam3db.errors import InputError
from lam3db.records import text_of

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, *objects: dict[str, Any] | str, name: str = "bench.jsonl") -> Path:
    """Write a JSONL file; a str is a line as it stands."""
    lines = (item if isinstance(item, str) else json.dumps(item) for item in objects)
    path = folder / name
    path.write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8"))
    return path


def table(folder: Path, text: str, name: str = "bench.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def picture(folder: Path, name: str, color: str = "red") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), color).save(path, "PNG")
    return path


def faults(path: Path, **options: Any) -> tuple[str, ...]:
    with pytest.raises(InputError) as caught:
        load_dataset(path, Options(**options))
    return caught.value.faults


def test_all_faults_are_told_together_with_line_and_field(tmp_path: Path) -> None:
    picture(tmp_path, "good.png")
    (tmp_path / "bad.png").write_bytes((tmp_path / "good.png").read_bytes()[:40])
    path = write(
        tmp_path,
        {"key": "a", "prompt": "fine", "image": "good.png"},
        {"key": "a", "prompt": "other", "image": "good.png"},
        {"key": "c", "prompt": "x", "image": "bad.png"},
        {"key": "d", "prompt": "x", "image": "none.png"},
        "[1, 2]",
        "{broken",
        {"key": "g", "prompt": 5, "benign": "perhaps"},
        {"prompt": "x"},
        {"key": "i", "promt": "x"},
    )
    with pytest.raises(InputError) as caught:
        load_dataset(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: 11 faults, nothing was imported\n")
    for expected in (
        "line 2, key: 'a' is on line 1 already",
        "line 3, image: 'bad.png': a damaged image/png",
        "line 4, image: 'none.png': no such file in",
        "line 5: not an object but [1, 2]",
        "line 6: no JSON",
        "line 7, prompt: text is wanted, not 5",
        "line 7, benign: true or false",
        "line 8, key: missing",
        "line 9, prompt: missing",
    ):
        assert expected in message
    lines = [fault.partition(":")[0].partition(",")[0] for fault in caught.value.faults]
    assert lines == sorted(lines)


def test_fifty_faults_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    shown = faults(write(tmp_path, *({"prompt": index} for index in range(3000))))
    assert len(shown) == 51
    assert shown[0].startswith("line 1, ")
    assert shown[-1].startswith("... and ")
    count = int(shown[-1].split()[2]) + 50
    assert count >= 3000


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"prompt": "x", "n": -Infinity}', "-Infinity is no JSON"),
        ('{"prompt": "x", "n": 1e999}', "too large"),
        ('{"prompt": "x", "n": 9007199254740993}', "beyond 2**53"),
        ('{"prompt": "x", "n": ' + "9" * 5000 + "}", "characters (limit 400)"),
        ('{"prompt": "x", "prompt": "y"}', "'prompt' stands twice"),
        ('{"prompt": "x", "n": ' + "[" * 40 + "]" * 40 + "}", "nested more than 32"),
        ('{"prompt": "x", "n": ' + "[" * 200_000 + "]" * 200_000 + "}", "nested more than 32"),
        ('"text"', "not an object but 'text'"),
        ('{"prompt": "x"}\ufeff{}', "no JSON"),
        ('{"prompt": "x", "metadata": {"a": 1}, "a": 2}', "'a' stands inside and beside"),
        ('{"prompt": ["x"]}', "text is wanted"),
        ('{"prompt": true}', "text is wanted"),
        ('{"prompt": ""}', "neither text nor image"),
        ('{"prompt": " \\n"}', "neither text nor image"),
        ('{"prompt": "x", "key": " "}', "blank"),
        ('{"prompt": "x", "key": true}', "text is wanted"),
        ('{"prompt": "x", "key": "' + "k" * 201 + '"}', "201 characters, more than 200"),
        ('{"prompt": "x", "target": ["a"]}', "text is wanted"),
        ('{"prompt": "x", "benign": 2}', "true or false"),
        ('{"prompt": "x", "benign": "maybe"}', "'maybe'; or name the words that mean benign"),
        ('{"prompt": "x", "attack": {"name": "a", "strength": 3}}', "no more"),
        ('{"prompt": "x", "attack": {"parameters": {}}}', "no name"),
        ('{"prompt": "x", "attack": ["a"]}', "text is wanted"),
        ('{"prompt": "x", "image": 7}', "paths of images are wanted"),
        ('{"prompt": "x", "images": ["a.png", null]}', "paths of images are wanted"),
        ('{"prompt": "x", "image": "a.png", "images": ["a.png"]}', "both given"),
        ('{"messages": []}', "a list of messages is wanted"),
        ('{"messages": [{"role": "user"}]}', "neither text nor image"),
        ('{"messages": [{"role": "user", "words": "x"}]}', '"role" with "content"'),
        ('{"messages": [{"role": "robot", "text": "x"}]}', "role 'robot'"),
        ('{"messages": [{"role": "assistant", "text": "x"}]}', "the last is by 'assistant'"),
        ('{"messages": [{"role": "user", "text": "x"}], "prompt": "x"}', "given beside"),
        ('{"messages": [{"role": "user", "text": 5}]}', "text of at most"),
        ('{"messages": "x"}', "a JSON list is wanted"),
        ('{"messages": "{}"}', "a list of messages is wanted"),
    ],
)
def test_each_fault_of_a_line_is_named(tmp_path: Path, line: str, says: str) -> None:
    picture(tmp_path, "a.png")
    found = faults(write(tmp_path, line))
    assert any(fault.startswith("line 1") and says in fault for fault in found), found


def test_the_same_sample_twice_is_refused_even_under_two_keys(tmp_path: Path) -> None:
    (fault,) = faults(write(tmp_path, {"prompt": "a"}, {"prompt": "b"}, {"prompt": "a"}))
    assert fault.startswith("line 3: the same sample as on line 1")
    (fault,) = faults(write(tmp_path, {"key": "1", "prompt": "a"}, {"key": 2, "prompt": "a"}))
    assert fault.startswith("line 2: the same sample as on line 1")


def test_a_line_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    path = tmp_path / "bench.jsonl"
    path.write_bytes(b'{"prompt": "ok"}\n{"prompt": "caf\xe9"}\n')
    (fault,) = faults(path)
    said = "line 2: not UTF-8 at byte 16 (e9 22 7d 0a): save the file as UTF-8"
    as_map = "a map of `import results` says so as file.encoding"
    assert fault == f"{said} (it seems to be cp1252; {as_map})"
    path.write_bytes('{"prompt": "ok"}\n'.encode("utf-16"))
    assert faults(path) == ("the file is UTF-16 or UTF-32: save it as UTF-8",)


def test_a_byte_order_mark_in_the_middle_is_told(tmp_path: Path) -> None:
    one = b'\xef\xbb\xbf{"prompt": "a"}\n'
    path = tmp_path / "bench.jsonl"
    path.write_bytes(one + one.replace(b"a", b"b"))
    (fault,) = faults(path)
    assert fault.startswith("line 2: begins with a byte order mark")


def test_a_line_without_end_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "bench.jsonl"
    with path.open("wb") as stream:
        stream.write(b'{"prompt": "a"}\n')
        stream.seek(300 << 20, os.SEEK_CUR)
        stream.write(b'\n{"prompt": 3}\n')
    shown = faults(path)
    assert shown[0] == f"line 2: longer than {MAX_LINE >> 20} MiB"
    assert shown[1].startswith("line 3, prompt")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("prompt,prompt\na,b\n", "line 1: the column 'prompt' stands twice in the header"),
        ("key,prompt\na\n", "line 2: 1 cells under a header of 2"),
        ("key,prompt\na,b,c\n", "line 2: 3 cells under a header of 2"),
        ('key,prompt\na,"b\nc\n', "line 2: unexpected end of data: is a closing quote missing"),
        ('key,prompt\na,"b"c\n', "line 2: ',' expected after '\"'"),
        ("key;prompt\na;b\n", "line 1: one column 'key;prompt': separated by semicolons?"),
        ("prompt\n\ufeffx\n", "line 2: begins with a byte order mark"),
        ('prompt,images\nx,"[a.png"\n', "line 2, images: a JSON list is wanted, not '[a.png'"),
        ("prompt,images\nx,a.png\n", "line 2, images: a JSON list is wanted"),
    ],
)
def test_each_fault_of_a_table_is_named(tmp_path: Path, text: str, says: str) -> None:
    found = faults(table(tmp_path, text))
    assert any(fault.startswith(says) for fault in found), found


def test_lines_of_a_table_are_counted_in_the_file(tmp_path: Path) -> None:
    (fault,) = faults(table(tmp_path, 'key,prompt\na,"x\ny\nz"\n\nb,\n'))
    assert fault == "line 6, prompt: neither text nor image"


def test_rows_that_do_not_fit_the_header_are_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_bytes(b"prompt\n" + (b"x" + b"," * 500_000 + b"x\n") * 20)
    faults = Faults(path)
    tracemalloc.start()
    assert read_table(path, ",", faults) == []
    assert tracemalloc.get_traced_memory()[1] < 30 << 20
    tracemalloc.stop()
    assert faults.count == 20


def test_a_cell_larger_than_the_usual_limit_is_read(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    ((_, sample),) = load_dataset(table(tmp_path, f"prompt\n{'x' * 500_000}\n")).dataset.samples
    assert len(text_of(sample.messages)) == 500_000
    assert csv.field_size_limit() == before


@pytest.mark.parametrize("text", ["", "\n\n", "key,prompt\n", "\ufeff"])
def test_an_empty_file_is_told(tmp_path: Path, text: str) -> None:
    for path in (table(tmp_path, text), table(tmp_path, text.partition("key")[0], "x.jsonl")):
        with pytest.raises(InputError, match="there is no sample in it"):
            load_dataset(path)


# images


def test_images_are_looked_for_beside_the_file_or_where_said(tmp_path: Path) -> None:
    picture(tmp_path / "elsewhere", "a.png")
    path = write(tmp_path, {"prompt": "x", "image": "a.png"})
    (fault,) = faults(path)
    assert "no such file" in fault
    assert "--images DIR" in fault
    options = Options(images=tmp_path / "elsewhere")
    assert len(load_dataset(path, options).files) == 1
    with pytest.raises(InputError, match="no such folder"):
        load_dataset(path, Options(images=tmp_path / "none"))


def test_no_image_outside_the_folder_is_opened(tmp_path: Path) -> None:
    outside = picture(tmp_path, "secret.png")
    folder = tmp_path / "set"
    inside = picture(folder, "a.png")
    (folder / "link.png").symlink_to(outside)
    (folder / "folder").symlink_to(tmp_path)
    names = [str(outside), "../secret.png", "link.png", "folder/secret.png", "x/../../secret.png"]
    found = faults(write(folder, *({"prompt": str(i), "image": n} for i, n in enumerate(names))))
    assert len(found) == len(names)
    assert all("leads out of" in fault and "--images" in fault for fault in found)
    allowed = write(
        folder, {"prompt": "x", "image": names[0]}, {"prompt": "y", "image": "set/../secret.png"}
    )
    assert len(load_dataset(allowed, Options(images=tmp_path)).files) == 1
    own = write(folder, {"prompt": "x", "image": str(inside)}, {"prompt": "y", "image": "./a.png"})
    assert len(load_dataset(own).files) == 1


@pytest.mark.parametrize(
    "name",
    ["https://example.org/a.png", "s3://b/a.png", "file:///etc/passwd"],
)
def test_nothing_is_fetched(tmp_path: Path, name: str) -> None:
    (fault,) = faults(write(tmp_path, {"prompt": "x", "image": name}))
    assert "a URL: images are read from files" in fault


@pytest.mark.parametrize("name", ["a\x00b.png", "x" * 5000, "loop.png", "a\ud800.png", "."])
def test_odd_names_are_faults(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop.png").symlink_to("loop.png")
    (fault,) = faults(write(tmp_path, {"prompt": "x", "image": name}))
    assert fault.startswith("line 1, image: ")


def test_one_bad_image_on_two_lines_is_told_for_both(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"<html>")
    lines = [{"prompt": text, "image": "a.png"} for text in "xy"]
    first, second = faults(write(tmp_path, *lines))
    assert first.startswith("line 1, image: 'a.png': a web page")
    assert second.startswith("line 2, image: 'a.png': a web page")
