"""Images by their names, written in whatever way, and images that a file writes out itself."""

from __future__ import annotations

import base64
import unicodedata
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from lam3db.datasets.faults import Faults
from lam3db.datasets.files.remarks import Remarks
from lam3db.datasets.images import ImageFolder, decoded
from lam3db.datasets.results.formats import ReadOptions
from lam3db.errors import MediaError
from lam3db.media import Limits

if TYPE_CHECKING:
    from pathlib import Path

COMPOSED, APART = "caf\u00e9", "cafe\u0301"


def draw(path: Path, color: str = "red") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), color).save(path, "PNG")
    return path


def data_url(path: Path, head: str = "data:image/png;base64,") -> str:
    return head + base64.b64encode(path.read_bytes()).decode("ascii")


def refused(folder: ImageFolder, name: str) -> str:
    with pytest.raises(MediaError) as caught:
        folder.take(name)
    return str(caught.value)


@pytest.mark.parametrize(("stored", "asked"), [(COMPOSED, APART), (APART, COMPOSED)])
def test_one_text_in_two_unicode_forms_is_one_name_and_that_is_told(
    tmp_path: Path, stored: str, asked: str
) -> None:
    draw(tmp_path / stored / f"{stored}.png")
    folder, remarks = ImageFolder(tmp_path), Remarks()
    assert not folder.lacks(f"{asked}/{asked}.png")
    taken = folder.take(f"{asked}/{asked}.png", remarks)
    assert folder.take(f"{stored}/{stored}.png", remarks) == taken
    (line,) = remarks.lines()
    assert line.startswith("image names in another Unicode form")
    assert line.endswith("(1)"), "the exact name is no remark"


def test_a_file_of_exactly_this_name_comes_before_one_in_another_form(tmp_path: Path) -> None:
    draw(tmp_path / f"{COMPOSED}.png", "red")
    draw(tmp_path / f"{APART}.png", "blue")
    folder = ImageFolder(tmp_path)
    first, second = folder.take(f"{COMPOSED}.png"), folder.take(f"{APART}.png")
    assert first.sha256 != second.sha256


def test_two_files_that_may_be_meant_are_not_chosen_from(tmp_path: Path) -> None:
    third = unicodedata.normalize("NFC", "\u1e69")  # s with two dots, which has three spellings
    draw(tmp_path / f"{unicodedata.normalize('NFD', third)}.png", "red")
    draw(tmp_path / "\u1e63\u0307.png", "blue")
    assert "no such file" in refused(ImageFolder(tmp_path), f"{third}.png")


@pytest.mark.parametrize(
    ("asked", "differs"),
    [
        ("Shots/PLAIN one.PNG", "case"),
        ("shots/plain one.png ", "blanks at an end"),
        ("shots\\plain one.png", "backslashes"),
        ("shots/plain%20one.png", "percent-encoding"),
        ("shots/\uff50lain one.png", "another Unicode form"),
        ("shots/plain\u00a0one.png", "another Unicode form"),
        ("shots/plain one\u200b.png", "another Unicode form"),
        ("shots/plain one.jpeg", "another ending"),
        ("Shots%5CPlain one.png", "percent-encoding, backslashes, case"),
    ],
)
def test_a_name_that_looks_like_a_file_is_offered_with_what_differs(
    tmp_path: Path, asked: str, differs: str
) -> None:
    draw(tmp_path / "shots" / "plain one.png")
    fault = refused(ImageFolder(tmp_path), asked)
    assert fault.endswith(f" - did you mean 'shots/plain one.png'? ({differs})")


@pytest.mark.parametrize(
    "asked", ["other.png", "shots", "a/b/c.png", "..", "/plain.png", "x" * 999]
)
def test_nothing_is_offered_where_nothing_looks_alike(tmp_path: Path, asked: str) -> None:
    draw(tmp_path / "plain.png")
    assert ImageFolder(tmp_path).hint(asked) == ""


def test_what_lies_outside_is_never_offered(tmp_path: Path) -> None:
    draw(tmp_path / "Secret.png")
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "link").symlink_to(tmp_path)
    folder = ImageFolder(tmp_path / "inside")
    assert "did you mean" not in refused(folder, "../secret.png")
    (tmp_path / "inside" / APART).symlink_to(tmp_path / "Secret.png")
    assert "leads out of" in refused(folder, COMPOSED)


def test_an_image_written_out_meets_the_checks_of_a_file(tmp_path: Path) -> None:
    path = draw(tmp_path / "a.png")
    folder = ImageFolder(None)
    taken = folder.take(data_url(path))
    assert taken == ImageFolder(tmp_path).take("a.png"), "the same picture is the same image"
    assert folder.files[taken.sha256] == path.read_bytes()
    unpadded = data_url(path, "DATA:image/png;charset=utf-8;BASE64,").rstrip("=")
    assert folder.take(f"{unpadded[:40]}\n{unpadded[40:]}") == taken
    assert folder.opens(unpadded)
    assert not folder.opens("a.png")
    assert "no folder of images" in refused(folder, "a.png")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("data:image/png;base64", "without its comma"),
        ("data:image/png;base64,", "an empty file"),
        ("data:image/png;base64,AA*A", "base64 is damaged"),
        ("data:image/png;base64,AAAAA", "base64 is damaged"),
        ("data:image/png;base64,AAAA", "no image that we know"),
        ("data:application/pdf;base64,JVBERi0=", "application/pdf, not of an image"),
        ("data:text/html,<b>", "text/html, not of an image"),
        ("data:image/svg+xml,%3Csvg%3E", "an SVG"),
        ("data:" + "x" * 2000 + ",", "without its comma"),
    ],
)
def test_what_is_no_image_is_refused_with_the_reason(url: str, says: str) -> None:
    assert says in refused(ImageFolder(None), url)


def test_a_large_one_is_refused_before_it_is_decoded() -> None:
    limits = Limits(max_bytes=1 << 20)
    with pytest.raises(MediaError, match="more than 1 MiB"):
        decoded("data:image/png;base64," + "A" * (3 << 20), limits)


def test_results_that_name_images_find_them_by_the_same_rules(tmp_path: Path) -> None:
    path = draw(tmp_path / f"{APART}.png")
    faults = Faults(tmp_path / "results.csv")
    named = ReadOptions(images=ImageFolder(tmp_path))
    part = named.picture(1, "image", f"{COMPOSED}.png", faults)
    assert part is not None
    assert faults.remarks.lines()[0].startswith("image names in another Unicode form")
    assert named.picture(2, "image", f"{APART.upper()}.png", faults) is None
    assert faults.count == 1
    bare = ReadOptions(images=ImageFolder(None))
    assert bare.picture(1, "image", "a.png", faults) is None
    assert bare.picture(1, "image", data_url(path), faults) == part
    assert faults.count == 1
