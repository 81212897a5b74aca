"""Reading a made-up file by a made-up map: records, or what is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import Faults
from lam3db.datasets.results.formats import ReadOptions
from lam3db.datasets.results.map import read_map
from lam3db.errors import Lam3Error

if TYPE_CHECKING:
    from pathlib import Path

    from lam3db.datasets.results.record import ResultRecord
    from lam3db.records import ScoreStatus, Verdict

FIELDS = "fields: {model: m, prompt: p, response: r}\n"
ROW = {"m": "x", "p": "q", "r": "s"}


def mapped(
    folder: Path, data: Any, text: str, name: str = "r.json", **options: Any
) -> tuple[list[ResultRecord], list[str]]:
    """Return the records of a file, and what was remarked on."""
    path, mapping = folder / name, folder / "map.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data), newline="")
    mapping.write_text(text)
    faults = Faults(path)
    records = list(read_map(mapping).read(path, faults, ReadOptions(**options)))
    faults.raise_if_any()
    return records, faults.remarks.lines()


def refused(folder: Path, data: Any, text: str, name: str = "r.json", **options: Any) -> str:
    """Return the error that a file or its map is refused with."""
    try:
        mapped(folder, data, text, name, **options)
    except Lam3Error as error:
        return str(error)
    raise AssertionError("not refused")


def said(record: ResultRecord) -> dict[str, tuple[ScoreStatus, Verdict | None, float | None]]:
    """Return what each judge said of a record."""
    return {
        one.judge.identity.name: (one.finding.status, one.finding.verdict, one.finding.value)
        for one in record.findings
    }
