"""A proposed map: it looks into rows, takes no identifier for a label, and can be read."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import yaml

from lam3db.datasets.results.suggest import suggested_map

if TYPE_CHECKING:
    from pathlib import Path


def _proposed(path: Path, data: bytes) -> dict[str, Any]:
    path.write_bytes(data)
    found = yaml.safe_load(suggested_map(path))
    assert isinstance(found, dict)
    return found


def test_identifiers_of_a_crowd_are_no_labels(tmp_path: Path) -> None:
    names = ("HITId", "HITTypeId", "AssignmentId", "WorkerId", "label_time", "judge_url")
    data = ",".join((*names, "model", "prompt", "answer", "unsafe")) + "\n" + "1," * 9 + "1\n"
    found = _proposed(tmp_path / "mturk.csv", data.encode())
    assert [one["name"] for one in found["judges"]] == ["unsafe"]
    assert (
        _proposed(tmp_path / "v.csv", b"model,prompt,answer,hit\n1,2,3,1\n")["judges"][0]["name"]
        == "hit"
    )


def test_objects_and_lists_are_looked_into(tmp_path: Path) -> None:
    row = {
        "meta": {"id": 7, "a.b": {"category": "c"}},
        "chat": [{"role": "user", "content": "q"}],
        "outputs": [{"model": "m", "response": "r", "scores": {"refusal": 1}, "toxicity": 0}],
        "votes": [{"annotator": "ann", "label": "yes"}],
    }
    found = _proposed(tmp_path / "x.jsonl", json.dumps(row).encode())
    assert found["each"] == "outputs"
    assert found["fields"] == {
        "key": "meta.id",
        "category": 'meta["a.b"].category',
        "messages": "chat",
        "model": "item.model",
        "response": "item.response",
    }
    assert [one["verdict"] for one in found["judges"]] == [
        *("item.scores.refusal", "item.toxicity")
    ]
    (people,) = found["annotators"]
    assert (people["list"], people["name"], people["verdict"]) == (
        *("votes", {"column": "said.annotator"}),
        "said.label",
    )


def test_an_encoding_is_proposed(tmp_path: Path) -> None:
    data = "model,prompt,answer\nm,q,r\xe9sum\xe9\n"
    assert _proposed(tmp_path / "x.csv", data.encode("cp1252"))["file"] == {"encoding": "cp1252"}
    assert "file" not in _proposed(tmp_path / "y.csv", data.encode())
    packed = _proposed(tmp_path / "z.csv.gz", gzip.compress(data.encode("cp1252")))
    assert (packed["dataset"], packed["file"]["encoding"]) == ("z", "cp1252")
