"""Small made-up files in the published formats: our own harmless texts and drawn pictures."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from lam3db.datasets.load import Options
from lam3db.datasets.published.load import load_published
from lam3db.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lam3db.datasets.load import Loaded
    from lam3db.records import Sample

REAL = Path(__file__).parents[4] / "shared" / "data" / "formats"
"""Real files, where they are."""


def sheet(path: Path, columns: Sequence[str], *rows: Sequence[Any]) -> Path:
    """Write a CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def as_json(path: Path, value: Any) -> Path:
    """Write a JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def picture(path: Path, shade: int = 0) -> Path:
    """Draw a picture that differs from others of another shade."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), (shade, 99, 10)).save(path, "PNG")
    return path


def load(path: Path, layout: str, **options: Any) -> Loaded:
    """Read a published benchmark."""
    return load_published(path, Options(layout=layout, **options))


def samples(path: Path, layout: str, **options: Any) -> dict[str, Sample]:
    """Return the samples by key."""
    return dict(load(path, layout, **options).dataset.samples)


def refused(path: Path, layout: str, **options: Any) -> str:
    """Return the error that a benchmark is refused with."""
    try:
        loaded = load(path, layout, **options)
    except InputError as error:
        return str(error)
    raise AssertionError(f"not refused: {loaded.dataset.name}, {len(loaded.dataset.samples)}")


def behaviors(path: Path, layout: str, **options: Any) -> int:
    """Return how many behaviors there are: the clusters of intervals."""
    return len({sample.behavior.digest for sample in samples(path, layout, **options).values()})
