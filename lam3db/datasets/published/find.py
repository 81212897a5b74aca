"""Where the files of a published benchmark lie, from what a user typed.

What must hold: the user may name the repository's folder, any folder on the way to the file,
or the file; what could be meant twice is asked, not guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from lam3db.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lam3db.datasets.published.shape import PublishedFile, PublishedFormat


@dataclass(frozen=True, slots=True)
class Place:
    """The files, the folder that published paths start from, and the dataset's usual name."""

    files: tuple[Path, ...]
    root: Path
    name: str


def find_place(path: Path, layout: PublishedFormat) -> Place:
    """Return where the files lie; raise InputError if they do not, or if two are meant."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    resolved = path.resolve()
    if not path.is_dir():
        return _of_file(resolved, layout)
    for wanted in (False, True):
        entries = [entry for entry in layout.files if entry.is_part is wanted]
        found = [(entry, files) for entry in entries if (files := _below(resolved, entry))]
        if len(found) > 1:
            names = ", ".join(str(files[0].relative_to(resolved)) for _, files in found)
            raise InputError(f"{path} holds several files of {layout.title}: name one of {names}")
        if found:
            entry, files = found[0]
            return Place(files, root_of(files[0], entry.path), entry.dataset)
    expected = ", ".join(entry.path for entry in layout.files)
    raise InputError(f"{path}: no file of {layout.title} in it; expected is {expected}")


def _of_file(file: Path, layout: PublishedFormat) -> Place:
    for entry in layout.files:
        pattern = PurePosixPath(entry.path).name
        if fnmatch(file.name, pattern):
            name = f"{entry.dataset}-{file.stem}" if "*" in pattern else entry.dataset
            return Place((file,), root_of(file, entry.path), name)
    return Place((file,), file.parent, file.stem)


def _below(folder: Path, entry: PublishedFile) -> tuple[Path, ...]:
    """Return the files at the published path below a folder, or at the longest tail of it."""
    parts = PurePosixPath(entry.path).parts
    for start in range(len(parts)):
        found = sorted(item for item in folder.glob("/".join(parts[start:])) if item.is_file())
        if found:
            return tuple(found)
    return ()


def root_of(file: Path, published: str) -> Path:
    """Return the folder from which a file lies at the longest tail of its published path."""
    patterns: Sequence[str] = PurePosixPath(published).parts
    parts = file.parts
    same = 0
    while same < len(patterns) and fnmatch(parts[-1 - same], patterns[-1 - same]):
        same += 1
    return file.parents[max(same, 1) - 1]
