"""Small files with maps, imported as the command line does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lam3db.datasets.results.formats import ReadOptions
from lam3db.datasets.results.map import read_map
from lam3db.pipeline.imports.results import Imported, ImportJob, import_results
from lam3db.store.engine import open_store

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = """
dataset: bench
fields: {key: id, model: model, prompt: prompt, response: answer}
judges:
  - {name: strict, kind: llm, verdict: label, words: {unsafe: [1], safe: [0]}}
"""


def job(
    folder: Path, data: str, text: str = PLAIN, name: str = "r.csv", **options: Any
) -> ImportJob:
    """Write a file and its map; return the import of it."""
    path, mapping = folder / name, folder / "map.yaml"
    path.write_text(data, newline="")
    mapping.write_text(text)
    found = read_map(mapping)
    asked = ReadOptions(**options)
    repeats = found.shape.repeats
    return ImportJob(path, found.read, asked, {"map": "map.yaml"}, path.stem, repeats)


def take(url: str, asked: ImportJob) -> Imported:
    """Import into a database."""
    with open_store(url, mode="write") as store:
        return import_results(store, asked)


def rows(url: str, sql: str) -> list[tuple[Any, ...]]:
    """Return the rows of a question."""
    from sqlalchemy import text

    with open_store(url, mode="read") as store, store.read() as conn:
        return [tuple(row) for row in conn.execute(text(sql))]
