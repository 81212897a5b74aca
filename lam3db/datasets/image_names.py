"""The names of the files below a folder, met by a name that only looks like one of them.

Names come from archives made on other systems: macOS writes letters and their accents apart,
Windows takes other letter case and backslashes, the web writes blanks as ``%20``. What must hold:
two spellings of one Unicode text are one name; anything else is offered with what differs, never
taken, and nothing outside of the folder is looked at.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Key = Callable[[str], str]

SAME_NAME = "image names in another Unicode form than their files' are taken as the same name"
"""The remark to make where :meth:`NamesBelow.same` found a file."""


class NamesBelow:
    """The names below one folder; each folder on the way is listed once."""

    def __init__(self, root: Path) -> None:
        """Name the folder; nothing is read yet."""
        self._root = root
        self._listed: dict[Path, tuple[str, ...]] = {}
        self._by_key: dict[tuple[Path, Key], Mapping[str, Sequence[str]]] = {}

    def same(self, name: str) -> str | None:
        """Return the one file of this name in another Unicode form, None where there is none."""
        return self._walk(name, _composed)

    def hint(self, name: str) -> str:
        """Return `` - did you mean 'x'? (what differs)``, or ``""`` where nothing looks alike."""
        plain = unquote(name).replace("\\", "/")
        for key in (_loose, _loose_stem):
            actual = self._walk(plain, key)
            if actual is not None:
                return f" - did you mean {actual!r}? ({', '.join(differences(name, actual))})"
        return ""

    def _walk(self, name: str, key: Key) -> str | None:
        """Return the only path whose every part has the key of the name's, exact parts first."""
        parts = PurePosixPath(name).parts
        if not parts or ".." in parts or parts[0] == "/" or len(name) > _LONGEST:
            return None
        folder = self._root
        for part in parts:
            matches = [part] if part in self._names(folder) else self._alike(folder, part, key)
            if len(matches) != 1:
                return None
            folder /= matches[0]
        return folder.relative_to(self._root).as_posix()

    def _alike(self, folder: Path, part: str, key: Key) -> Sequence[str]:
        if (folder, key) not in self._by_key:
            by_key: dict[str, list[str]] = {}
            for name in self._names(folder):
                by_key.setdefault(key(name), []).append(name)
            self._by_key[folder, key] = by_key
        return self._by_key[folder, key].get(key(part), ())

    def _names(self, folder: Path) -> tuple[str, ...]:
        if folder not in self._listed:
            try:
                names = sorted(item.name for item in folder.iterdir())
            except OSError:  # a file on the way, or a folder that may not be listed
                names = []
            self._listed[folder] = tuple(names)
        return self._listed[folder]


def differences(asked: str, actual: str) -> list[str]:
    """Return in which ways two names that look alike differ."""
    if _composed(asked) == _composed(actual):
        return ["the same name in another Unicode form"]
    is_loose = _loose(asked) == _loose(actual)
    labels = list(_STEPS)[:-1] if is_loose else list(_STEPS)
    needed = []
    for label in labels:
        others = [_STEPS[other] for other in labels if other != label]
        if _through(others, asked) != _through(others, actual):
            needed.append(label)
    return needed or ["written in another way"]


def _through(steps: Sequence[Key], name: str) -> str:
    for step in steps:
        name = step(name)
    return name


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _compatible(name: str) -> str:
    """Return the name without letters' widths and without what nobody sees."""
    plain = unicodedata.normalize("NFKC", name)
    return "".join(letter for letter in plain if unicodedata.category(letter) != "Cf")


def _trimmed(name: str) -> str:
    return "/".join(part.strip() for part in name.split("/"))


def _without_ending(name: str) -> str:
    stem, dot, _ = name.rpartition(".")
    return stem if dot and stem else name


_STEPS: Mapping[str, Key] = {
    "percent-encoding": unquote,
    "backslashes": lambda name: name.replace("\\", "/"),
    "another Unicode form": _compatible,
    "blanks at an end": _trimmed,
    "case": str.casefold,
    "another ending": _without_ending,
}
_LONGEST = 4096


def _loose(name: str) -> str:
    return _through(list(_STEPS.values())[:-1], name)


def _loose_stem(name: str) -> str:
    return _without_ending(_loose(name))
