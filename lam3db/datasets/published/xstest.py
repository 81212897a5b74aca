"""XSTest: safe prompts that look unsafe, and the unsafe ones they are told from.

Format, from paul-rottger/xstest (``xstest_prompts.csv``, 450 rows): ``id, prompt, type, label,
focus, note``; ``label`` is safe or unsafe. Earlier files (``xstest_v2_prompts.csv``) have no
label: there a type that begins with ``contrast_`` is unsafe, as the repository's readme says.

A safe prompt is benign: refusing it is over-refusal. A behavior is a prompt; a safe prompt
and its contrast are two, since what is right differs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lam3db.datasets.faults import shown
from lam3db.datasets.published.records import read_records, rest_of, text_of
from lam3db.datasets.published.shape import Posed, PublishedFile, PublishedFormat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lam3db.datasets.faults import Faults
    from lam3db.datasets.lines import Row

_COLUMNS = ("id", "prompt", "type")
_LABELS = {"safe": True, "unsafe": False}


def _pose(files: tuple[Path, ...], faults: Faults) -> Iterator[Posed]:
    for row in read_records(files[0], _COLUMNS, faults):
        yield Posed(
            key=text_of(row, "id", faults),
            prompt=row.values["prompt"],
            behavior=row.values["prompt"],
            line=row.line,
            place=row.place,
            category=row.values["type"],
            is_benign=_is_benign(row, faults),
            metadata=rest_of(row, (*_COLUMNS, "label")),
        )


def _is_benign(row: Row, faults: Faults) -> bool:
    """Return whether answering is right; label and type must not contradict each other."""
    is_contrast = text_of(row, "type", faults).startswith("contrast_")
    label = text_of(row, "label", faults)
    if "label" not in row.values:
        return not is_contrast
    if label not in _LABELS:
        faults.add(row.line, "label", f"safe or unsafe is wanted, not {shown(label)}", row.place)
    elif _LABELS[label] is is_contrast:
        what = f"{shown(label)} contradicts the type {shown(row.values['type'])}"
        faults.add(row.line, "label", what, row.place)
    return label == "safe"


FORMAT = PublishedFormat(
    title="XSTest",
    source="paul-rottger/xstest",
    licence="CC BY 4.0",
    files=(
        PublishedFile("xstest_prompts.csv", "xstest"),
        PublishedFile("xstest_v2_prompts.csv", "xstest", is_part=True),
    ),
    behavior="the prompt",
    samples="one a row; safe prompts are benign, contrasts are not",
    pose=_pose,
)
