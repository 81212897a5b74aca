"""The file of a bundle while it is made, and its images beside it.

What must hold: file and images appear under their names when they are whole, and only their
owner can read them; what a killed process has left of a bundle of the same name goes when the
next one is made, and what a living process is still making stays.
"""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING

from lam3db.atomic_files import PRIVATE, new_path, refuse_path
from lam3db.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def media_part(part: Path) -> Path:
    """Return the folder of the images of a file that is not yet whole."""
    return part.with_name(f"{part.name}.media")


def refuse_taken(path: Path, media: Path) -> None:
    """Raise InputError where there is something under these names, or no folder for them."""
    refuse_path(path)
    if media.exists():
        raise InputError(f"{media} already exists: remove it, or choose another path with -o")


@contextlib.contextmanager
def new_bundle(path: Path, media: Path) -> Iterator[Path]:
    """Yield a file that only its owner can read; it and its images get their names at the end.

    Raises:
        InputError: it cannot be written.

    """

    def publish_images(part: Path) -> None:
        images = media_part(part)
        if any(images.iterdir()):
            images.rename(media)

    with new_path(path, mode=PRIVATE, finish=publish_images, remove=_remove_images) as part:
        media_part(part).mkdir(mode=0o700)
        yield part


def _remove_images(part: Path) -> None:
    shutil.rmtree(media_part(part), ignore_errors=True)
