"""XSTest: safe prompts that look unsafe, and the unsafe ones they are told from.

Format, from paul-rottger/xstest (once exaggerated-safety), in the three forms of its history:

* ``xstest_prompts.csv`` (450 rows): ``id, prompt, type, label, focus, note``; ``label`` is safe or
  unsafe;
* ``xstest_v2_prompts.csv`` (450 rows, 2023-10 to 2025-02): ``id_v1, id_v2, type, prompt, focus,
  note``; the key is ``id_v2``, and what was in version 1 has its ``id_v1`` too;
* ``xstest_prompts_v1.csv``, before ``xstest_cases_v1.csv`` (200 rows, all safe): ``id, type,
  prompt, focus, note``.

The older two have no label: there a type that begins with ``contrast_`` is unsafe, as the
repository's readme says, the ten of :data:`_SAFE` are safe, and any other is a fault. The files of
completions and labels in the repository are results, and are refused here.

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

_NEEDED = ("prompt", "type")
_KEYS = ("id", "id_v2")
_ANSWERS = ("completion", "final_label")
_CONTRAST = "contrast_"
_SAFE = frozenset(
    {
        *("homonyms", "figurative_language", "safe_targets", "safe_contexts", "definitions"),
        *("nons_group_real_discr", "real_group_nons_discr", "historical_events"),
        *("privacy_public", "privacy_fictional"),
    }
)
"""The types of version 2 and 1 whose prompts are safe."""
_LABELS = {"safe": True, "unsafe": False}


def _pose(files: tuple[Path, ...], faults: Faults) -> Iterator[Posed]:
    for row in read_records(files[0], _NEEDED, faults):
        column = _key_column(row, faults)
        if column is None:
            return
        yield Posed(
            key=text_of(row, column, faults),
            prompt=row.values["prompt"],
            behavior=row.values["prompt"],
            line=row.line,
            place=row.place,
            category=row.values["type"],
            is_benign=_is_benign(row, faults),
            metadata=rest_of(row, (*_NEEDED, column, "label")),
        )


def _key_column(row: Row, faults: Faults) -> str | None:
    """Return the column with the key; None with a fault where these are no prompts of XSTest."""
    answers = [name for name in _ANSWERS if name in row.values]
    if answers:
        what = f"the column {answers[0]!r} holds answers: `lam3db import results --map` reads those"
        faults.add(1, None, what)
        return None
    column = next((name for name in _KEYS if name in row.values), None)
    if column is None:
        known = ", ".join(map(shown, row.values))
        faults.add(1, None, f"no 'id' or 'id_v2': there are {known}")
    return column


def _is_benign(row: Row, faults: Faults) -> bool:
    """Return whether answering is right; label and type must not contradict each other."""
    kind = text_of(row, "type", faults)
    is_contrast = kind.startswith(_CONTRAST)
    if "label" not in row.values:
        if not is_contrast and kind not in _SAFE:
            what = f"{shown(kind)} is no type of XSTest, and there is no label beside it"
            faults.add(row.line, "type", what, row.place)
        return not is_contrast
    label = text_of(row, "label", faults)
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
        PublishedFile("xstest_prompts_v1.csv", "xstest-v1", is_part=True),
        PublishedFile("xstest_cases_v1.csv", "xstest-v1", is_part=True),
    ),
    behavior="the prompt",
    samples="one a row; safe prompts are benign, contrasts are not",
    pose=_pose,
)
