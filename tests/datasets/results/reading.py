"""Reading a made-up file of others' results: records, or what is wrong with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import Faults
from lam3db.datasets.images import ImageFolder
from lam3db.datasets.results.formats import ReadOptions, reader_of
from lam3db.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from lam3db.datasets.results.record import ResultRecord
    from lam3db.records import Finding


def records(
    name: str, path: Path, images: Path | None = None, **options: Any
) -> list[ResultRecord]:
    """Return the records of a file without a fault, the same in both passes."""
    folder = ImageFolder(images) if images is not None else None
    faults = Faults(path)
    read = reader_of(name)
    found = list(read(path, faults, ReadOptions(images=folder, **options)))
    faults.raise_if_any()
    assert list(read(path, faults, ReadOptions(images=folder, **options))) == found
    return found


def remarks(name: str, path: Path, **options: Any) -> list[str]:
    """Return what the reader of a file notices beside its records."""
    faults = Faults(path)
    list(reader_of(name)(path, faults, ReadOptions(**options)))
    faults.raise_if_any()
    return faults.remarks.lines()


def refused(name: str, path: Path, images: Path | None = None, **options: Any) -> str:
    """Return the error that a file is refused with."""
    try:
        records(name, path, images, **options)
    except InputError as error:
        return str(error)
    raise AssertionError("not refused")


def only(record: ResultRecord) -> Finding:
    """Return the only finding of a record."""
    (said,) = record.findings
    return said.finding


def as_json(path: Path, value: Any) -> Path:
    """Write a JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def as_lines(path: Path, *values: Any) -> Path:
    """Write JSON Lines."""
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return path
