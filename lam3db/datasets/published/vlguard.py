"""VLGuard: unsafe images with one instruction, safe images with a safe and an unsafe one.

Format, from ys-zong/VLGuard (``data/test.json``, ``utils/utils.py``): a list of ``id, image,
safe, harmful_category, harmful_subcategory, instr-resp``; ``instr-resp`` is a list of objects
with ``response`` and one of ``instruction`` (unsafe image), ``safe_instruction`` and
``unsafe_instruction`` (safe image, both). Images come as ``data/test.zip`` and lie in
``test/{image}`` once unpacked. A safe image has no categories. What else a record or a pair holds
(``conversations`` of the LLaVA form) is told as not read.

The repository's three sets are kept as the metadata ``subset``: ``unsafes``, ``safe_unsafes``,
and ``safe_safes``, which is benign. Instructions repeat over images, and the image carries the
aim: a behavior is an instruction with the id of its record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lam3db.datasets.faults import shown
from lam3db.datasets.published.records import note_unread, read_records
from lam3db.datasets.published.shape import Picture, Posed, PublishedFile, PublishedFormat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lam3db.datasets.faults import Faults
    from lam3db.datasets.lines import Row

_COLUMNS = ("id", "image", "safe", "instr-resp")
_CATEGORIES = ("harmful_category", "harmful_subcategory")
_SUBSETS = {
    False: {"instruction": "unsafes"},
    True: {"safe_instruction": "safe_safes", "unsafe_instruction": "safe_unsafes"},
}
"""Whether the image is safe -> the instruction's name -> the set it belongs to."""


def _pose(files: tuple[Path, ...], faults: Faults) -> Iterator[Posed]:
    for row in read_records(files[0], _COLUMNS, faults):
        note_unread(row.values, (*_COLUMNS, *_CATEGORIES), faults)
        safe, pairs = row.values["safe"], row.values["instr-resp"]
        if not isinstance(safe, bool):
            faults.add(row.line, "safe", f"true or false is wanted, not {shown(safe)}", row.place)
        elif not isinstance(pairs, list):
            what = f"a list is wanted, not {shown(pairs)}"
            faults.add(row.line, "instr-resp", what, row.place)
        else:
            yield from _samples(row, _instructions(row, _SUBSETS[safe], pairs, faults), files[0])


def _instructions(
    row: Row, subsets: dict[str, str], pairs: list[Any], faults: Faults
) -> list[tuple[str, str, Any]]:
    """Return (subset, instruction, published answer) of a record."""
    found: dict[str, tuple[str, str, Any]] = {}
    for pair in pairs:
        if isinstance(pair, dict):
            note_unread(pair, (*subsets, "response"), faults)
        named = [name for name in subsets if isinstance(pair, dict) and name in pair]
        for name in named:
            found[name] = (subsets[name], pair[name], pair.get("response"))
    missing = [name for name in subsets if name not in found]
    if missing or len(found) != len(pairs):
        wanted = " and ".join(subsets)
        what = f"one {wanted} is wanted for this image, not {shown(pairs)}"
        faults.add(row.line, "instr-resp", what, row.place)
        return []
    return list(found.values())


def _samples(row: Row, instructions: list[tuple[str, str, Any]], file: Path) -> Iterator[Posed]:
    number, image = row.values["id"], row.values["image"]
    names = [row.values.get(name) for name in _CATEGORIES]
    split = file.stem
    for subset, instruction, response in instructions:
        yield Posed(
            key=f"{number}-{subset}",
            prompt=instruction,
            behavior=f"{instruction} (image {number})",
            line=row.line,
            place=row.place,
            picture=Picture((f"data/{split}", f"data/VLGuard/{split}"), str(image)),
            category=" / ".join(str(name) for name in names if name),
            is_benign=subset == "safe_safes",
            metadata={"subset": subset, "published_response": response},
        )


FORMAT = PublishedFormat(
    title="VLGuard",
    source="ys-zong/VLGuard",
    licence="",
    files=(
        PublishedFile("data/test.json", "vlguard-test"),
        PublishedFile("data/train.json", "vlguard-train", is_part=True),
    ),
    behavior="an instruction with its image",
    samples="one an unsafe image; two a safe image, of which safe_instruction is benign",
    pose=_pose,
    images="data/test/IMAGE: test.zip unpacked",
)
