"""What a published format is, and what it makes of a record.

A format is a function from files to :class:`Posed` samples, with the facts that a person
needs before typing the command. What must hold: the name of an image keeps the part that
tells it from others (:class:`Picture`), so that no sample is ever given another's picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from lam3db.records import Attack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from lam3db.datasets.faults import Faults

    Pose = Callable[["tuple[Path, ...]", Faults], "Iterator[Posed]"]


@dataclass(frozen=True, slots=True)
class Picture:
    """An image by its place in the published folders.

    ``folders`` are those that may hold it, ``name`` is the path below them that is its own.
    A user may have kept any tail of a folder's path, so ``data/images/X``, ``images/X``, ``X``
    and the root itself are looked into; ``name`` is never shortened.
    """

    folders: tuple[str, ...]
    name: str
    or_name: str = ""
    """Another name of the same file, where it was published under two."""

    def candidates(self) -> tuple[str, ...]:
        """Return the paths to look at below a root, the published ones first."""
        names = [name for name in (self.name, self.or_name) if name]
        tails = [tail for folder in self.folders for tail in _tails(folder)]
        tails.sort(key=lambda tail: -tail.count("/"))
        return tuple(dict.fromkeys(f"{tail}{name}" for tail in tails for name in names))

    @property
    def belongs(self) -> str:
        """Return where it belongs as published."""
        return str(PurePosixPath(self.folders[0]) / self.name)


def _tails(folder: str) -> Iterator[str]:
    parts = PurePosixPath(folder).parts
    for start in range(len(parts) + 1):
        yield "".join(f"{part}/" for part in parts[start:])


@dataclass(frozen=True, slots=True)
class Posed:
    """One sample as a format has it; ``line`` and ``place`` as of :class:`lines.Row`."""

    key: str
    prompt: Any
    behavior: Any
    line: int = 0
    place: str = ""
    picture: Picture | None = None
    category: Any = ""
    attack: Attack = field(default_factory=Attack)
    target: Any = None
    is_benign: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def values(self, image: str | None) -> dict[str, Any]:
        """Return it as a row of our own JSONL would have it."""
        return {
            "key": self.key,
            "prompt": self.prompt,
            "image": image,
            "behavior": self.behavior,
            "category": self.category,
            "attack": {"name": self.attack.name, "parameters": dict(self.attack.parameters)},
            "target": self.target,
            "benign": self.is_benign,
            "metadata": {
                name: value for name, value in self.metadata.items() if value not in ("", None)
            },
        }


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A file (or several, by ``*``) at its published path, and the dataset's usual name.

    ``is_part`` marks one whose records another file holds too: it is read where it is named,
    and in a folder only where the whole is not there.
    """

    path: str
    dataset: str
    is_part: bool = False


@dataclass(frozen=True, slots=True)
class PublishedFormat:
    """A benchmark's format: facts for people, and ``pose``, which reads its files."""

    title: str
    source: str
    licence: str
    files: tuple[PublishedFile, ...]
    behavior: str
    samples: str
    pose: Pose
    images: str = ""
