"""The media root: image files under their SHA-256, in a folder or behind an fsspec URL.

What must hold: the bytes under a digest have that digest, checked at each read, because an
answer stored for other pixels would be wrong for ever. Writing is atomic and idempotent;
processes may share one root.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lam3db.errors import MediaError, MissingDependencyError
from lam3db.media.looking import LIMITS, Limits, decode, inspect_image
from lam3db.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from PIL.Image import Image

    from lam3db.records import Media

SUFFIXES = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/bmp": ".bmp",
    "image/gif": ".gif",
}
_SHA256 = re.compile(r"[0-9a-f]{64}")
_OURS = re.compile(
    r"/(?P<ab>[0-9a-f]{2})/(?P<cd>[0-9a-f]{2})/"
    r"(?:(?P<sha256>(?P=ab)(?P=cd)[0-9a-f]{60})\.(?:png|jpg|webp|bmp|gif)"
    r"|\.(?P=ab)(?P=cd)[0-9a-f]{60}\.(?:png|jpg|webp|bmp|gif)(?P<part>\.[0-9a-f]{32}))$"
)
"""The names that :meth:`MediaRoot.put` gives; nothing else in a root is ours to touch."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file in the root: the digest in its name, or None where it is a part left by a kill.

    ``changed_at`` is None where the file system does not tell.
    """

    place: str
    sha256: str | None
    byte_count: int
    changed_at: datetime | None


class MediaRoot:
    """The folder (or fsspec URL) where image files lie as ``ab/cd/<sha256>.png``.

    Writing is atomic and idempotent; processes may share one root.
    """

    def __init__(self, root: str, limits: Limits = LIMITS) -> None:
        """Name the root; it is made when something is put."""
        self.root = redact(root)
        self.limits = limits
        self._fs, self._base = _filesystem(root)

    def put(self, data: bytes, media: Media | None = None) -> Media:
        """Keep an image's bytes and return what it is; a file already right is left alone.

        ``media`` is what :func:`inspect_image` said of the same bytes: they are then not
        decoded again. A file under this digest whose bytes have changed is put right.

        Raises:
            MediaError: the image cannot be used, or the root cannot be written.

        """
        digest = hashlib.sha256(data).hexdigest()
        if media is None:
            media = inspect_image(data, self.limits)
        elif media.sha256 != digest:
            raise MediaError(f"its bytes have changed since it was looked at ({media.sha256[:12]})")
        place = self._place(digest, SUFFIXES[media.mime_type])
        try:
            if not self._fs.exists(place) or self._fs.cat_file(place) != data:
                self._write(place, data)
            elif self._is_local:
                os.utime(place)  # young again: whoever clears up leaves it to us
        except OSError as error:
            cause = error.strerror or error
            raise MediaError(f"media root {self.root} cannot be written: {cause}") from error
        return media

    def read(self, sha256: str) -> bytes:
        """Return the bytes, verified; raise MediaError if they are missing or have changed."""
        place = self.path(sha256)
        try:
            data: bytes = self._fs.cat_file(place)
        except OSError as error:
            raise MediaError(f"{place} cannot be read: {error.strerror or error}") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            message = f"{place} has changed: its bytes no longer have the digest in its name."
            raise MediaError(f"{message} Add the dataset again to put the original back.")
        return data

    def open(self, sha256: str) -> Image:
        """Return the picture as a model is sent it (see :data:`DECODER`)."""
        return decode(self.read(sha256), self.limits)

    def path(self, sha256: str) -> str:
        """Return where the file lies; raise MediaError if it is not there."""
        if _SHA256.fullmatch(sha256) is None:
            raise MediaError(f"{sha256!r} is no image digest")
        for suffix in SUFFIXES.values():
            place = self._place(sha256, suffix)
            if self._fs.exists(place):
                return place
        message = f"image {sha256[:12]} is not in the media root {self.root}"
        cure = "set LAM3DB_MEDIA to where it lies, or add the dataset again"
        error = MediaError(f"{message}: {cure}")
        error.of_sample = self._fs.exists(self._base)  # without a root every image is missing
        raise error

    def has(self, sha256: str) -> bool:
        """Tell whether there is a file under this digest, whatever is in it."""
        return any(self._fs.exists(self._place(sha256, suffix)) for suffix in SUFFIXES.values())

    def files(self) -> Iterator[StoredFile]:
        """Yield the files that are ours by their names, in the order of their places.

        Raises:
            MediaError: the root cannot be listed.

        """
        try:
            if not self._fs.exists(self._base):
                return
            found = self._fs.find(self._base, detail=True)
        except OSError as error:
            raise MediaError(f"media root {self.root} cannot be listed: {error}") from error
        for place in sorted(found):
            name = _OURS.search(f"/{place}")
            if name is not None:
                sha256 = None if name["part"] else name["sha256"]
                size = int(found[place].get("size") or 0)
                yield StoredFile(place, sha256, size, _changed_at(found[place]))

    def changed_at(self, place: str) -> datetime | None:
        """Return when a file that :meth:`files` named was last put, None where nobody knows."""
        try:
            return _changed_at(self._fs.info(place))
        except OSError:
            return None

    def remove(self, sha256: str) -> bool:
        """Take an image's file away, whatever its suffix; return whether there was one.

        Raises:
            MediaError: it cannot be removed.

        """
        if _SHA256.fullmatch(sha256) is None:
            raise MediaError(f"{sha256!r} is no image digest")
        removed = False
        for suffix in SUFFIXES.values():
            place = self._place(sha256, suffix)
            if self._fs.exists(place):
                self.remove_file(place)
                removed = True
        return removed

    def remove_file(self, place: str) -> None:
        """Take away a file that :meth:`files` named; raise MediaError if that fails."""
        try:
            self._fs.rm_file(place)
        except FileNotFoundError:
            return
        except OSError as error:
            cause = error.strerror or error
            raise MediaError(f"{place} cannot be removed: {cause}") from error

    def _place(self, sha256: str, suffix: str) -> str:
        return f"{self._base}/{sha256[:2]}/{sha256[2:4]}/{sha256}{suffix}"

    def _write(self, place: str, data: bytes) -> None:
        """Write beside the place, then rename: a reader sees the whole file or none."""
        folder, _, name = place.rpartition("/")
        part = f"{folder}/.{name}.{uuid.uuid4().hex}"
        self._fs.makedirs(folder, exist_ok=True)
        try:
            if self._is_local:
                with Path(part).open("xb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
                Path(part).replace(place)
            else:
                self._fs.pipe_file(part, data)
                self._fs.mv(part, place)
        except BaseException:
            with contextlib.suppress(OSError):
                self._fs.rm_file(part)
            raise

    @property
    def _is_local(self) -> bool:
        return "file" in self._fs.protocol


def _filesystem(root: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    try:
        filesystem, base = url_to_fs(root)
    except ImportError as error:
        raise MissingDependencyError(f"media root {redact(root)}: {error}") from error
    except ValueError as error:
        raise MediaError(f"media root {redact(root)}: {error}") from error
    return filesystem, str(base).rstrip("/")


def _changed_at(info: dict[str, Any]) -> datetime | None:
    """Return when a file was last written, from what its file system tells of it."""
    from datetime import UTC, datetime

    for key in ("mtime", "LastModified", "last_modified", "updated", "created"):
        found = info.get(key)
        if isinstance(found, datetime):
            return found if found.tzinfo else found.replace(tzinfo=UTC)
        if isinstance(found, int | float):
            return datetime.fromtimestamp(found, UTC)
    return None
