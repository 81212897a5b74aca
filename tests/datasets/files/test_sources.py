"""Several files, folders, patterns and packed files: all of them, once, within bounds."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from pathlib import Path

import pytest

from lam3db.datasets.faults import Faults
from lam3db.datasets.files import sources
from lam3db.datasets.files.remarks import Remarks
from lam3db.datasets.files.sources import expanded, labels_of, name_of, unpacked
from lam3db.datasets.results.files import KINDS, read_records
from lam3db.errors import InputError

LINE = b'{"id": 1}\n'


def _read(*paths: Path) -> tuple[dict[str, bytes], list[str]]:
    """Return the bytes of each file by its label, and what was remarked."""
    remarks = Remarks()
    files = expanded(paths, tuple(KINDS), remarks)
    with unpacked(files, tuple(KINDS), remarks) as found:
        read = {one.label: one.path.read_bytes() for one in found}
        places = [one.path for one in found if one.path not in files]
    assert not any(path.exists() for path in places)
    return read, remarks.lines()


def _zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("name", "pack"),
    [("a.jsonl.gz", gzip.compress), ("a.csv.bz2", bz2.compress), ("a.tsv.xz", lzma.compress)],
)
def test_a_packed_file_is_read_as_what_is_in_it(tmp_path: Path, name: str, pack: object) -> None:
    path = tmp_path / name
    path.write_bytes(pack(LINE))  # type: ignore[operator] # one of three functions
    assert _read(path) == ({name: LINE}, [])
    assert name_of([path]) == "a"


def test_an_archive_gives_its_members_and_names_what_it_does_not_read(tmp_path: Path) -> None:
    members = {"b/two.jsonl": b"2", "a/one.jsonl": LINE, "a/notes.md": b"", "__MACOSX/x.csv": b""}
    path = _zip(tmp_path / "all.zip", members | {"b\\three.jsonl": b"3"})
    read, remarks = _read(path)
    assert list(read) == [f"all.zip/{one}.jsonl" for one in ("a/one", "b/three", "b/two")]
    assert remarks == ["not read: file all.zip/a/notes.md (1)"]


def test_a_folder_and_a_pattern_give_each_file_once_in_order(tmp_path: Path) -> None:
    for name in ("run2.jsonl", "run1.jsonl", "run10.jsonl", "sub/run1.jsonl", "README.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(LINE)
    (tmp_path / ".DS_Store").write_bytes(b"")
    read, remarks = _read(tmp_path, tmp_path / "run*.jsonl", tmp_path / "run1.jsonl")
    assert list(read) == ["run1.jsonl", "run10.jsonl", "run2.jsonl", "sub/run1.jsonl"]
    assert remarks == ["not read: file README.txt (1)"]
    with pytest.raises(InputError, match="no file has such a name"):
        _read(tmp_path / "walk*.jsonl")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="a folder without a file that is read"):
        _read(tmp_path / "empty")


def test_names_are_short_where_they_differ_and_whole_where_they_do_not() -> None:
    assert labels_of([Path("/x/a.csv"), Path("/y/b.csv")]) == ["a.csv", "b.csv"]
    assert labels_of([Path("/x/s1/a.csv"), Path("/x/s2/a.csv")]) == ["s1/a.csv", "s2/a.csv"]
    assert name_of([Path("/x/llava_run1.csv"), Path("/x/llava_run2.csv")]) == "llava_run"
    assert name_of([Path("/x/a.csv"), Path("/x/b.csv")]) == "x"


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.jsonl.gz", b"no archive", "cannot be unpacked"),
        ("a.jsonl.gz", gzip.compress(LINE * 99)[:-9], "cannot be unpacked"),
        ("a.zip", b"PK\x03\x04", "cannot be unpacked"),
        ("a.tar.gz", gzip.compress(LINE), "'a.tar' in it is none of"),
        ("a.jsonl.gz.gz", gzip.compress(LINE), "'a.jsonl.gz' in it is none of"),
    ],
    ids=["no archive", "cut off", "no directory", "a tar", "packed twice"],  # bytes hold a time
)
def test_what_cannot_be_unpacked_is_refused(
    tmp_path: Path, name: str, data: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=said):
        _read(tmp_path / name)


@pytest.mark.parametrize("member", ["../a.jsonl", "/a.jsonl", "x/../../a.jsonl", "..\\a.jsonl"])
def test_no_member_leads_out_of_its_archive(tmp_path: Path, member: str) -> None:
    with pytest.raises(InputError, match="leads out of it"):
        _read(_zip(tmp_path / "a.zip", {member: LINE}))


def test_what_unpacks_beyond_measure_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_SMALL", 1 << 20)
    data = bytes(9 << 20)
    for path in (tmp_path / "a.csv.gz", tmp_path / "a.zip"):
        if path.suffix == ".gz":
            path.write_bytes(gzip.compress(data))
        else:
            _zip(path, {"a.csv": data[:1000], "b.csv": data})
        with pytest.raises(InputError, match="unpacks to more than 1 MiB"):
            _read(path)


@pytest.mark.parametrize(
    "text",
    [
        "var data = [%s];\n",
        "/* a */ // b\nexport default [%s]",
        "'use strict';\nmodule.exports = [%s];",
        "export const data: Row[] = [%s];",
        'window.data = {"results": [%s]}',
    ],
)
def test_a_script_that_names_one_value_is_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "d.js"
    path.write_text(text % json.dumps({"id": 1}))
    assert [dict(row.values) for row in read_records(path, Faults(path))] == [{"id": 1}]


def test_another_script_is_refused_soon(tmp_path: Path) -> None:
    path = tmp_path / "d.js"
    for text in ("function f() {}", "/*" + "a*/ /*" * 20_000, "var x = {a: 1}", "var x = y()"):
        path.write_text(text)
        with pytest.raises(InputError, match="one value in JSON is read"):
            list(read_records(path, Faults(path)))


def test_records_of_the_viewer_of_hugging_face_are_their_rows(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    rows = [{"row_idx": at, "row": {"id": at}, "truncated_cells": []} for at in range(2)]
    path.write_text(json.dumps({"features": [{"name": "id"}], "rows": rows, "partial": False}))
    found = [dict(row.values) for row in read_records(path, Faults(path))]
    assert found == [{"id": 0}, {"id": 1}]


def test_a_member_that_lies_about_its_size_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_SMALL", 1 << 20)
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", bytes(9 << 20))
    size = (9 << 20).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(raw.getvalue().replace(size, (9).to_bytes(4, "little")))
    with pytest.raises(InputError, match=r"cannot be unpacked|unpacks to more"):
        _read(tmp_path / "a.zip")
