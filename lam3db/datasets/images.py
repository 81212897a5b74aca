"""The images a dataset names or holds, found and looked at once each.

What must hold: only files inside the dataset's folder (or ``--images``) are opened, wherever
``..``, an absolute path or a symbolic link would lead; nothing is fetched from the net; an image
that is written into the file (a ``data:`` URL) meets the same checks and limits as a file.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from lam3db.datasets.image_names import SAME_NAME, NamesBelow
from lam3db.errors import MediaError
from lam3db.media import LIMITS, Limits, inspect_image

if TYPE_CHECKING:
    from pathlib import Path

    from lam3db.datasets.files.remarks import Remarks
    from lam3db.records import Media

_URL = re.compile(r"[a-z][a-z0-9+.-]+:(?://|[a-z]+/)", re.IGNORECASE)
_DATA = re.compile(r"data:([^,;]*)((?:;[^,;]*)*),", re.IGNORECASE)
_HEAD = 1000
"""Characters within which the head of a ``data:`` URL ends."""


class ImageFolder:
    """Images below one folder, and such as are written out in a file.

    ``files`` and ``media`` hold what was found, by digest: a path, or the bytes themselves.
    Without a folder only the latter are opened.
    """

    def __init__(self, root: Path | None, limits: Limits = LIMITS) -> None:
        """Name the folder."""
        self.root = None if root is None else root.resolve()
        self.files: dict[str, Path | bytes] = {}
        self.media: dict[str, Media] = {}
        self._limits = limits
        self._names = None if self.root is None else NamesBelow(self.root)
        self._seen: dict[Path, Media | MediaError] = {}

    def opens(self, name: str) -> bool:
        """Return whether an image of this name can be looked for: not without a folder."""
        return self.root is not None or is_data_url(name)

    def lacks(self, name: str) -> bool:
        """Return whether a file of this name would lie in the folder, and does not."""
        try:
            path = self._inside(name)
        except MediaError:
            return False  # :meth:`take` tells what is wrong with the name
        return not path.exists() and self._same(name) is None

    def hint(self, name: str) -> str:
        """Return `` - did you mean 'x'?`` for a name that looks like that of a file, or ``""``."""
        return "" if self._names is None else self._names.hint(name)

    def take(self, name: str, remarks: Remarks | None = None) -> Media:
        """Return what the image of this name is; raise MediaError, the same each time.

        ``name`` is a path below the folder or a ``data:`` URL. A file whose name is the same
        text in another Unicode form is taken, and ``remarks`` tell so.
        """
        if is_data_url(name):
            return self._written_out(decoded(name, self._limits))
        path = self._find(name, remarks)
        if path not in self._seen:
            try:
                self._seen[path] = inspect_image(path, self._limits)
            except MediaError as error:
                self._seen[path] = error
        media = self._seen[path]
        if isinstance(media, MediaError):
            raise MediaError(str(media))
        return self._kept(media, path)

    def _written_out(self, data: bytes) -> Media:
        known = self.media.get(hashlib.sha256(data).hexdigest())
        return self._kept(known or inspect_image(data, self._limits), data)

    def _kept(self, media: Media, source: Path | bytes) -> Media:
        self.media[media.sha256] = media
        self.files.setdefault(media.sha256, source)
        return media

    def _find(self, name: str, remarks: Remarks | None) -> Path:
        path = self._inside(name)
        if path.exists():
            return path
        same = self._same(name)
        if same is not None:
            if remarks is not None:
                remarks.note(SAME_NAME)
            return self._inside(same)
        hint = self.hint(name) or "; --images DIR names another folder"
        raise MediaError(f"no such file in {self.root}{hint}")

    def _same(self, name: str) -> str | None:
        return None if self._names is None else self._names.same(name)

    def _inside(self, name: str) -> Path:
        """Return the path that a name leads to; raise MediaError unless it lies in the folder."""
        if _URL.match(name):
            raise MediaError("a URL: images are read from files; download it first")
        if self.root is None:
            raise MediaError("no folder of images is named: --images DIR names it")
        try:
            path = (self.root / name).resolve()
            path.exists()
        except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL, a loop of links
            raise MediaError(f"no name of a file: {error}") from error
        if not path.is_relative_to(self.root):
            message = f"leads out of {self.root}: name the folder that holds it with --images"
            raise MediaError(message)
        return path


def is_data_url(name: str) -> bool:
    """Return whether an image is written out here, not named."""
    return name[:5].lower() == "data:"


def decoded(url: str, limits: Limits = LIMITS) -> bytes:
    """Return the bytes of a ``data:`` URL of an image (RFC 2397); raise MediaError.

    What kind of image it is, its content tells, as that of a file does.
    """
    head = _DATA.match(url[:_HEAD])
    if head is None:
        raise MediaError('a data: URL without its comma ("data:image/png;base64,..." is expected)')
    kind, options = head[1].strip().lower(), head[2].lower().split(";")
    if kind and not kind.startswith("image/"):
        raise MediaError(f"a data: URL of {kind}, not of an image")
    body = url[head.end() :]
    is_base64 = "base64" in (option.strip() for option in options)
    if len(body) > limits.max_bytes * (2 if is_base64 else 3):
        raise MediaError(f"a data: URL of more than {limits.max_bytes >> 20} MiB")
    return _from_base64(body) if is_base64 else unquote_to_bytes(body)


def _from_base64(body: str) -> bytes:
    """Return the bytes; blanks and missing padding, as programs write them, are no fault."""
    text = b"".join(unquote_to_bytes(body).split()).rstrip(b"=")
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MediaError(f"a data: URL whose base64 is damaged: {error}") from error
