"""A file (or a folder with one) to a dataset, whole or not at all.

What must hold: the same file gives the same dataset, wherever it lies; every fault in it is
told at once; nothing is written here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from lam3db.datasets.columns import check_mapping, choose_columns
from lam3db.datasets.faults import Faults, shown
from lam3db.datasets.images import ImageFolder
from lam3db.datasets.jsonl import read_jsonl
from lam3db.datasets.samples import SampleReader
from lam3db.datasets.table import read_table
from lam3db.errors import ConfigError, InputError, did_you_mean
from lam3db.media import LIMITS, Limits
from lam3db.records import Dataset, Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from lam3db.datasets.columns import Columns
    from lam3db.datasets.lines import Row

    Tick = Callable[[str, int, int], None]

_READERS: Mapping[str, Callable[[Path, Faults], list[Row]]] = {
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".csv": lambda path, faults: read_table(path, ",", faults),
    ".tsv": lambda path, faults: read_table(path, "\t", faults),
}
_TABLES = (".csv", ".tsv")
_NO_TABLE = (
    "no .jsonl, .csv or .tsv file in it: write one there, with a row for each sample "
    "(columns prompt and image, the image's path from this folder)"
)
_NAME = re.compile(r"\w[\w.+-]{0,99}")
_KEY_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Options:
    """How a file is to be read; see ``lam3db dataset add --help``.

    ``layout`` names a published format; with it, ``skips_missing`` leaves out samples whose
    images are not there. A file of one's own has neither.
    """

    name: str | None = None
    mapping: Mapping[str, str] | None = None
    images: Path | None = None
    source: str = ""
    licence: str = ""
    limits: Limits = LIMITS
    skips_missing: bool = False
    layout: str | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A dataset, the files (or bytes) behind its media by digest, and remarks for the user."""

    dataset: Dataset
    files: Mapping[str, Path | bytes]
    notes: tuple[str, ...]


def load_dataset(path: Path, options: Options | None = None, tick: Tick | None = None) -> Loaded:
    """Read a file and look at each of its images; ``tick(what, done, total)`` tells how far.

    Raises:
        InputError: everything that is wrong with the file.
        ConfigError: an option is wrong.

    """
    options = options or Options()
    if options.skips_missing:
        raise ConfigError("--missing-images skip goes with --format: a file of one's own has none")
    check_mapping(options.mapping or {})
    file = find_file(path)
    name = dataset_name(path, options.name)
    folder = options.images if options.images is not None else file.parent
    if not folder.is_dir():
        raise InputError(f"--images {folder}: no such folder")
    faults = Faults(file)
    rows = read_rows(file, faults)
    columns = _columns(rows, options.mapping or {}, faults)
    images = ImageFolder(folder, options.limits)
    reader = SampleReader(columns, images, faults, file.suffix.lower() in _TABLES)
    samples = samples_of(rows, reader, tick or no_tick)
    _check_rule(columns, rows, faults)
    faults.raise_if_any()
    source = options.source or f"{file.resolve().parent.name}/{file.name}"
    dataset = Dataset(name, tuple(samples), tuple(images.media.values()), source, options.licence)
    return Loaded(
        dataset, images.files, (*columns.notes, *_remarks(columns), *faults.remarks.lines())
    )


def find_file(path: Path) -> Path:
    """Return the file meant: the path itself, or the only one of a kind we read in a folder."""
    if path.is_dir():
        found = sorted(item for item in path.iterdir() if item.suffix.lower() in _READERS)
        if len(found) == 1:
            return found[0]
        names = ", ".join(item.name for item in found)
        what = f"name one of {names}" if found else _NO_TABLE
        raise InputError(f"{path} is a folder: {what}")
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if path.suffix.lower() not in _READERS:
        raise InputError(f"{path}: {', '.join(_READERS)} are read, not {path.suffix or 'this'!r}")
    if not path.is_file():
        raise InputError(f"{path} is no regular file")
    return path


def dataset_name(path: Path, asked: str | None) -> str:
    """Return the name asked for, else the folder's or file's; raise InputError if it is none."""
    resolved = path.resolve()
    name = asked if asked is not None else resolved.name if path.is_dir() else resolved.stem
    if _NAME.fullmatch(name) is None:
        message = f"{shown(name)} is no name for a dataset: letters, digits and . _ + - are"
        raise InputError(f"{message}, at most 100; give another with --name")
    return name


def read_rows(file: Path, faults: Faults, *, exact: bool = False) -> list[Row]:
    """Return the rows of a file by its kind; raise InputError if it cannot be read.

    ``exact``: the file is one that lam3db itself wrote, in which no ``NaN`` stands for a null.
    """
    reader = _READERS[file.suffix.lower()]
    if exact and reader is read_jsonl:
        reader = partial(read_jsonl, exact=True)
    try:
        return reader(file, faults)
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from error


def _columns(rows: list[Row], mapping: Mapping[str, str], faults: Faults) -> Columns:
    """Return the choice of columns; where it is in doubt no row is worth reading."""
    if not rows:
        faults.raise_if_any()
        raise InputError(f"{faults.path}: there is no sample in it")
    names = list(dict.fromkeys(column for row in rows for column in row.values))
    doubts = Faults(faults.path)
    columns = choose_columns(names, mapping, doubts)
    if doubts.count:
        faults.extend(doubts)
        faults.raise_if_any()
    return columns


def _check_rule(columns: Columns, rows: list[Row], faults: Faults) -> None:
    """Note each word of the rule for benign that no row has: it is misspelt."""
    rule = columns.benign
    if rule is None:
        return
    held = {rule.word_of(row.values) for row in rows}
    for word in sorted(rule.words - held):
        hint = did_you_mean(word, sorted(held))
        faults.add(None, None, f"--map benign: no row has {word!r} in {rule.column!r}{hint}")


def samples_of(rows: list[Row], reader: SampleReader, tick: Tick) -> list[tuple[str, Sample]]:
    """Return the samples by key; a key or a sample that comes twice is a fault."""
    keys: dict[str, Row] = {}
    contents: dict[bytes, Row] = {}
    samples = []
    for done, row in enumerate(rows, 1):
        found = reader.read(row)
        tick("reading samples", done, len(rows))
        if found is None:
            continue
        digest = found[1].digest
        key = found[0] if found[0] is not None else digest.hex()[:_KEY_DIGITS]
        same = contents.setdefault(digest, row)
        if same is not row:
            what = f"the same sample as {same.where}: take one out, or tell them apart"
            reader.faults.add(row.line, None, what, row.place)
        elif (first := keys.setdefault(key, row)) is not row:
            what = f"{shown(key)} is {first.where} already"
            reader.faults.add(row.line, "key", what, row.place)
        else:
            samples.append((key, found[1]))
    return samples


def _remarks(columns: Columns) -> tuple[str, ...]:
    notes = []
    if "key" not in columns.of:
        notes.append("no key column: each sample's key is made from its content")
    if "behavior" not in columns.of:
        notes.append("no behavior column: each prompt is its own behavior")
    return tuple(notes)


def no_tick(_what: str, _done: int, _total: int) -> None:
    """Tell nobody."""
