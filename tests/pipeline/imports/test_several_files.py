"""Several files as one import: all or nothing, each fault with its file, known rows known."""

from __future__ import annotations

import gzip
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

from results_maps import rows, take

from lam3db.datasets.results.formats import ReadOptions, reader_of
from lam3db.datasets.results.map import read_map
from lam3db.errors import InputError
from lam3db.pipeline.imports.results import ImportJob, look

MAP = """
fields: {key: id, model: model, prompt: prompt, response: answer%s}
judges:
  - {name: strict, kind: llm, verdict: label, words: {unsafe: [1], safe: [0]}}
"""
HEAD = "id,model,prompt,answer,label,run\n"
STORED = "SELECT sample, replicate, text FROM v_generation ORDER BY 1, 2"


def _job(folder: Path, *names: str, more: str = ", replicate: run", **options: Any) -> ImportJob:
    mapping = folder / "map.yaml"
    mapping.write_text(MAP % more)
    read = read_map(mapping)
    first, *others = (folder / name for name in names)
    origin = {"map": "map.yaml"}
    return ImportJob(
        *(first, read.read, ReadOptions(**options), origin, options.get("dataset") or "runs"),
        others=tuple(others),
        read_all=read.read_all,
    )


def _runs(folder: Path, first: int = 0) -> None:
    for at in range(first, first + 2):
        lines = f"a,m,pa,answer {at},1,{at}\nb,m,pb,other {at},0,{at}\n"
        (folder / f"run{at}.csv").write_text(HEAD + lines)


@pytest.mark.parametrize(
    "names", [("run0.csv", "run1.csv"), ("run1.csv", "run0.csv"), ("run*.csv",)]
)
def test_one_file_per_replicate_in_any_order(
    store_url: str, tmp_path: Path, names: tuple[str, ...]
) -> None:
    _runs(tmp_path)
    result = take(store_url, _job(tmp_path, *names))
    assert (result.seen.attempts, result.stored.new) == (4, 4)
    found = rows(store_url, STORED)
    assert found == [
        (k, n, f"{w} {n}") for k, w in (("a", "answer"), ("b", "other")) for n in (0, 1)
    ]
    (data,) = rows(store_url, "SELECT DISTINCT config_digest, dataset FROM v_generation")
    assert data[1] == "runs"
    again = take(store_url, _job(tmp_path, *reversed(names)))
    assert (again.stored.new, again.stored.known) == (0, 4)


def test_a_folder_an_archive_and_packed_files_give_the_same(store_url: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    _runs(tmp_path / "in", 1)
    take(store_url, _job(tmp_path, "in"))
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in sorted((tmp_path / "in").iterdir()):
            archive.write(path, path.name)
            (tmp_path / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    for names in (("all.zip",), ("run1.csv.gz", "run2.csv.gz")):
        again = take(store_url, _job(tmp_path, *names))
        assert (again.stored.new, again.stored.known) == (0, 4)


def test_a_fault_in_one_file_refuses_all_and_names_it(store_url: str, tmp_path: Path) -> None:
    _runs(tmp_path)
    (tmp_path / "run1.csv").write_text(HEAD + "a,m,pa,x,1,1\nb,m\n")
    (tmp_path / "run2.csv.gz").write_bytes(gzip.compress((HEAD + "a,m,pa,x,1,none\n").encode()))
    with pytest.raises(InputError) as caught:
        take(store_url, _job(tmp_path, "run0.csv", "run1.csv", "run2.csv.gz"))
    first, second = caught.value.faults
    assert first.startswith("run1.csv, line 3: 2 cells")
    assert second.startswith("run2.csv.gz, line 2, run: 'none'")
    assert rows(store_url, "SELECT count(*) FROM sample") == [(0,)]


def test_a_file_that_cannot_be_read_is_named_as_it_lies(tmp_path: Path, store_url: str) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("a.json", "{")
    with pytest.raises(InputError) as caught:
        take(store_url, _job(tmp_path, "all.zip"))
    assert str(caught.value).startswith("all.zip/a.json: no JSON")


def test_files_of_a_format_are_read_each_by_itself(store_url: str, tmp_path: Path) -> None:
    sheet = "index\tquestion\tprediction\thit\n1\tq\tyes\t1\n"
    for model in ("one", "two"):
        (tmp_path / f"{model}_bench.tsv").write_text(sheet)
    job = ImportJob(
        tmp_path, reader_of("vlmevalkit"), ReadOptions(), {"format": "x"}, "x", "copies"
    )
    result = take(store_url, job)
    assert [group.model.name for group in result.seen.groups] == ["one", "two"]
    assert result.stored.new == 2


def test_a_file_that_lacks_what_others_have_is_told(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("id,model,prompt,answer,label\na,m,p,x,1\n")
    (tmp_path / "two.csv").write_text("id,model,prompt,answer,Label\nb,m,q,y,1\n")
    (tmp_path / "three.csv").write_text("id,model,prompt,answer,label\nc,m,r,y,\n")
    job = _job(tmp_path, "one.csv", "two.csv", "three.csv", more="")
    told = [line for line in look(job).remarks if "other files" in line]
    assert told == ["'label', which other files have, is in no row of two.csv (1)"]
    both = _job(tmp_path, "two.csv", "two.csv", more="")
    with pytest.raises(InputError) as caught:
        look(both)
    assert "no row has 'label' - did you mean 'Label'?" in str(caught.value.faults)
