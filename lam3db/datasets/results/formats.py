"""The formats of others that are read as results: one table, one reader each.

A reader is a function ``(path, faults, options) -> Iterator[ResultRecord]``. What must hold:

* It streams: it keeps no record, and bounds whatever it holds (``read_records`` and the other
  functions of :mod:`lam3db.datasets.results.files` do so). It is run twice over the same file,
  once to find every fault and once to store, and gives the same records both times.
* It writes nothing, opens no database and no network, and opens only files below ``path``
  (images through ``options.picture``).
* A fault in one row is noted with ``faults.add(row, column, what)`` and that row is left out;
  reading goes on, so that all faults are told at once. Then nothing is stored. It raises
  InputError only where nothing can be read at all. A folder's reader sets ``faults.file`` to
  the file it is in.
* It tells no more than the file: no answer gives ``response=None`` (never ``""``, never an
  error text of the tool that wrote the file), a judge's word that nobody knows is status
  ``unparsed``, a label that is missing is no finding at all. Neither is ever ``safe``.
* It gives one record per attempt, attempts without a prompt or an answer included: they are in
  the denominator.
* It names each model, config and judge once and reuses the object.

Readers know no dataset but their own. A new one is a module and a line here; other packages
add theirs under the entry point group ``lam3db.results``.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from lam3db.errors import ConfigError, MediaError, did_you_mean
from lam3db.records import ImagePart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from lam3db.datasets.faults import Faults
    from lam3db.datasets.images import ImageFolder
    from lam3db.datasets.results.record import ResultRecord

    Reader = Callable[[Path, Faults, "ReadOptions"], Iterator[ResultRecord]]

FORMATS: Mapping[str, str] = {
    "harmbench": "lam3db.datasets.results.harmbench:read",
    "inspect": "lam3db.datasets.results.inspect_log:read",
    "jailbreakbench": "lam3db.datasets.results.jailbreakbench:read",
    "jailbreakeval": "lam3db.datasets.results.jailbreakeval:read",
    "mm-safetybench": "lam3db.datasets.results.mm_safetybench:read",
    "omnisafebench": "lam3db.datasets.results.omnisafebench:read",
    "visual-adversarial": "lam3db.datasets.results.visual_adversarial:read",
    "vlmevalkit": "lam3db.datasets.results.vlmevalkit:read",
}
"""Name -> module:function. The first line of the module's docstring is what `--help` says."""

REPEATS: Mapping[str, str] = {
    "harmbench": "draws",
    "jailbreakeval": "draws",
    "visual-adversarial": "draws",
    "vlmevalkit": "copies",
}
"""What rows under one sample are where the format tells it: attempts of a list are ``draws``, rows
under a key that is unique in the format ``copies``. Elsewhere a person says it."""

FIRST_REPLICATE: Mapping[str, int] = {"inspect": 0}
"""With which number replicates begin, where the format tells it."""
ANOTHER_RUN: Mapping[str, str] = {
    "inspect": "; the answers of another run are further replicates with --set first_epoch=N, or"
    " stand apart with --set apart=run",
    "jailbreakbench": "; --set apart=PARAMETER (of the method) or apart=file tells files apart",
}
"""What to say where answers of a second run meet those of a first."""

FOLDERS = frozenset({"jailbreakbench", "mm-safetybench"})
"""Formats that read a folder as a whole; of others each file of a folder is read by itself."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What the user says besides the file.

    Args:
        dataset: The name of the dataset (``--name``); None: the format's own, or the file's.
        model: The model's name (``--model``), for files that do not name it.
        images: The folder of the images (``--images``); without one images are named, not opened,
            but for those that are written into the file (``data:`` URLs).
        settings: Further ``--set NAME=VALUE`` of a format; a reader refuses those it does not
            know (:meth:`only`).

    """

    dataset: str | None = None
    model: str | None = None
    images: ImageFolder | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    def picture(self, row: int, column: str, name: str, faults: Faults) -> ImagePart | None:
        """Return the image of this name; None with a fault, or where no folder is given.

        Where None is returned without a fault the reader keeps the name in the sample's
        metadata (``image``), so that samples which differ in their image stay different.
        """
        if self.images is None or not self.images.opens(name):
            return None
        try:
            return ImagePart(self.images.take(name, faults.remarks).sha256)
        except MediaError as error:
            faults.add(row, column, str(error))
            return None

    def only(self, *known: str) -> Mapping[str, str]:
        """Return the settings; raise ConfigError for one that is not among ``known``."""
        for name in self.settings:
            if name not in known:
                hint = did_you_mean(name, known) if known else ": this format has none"
                raise ConfigError(f"--set {name}: no such setting{hint}")
        return self.settings


def format_names() -> list[str]:
    """Return every name of a format, those of other packages included."""
    return sorted(_known())


def reader_of(name: str) -> Reader:
    """Return the reader of a format; raise ConfigError for a name nobody has."""
    known = _known()
    if name not in known:
        hint = did_you_mean(name, sorted(known))
        raise ConfigError(f"--format {name}: no such format{hint}; --map MAP.yaml reads any table")
    module, _, attribute = known[name].partition(":")
    found: Any = getattr(importlib.import_module(module), attribute)
    return found  # type: ignore[no-any-return]


def _known() -> dict[str, str]:
    """Return the table; entry points add names and never replace ours."""
    return {point.name: point.value for point in entry_points(group="lam3db.results")} | dict(
        FORMATS
    )
