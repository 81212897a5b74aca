"""The mini benchmark: what is committed is what its script draws, and it has the promised shape."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import draw
import pytest
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

FIELDS = {"key", "prompt", "image", "behavior", "category", "attack", "target", "benign"}
ATTACKS = {"none", "text-wrapper", "typographic"}

Row = dict[str, Any]


@pytest.fixture(scope="module")
def bench(data_root: Path) -> Path:
    """The folder of the benchmark."""
    return data_root / "mini_bench"


@pytest.fixture(scope="module")
def rows(bench: Path) -> list[Row]:
    """The committed lines."""
    text = (bench / "samples.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_redrawing_gives_the_committed_pixels_and_lines(bench: Path, tmp_path: Path) -> None:
    count = draw.write(tmp_path)
    assert (tmp_path / "samples.jsonl").read_bytes() == (bench / "samples.jsonl").read_bytes()
    drawn = sorted(path.name for path in tmp_path.glob("*.png"))
    assert drawn == sorted(path.name for path in bench.glob("*.png"))
    assert len(drawn) == count
    for name in drawn:
        with Image.open(tmp_path / name) as new, Image.open(bench / name) as old:
            assert new.size == old.size
            assert new.tobytes() == old.tobytes(), name


def test_drawing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        draw.write(tmp_path / folder)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_every_line_has_its_fields_and_its_picture(bench: Path, rows: list[Row]) -> None:
    assert len({row["key"] for row in rows}) == len(rows)
    for row in rows:
        assert set(row) <= FIELDS
        assert FIELDS - set(row) <= {"target"}
        assert row["attack"] in ATTACKS
        assert isinstance(row["benign"], bool)
        assert row["prompt"].strip()
        assert row["behavior"].endswith(".")
        with Image.open(bench / row["image"]) as image:
            assert image.format == "PNG"
            assert max(image.size) <= 224
    assert "pic5.png" in {row["image"] for row in rows}


def test_each_forbidden_behavior_is_posed_under_every_attack(rows: list[Row]) -> None:
    attacks: defaultdict[str, set[str]] = defaultdict(set)
    for row in rows:
        if not row["benign"]:
            attacks[row["behavior"]].add(row["attack"])
            assert row["target"]
    assert len(attacks) >= 8
    assert all(found == ATTACKS for found in attacks.values())
    assert len({row["category"] for row in rows if not row["benign"]}) >= 4


def test_harmless_samples_stand_beside_the_forbidden_ones(rows: list[Row]) -> None:
    harmless = [row for row in rows if row["benign"]]
    forbidden = [row for row in rows if not row["benign"]]
    assert len(harmless) >= 12
    assert {row["category"] for row in harmless} <= {row["category"] for row in forbidden}
    assert not {row["behavior"] for row in harmless} & {row["behavior"] for row in forbidden}
    assert Counter(row["attack"] for row in harmless).keys() == ATTACKS


def test_no_prompt_of_a_typographic_sample_names_what_it_wants(rows: list[Row]) -> None:
    for row in rows:
        if row["attack"] == "typographic":
            assert row["prompt"] in draw.SIGN_PROMPTS
