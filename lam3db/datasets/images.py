"""The image files a dataset names, found and looked at once each.

What must hold: only files inside the dataset's folder (or ``--images``) are opened, wherever
``..``, an absolute path or a symbolic link would lead; nothing is fetched from the net.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lam3db.errors import MediaError
from lam3db.media import LIMITS, Limits, inspect_image

if TYPE_CHECKING:
    from pathlib import Path

    from lam3db.records import Media

_URL = re.compile(r"[a-z][a-z0-9+.-]+:(?://|[a-z]+/)", re.IGNORECASE)


class ImageFolder:
    """Images below one folder. ``files`` and ``media`` hold what was found, by digest."""

    def __init__(self, root: Path, limits: Limits = LIMITS) -> None:
        """Name the folder."""
        self.root = root.resolve()
        self.files: dict[str, Path] = {}
        self.media: dict[str, Media] = {}
        self._limits = limits
        self._seen: dict[Path, Media | MediaError] = {}

    def lacks(self, name: str) -> bool:
        """Return whether a file of this name would lie in the folder, and does not."""
        try:
            path = self._inside(name)
        except MediaError:
            return False  # :meth:`take` tells what is wrong with the name
        return not path.exists()

    def take(self, name: str) -> Media:
        """Return what the image of this name is; raise MediaError, the same each time."""
        path = self._find(name)
        if path not in self._seen:
            try:
                self._seen[path] = inspect_image(path, self._limits)
            except MediaError as error:
                self._seen[path] = error
        media = self._seen[path]
        if isinstance(media, MediaError):
            raise MediaError(str(media))
        self.media[media.sha256] = media
        self.files[media.sha256] = path
        return media

    def _find(self, name: str) -> Path:
        path = self._inside(name)
        if not path.exists():
            hint = " (written with backslashes?)" if "\\" in name else ""
            message = f"no such file in {self.root}{hint}; --images DIR names another folder"
            raise MediaError(message)
        return path

    def _inside(self, name: str) -> Path:
        """Return the path that a name leads to; raise MediaError unless it lies in the folder."""
        if _URL.match(name):
            raise MediaError("a URL: images are read from files; download it first")
        try:
            path = (self.root / name).resolve()
            path.exists()
        except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL, a loop of links
            raise MediaError(f"no name of a file: {error}") from error
        if not path.is_relative_to(self.root):
            message = f"leads out of {self.root}: name the folder that holds it with --images"
            raise MediaError(message)
        return path
