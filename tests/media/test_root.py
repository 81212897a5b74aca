"""The media root: the bytes under a digest have that digest, or there is an error."""

from __future__ import annotations

import io
import random
import threading
import uuid
from pathlib import Path

import pytest
from PIL import Image

from lam3db.errors import MediaError, MissingDependencyError
from lam3db.media import MediaRoot, inspect_image


def saved(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def two_halves(width: int = 40, height: int = 20) -> Image.Image:
    """Return a picture whose left half is red and whose right half is blue."""
    picture = Image.new("RGB", (width, height), "red")
    picture.paste("blue", (width // 2, 0, width, height))
    return picture


def noise(width: int = 64, height: int = 48) -> Image.Image:
    return Image.frombytes("RGB", (width, height), random.Random(5).randbytes(width * height * 3))


@pytest.fixture(params=["folder", "url"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> MediaRoot:
    if request.param == "folder":
        return MediaRoot(str(tmp_path / "media"))
    return MediaRoot(f"memory://{uuid.uuid4().hex}")


def test_put_read_open_path(root: MediaRoot) -> None:
    data = saved(two_halves())
    media = root.put(data)
    assert media == inspect_image(data)
    assert root.read(media.sha256) == data
    assert root.open(media.sha256).tobytes() == two_halves().tobytes()
    sha = media.sha256
    assert root.path(sha).endswith(f"/{sha[:2]}/{sha[2:4]}/{sha}.png")


def test_putting_again_changes_nothing(root: MediaRoot) -> None:
    data = saved(two_halves(), "JPEG")
    first = root.put(data)
    assert root.put(data) == first
    assert root.put(data, first) == first
    assert root.path(first.sha256).endswith(".jpg")


def test_a_bad_image_leaves_nothing_behind(tmp_path: Path) -> None:
    root = MediaRoot(str(tmp_path / "media"))
    with pytest.raises(MediaError):
        root.put(saved(noise())[:-30])
    assert not (tmp_path / "media").exists()


def test_bytes_other_than_those_looked_at_are_refused(root: MediaRoot) -> None:
    media = inspect_image(saved(two_halves()))
    with pytest.raises(MediaError, match="have changed since"):
        root.put(saved(noise()), media)


def test_a_changed_file_is_never_read_and_is_put_right(tmp_path: Path) -> None:
    root = MediaRoot(str(tmp_path))
    data = saved(two_halves())
    media = root.put(data)
    Path(root.path(media.sha256)).write_bytes(saved(noise()))
    with pytest.raises(MediaError, match="no longer have the digest"):
        root.open(media.sha256)
    root.put(data)
    assert root.read(media.sha256) == data


def test_a_missing_image_says_where_it_was_looked_for(root: MediaRoot) -> None:
    with pytest.raises(MediaError, match=r"not in the media root .*: set LAM3DB_MEDIA"):
        root.read("0" * 64)


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_only_digests_are_looked_up(root: MediaRoot, name: str) -> None:
    with pytest.raises(MediaError, match="no image digest"):
        root.read(name)


def test_a_root_that_cannot_be_written_is_an_error_and_leaves_no_part(tmp_path: Path) -> None:
    (tmp_path / "media").write_text("a file where the folder should be")
    with pytest.raises(MediaError, match="cannot be written"):
        MediaRoot(str(tmp_path / "media")).put(saved(two_halves()))


def test_an_unknown_or_uninstalled_scheme_is_an_error_without_its_password() -> None:
    with pytest.raises(MediaError, match="media root"):
        MediaRoot("nosuch://bucket/folder")
    try:
        import s3fs  # noqa: F401
    except ImportError:
        with pytest.raises(MissingDependencyError, match=r"\*\*\*@") as caught:
            MediaRoot("s3://key:hunter2hunter2@bucket/folder")
        assert "hunter2" not in str(caught.value)


def test_many_threads_put_one_image(tmp_path: Path) -> None:
    data = saved(noise(200, 200))
    media = inspect_image(data)
    threads = [
        threading.Thread(target=lambda: MediaRoot(str(tmp_path)).put(data, media)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in files] == [data]


def test_files_that_are_ours_are_listed_and_others_are_not(tmp_path: Path) -> None:
    root = MediaRoot(str(tmp_path / "media"))
    assert list(root.files()) == []
    kept = root.put(saved(two_halves()))
    place = Path(root.path(kept.sha256))
    part = place.with_name(f".{place.name}.{'0' * 32}")
    part.write_bytes(b"half")
    (place.parent / "notes.txt").write_text("mine")
    (tmp_path / "media" / place.name).write_bytes(b"not in its folder")
    found = list(root.files())
    assert [(one.sha256, one.byte_count) for one in found] == [
        (None, 4),
        (kept.sha256, kept.byte_count),
    ]
    assert all(one.changed_at is not None for one in found)
    assert root.remove(kept.sha256)
    assert not root.remove(kept.sha256)
    assert [one.sha256 for one in root.files()] == [None]
