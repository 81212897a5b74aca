"""What holds for every published format, and what a user is told before one is read."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "cli"))
from small_files import as_json, load, refused, sheet
from typed import lam3db

from lam3db.datasets.load import Options, load_dataset
from lam3db.datasets.published import FORMATS, published_format
from lam3db.datasets.published.shape import Picture
from lam3db.datasets.results.files import LARGEST_JSON
from lam3db.errors import ConfigError


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_says_what_a_user_needs_and_refuses_a_foreign_file(
    name: str, tmp_path: Path
) -> None:
    layout = published_format(name)
    assert layout.title
    assert layout.source
    assert layout.behavior
    assert layout.samples
    assert layout.files
    foreign = as_json(tmp_path / "x.json", [{"colour": "red"}])
    message = refused(foreign, name)
    assert "nothing was imported" in message
    empty = sheet(tmp_path / "x.csv", ("colour",))
    assert refused(empty, name)


def test_names_are_helped_with(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'figstep'"):
        load(tmp_path, "fig-step")
    with pytest.raises(ConfigError, match="--map is for files of one's own"):
        load(tmp_path, "figstep", mapping={"prompt": "question"})
    assert "no such file or folder" in refused(tmp_path / "none", "figstep")
    assert "expected is data/question/safebench.csv" in refused(tmp_path, "figstep")
    with pytest.raises(ConfigError, match="goes with --format"):
        load_dataset(tmp_path, Options(skips_missing=True))


def test_two_files_of_one_format_are_asked_about(tmp_path: Path) -> None:
    for kind in ("text", "multimodal"):
        sheet(tmp_path / f"harmbench_behaviors_{kind}_all.csv", ("a",))
    message = refused(tmp_path, "harmbench")
    assert "name one of harmbench_behaviors_text_all.csv, harmbench_behaviors_multi" in message


def test_a_picture_keeps_the_part_of_its_name_that_is_its_own() -> None:
    found = Picture(("data/imgs",), "01-A/SD/0.jpg").candidates()
    assert found == ("data/imgs/01-A/SD/0.jpg", "imgs/01-A/SD/0.jpg", "01-A/SD/0.jpg")
    both = Picture(("a/b", "c"), "x.png", "y.png").candidates()
    assert both[:2] == ("a/b/x.png", "a/b/y.png")
    assert both[-2:] == ("x.png", "y.png")


def test_a_json_file_is_bounded_before_it_is_read(tmp_path: Path) -> None:
    for name, layout in (("test.json", "vlguard"), ("01-A.json", "mm-safetybench")):
        file = tmp_path / name
        with file.open("wb") as stream:
            stream.truncate(LARGEST_JSON + 1)
        assert f"larger than {LARGEST_JSON >> 20} MiB" in refused(file, layout)
        file.unlink()


def test_a_user_adds_a_benchmark_and_reads_its_dataset(tmp_path: Path) -> None:
    columns = ("dataset", "category_id", "task_id", "category_name", "question", "instruction")
    sheet(tmp_path / "safebench.csv", columns, ("Made", 1, 1, "Noise", "Why sing?", "Ways."))
    words = ("dataset", "add", ".", "--format", "figstep")
    assert "--missing-images skip takes the other 1" in lam3db(tmp_path, *words, code=1).stderr
    added = lam3db(tmp_path, *words, "--missing-images", "skip")
    assert "1 of 2 samples have images that are not there" in added.stderr
    assert "figstep@1" in added.stdout
    listed = json.loads(lam3db(tmp_path, "dataset", "list", "--format", "json").stdout)
    assert listed[0]["licence"] == "MIT"
    assert listed[0]["source"].endswith("without 1 of 2 samples whose images were not there")
    formats = json.loads(lam3db(tmp_path, "dataset", "formats", "--format", "json").stdout)
    assert [row["name"] for row in formats] == sorted(FORMATS)
